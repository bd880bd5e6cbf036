//! The demo of the root `stack.toml`, from its own text: images made, the page played, data kept.

use std::path::Path;
use std::time::Duration;

use crate::browser::plays_a_round;
use crate::stack::TestStack;
use crate::support::{SOON, docker, eventually};

/// The root file under a name of the test's own, on a free port, its commands found from elsewhere.
fn demo_text() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(Path::new(root).join("stack.toml")).expect("the root stack.toml");
    let changes = [
        ("name = \"witw\"", "name = \"NAME\"".to_owned()),
        ("ports = [\"8000\"]", "ports = [\"auto:8000\"]".to_owned()),
        ("command = \"demo/", format!("command = \"{root}/demo/")),
        ("command = \"images/", format!("command = \"{root}/images/")),
    ];
    changes.into_iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "the root stack.toml has no {from} any more");
        text.replace(from, &to)
    })
}

/// The images that the stack made, removed with the test.
struct Images(String);

impl Drop for Images {
    fn drop(&mut self) {
        for image in [format!("localhost/{}-app:built", self.0), format!("localhost/{}-db:latest", self.0)] {
            docker(&["image", "rm", "-f", &image]);
        }
    }
}

fn init_files(stack: &TestStack) {
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("volumes/init"), stack.path().join("volumes/init"));
    std::fs::create_dir_all(&to).expect("a directory for init files");
    for entry in std::fs::read_dir(from).expect("the init files") {
        let entry = entry.expect("an init file");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copying an init file");
    }
}

fn address(stack: &TestStack) -> String {
    let port = stack.item("app")["ports"][0]["host"].as_u64().expect("a published port");
    format!("http://127.0.0.1:{port}")
}

async fn text_of(url: &str) -> String {
    eventually(SOON, url, async || reqwest::get(url).await.ok()?.error_for_status().ok()?.text().await.ok()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_is_played_in_a_browser_and_keeps_its_data() {
    // What is declared first goes last: images after the containers that use them.
    let mut images = Images(String::new());
    let stack = TestStack::new("demo", &demo_text()).await;
    images.0.clone_from(&stack.name);
    init_files(&stack);
    stack.done(&["up", "-d", "--timeout", "15m"]);
    let base = address(&stack);

    for round in plays_a_round(&base).await {
        assert!((round.metres - round.expected).abs() < 1.0, "{round:?}");
    }
    let posted = reqwest::Client::new().post(format!("{base}/app")).send().await.expect("an answer");
    assert!(posted.status().is_success());
    let before = text_of(&format!("{base}/display")).await;
    assert!(before.contains("20"), "a time stamp in {before}");
    assert!(text_of(&format!("{base}/metrics")).await.contains("# TYPE"));

    stack.done(&["down"]);
    assert_eq!(stack.identities(), Vec::<String>::new());
    stack.done(&["up", "-d"]);
    let after = text_of(&format!("{}/display", address(&stack))).await;
    assert_eq!(after, before);
    stays_up(&stack).await;
}

/// A database that is restarted restarts nobody else.
async fn stays_up(stack: &TestStack) {
    let app = |all: &[String]| all.iter().find(|line| line.contains("-app-1 ")).cloned();
    let before = app(&stack.identities());
    let database = stack.item("db")["container"].as_str().expect("an id").to_owned();
    docker(&["kill", &database]);
    eventually(Duration::from_secs(60), "the database is back", async || {
        let item = stack.item("db");
        (item["ready"] == true && item["restarts"] == 1).then_some(())
    })
    .await;
    assert_eq!(app(&stack.identities()), before);
    text_of(&format!("{}/readyz", address(stack))).await;
}
