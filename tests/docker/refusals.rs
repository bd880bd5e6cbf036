//! An engine that refuses: what goes on waits for nothing else, what runs runs on, and it is tried again ever
//! more seldom.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::oracles::surroundings::Surroundings;
use crate::recorder::{Fate, Recorder};
use crate::stack::{TestStack, text};
use crate::support::{SOON, TEST, docker, eventually};
use crate::up::TWO;

fn of(stack: &TestStack, name: &str) -> Option<String> {
    stack.identities().into_iter().find(|line| line.contains(&format!("-{name}-1 ")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_again_and_again_is_tried_ever_more_seldom_and_holds_up_nothing_else() {
    let scratch = tempfile::tempdir().expect("a directory");
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let count = left.clone();
    // One of two containers can't be made, until it can.
    let line = Recorder::with(scratch.path(), Path::new("/var/run/docker.sock"), move |asked| {
        let is_web = asked.path().ends_with("/containers/create") && asked.target.contains("-web-1");
        let refuses = |left: usize| left.checked_sub(1);
        let is_refused = is_web && count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuses).is_ok();
        if is_refused { Fate::Answer(500) } else { Fate::Pass }
    });
    let mut stack = TestStack::new("refused", TWO).await;
    stack.docker_host = Some(line.host());
    let output = stack.run(&["up", "-d", "--timeout", "12s"]);
    assert!(!output.status.success() && text(&output.stderr).contains("web"), "{}", text(&output.stderr));
    assert_eq!(stack.item("cache")["ready"], true, "the other is up");
    let cache = of(&stack, "cache");
    let tries = || usize::MAX - left.load(Ordering::SeqCst);
    eventually(SOON, "it is tried again", async || (tries() >= 4).then_some(())).await;
    assert_eq!(tries(), 4, "after 1, 2 and 4 s: not in a hot loop");
    left.store(0, Ordering::SeqCst);
    eventually(SOON, "web is ready", async || (stack.item("web")["ready"] == true).then_some(())).await;
    assert_eq!(of(&stack, "cache"), cache);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_runs_on_while_its_successor_can_not_be_had() {
    let stack = TestStack::new("successor", TWO).await;
    stack.done(&["up", "-d"]);
    let before = of(&stack, "web").expect("web");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let registry = listener.local_addr().expect("its address");
    // A registry that accepts and never answers.
    let missing = TWO.replacen("TINY", &format!("127.0.0.1:{}/nobody/nothing:1", registry.port()), 1);
    stack.write(&missing);
    let output = stack.run(&["up", "-d", "--timeout", "6s"]);
    assert!(!output.status.success(), "{}", text(&output.stderr));
    let now = of(&stack, "web").expect("the old one is not taken away before the new one can be made");
    assert_eq!(now, before);
    stack.write(TWO);
    stack.done(&["up", "-d"]);
    assert_eq!(of(&stack, "web"), Some(before));
}

const KEPT: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "sleep"]
volumes = ["kept:/kept"]
[services.other]
image = "TINY"
entrypoint = []
command = ["/tiny", "sleep"]
[volumes]
kept = {}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_network_or_volume_of_the_same_name_is_named_and_never_touched() {
    let stack = TestStack::new("theirs", KEPT).await;
    let label = format!("{TEST}={}", stack.name);
    let volume = format!("{}_kept", stack.name);
    assert!(docker(&["volume", "create", "--label", &label, &volume]).status.success());
    let before = Surroundings::of(&stack, &label);
    let output = stack.run(&["up", "-d", "--timeout", "8s"]);
    let complaint = text(&output.stderr);
    assert!(!output.status.success() && complaint.contains(&volume) && complaint.contains("not ours"), "{complaint}");
    assert_eq!(stack.item("other")["ready"], true, "the rest is up");
    assert_eq!(Surroundings::of(&stack, &label), before);
    stack.done(&["down", "--volumes", "--yes"]);
    assert_eq!(Surroundings::of(&stack, &label), before, "nor does a `down` take it");

    assert!(docker(&["volume", "rm", &volume]).status.success());
    assert!(docker(&["network", "create", "--label", &label, &stack.name]).status.success());
    let before = Surroundings::of(&stack, &label);
    let output = stack.run(&["up", "-d", "--timeout", "8s"]);
    let complaint = text(&output.stderr);
    assert!(!output.status.success() && complaint.contains("network") && complaint.contains("not ours"), "{complaint}");
    stack.run(&["down"]);
    assert_eq!(Surroundings::of(&stack, &label), before);
    assert!(docker(&["network", "rm", &stack.name]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_for_a_while_and_falls_again_is_restarted_ever_more_seldom_too() {
    let flapper = "name = \"NAME\"\n[services.app]\nimage = \"TINY\"\nentrypoint = []\n\
                   command = [\"/tiny\", \"sleep\", \"--exit-after\", \"2s\", \"--code\", \"1\"]\n";
    let stack = TestStack::new("flapper", flapper).await;
    stack.done(&["up", "-d"]);
    let item = eventually(Duration::from_secs(60), "it was started again four times", async || {
        let item = stack.item("app");
        (item["restarts"].as_u64() >= Some(4)).then_some(item)
    })
    .await;
    assert!(item["attempt"].as_u64() >= Some(4), "two seconds of running forgive nothing: {item:#}");
    let log = stack.log();
    let at = |line: &str| line.split_whitespace().next().and_then(|word| word.parse::<jiff::Timestamp>().ok()).expect("a time");
    let starts: Vec<jiff::Timestamp> = log.lines().filter(|line| line.contains("start app")).map(at).collect();
    let gaps: Vec<i64> = starts.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
    assert!(gaps.last() > gaps.first() && gaps.windows(2).all(|pair| pair[1] >= pair[0]), "they grow: {gaps:?}");
}
