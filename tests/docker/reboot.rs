//! A machine that boots: its containers are stopped, what lay in memory is gone, and a service manager starts
//! the daemon.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::daemon_stopped::signal;
use crate::engine_dies::{TEXT, started};
use crate::oracles::ledger::{Ledger, Server};
use crate::postgres::{IMAGE, image};
use crate::private::{PrivateEngine, handed_to_root};
use crate::stack::TestStack;
use crate::support::{SOON, end_of, eventually};

/// The power goes: every process of the stack and its engine end where they stand, and memory is empty.
async fn boots(engine: &mut PrivateEngine, stack: &TestStack) -> Child {
    for process in stack.processes() {
        let pid = process.split(' ').next().expect("a number").to_owned();
        // It may have ended with the one before it.
        let _ = Command::new("kill").args(["-s", "KILL", &pid]).output();
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
    // Its password is generated.
    let stack = TestStack::on(&engine, "boot", &TEXT.replace("password = \"ledger\"\n", ""));
    stack.done(&["up", "-d"]);
    let generated = password(&stack);
    assert_ne!(generated, "ledger");
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
    assert!(started(&engine, &stack, "db") < started(&engine, &stack, "app"), "in order of need");
    ledger.balance().is_even();

    stack.done(&["down"]);
    assert!(end_of(&mut daemon).success());
    let mut daemon = boots(&mut engine, &stack).await;
    eventually(SOON, "it serves", async || stack.ps()["daemon"]["pid"].as_u64()).await;
    assert_eq!(stack.identities(), Vec::<String>::new(), "what was down stays down");
    signal("TERM", u64::from(daemon.id()));
    assert!(end_of(&mut daemon).success());
}
