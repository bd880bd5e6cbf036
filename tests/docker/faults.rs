//! What an engine does on bad days, provoked on an engine of the test's own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use witwd::engine::{Engine, ErrorKind};
use witwd::model::name::ContainerId;

use crate::private::{PrivateEngine, handed_to_root};
use crate::stack::{TestStack, text};
use crate::support::{SOON, TestEngine, end_of, eventually, kind};

const ONE: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.tcp = true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_addresses_says_so_and_goes_on_when_there_are_some() {
    if handed_to_root().await {
        return;
    }
    let pools = json!([{ "base": "10.213.0.0/26", "size": 26 }]);
    let engine = PrivateEngine::start(json!({ "bip": "10.214.0.1/24", "default-address-pools": pools })).await;
    engine.done(&["network", "create", "theirs"]);
    let stack = TestStack::on(&engine, "pools", ONE);
    let output = stack.run(&["up", "-d"]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let parts = ["web failed: failed to create network", "address pool", "docker network prune", "default-address-pools"];
    assert!(parts.iter().all(|part| complaint.contains(part)), "{complaint}");

    let tries = || stack.log().matches("create-network network").count();
    eventually(SOON, "it is tried again", async || (tries() >= 4).then_some(())).await;
    assert_eq!(tries(), 4, "after 1, 2 and 4 s: not in a hot loop\n{}", stack.log());
    assert_eq!(
        engine.done(&["network", "ls", "-q", "--filter", &format!("name={}", stack.name)]),
        "",
        "nothing is left half made"
    );

    engine.done(&["network", "rm", "theirs"]);
    eventually(SOON, "web is ready", async || (stack.item("web")["ready"] == true).then_some(())).await;
}

/// So many files take the engine a while to remove.
const FILES: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_removals_at_once_one_is_carried_out_and_the_others_are_told() {
    if handed_to_root().await {
        return;
    }
    let engine = PrivateEngine::start(json!({})).await;
    let test = TestEngine::on(engine.adapter(), "removal");
    let id = test.engine.create(&test.container("web", &["sleep"])).await.unwrap();
    let layer = PathBuf::from(engine.done(&["inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", &id.0]));
    for number in 0..FILES {
        std::fs::write(layer.join(number.to_string()), "").expect("a file in the container's layer");
    }
    let outcomes = join_all((0..16).map(|_| test.engine.remove(&id))).await;
    let refused: Vec<ErrorKind> = outcomes.into_iter().filter_map(Result::err).map(|error| error.kind).collect();
    assert!(!refused.is_empty() && refused.iter().all(|kind| *kind == ErrorKind::RemovalInProgress), "{refused:?}");
    eventually(SOON, "it is gone", async || test.seen(&id).await.is_none().then_some(())).await;
    test.engine.remove(&id).await.expect("what is gone is removed");
}

/// A file in the engine's own directory of a container that even root can't remove until this value
/// is dropped: the removal of the container fails half-way.
struct Stuck(PathBuf);

impl Stuck {
    fn new(engine: &PrivateEngine, container: &str) -> Self {
        let file = engine.data_root().join("containers").join(container).join("stuck");
        std::fs::write(&file, "").expect("a file");
        let stuck = Self(file);
        stuck.change("+i");
        stuck
    }

    fn change(&self, attribute: &str) {
        let changed = Command::new("chattr").arg(attribute).arg(&self.0).status().expect("chattr, of e2fsprogs");
        assert!(changed.success(), "chattr {attribute} {}", self.0.display());
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.change("-i");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_half_removed_holds_up_nothing_else() {
    if handed_to_root().await {
        return;
    }
    let engine = PrivateEngine::start(json!({})).await;
    let two = format!("{ONE}[services.cache]\nimage = \"TINY\"\nentrypoint = []\ncommand = [\"/tiny\", \"sleep\"]\n");
    let stack = TestStack::on(&engine, "dead", &two);
    stack.done(&["up", "-d"]);
    let container = |name: &str| stack.item(name)["container"].as_str().expect("an id").to_owned();
    let (old, cache) = (container("web"), container("cache"));
    let stuck = Stuck::new(&engine, &old);
    stack.write(&two.replace("[services.web]\n", "[services.web]\nenv.COLOUR = \"blue\"\n"));
    let output = stack.run(&["up", "-d", "--timeout", "15s"]);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{complaint}");
    let said = format!("web running: failed to remove container {}", &old[..12]);
    assert!(complaint.contains("but not as stack.toml says") && complaint.contains(&said), "{complaint}");
    assert_eq!(engine.done(&["inspect", "-f", "{{.State.Dead}}", &old]), "true");

    // By now the next removal is many seconds away: a crash waits for none of it.
    let failures = || stack.log().matches("failed web").count();
    eventually(SOON, "the removal failed again", async || (failures() >= 5).then_some(())).await;
    let new = container("web");
    engine.done(&["kill", &new]);
    // A restart is counted before it is there: until then the dead one may be shown.
    let is_back = |item: &serde_json::Value| item["restarts"] == 1 && item["container"] == new.as_str() && item["ready"] == true;
    eventually(SOON, "web is back", async || is_back(&stack.item("web")).then_some(())).await;
    let log = stack.log();
    let (_, since) = log.split_once("exit web | killed").expect("its end");
    let (waited, _) = since.split_once("start web | killed").expect("its start");
    assert!(!waited.contains("remove web"), "it did not wait for the next removal\n{log}");
    assert_eq!((container("web"), container("cache")), (new.clone(), cache));

    drop(stuck);
    eventually(SOON, "all is as the file says", async || (stack.ps()["converged"] == true).then_some(())).await;
    assert_eq!(engine.done(&["inspect", "-f", "{{.Name}}", &new]), format!("/{}-web-1", stack.name));
    assert!(!engine.docker(&["inspect", &old]).status.success(), "the old one is gone");
}

/// How many containers are removed at once.
const MANY: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_network_goes_while_many_leave_it_and_the_engine_is_killed() {
    if handed_to_root().await {
        return;
    }
    let mut engine = PrivateEngine::start(json!({})).await;
    let test = TestEngine::on(engine.adapter(), "many");
    test.engine.create_network(&test.network()).await.unwrap();
    let network = test.engine.observe(&test.scope()).await.unwrap().networks[0].id.clone();
    let words: Vec<String> = (0..MANY).map(|number| format!("c{number}")).collect();
    let made = join_all(words.iter().map(async |name| {
        let mut request = test.container(name, &["sleep"]);
        request.network = Some(test.stack.network());
        let id = test.engine.create(&request).await.unwrap();
        test.engine.start(&id).await.unwrap();
        id
    }));
    let ids = made.await;
    assert_eq!(kind(test.engine.remove_network(&network).await), ErrorKind::InUse);

    let remove = |id: &ContainerId| {
        let mut command = Command::new("docker");
        command.args(["-H", &engine.host(), "rm", "-f", &id.0]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("docker")
    };
    let removals: Vec<Child> = ids.iter().map(remove).collect();
    eventually(SOON, "some are gone", async || (engine.done(&["ps", "-q"]).lines().count() < MANY).then_some(())).await;
    engine.kill();
    for mut removal in removals {
        end_of(&mut removal);
    }
    engine.launch().await;
    // Removals are repeated as the supervisor would; then nothing keeps the network.
    for id in &ids {
        test.engine.stop(id, Duration::ZERO).await.unwrap();
        eventually(SOON, "it is removed", async || test.engine.remove(id).await.ok()).await;
    }
    test.engine.remove_network(&network).await.expect("what dead containers left on it is cleared");
    assert_eq!(test.engine.observe(&test.scope()).await.unwrap().networks, []);
}
