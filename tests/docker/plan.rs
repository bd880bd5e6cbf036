//! `plan` on the real engine: it shows what `up` then does, and asks nothing that changes anything.

use serde_json::Value;

use crate::postgres::{IMAGE, image};
use crate::recorder::Recorder;
use crate::stack::{TestStack, text};
use crate::support::{SOON, TINY, TestEngine, docker, eventually};
use crate::up::kill_with_guardian;

const PAIR: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.tcp = true
env.GREETING = "hello"
[services.cache]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "6379"]
port = 6379
health.tcp = true
"#;

/// The file is carried out by `up` alone: a save does nothing between two looks.
const ONLY_UP: &str = "[daemon]\nreload = \"up\"\n";

fn document(stack: &TestStack, words: &[&str], code: i32) -> Value {
    let output = stack.run(words);
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON of plan")
}

fn told(document: &Value) -> Vec<String> {
    let actions = document["actions"].as_array().expect("actions");
    let word = |action: &Value, key: &str| action[key].as_str().unwrap_or_default().to_owned();
    actions.iter().map(|action| format!("{} {}", word(action, "action"), word(action, "target"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_shows_what_up_does_and_changes_nothing_with_and_without_a_daemon() {
    // First, so that it outlives the stack: its daemon reaches the engine through it to the end.
    let scratch = tempfile::tempdir().expect("a directory");
    let proxy = Recorder::start(scratch.path());
    let text = format!("{PAIR}{ONLY_UP}");
    let mut stack = TestStack::new("plan", &text).await;
    stack.docker_host = Some(format!("unix://{}", proxy.socket.display()));
    // Before anything is there.
    let first = document(&stack, &["plan", "--json", "--exit-code"], 10);
    let lines = told(&first);
    assert!(lines.contains(&"create-network network".to_owned()) && lines.contains(&"start web".to_owned()), "{lines:?}");
    assert!(!stack.path().join(".witwd").exists(), "a look leaves nothing");
    assert_eq!(proxy.mutating(), Vec::<String>::new());

    stack.done(&["up", "-d"]);
    let made = proxy.mutating().len();
    assert_eq!(document(&stack, &["plan", "--json", "--exit-code"], 0)["changes"], false);
    stack.write(&text.replace("hello", "hi"));
    let kept = stack.identities();
    let with_daemon = document(&stack, &["plan", "--json", "--exit-code"], 10);
    let fields = &with_daemon["actions"][0]["fields"];
    assert_eq!(*fields, serde_json::json!([{ "path": "env.GREETING", "from": "hello", "to": "hi" }]), "{with_daemon:#}");
    assert!(with_daemon["actions"].as_array().expect("actions").iter().any(|action| action["gap_seconds"].as_f64().is_some()));
    assert_eq!(document(&stack, &["plan", "--json"], 0)["changes"], true);
    kill_with_guardian(&stack).await;
    let without = document(&stack, &["plan", "--json", "--exit-code"], 10);
    assert_eq!(told(&without), told(&with_daemon));
    assert_eq!(without["actions"][0]["fields"], *fields);
    assert_eq!(proxy.mutating().len(), made, "{:?}", &proxy.mutating()[made..]);
    assert_eq!(stack.identities(), kept);

    stack.done(&["up", "-d"]);
    let done: Vec<String> = proxy.mutating()[made..].iter().filter_map(|line| verb(line)).collect();
    let promised: Vec<String> = told(&with_daemon).iter().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect();
    let sorted = |mut verbs: Vec<String>| {
        verbs.sort();
        verbs
    };
    assert_eq!(sorted(done), sorted(promised));
    assert_eq!(document(&stack, &["plan", "--json", "--exit-code"], 0)["changes"], false);
}

const DATABASE: &str = r#"
[services.made]
build = "made"
command = ["sleep"]
[postgres.db]
image = "IMAGE"
pull = "never"
backup.enabled = false
"#;

#[tokio::test(flavor = "multi_thread")]
async fn plan_of_a_database_and_a_build_changes_nothing() {
    image().await;
    let scratch = tempfile::tempdir().expect("a directory");
    let proxy = Recorder::start(scratch.path());
    let file = format!("{PAIR}{}{ONLY_UP}", DATABASE.replace("IMAGE", IMAGE));
    let mut stack = TestStack::new("plan-db", &file).await;
    stack.docker_host = Some(format!("unix://{}", proxy.socket.display()));
    std::fs::create_dir(stack.path().join("made")).expect("a directory");
    std::fs::write(stack.path().join("made/Dockerfile"), format!("FROM {TINY}\nENV MADE=1\n")).expect("a file");
    let looks = |stack: &TestStack, changes: bool| {
        let code = if changes { 10 } else { 0 };
        told(&document(stack, &["plan", "--json", "--exit-code"], code))
    };
    let first = looks(&stack, true);
    assert!(
        ["build made", "create-volume volume db-17", "provision db"].iter().all(|line| first.contains(&(*line).to_owned())),
        "{first:?}"
    );
    assert_eq!(proxy.mutating(), Vec::<String>::new());
    stack.done(&["up", "-d"]);
    let made = proxy.mutating().len();
    looks(&stack, false);
    stack.write(&file.replace("backup.enabled", "settings.work_mem = \"8MB\"\nbackup.enabled"));
    looks(&stack, true);
    kill_with_guardian(&stack).await;
    looks(&stack, true);
    assert_eq!(proxy.mutating().len(), made, "{:?}", &proxy.mutating()[made..]);
    let built = format!("localhost/{}-made:built", stack.name);
    stack.done(&["down", "--volumes", "--yes"]);
    docker(&["image", "rm", "-f", &built]);
}

/// The verb of the plan behind a request that changes something.
fn verb(line: &str) -> Option<String> {
    let verb = match line {
        line if line.ends_with("/containers/create") => "create",
        line if line.ends_with("/start") && line.contains("/containers/") => "start",
        line if line.ends_with("/stop") => "stop",
        line if line.ends_with("/rename") => "rename",
        line if line.starts_with("DELETE ") && line.contains("/containers/") => "remove",
        _ => return None,
    };
    Some(verb.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_image_keeps_in_a_volume_is_not_said_to_be_lost() {
    // A VOLUME that the file says nothing of: it has a name, and the next container mounts it.
    let corner = TestEngine::new("plankept").await;
    let image = corner.image("VOLUME /var/data").await;
    let text = format!("{}{ONLY_UP}", PAIR.replacen("TINY", &image, 1));
    let stack = TestStack::new("plankept", &text).await;
    stack.done(&["up", "-d"]);
    stack.write(&text.replace("hello", "hi"));
    let plan = document(&stack, &["plan", "--json"], 0);
    assert!(told(&plan).contains(&"remove web".to_owned()), "{plan:#}");
    assert!(plan["actions"].as_array().expect("actions").iter().all(|action| action["loses_data"] == false), "{plan:#}");
    stack.done(&["down", "--volumes", "--yes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_daemon_that_only_just_starts_plan_says_the_same() {
    let stack = TestStack::new("plan-start", PAIR).await;
    let before = document(&stack, &["plan", "--json", "--exit-code"], 10);
    // It serves, and nothing was asked of it yet.
    let mut daemon = stack.command(&["daemon", "--wait"]).stderr(std::process::Stdio::null()).spawn().expect("a daemon");
    eventually(SOON, "it serves", async || (!stack.ps()["daemon"].is_null()).then_some(())).await;
    assert_eq!(document(&stack, &["plan", "--json", "--exit-code"], 10), before);
    // One that holds the lock and serves no more, as before its socket is open.
    let socket = std::fs::read_to_string(stack.path().join(".witwd/socket")).expect("an address");
    std::fs::remove_file(&socket).expect("removed");
    assert_eq!(document(&stack, &["plan", "--json", "--exit-code"], 10), before);
    daemon.kill().expect("killed");
    daemon.wait().expect("an end");
}
