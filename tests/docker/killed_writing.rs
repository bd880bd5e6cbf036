//! A daemon that the kernel kills as it enters each of the calls that make a write last: what is found by the
//! next one is whole.

use std::process::{Child, Command, Stdio};

use crate::stack::TestStack;
use crate::support::{SOON, end_of, eventually};
use crate::taking_over::is_gone;
use crate::up::TWO;

const SYNCS: &str = "fsync,fdatasync";
const RENAMES: &str = "rename,renameat,renameat2";
/// What a write ends with, as a thread calls it: the file is synced, takes its place, and the directory is synced.
const STEPS: [(&str, usize); 3] = [(SYNCS, 1), (RENAMES, 1), (SYNCS, 2)];

/// Waits until every thread of a process is traced.
async fn is_traced(process: u64) {
    let traced = |thread: std::fs::DirEntry| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
    };
    let all = async || std::fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten().all(traced).then_some(());
    eventually(SOON, "strace, of Debian's package strace, holds the daemon", all).await;
}

/// Has the kernel kill a process as it enters the `number`th of these calls.
async fn kills(process: u64, calls: &str, number: usize) -> Child {
    injected(process, calls, &format!("signal=KILL:when={number}")).await
}

/// Has the kernel do this as a process enters one of these calls.
pub async fn injected(process: u64, calls: &str, what: &str) -> Child {
    let inject = format!("inject={calls}:{what}");
    let mut command = Command::new("strace");
    command.args(["-f", "-q", "-e", &format!("trace={calls}"), "-e", &inject, "-p", &process.to_string()]);
    let strace = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace, of Debian's package strace");
    is_traced(process).await;
    strace
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_at_any_call_that_makes_a_write_last_leaves_a_whole_state() {
    let stack = TestStack::new("writing", TWO).await;
    stack.done(&["up", "-d"]);
    let cache = || stack.identities().into_iter().find(|line| line.contains("-cache-1 "));
    let before = cache();
    for (calls, number) in STEPS {
        let daemon = stack.daemon_pid();
        let mut strace = kills(daemon, calls, number).await;
        // A write: what is held by hand is remembered.
        stack.run(&["stop", "web"]);
        let what = format!("{calls} {number}");
        eventually(SOON, &format!("it is killed: {what}"), async || is_gone(daemon).then_some(())).await;
        let _ = strace.kill();
        end_of(&mut strace);
        let is_back = async || {
            let status: serde_json::Value = serde_json::from_slice(&stack.run(&["ps", "--json"]).stdout).ok()?;
            (status["daemon"]["pid"].as_u64().is_some_and(|pid| pid != daemon) && status["converged"] == true).then_some(())
        };
        eventually(SOON, &format!("the next daemon goes on: {what}"), is_back).await;
        assert_eq!(cache(), before, "{what}: {}", stack.log());
        assert!(!stack.log().contains("state file unusable"), "{what}: {}", stack.log());
        // Whether the write came about before the kill is open.
        stack.done(&["start", "web"]);
    }
}
