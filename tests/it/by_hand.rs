//! `restart`, `stop`, `start` and `scale` beside a supervisor that a test plays.

use std::process::Output;
use std::sync::Arc;

use witwd::model::status::{ItemStatus, Status};
use witwd::model::wish::{Refusal, Wish};
use witwd::supervisor::{Command, Published};

use super::cli::witwd;
use super::joined::Daemon;

fn item(name: &str, replica: u32, state: &str) -> ItemStatus {
    let (ready, held) = (state == "running", state.starts_with("stop"));
    let item = serde_json::json!({
        "name": name, "kind": "service", "replica": replica, "state": state, "held": held, "health": "none", "ready": ready,
        "restarts": 0, "attempt": 0, "cause": "", "container": null, "image": "app:1", "digest": null, "port": null, "ports": [],
        "since": null, "next": null, "last_exit": null, "backup": null
    });
    serde_json::from_value(item).expect("an item")
}

/// A daemon that shows two replicas of `web` and a database.
fn daemon() -> Daemon {
    let daemon = Daemon::start();
    show(&daemon, 0, ["running", "running", "running"]);
    daemon
}

fn show(daemon: &Daemon, generation: u64, states: [&str; 3]) {
    let [first, second, db] = states;
    let status = daemon.status(vec![item("db", 1, db), item("web", 1, first), item("web", 2, second)]);
    daemon.ends.published.send_replace(Published { generation, looked: true, status: Arc::new(status), blocked: Vec::new() });
}

/// The wish that the command line sends, answered with `answer`.
async fn heard(daemon: &mut Daemon, answer: Result<(u64, Vec<String>), Refusal>) -> Wish {
    let limit = std::time::Duration::from_secs(20);
    let command = tokio::time::timeout(limit, daemon.ends.commands.recv()).await.expect("a request in time");
    let Some(Command::Hand(wish, answers)) = command else { panic!("a wish") };
    answers.send(answer).expect("somebody waits");
    wish
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_asked_for_waited_for_and_says_who_goes_on_without_it() {
    let mut daemon = daemon();
    let asking = daemon.asking(&["stop", "web"]);
    let wish = heard(&mut daemon, Ok((1, vec!["api needs web: it goes on".into()]))).await;
    assert_eq!(wish, Wish::Stop { of: ["web".parse().expect("a name")].into() });
    show(&daemon, 1, ["stopping", "stopping", "running"]);
    assert!(!asking.is_finished(), "it waits");
    show(&daemon, 1, ["stopped", "stopped", "running"]);
    let output = asking.await.expect("no panic");
    let told = said(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("api needs web: it goes on"), "{told}");
    assert!(told.contains("web.2  stopped by hand"), "{told}");
    assert!(told.ends_with("stopped web by hand; `witwd start web` or `witwd up` ends that\n"), "{told}");
    assert!(!told.contains("db"), "what others do is not shown: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_the_document_of_ps_and_nothing_else() {
    let mut daemon = daemon();
    let asking = daemon.asking(&["scale", "--json", "web=2"]);
    let wish = heard(&mut daemon, Ok((1, Vec::new()))).await;
    assert_eq!(wish, Wish::Scale { to: [("web".parse().expect("a name"), 2)].into() });
    show(&daemon, 1, ["running", "running", "starting"]);
    let output = asking.await.expect("no panic");
    let document: Status = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!((output.status.code(), document.items.len()), (Some(0), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_is_addressed_by_its_number() {
    let mut daemon = daemon();
    let asking = daemon.asking(&["start", "web.2"]);
    let wish = heard(&mut daemon, Ok((1, Vec::new()))).await;
    assert_eq!(wish, Wish::Start { of: ["web.2".parse().expect("a name")].into() });
    show(&daemon, 1, ["starting", "running", "running"]);
    assert_eq!(asking.await.expect("no panic").status.code(), Some(0), "the others are not waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_loops_or_does_not_come_is_told_by_its_code() {
    let mut daemon = daemon();
    let asking = daemon.asking(&["restart"]);
    assert_eq!(heard(&mut daemon, Ok((1, Vec::new()))).await, Wish::Restart { of: [].into() });
    show(&daemon, 1, ["crash_loop", "running", "running"]);
    let output = asking.await.expect("no panic");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("web crash loop"), "{}", said(&output));

    show(&daemon, 1, ["running", "running", "running"]);
    let asking = daemon.asking(&["restart", "web", "--timeout", "300ms"]);
    heard(&mut daemon, Ok((2, Vec::new()))).await;
    show(&daemon, 2, ["starting", "running", "crash_loop"]);
    let output = asking.await.expect("no panic");
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(!said(&output).contains("db"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_there_asks_nothing_and_says_what_is_meant() {
    let mut daemon = daemon();
    for words in [["stop", "wbe"], ["restart", "wbe.2"], ["start", "wbe"], ["scale", "wbe=3"]] {
        let output = daemon.ask(&words).await;
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(said(&output).contains("did you mean web?"), "{}", said(&output));
    }
    assert!(daemon.ends.commands.try_recv().is_err(), "nothing was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_refuses_is_said_with_the_way_out() {
    let mut daemon = daemon();
    for (message, hint, code) in
        [("0 replicas of db are none", "`witwd stop db` stops it", 2), ("db is stopped by hand", "`witwd start db` starts it", 1)]
    {
        let depends_on_state = code == 1;
        let asking = daemon.asking(&["scale", "db=2"]);
        let refusal = Refusal { message: message.into(), hint: Some(hint.into()), depends_on_state };
        heard(&mut daemon, Err(refusal)).await;
        let output = asking.await.expect("no panic");
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(said(&output), format!("error: {message}\n hint: {hint}\n"));
    }
}

#[test]
fn verbs_that_name_nothing_say_what_the_whole_stack_needs() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (words, hint) in [
        (["stop"].as_slice(), "witwd down"),
        (&["start"], "witwd up"),
        (&["scale"], "witwd scale web=3"),
        (&["scale", "web"], "write a name and a number: web=3"),
        (&["scale", "web=many"], "write a name and a number: web=3"),
    ] {
        let output = witwd(directory.path()).args(words).output().expect("an end");
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(said(&output).contains(hint), "{words:?}: {}", said(&output));
    }
}

#[test]
fn without_a_daemon_nothing_is_started_or_stopped_and_the_way_out_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("stack.toml"), "name = \"shop\"\n[services.web]\nimage = \"app:1\"\n").expect("a file");
    for words in [["restart"].as_slice(), &["stop", "web"], &["start", "web"], &["scale", "web=2"]] {
        let output = witwd(directory.path()).args(words).output().expect("an end");
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        let told = said(&output);
        assert!(told.contains("no daemon runs for this stack") && told.contains("`witwd up -d`"), "{told}");
    }
    assert!(!directory.path().join(".witwd").exists(), "nothing was begun");
}
