//! A daemon that starts beside a running Postgres and its app goes on with them as they are.

use crate::postgres::{IMAGE, image};
use crate::recorder::Recorder;
use crate::stack::TestStack;
use crate::support::{SOON, eventually};
use crate::up::kill_with_guardian;

const TEXT: &str = r#"
name = "NAME"
[postgres.db]
image = "IMAGE"
pull = "never"
backup.enabled = false
extensions = ["pg_trgm"]
[services.app]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.http = "/healthz"
env.DATABASE_URL = "${db.url}"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_running_postgres_and_its_app_are_adopted_without_a_touch() {
    image().await;
    // First, so that it outlives the stack: its daemon reaches the engine through it to the end.
    let scratch = tempfile::tempdir().expect("a directory");
    let proxy = Recorder::start(scratch.path());
    let mut stack = TestStack::new("adoptpg", &TEXT.replace("IMAGE", IMAGE)).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    assert_eq!(before.len(), 2);
    kill_with_guardian(&stack).await;
    stack.docker_host = Some(format!("unix://{}", proxy.socket.display()));
    stack.done(&["up", "-d"]);
    eventually(SOON, "the daemon has looked at both", async || (stack.ps()["converged"] == true).then_some(())).await;
    assert_eq!(stack.identities(), before);
    for name in ["db", "app"] {
        assert_eq!(stack.item(name)["restarts"], 0);
    }
    let lists = proxy.seen().iter().filter(|line| line.ends_with("/containers/json")).count();
    assert!(lists >= 1, "{:?}", proxy.seen());
    // A command run in a container counts too.
    assert_eq!(proxy.mutating(), Vec::<String>::new());
}
