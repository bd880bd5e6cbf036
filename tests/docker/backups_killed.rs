//! A daemon that is killed again and again while it takes sets: what is left at the end.

use std::process::Stdio;

use crate::backups::{kill, nothing_is_left, sets};
use crate::restore::{sql, stack};
use crate::stack::TestStack;
use crate::support::{SOON, docker, end_of, ended, eventually};

/// How often it is killed: `WITWD_KILLS`, else so often, which is what a run of all tests has time for.
const KILLS: usize = 12;

fn kills() -> usize {
    std::env::var("WITWD_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"))
}

/// What is there while a set is taken, one after another: the container of a dump, the one that reads, the volume of
/// the trial.
const SIGHTS: [&[&str]; 3] = [
    &["ps", "-q", "--filter", "label=dev.witwd.kind=dump"],
    &["ps", "-q", "--filter", "label=dev.witwd.kind=verify"],
    &["volume", "ls", "-q", "--filter", "label=dev.witwd.kind=verify"],
];

fn is_seen(stack: &TestStack, words: &[&str]) -> bool {
    let mine = format!("label=dev.witwd.directory={}", stack.path().display());
    !docker(&[words, &["--filter", &mine]].concat()).stdout.is_empty()
}

#[tokio::test]
async fn after_many_kills_nothing_of_them_is_left_and_every_set_is_good() {
    let stack = stack("backups-kills").await;
    let text = std::fs::read_to_string(stack.path().join("stack.toml")).expect("its file");
    stack.write(&text.replace("verify = \"read\"", "verify = \"restore\""));
    stack.done(&["up", "-d"]);
    sql(&stack, "CREATE TABLE t AS SELECT n, md5(n::text) AS v FROM generate_series(1, 20000) n");
    let container = stack.item("db")["container"].clone();
    for round in 0..kills() {
        let daemon = eventually(SOON, "a daemon", async || {
            let output = stack.run(&["ps", "--json"]);
            serde_json::from_slice::<serde_json::Value>(&output.stdout).ok()?["daemon"]["pid"].as_u64()
        })
        .await;
        let mut asked = stack.command(&["backup", "now"]);
        let mut asked = asked.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        // It may be over before it was seen: then it is killed as it rests.
        eventually(SOON, "a set is taken", async || {
            let is_over = asked.try_wait().expect("a child").is_some();
            (is_over || is_seen(&stack, SIGHTS[round % SIGHTS.len()])).then_some(())
        })
        .await;
        ended(kill(daemon));
        let _ = end_of(&mut asked);
    }
    eventually(SOON * 2, "what was left is gone", async || {
        let is_rest = stack.run(&["ps", "--json"]).status.success() && stack.item("db")["backup"]["under_way"].is_null();
        (is_rest && !SIGHTS.iter().any(|words| is_seen(&stack, words))).then_some(())
    })
    .await;
    stack.done(&["backup", "now"]);
    for set in sets(&stack) {
        assert!(["read", "restored"].contains(&set["proof"].as_str().expect("a proof")), "{set}");
    }
    assert_eq!(stack.item("db")["container"], container, "the server ran on");
    nothing_is_left(&stack);
}
