//! `restart`, `stop`, `start` and `scale` with the real binary on the real engine.

use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, end_of, eventually};
use crate::up::kill_with_guardian;

const THREE: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
command = ["/tiny", "serve", "--port", "8080"]
entrypoint = []
port = 8080
ports = ["auto:8080"]
health.tcp = true
replicas = 2
depends_on = ["cache"]
[services.cache]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "6379"]
port = 6379
health.tcp = true
"#;

/// Name, id and start of the containers of one service.
fn of(stack: &TestStack, service: &str) -> Vec<String> {
    stack.identities().into_iter().filter(|line| line.contains(&format!("-{service}-"))).collect()
}

fn id(line: &str) -> &str {
    line.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_by_hand_survives_the_daemon_and_its_containers_and_ends_with_start_and_up() {
    let stack = TestStack::new("hand", THREE).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();

    stack.done(&["restart", "web"]);
    let (old, new) = (before.iter().filter(|line| line.contains("-web-")), of(&stack, "web"));
    for (old, new) in old.zip(&new) {
        assert_eq!(id(old), id(new), "the same container");
        assert_ne!(old, new, "another run");
    }
    assert_eq!(of(&stack, "cache"), before.iter().filter(|line| line.contains("-cache-")).cloned().collect::<Vec<_>>());
    assert_eq!((&stack.item("web")["restarts"], &stack.item("web")["ready"]), (&0.into(), &true.into()));

    stack.done(&["scale", "web=3"]);
    let output = stack.run(&["stop", "cache"]);
    assert!(output.status.success() && text(&output.stderr).contains("web needs cache"), "{}", text(&output.stderr));
    let held = |stack: &TestStack| {
        let (cache, web) = (stack.item("cache"), of(stack, "web"));
        (cache["state"].clone(), cache["held"].clone(), web.len())
    };
    assert_eq!(held(&stack), ("stopped".into(), true.into(), 3));
    assert!(stack.done(&["ps"]).contains("stopped by hand"));

    // As a reboot leaves it: no daemon, and everything has ended.
    kill_with_guardian(&stack).await;
    let ids: Vec<String> = stack.identities().iter().map(|line| id(line).to_owned()).collect();
    docker(&[vec!["kill"], ids.iter().map(String::as_str).collect()].concat());
    let seen = stack.done(&["ps"]);
    assert!(seen.contains("stopped by hand") && seen.contains("No daemon runs"), "{seen}");
    let mut daemon = stack.command(&["daemon"]).stderr(std::process::Stdio::null()).spawn().expect("a daemon");
    eventually(SOON, "web waits for what is stopped by hand", async || {
        let output = stack.run(&["ps", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let web = status["items"].as_array()?.iter().find(|item| item["name"] == "web")?.clone();
        (!status["daemon"].is_null() && web["waits_for_hand"] == true).then_some(())
    })
    .await;
    assert_eq!(held(&stack), ("stopped".into(), true.into(), 3));
    let refused = stack.run(&["start", "web"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("`witwd start cache`"), "{}", text(&refused.stderr));

    stack.done(&["start", "cache", "web"]);
    assert_eq!((of(&stack, "web").len(), &stack.item("web")["held"]), (2, &false.into()));
    stack.done(&["stop", "web.2"]);
    stack.done(&["up", "-d"]);
    let status = stack.ps();
    assert!(status["items"].as_array().expect("items").iter().all(|item| item["ready"] == true && item["held"] == false));
    stack.done(&["down"]);
    assert!(end_of(&mut daemon).success());
}
