//! A machine that boots: its containers are stopped, what lay in memory is gone, and a service manager starts
//! the daemon.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::json;

use crate::daemon_stopped::signal;
use crate::oracles::ledger::{Ledger, Server};
use crate::postgres::{IMAGE, image};
use crate::private::{PrivateEngine, handed_to_root};
use crate::stack::TestStack;
use crate::support::{SOON, end_of, eventually};

/// The password of the database is generated.
const TEXT: &str = r#"
name = "NAME"
[postgres.db]
image = "localhost/witwd-test-postgres:17"
pull = "never"
backup.enabled = false
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

/// The power goes: every process of the stack and its engine end where they stand, and memory is empty.
async fn boots(engine: &mut PrivateEngine, stack: &TestStack) -> Child {
    for process in stack.processes() {
        signal("KILL", process.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a process"));
    }
    engine.kill();
    let runtime = stack.path().with_file_name("run");
    std::fs::remove_dir_all(&runtime).expect("what lies in memory");
    engine.launch().await;
    stack.command(&["daemon"]).stderr(Stdio::null()).spawn().expect("a daemon")
}

fn password(stack: &TestStack) -> String {
    let url = stack.done(&["db", "url"]);
    url.trim().split_once("://app:").and_then(|(_, rest)| rest.split_once('@')).expect("a password").0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_boot_all_is_back_in_order_with_its_passwords_and_what_was_down_stays_down() {
    if handed_to_root().await {
        return;
    }
    image().await;
    let mut engine = PrivateEngine::start(json!({})).await;
    engine.load(IMAGE);
    let stack = TestStack::on(&engine, "boot", TEXT);
    stack.done(&["up", "-d"]);
    let generated = password(&stack);
    let address = format!("host=127.0.0.1 port=5432 user=app password={generated} dbname=app connect_timeout=2");
    let ledger = Ledger::start(Server { network: Some(PathBuf::from(engine.network())), address }).await;

    let mut daemon = boots(&mut engine, &stack).await;
    let is_well = async || {
        let status = stack.ps();
        (status["converged"] == true && status["engine"] == "up" && status["daemon"]["pid"].is_u64()).then_some(())
    };
    eventually(SOON * 2, "all is back", is_well).await;
    ledger.grows().await;
    assert_eq!(password(&stack), generated);
    let started = |name: &str| {
        let container = format!("{}-{name}-1", stack.name);
        engine.done(&["inspect", "-f", "{{.State.StartedAt}}", &container])
    };
    assert!(started("db") < started("app"), "in order of need");
    ledger.balance().is_even();

    stack.done(&["down"]);
    assert!(end_of(&mut daemon).success());
    let mut daemon = boots(&mut engine, &stack).await;
    eventually(SOON, "it has looked", is_well).await;
    assert_eq!(stack.identities(), Vec::<String>::new(), "what was down stays down");
    signal("TERM", u64::from(daemon.id()));
    assert!(end_of(&mut daemon).success());
}
