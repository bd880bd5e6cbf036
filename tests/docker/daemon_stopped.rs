//! A daemon that is stopped, killed again and again, or asked by many at once.

use std::process::Stdio;

use crate::oracles::leaks::Holdings;
use crate::stack::{TestStack, text};
use crate::support::{SOON, TINY, docker, end_of, eventually};
use crate::taking_over::is_gone;
use crate::up::{TWO, kill_with_guardian};

/// Sends a signal to a process of this machine.
pub fn signal(signal: &str, process: u64) {
    let sent = std::process::Command::new("kill").args(["-s", signal, &process.to_string()]).status().expect("kill");
    assert!(sent.success(), "kill -s {signal} {process}");
}

/// How often the daemon is killed.
const KILLS: usize = 15;

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_again_and_again_restarts_nobody_and_forgets_no_restart() {
    let crash = "[services.crash]\nimage = \"TINY\"\nentrypoint = []\ncommand = [\"/tiny\", \"exit\", \"3\"]\n";
    let stack = TestStack::new("again", &format!("{TWO}{crash}")).await;
    stack.run(&["up", "-d", "--timeout", "5s"]);
    let running = || stack.identities().into_iter().filter(|line| !line.contains("-crash-1")).collect::<Vec<_>>();
    let (before, mut restarts, mut last) = (running(), 0, 0);
    assert_eq!(before.len(), 2);
    for _ in 0..KILLS {
        let (pid, counted) = eventually(SOON, "another daemon answers", async || {
            let status: serde_json::Value = serde_json::from_slice(&stack.run(&["ps", "--json"]).stdout).ok()?;
            let pid = status["daemon"]["pid"].as_u64().filter(|pid| *pid != last)?;
            let crash = status["items"].as_array()?.iter().find(|item| item["name"] == "crash")?.clone();
            Some((pid, crash["restarts"].as_u64()?))
        })
        .await;
        assert!(counted >= restarts, "restarts fell from {restarts} to {counted}");
        restarts = counted;
        last = pid;
        signal("KILL", pid);
    }
    assert_eq!(running(), before);
    assert!(restarts < 12, "its back-off began anew: {restarts} restarts\n{}", stack.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_stopped_for_a_while_heals_what_fell_meanwhile_once() {
    let stack = TestStack::new("frozen", TWO).await;
    stack.done(&["up", "-d"]);
    let (daemon, web) = (stack.daemon_pid(), stack.item("web")["container"].as_str().expect("an id").to_owned());
    let cache = || stack.identities().into_iter().find(|line| line.contains("-cache-1"));
    let before = cache();
    signal("STOP", daemon);
    docker(&["kill", &web]);
    // So long nothing happens: a container of our own tells the time.
    let label = format!("{}={}", crate::support::TEST, stack.name);
    let waited = docker(&["run", "--rm", "--label", &label, TINY, "sleep", "20s"]);
    assert!(waited.status.success(), "{}", text(&waited.stderr));
    signal("CONT", daemon);
    let is_back = async || {
        let item = stack.item("web");
        (item["ready"] == true && item["restarts"] == 1).then_some(())
    };
    eventually(SOON, "web is back", is_back).await;
    assert_eq!((cache(), stack.daemon_pid()), (before, daemon));
    stack.done(&["up", "-d"]);
    let starts = stack.log().matches("start web").count();
    assert_eq!(starts, 2, "no burst of starts\n{}", stack.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_ups_at_once_make_each_container_once() {
    let stack = TestStack::new("twenty", TWO).await;
    let up = || stack.command(&["up", "-d"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("up");
    let children: Vec<_> = (0..20).map(|_| up()).collect();
    let codes: Vec<_> = children.into_iter().map(|mut child| end_of(&mut child).code()).collect();
    assert_eq!(codes, [Some(0); 20], "{}", stack.log());
    let made = stack.done(&["events"]).lines().filter(|line| line.split_whitespace().nth(2) == Some("create")).count();
    assert_eq!((made, stack.identities().len()), (2, 2), "{}", stack.done(&["events"]));
}

/// A sequence of verbs that is the same in each run.
fn verbs(seed: usize) -> Vec<&'static [&'static str]> {
    let all: [&[&str]; 4] = [&["up", "-d"], &["down"], &["restart", "web"], &["up", "-d", "web"]];
    (0..3).map(|step| all[(seed * 7 + step * 3 + seed / 2) % all.len()]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ups_downs_and_restarts_at_once_end_at_the_one_that_comes_last() {
    let stack = TestStack::new("mixed", TWO).await;
    stack.done(&["up", "-d"]);
    let lines = |seed: usize| {
        let commands = verbs(seed).into_iter().map(|words| {
            let mut command = stack.command(words);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        });
        commands.collect::<Vec<_>>()
    };
    let threads = (0..4).map(|seed| {
        let commands = lines(seed);
        std::thread::spawn(move || {
            commands.into_iter().map(|command| crate::support::ended(command).status.code()).collect::<Vec<_>>()
        })
    });
    let codes: Vec<_> = threads.collect::<Vec<_>>().into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
    // Each is carried out, or told that another came after it: none hangs, none ends by a signal.
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 1 | 4 | 5 | 7))), "{codes:?}");
    stack.done(&["up", "-d"]);
    assert_eq!((&stack.ps()["converged"], stack.identities().len()), (&true.into(), 2), "{}", stack.log());
    stack.done(&["down"]);
    assert_eq!(stack.identities(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_leaves_the_socket_of_the_first_and_what_a_crash_left_is_no_obstacle() {
    let stack = TestStack::new("stale", TWO).await;
    stack.done(&["up", "-d"]);
    let address = std::fs::read_to_string(stack.path().join(".witwd/socket")).expect("the socket's address");
    let inode = || std::fs::symlink_metadata(address.trim()).map(|found| std::os::unix::fs::MetadataExt::ino(&found));
    let before = inode().expect("the socket");
    assert_eq!(stack.run(&["daemon"]).status.code(), Some(7));
    assert_eq!(inode().expect("the socket"), before, "the second made no socket of its own");

    let identities = stack.identities();
    kill_with_guardian(&stack).await;
    assert!(inode().is_ok(), "the socket of the dead daemon is left");
    stack.done(&["up", "-d"]);
    assert_eq!(stack.identities(), identities);
}

/// How often all is asked.
const TURNS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_heals_and_answers_for_long_holds_no_more_than_before() {
    let stack = TestStack::new("holds", TWO).await;
    stack.done(&["up", "-d"]);
    let (daemon, web) = (stack.daemon_pid(), stack.item("web")["container"].as_str().expect("an id").to_owned());
    let turn = async || {
        stack.done(&["restart", "web"]);
        stack.done(&["ps"]);
        stack.done(&["exec", "web", "/tiny", "true"]);
    };
    for _ in 0..4 {
        turn().await;
    }
    let before = Holdings::of(daemon);
    for _ in 0..TURNS / 4 {
        turn().await;
    }
    for _ in 0..TURNS {
        stack.done(&["ps", "--json"]);
    }
    let of_container = async || {
        let state = crate::support::inspect(&web)["ExecIDs"].clone();
        state.as_array().is_none_or(Vec::is_empty).then_some(())
    };
    eventually(SOON, "no exec is left on the container", of_container).await;
    before.are_not_exceeded_by(&Holdings::of(daemon));
    assert!(!is_gone(daemon));
}
