//! A state that nobody can read: moved aside and told, and nothing that runs is touched.

use crate::stack::TestStack;
use crate::support::{SOON, eventually};
use crate::up::kill_daemon;

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
async fn a_damaged_state_is_moved_aside_told_in_ps_and_restarts_nobody() {
    let stack = TestStack::new("damaged", ONE).await;
    stack.done(&["up", "-d"]);
    let (before, state) = (stack.identities(), stack.path().join(".witwd/state.json"));
    std::fs::write(&state, b"{\"v\": 1, \"go").expect("the state");
    kill_daemon(&stack).await;
    eventually(SOON, "it runs as before", async || (stack.ps()["converged"] == true).then_some(())).await;
    assert_eq!(stack.identities(), before);
    let shown = stack.done(&["ps"]);
    assert!(shown.contains("the state file") && shown.contains("state.json.damaged"), "{shown}");
    assert!(stack.done(&["events"]).contains("state-lost"));
    assert!(state.with_added_extension("damaged").exists());
}
