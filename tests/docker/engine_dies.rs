//! An engine that is killed, started again, or hangs, under a stack with a database: no row is lost, nothing
//! runs twice, and nothing is declared dead for want of an answer.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use witwd::host::{Clock as _, SystemClock};

use crate::daemon_stopped::signal;
use crate::oracles::ledger::{Ledger, Server};
use crate::oracles::surroundings::Surroundings;
use crate::oracles::watch::Watch;
use crate::postgres::{IMAGE, image};
use crate::private::{PrivateEngine, handed_to_root};
use crate::recorder::{Fate, Recorder};
use crate::stack::TestStack;
use crate::support::{SOON, TINY, eventually};
use crate::taking_over::is_gone;

/// An app and its database.
pub const TEXT: &str = r#"
name = "NAME"
[postgres.db]
image = "localhost/witwd-test-postgres:17"
pull = "never"
backup.enabled = false
password = "ledger"
user = "app"
database = "app"
ports = ["5432:5432"]
[services.app]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.http = "/"
env.DATABASE_URL = "${db.url}"
"#;

/// When the container of this service or database was started last.
pub fn started(engine: &PrivateEngine, stack: &TestStack, name: &str) -> jiff::Timestamp {
    let container = format!("{}-{name}-1", stack.name);
    engine.done(&["inspect", "-f", "{{.State.StartedAt}}", &container]).trim().parse().expect("a time")
}

/// An engine of the test's own that runs a stack with a database, a ledger that writes into it, somebody
/// else's container beside it, and all that looks on.
pub struct Rig {
    // In this order they end: whoever looks first, the engine last.
    ledger: Ledger,
    pub watch: Watch,
    pub stack: TestStack,
    line: Recorder,
    _scratch: tempfile::TempDir,
    pub engine: PrivateEngine,
    around: Surroundings,
}

impl Rig {
    /// With these settings of the engine.
    async fn up(settings: Value) -> Self {
        image().await;
        let engine = PrivateEngine::start(settings).await;
        engine.load(IMAGE);
        engine.done(&["run", "-d", "--name", "theirs", "--restart", "always", "-v", "theirs:/data", TINY, "sleep"]);
        let scratch = tempfile::tempdir().expect("a directory");
        let line = Recorder::with(scratch.path(), &engine.socket(), |_| Fate::Pass);
        let mut stack = TestStack::on(&engine, "engine", TEXT);
        stack.docker_host = Some(line.host());
        stack.done(&["up", "-d"]);
        let address = "host=127.0.0.1 port=5432 user=app password=ledger dbname=app connect_timeout=2".to_owned();
        let ledger = Ledger::start(Server { network: Some(PathBuf::from(engine.network())), address }).await;
        let watch = Watch::of(&stack, &engine.socket());
        let around = Surroundings::of(&stack, "");
        Self { ledger, watch, stack, line, _scratch: scratch, engine, around }
    }

    /// Waits until `ps` says this of the engine.
    async fn engine_is(&self, word: &str) -> Value {
        // At rest the daemon looks every 30 s, and gives the engine its time to answer.
        eventually(Duration::from_secs(80), &format!("the engine is {word}"), async || {
            let status = self.stack.ps();
            (status["engine"] == word).then_some(status)
        })
        .await
    }

    /// Waits until all is as the file says and the database takes rows, and sees that nothing else changed.
    async fn heals(&self, limit: Duration, what: &str) {
        eventually(limit, what, async || {
            let status = self.stack.ps();
            (status["converged"] == true && status["engine"] == "up").then_some(())
        })
        .await;
        self.ledger.grows().await;
        self.around.are_kept_by(&Surroundings::of(&self.stack, ""), what);
        let before = self.line.mutating().len();
        self.stack.done(&["up", "-d"]);
        assert_eq!(self.line.mutating()[before..], Vec::<String>::new(), "{what}: at rest nothing is changed");
    }

    fn restarts(&self) -> Vec<Value> {
        self.stack.ps()["items"].as_array().expect("items").iter().map(|item| item["restarts"].clone()).collect()
    }

    /// The end: the balance of the ledger, and what was seen.
    fn ends_even(self) {
        self.watch.is_clean();
        self.ledger.balance().is_even();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_was_killed_is_waited_for_and_all_is_back_in_order_with_every_row() {
    if handed_to_root().await {
        return;
    }
    let mut rig = Rig::up(json!({})).await;
    for turn in 1..=2 {
        rig.engine.kill();
        let status = rig.engine_is("down").await;
        let states: Vec<&Value> = status["items"].as_array().expect("items").iter().map(|item| &item["state"]).collect();
        assert!(states.iter().all(|state| **state != "failed" && **state != "stopped"), "nothing is called dead: {states:?}");
        rig.engine.launch().await;
        rig.heals(Duration::from_secs(30), "all is back").await;
        let items = rig.stack.ps()["items"].clone();
        let started = |name: &str| started(&rig.engine, &rig.stack, name);
        assert!(started("db") < started("app"), "turn {turn}: in order of need: {items}");
        assert_eq!(rig.restarts(), [json!(turn), json!(turn)], "each was started again once: {items}");
    }
    rig.ends_even();
}

#[tokio::test(flavor = "multi_thread")]
async fn under_an_engine_that_keeps_containers_alive_nothing_is_restarted_when_it_dies_or_hangs() {
    if handed_to_root().await {
        return;
    }
    let mut rig = Rig::up(json!({ "live-restore": true })).await;
    let before = rig.stack.identities();
    rig.engine.kill();
    rig.engine_is("down").await;
    rig.engine.launch().await;
    rig.heals(SOON, "it is found alive").await;
    assert_eq!((rig.stack.identities(), rig.restarts()), (before.clone(), vec![json!(0), json!(0)]));

    hangs(&rig).await;
    assert_eq!((rig.stack.identities(), rig.restarts()), (before.clone(), vec![json!(0), json!(0)]));

    ends_while_the_engine_hangs(&rig).await;
    assert_eq!(rig.stack.identities(), before);
    rig.ends_even();
}

/// Stopped, the engine accepts and never answers: that is said, and nothing is done for want of an answer.
async fn hangs(rig: &Rig) {
    let hanging = rig.engine.hang();
    let status = rig.engine_is("down").await;
    let called = |word: &str| status["items"].as_array().expect("items").iter().filter(|item| item["state"] == word).count();
    assert_eq!(called("running"), 2, "{status:#}");
    let asked = rig.watch.seen().answers.len();
    eventually(SOON, "`ps` answers on", async || (rig.watch.seen().answers.len() > asked + 20).then_some(())).await;
    drop(hanging);
    rig.heals(SOON, "the engine answers again").await;
}

/// `SIGTERM` while the engine hangs: the daemon is gone within ten seconds.
async fn ends_while_the_engine_hangs(rig: &Rig) {
    let daemon = rig.stack.daemon_pid();
    let hanging = rig.engine.hang();
    let clock = SystemClock::new();
    let begin = clock.wall();
    signal("TERM", daemon);
    eventually(Duration::from_secs(10), "the daemon is gone", async || is_gone(daemon).then_some(())).await;
    let took = clock.wall().duration_since(begin);
    assert!(took.as_secs() < 10, "{took}");
    drop(hanging);
    rig.stack.done(&["up", "-d"]);
    rig.heals(SOON, "another daemon adopts what runs").await;
}
