//! Snapshots on a real server: saved while somebody is connected, brought back whole, interrupted.

use std::process::Stdio;

use serde_json::Value;

use crate::backups::{kill, sets};
use crate::restore::{ODD, canonical, databases, nothing_is_left, set_of_now, sql, sql_in, stack, step};
use crate::stack::{TestStack, text};
use crate::support::{SOON, end_of, ended, eventually};

fn labels(stack: &TestStack) -> Vec<Value> {
    let list: Value = serde_json::from_str(&stack.done(&["snapshot", "list", "--json"])).expect("a document");
    list["items"].as_array().expect("items").iter().map(|item| item["label"].clone()).collect()
}

#[tokio::test]
async fn a_snapshot_is_saved_under_a_session_comes_back_whole_and_is_in_no_set() {
    let stack = stack("snapshot-whole").await;
    sql(&stack, ODD);
    let words = ["psql", "--superuser", "--", "-d", "app", "-qc", "SELECT pg_sleep(3600)"];
    let mut connected =
        stack.command(&words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    eventually(SOON, "it is connected", async || {
        (sql(&stack, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(3600)' AND pid <> pg_backend_pid()") == "1")
            .then_some(())
    })
    .await;
    let before = canonical(&stack, "app");
    let said = stack.done(&["snapshot", "save", "before"]);
    assert!(said.starts_with("before: app, "), "{said}");
    assert!(!end_of(&mut connected).success(), "a session would have held up the copy");
    assert_eq!(labels(&stack), ["before"]);
    assert_eq!(stack.run(&["snapshot", "save", "before"]).status.code(), Some(6), "nothing is overwritten");

    sql(&stack, "DELETE FROM t WHERE id > 3; CREATE TABLE later (n int); DROP TABLE p; ALTER DATABASE app RESET timezone");
    let after = canonical(&stack, "app");
    assert_eq!(stack.run(&["snapshot", "restore", "before"]).status.code(), Some(6), "nobody said yes");
    let count = sets(&stack).len();
    let said = stack.done(&["snapshot", "restore", "before", "--yes"]);
    assert!(said.contains("restored app from snapshot before"), "{said}");
    assert_eq!((canonical(&stack, "app"), sets(&stack).len()), (before.clone(), count));
    let app = stack.item("app");
    assert!(app["ready"] == true && app["restarts"] == 0, "{app}");
    stack.done(&["restore", "undo", "--yes"]);
    assert_eq!(canonical(&stack, "app"), after);

    stack.done(&["snapshot", "restore", "before", "--to", "copied"]);
    let copied: Vec<String> = canonical(&stack, "copied").iter().map(|line| line.replace("copied", "app")).collect();
    assert_eq!(copied, before, "a copy beside, and the snapshot stays");
    assert_eq!(stack.run(&["snapshot", "restore", "before", "--to", "copied"]).status.code(), Some(6));
    set_of_now(&stack);
    let set = std::path::PathBuf::from(sets(&stack)[0]["dir"].as_str().expect("a directory"));
    let manifest = std::fs::read(set.join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("a document");
    let names: Vec<&Value> = manifest["databases"].as_array().expect("databases").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["app", "copied", "postgres"]);
    assert_eq!(manifest["skipped"], serde_json::json!({}), "nor is it told as one that could not be dumped");

    stack.done(&["snapshot", "rm", "before"]);
    assert_eq!(labels(&stack), Vec::<Value>::new());
    let unknown = stack.run(&["snapshot", "restore", "before", "--yes"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown.stderr));
    assert!(!databases(&stack).contains("witwd_snapshot_"), "{}", databases(&stack));
    nothing_is_left(&stack);
}

#[tokio::test]
async fn a_daemon_that_is_killed_while_it_saves_leaves_no_half_snapshot() {
    let stack = stack("snapshot-killed").await;
    sql(&stack, "CREATE TABLE t AS SELECT n, repeat(md5(n::text), 30) AS v FROM generate_series(1, 200000) n");
    let words = ["snapshot", "save", "half"];
    let mut asked = stack.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let copies = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE \"witwd!_new!_%' ESCAPE '!' \
         AND state = 'active' AND pid <> pg_backend_pid()";
    eventually(SOON, "it copies", async || (sql_in(&stack, "postgres", copies) == "1").then_some(())).await;
    assert_eq!(step(&stack).as_deref(), Some("saving"));
    ended(kill(stack.daemon_pid()));
    assert_ne!(end_of(&mut asked).code(), Some(0), "who asked is not told that it is done");
    eventually(SOON * 2, "the next daemon is done with it", async || {
        let is_up = stack.run(&["ps", "--json"]).status.success() && stack.item("app")["ready"] == true;
        (is_up && step(&stack).as_deref() == Some("none")).then_some(())
    })
    .await;
    assert_eq!(labels(&stack), Vec::<Value>::new());
    assert_eq!(sql_in(&stack, "postgres", copies), "0", "a server would go on with it");
    assert_eq!(databases(&stack), "app postgres", "and the database lets everybody in");
    stack.done(&["snapshot", "save", "half"]);
    assert_eq!(labels(&stack), ["half"]);
    nothing_is_left(&stack);
}
