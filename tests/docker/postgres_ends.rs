//! A Postgres ends cleanly, whoever is connected to it.

use std::process::{Child, Command, Stdio};

use witwd::host::{Clock as _, SystemClock};

use crate::postgres::{IMAGE, image};
use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, eventually};

const TEXT: &str = r#"
name = "NAME"
[postgres.db]
image = "IMAGE"
pull = "never"
backup.enabled = false
settings.application_name = "first"
"#;

/// A client that asked something and now asks nothing, until it is told to end.
struct IdleClient(Child);

impl IdleClient {
    async fn of(stack: &TestStack) -> Self {
        let database = stack.item("db")["container"].as_str().expect("a container").to_owned();
        let words = ["exec", "-i", "-u", "postgres", "-e", "PGAPPNAME=idle-client", &database, "psql", "-X"];
        let child = Command::new("docker")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a client");
        let client = Self(child);
        let seen = "select state from pg_stat_activity where application_name = 'idle-client'";
        eventually(SOON, "the client is idle", async || {
            let output = docker(&["exec", "-u", "postgres", &database, "psql", "-XAtc", seen]);
            (text(&output.stdout) == "idle\n").then_some(())
        })
        .await;
        client
    }
}

impl Drop for IdleClient {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server that runs now found its data as a clean end left it.
fn was_ended_cleanly(stack: &TestStack, how: &str) {
    let said = stack.done(&["logs", "db"]);
    assert!(said.contains("database system was shut down at "), "{how}: {said}");
    assert!(!said.contains("was interrupted") && !said.contains("not properly shut down"), "{how}: {said}");
}

/// The container that holds the data now.
fn container(stack: &TestStack) -> serde_json::Value {
    stack.item("db")["container"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_with_an_idle_client_ends_cleanly_within_its_grace() {
    image().await;
    let stack = TestStack::new("pgends", &TEXT.replace("IMAGE", IMAGE)).await;
    stack.done(&["up", "-d"]);
    let first = container(&stack);
    let client = IdleClient::of(&stack).await;
    let clock = SystemClock::new();
    let began = clock.moment();
    stack.done(&["down"]);
    let took = clock.moment().since(began);
    assert!(took < SOON, "a fast end took {took:?}");
    drop(client);
    stack.done(&["up", "-d"]);
    let second = container(&stack);
    assert_ne!(second, first);
    was_ended_cleanly(&stack, "after a down");

    let _client = IdleClient::of(&stack).await;
    stack.write(&TEXT.replace("IMAGE", IMAGE).replace("\"first\"", "\"second\""));
    stack.done(&["up", "-d"]);
    assert_ne!(container(&stack), second, "recreated");
    was_ended_cleanly(&stack, "after a recreate");

    // The same words tell where it was not so.
    let database = container(&stack).as_str().expect("an id").to_owned();
    docker(&["kill", &database]);
    eventually(SOON * 3, "the server says that it was interrupted", async || {
        stack.done(&["logs", "db"]).contains("was interrupted").then_some(())
    })
    .await;
}
