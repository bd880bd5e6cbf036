//! The live file on a real engine: a save is applied, held back, or told as broken.

use std::time::Duration;

use serde_json::Value;
use witwd::host::{Clock as _, SystemClock};

use crate::stack::TestStack;
use crate::support::{SOON, docker, eventually};
use crate::up::kill_daemon;

/// A service that says what it was told.
pub const STACK: &str = r#"
name = "NAME"
include = ["more.toml"]
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.tcp = true
env.GREETING = "hello"
env.COLOUR = "${env.COLOUR:-none}"
env_files = [{ path = "web.env", optional = true }]
inputs = ["conf/*"]
"#;
const MORE: &str = "[services.other]\nimage = \"TINY\"\nentrypoint = []\ncommand = [\"/tiny\", \"sleep\", \"24h\"]\n";

/// A stack of this file that is ready, its daemon in the background.
pub async fn running(name: &str) -> TestStack {
    let stack = TestStack::new(name, STACK).await;
    put(&stack, "more.toml", MORE);
    put(&stack, "conf/one", "1");
    stack.done(&["up", "-d"]);
    stack
}

/// Writes a file beside the stack's.
pub fn put(stack: &TestStack, file: &str, text: &str) {
    let path = stack.path().join(file);
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    std::fs::write(path, text.replace("TINY", crate::support::TINY)).expect("written");
}

fn environment(stack: &TestStack, name: &str) -> Option<String> {
    let container = stack.item(name)["container"].as_str()?.to_owned();
    let seen = docker(&["inspect", "-f", "{{range .Config.Env}}{{println .}}{{end}}", &container]);
    Some(crate::stack::text(&seen.stdout))
}

/// Waits until web has this variable and is ready.
pub async fn shows(stack: &TestStack, variable: &str) {
    eventually(SOON, variable, async || {
        let ready = stack.item("web")["ready"] == true;
        environment(stack, "web").filter(|text| ready && text.lines().any(|line| line == variable))
    })
    .await;
}

/// What is said of the file, once it is as `check` wants it.
pub async fn file_is(stack: &TestStack, what: &str, check: impl Fn(&Value) -> bool) -> Value {
    eventually(SOON, what, async || Some(stack.ps()["file"].clone()).filter(&check)).await
}

/// How long after this moment the first save was applied.
fn saved_after(stack: &TestStack, moment: jiff::Timestamp) -> Duration {
    let events = stack.done(&["events", "--json"]);
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event"));
    let saves = events.filter(|event| event["kind"] == "save").filter_map(|event| event["at"].as_str()?.parse().ok());
    let first = saves.filter(|at: &jiff::Timestamp| *at > moment).min().expect("a save");
    Duration::try_from(first.duration_since(moment)).expect("a later moment")
}

fn container(stack: &TestStack, name: &str) -> Value {
    stack.item(name)["container"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_that_the_stack_is_read_from_is_live() {
    let stack = running("live").await;
    let other = container(&stack, "other");
    let clock = SystemClock::new();
    let mut written = vec![clock.wall()];
    stack.write(&STACK.replace("hello", "hi"));
    shows(&stack, "GREETING=hi").await;
    written.push(clock.wall());
    put(&stack, ".env", "COLOUR=blue\n");
    shows(&stack, "COLOUR=blue").await;
    written.push(clock.wall());
    put(&stack, "web.env", "SHAPE=round\n");
    shows(&stack, "SHAPE=round").await;
    let before = container(&stack, "web");
    written.push(clock.wall());
    put(&stack, "conf/two", "2");
    eventually(SOON, "an input recreates web", async || (container(&stack, "web") != before).then_some(())).await;
    // A machine that is busy with other tests may be slow once, and not each time.
    let quickest = written.iter().map(|at| saved_after(&stack, *at)).min().expect("four saves");
    assert!(quickest < Duration::from_secs(2), "{quickest:?}");
    assert_eq!(container(&stack, "other"), other, "nobody else was touched");
    put(&stack, "more.toml", &MORE.replace("24h", "23h"));
    eventually(SOON, "an included file is live", async || (container(&stack, "other") != other).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_drops_a_service_waits_for_up() {
    let stack = running("live-drop").await;
    put(&stack, "more.toml", "");
    let file = file_is(&stack, "it waits", |file| file["pending"] == true).await;
    assert_eq!(file["reasons"], serde_json::json!(["it drops service other"]));
    assert_eq!(stack.item("other")["state"], "running");
    // A daemon that is started again goes on with what was accepted.
    kill_daemon(&stack).await;
    file_is(&stack, "it still waits", |file| file["pending"] == true).await;
    assert_eq!(stack.item("other")["state"], "running");
    stack.done(&["up", "-d"]);
    let file = file_is(&stack, "nothing waits", |file| file["pending"] == false).await;
    assert_eq!(file["reasons"], serde_json::json!([]));
    assert_eq!(stack.identities().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_changes_nothing_and_says_where() {
    let stack = running("live-broken").await;
    let before = stack.identities();
    let broken = [
        ("", "the stack has no name", 1),
        ("name = \"NAME\"\n[services.web\n", "this is not TOML", 2),
        ("name = \"NAME\"\n[services.web]\nimagge = \"x\"\n", "`imagge` is not a key", 3),
    ];
    for (text, words, line) in broken {
        stack.write(text);
        let is_it = |error: &Value| error["line"] == line && error["message"].as_str().is_some_and(|said| said.contains(words));
        file_is(&stack, words, |file| file["ok"] == false && file["errors"].as_array().is_some_and(|all| all.iter().any(is_it)))
            .await;
        assert_eq!(stack.identities(), before, "{text}");
    }
    eventually(SOON, "an event", async || stack.done(&["events"]).contains("file-invalid").then_some(())).await;
    std::fs::remove_file(stack.path().join("stack.toml")).expect("removed");
    file_is(&stack, "it is gone", |file| file["errors"][0]["message"].as_str().is_some_and(|said| said.contains("not there")))
        .await;
    kill_daemon(&stack).await;
    eventually(SOON, "the accepted one runs", async || (stack.item("web")["ready"] == true).then_some(())).await;
    assert_eq!(stack.identities(), before);
    stack.write(&STACK.replace("hello", "again"));
    shows(&stack, "GREETING=again").await;
    file_is(&stack, "it is valid", |file| file["ok"] == true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn editors_that_rename_links_and_half_written_saves_are_followed() {
    let stack = running("live-editor").await;
    let path = stack.path().join("stack.toml");
    let text =
        |greeting: &str| STACK.replace("NAME", &stack.name).replace("TINY", crate::support::TINY).replace("hello", greeting);
    // As an editor saves: beside it, then over it.
    std::fs::write(stack.path().join(".stack.toml.swp"), text("renamed")).expect("written");
    std::fs::rename(stack.path().join(".stack.toml.swp"), &path).expect("renamed");
    shows(&stack, "GREETING=renamed").await;
    // A link to a file elsewhere, which then changes.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let real = elsewhere.path().join("real.toml");
    std::fs::write(&real, text("linked")).expect("written");
    std::fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink(&real, &path).expect("linked");
    shows(&stack, "GREETING=linked").await;
    std::fs::write(&real, text("behind")).expect("written");
    shows(&stack, "GREETING=behind").await;
    // Half of it first: nobody is told that it is broken.
    let whole = text("whole");
    std::fs::write(&real, &whole[..whole.len() / 2]).expect("written");
    std::fs::write(&real, &whole).expect("written");
    shows(&stack, "GREETING=whole").await;
    assert!(!stack.done(&["events"]).contains("file-invalid"));
}
