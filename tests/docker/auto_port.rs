//! A free port is chosen once and kept: over crashes, new definitions, `down` and another daemon.

use std::net::TcpListener;

use crate::stack::TestStack;
use crate::support::{SOON, docker, eventually};

const WEB: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
ports = ["auto:8080"]
health.tcp = true
"#;

fn port(stack: &TestStack) -> u16 {
    let host = stack.item("web")["ports"][0]["host"].as_u64().expect("a port");
    u16::try_from(host).expect("a port")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_port_is_kept_for_the_life_of_the_stack_while_it_can_be_had() {
    let stack = TestStack::new("auto", WEB).await;
    stack.done(&["up", "-d"]);
    let chosen = port(&stack);
    let container = stack.item("web")["container"].as_str().expect("an id").to_owned();
    docker(&["kill", &container]);
    eventually(SOON, "web is back", async || {
        let item = stack.item("web");
        (item["ready"] == true && item["restarts"] == 1).then_some(())
    })
    .await;
    assert_eq!(port(&stack), chosen, "after a crash");

    stack.write(&WEB.replace("port = 8080", "port = 8080\nenv.COLOUR = \"blue\""));
    stack.done(&["up", "-d"]);
    assert_ne!(stack.item("web")["container"], container.as_str());
    assert_eq!(port(&stack), chosen, "of a new definition");

    stack.done(&["down"]);
    stack.done(&["up", "-d"]);
    assert_eq!(port(&stack), chosen, "after a down");

    // Also where it is there already, made for the port that it had.
    stack.done(&["stop", "web"]);
    let taken = TcpListener::bind(("127.0.0.1", chosen)).expect("it is free now");
    // It is told who has it, and a second later there is another container.
    let told = stack.run(&["start", "web"]);
    assert!(crate::stack::text(&told.stderr).contains("is taken by process"), "{told:?}");
    eventually(SOON, "web is ready", async || (stack.item("web")["ready"] == true).then_some(())).await;
    let other = port(&stack);
    assert_ne!(other, chosen, "somebody else has it");
    drop(taken);
    stack.done(&["restart", "web"]);
    assert_eq!(port(&stack), other, "it is kept like the one before");

    stack.done(&["down"]);
    let _taken = TcpListener::bind(("127.0.0.1", other)).expect("it is free now");
    stack.done(&["up", "-d"]);
    assert_ne!(port(&stack), other, "somebody else has it");
}
