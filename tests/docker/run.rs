//! `run` with the real binary on the real engine, piped and at a terminal.

use std::io::Write as _;
use std::process::{Child, Stdio};

use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, end_of, eventually};
use crate::terminal::Person;

const APP: &str = r#"
name = "NAME"
[volumes]
things = {}
[services.app]
image = "TINY"
entrypoint = []
command = ["/tiny", "env"]
env.COLOUR = "blue"
ports = ["auto:8080"]
volumes = ["things:/things"]
stop_grace = "20s"
depends_on = ["cache"]
[services.cache]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "6379"]
port = 6379
health.tcp = true
"#;

/// One-off containers of a stack.
fn one_offs(stack: &TestStack) -> Vec<String> {
    let filter = format!("label=dev.witwd.stack={}", stack.name);
    let words = ["ps", "-aq", "--filter", &filter, "--filter", "label=dev.witwd.kind=run"];
    text(&docker(&words).stdout).split_whitespace().map(str::to_owned).collect()
}

async fn one_off(stack: &TestStack) -> String {
    eventually(SOON, "a one-off container", async || one_offs(stack).pop()).await
}

/// A `run` that goes on, its output piped.
fn begin(stack: &TestStack, words: &[&str]) -> Child {
    stack.command(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs")
}

fn signal(name: &str, child: &Child) {
    let status = std::process::Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("kill").success());
}

/// Waits until the container wrote that it is there.
async fn printed(container: &str, words: &str) {
    eventually(SOON, "its output", async || text(&docker(&["logs", container]).stdout).contains(words).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_needs_is_started_before_it_and_gone_after_it() {
    let job = "[jobs.tidy]\nimage = \"TINY\"\nentrypoint = []\ncommand = [\"/tiny\", \"exit\", \"4\"]\nrun = \"manual\"\n";
    let stack = TestStack::new("run", &format!("{APP}{job}")).await;
    let tidied = stack.run(&["run", "tidy"]);
    assert_eq!((tidied.status.code(), stack.identities()), (Some(4), Vec::new()), "{}", text(&tidied.stderr));
    let said = stack.done(&["run", "app"]);
    assert!(said.contains("COLOUR=blue"), "{said}");
    assert_eq!((stack.identities(), stack.ps()["daemon"].is_null()), (Vec::new(), true));
    let failed = stack.run(&["run", "app", "/tiny", "exit", "9"]);
    assert_eq!(failed.status.code(), Some(9), "{}", text(&failed.stderr));
    // What it needs answers by its name.
    stack.done(&["run", "app", "/tiny", "tcp", "cache:6379"]);
    assert_ne!(stack.run(&["run", "--no-deps", "app", "/tiny", "tcp", "cache:6379"]).status.code(), Some(0));
    // Standard input, and the volumes of the file.
    let mut child = begin(&stack, &["run", "--no-deps", "app", "/tiny", "stdin"]);
    child.stdin.take().expect("piped").write_all(b"one\ntwo\n").expect("read");
    assert_eq!(text(&child.wait_with_output().expect("an end").stdout), "one\ntwo\n");
    stack.done(&["run", "--no-deps", "app", "/tiny", "write", "/things/kept", "words"]);
    assert_eq!(stack.done(&["run", "--no-deps", "app", "/tiny", "cat", "/things/kept"]), "words\n");
    assert_eq!(stack.identities(), Vec::<String>::new());
    let broken = stack.run(&["run", "--no-deps", "nobody"]);
    assert_eq!(broken.status.code(), Some(125), "{}", text(&broken.stderr));
    stack.write(&APP.replace("/tiny\", \"serve\"", "/tiny\", \"exit\"").replace("--port\", \"6379", "3"));
    let broken = stack.run(&["run", "app"]);
    assert_eq!(broken.status.code(), Some(125), "{}", text(&broken.stderr));
    assert_eq!(stack.identities(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_daemon_nothing_else_changes_and_nobody_takes_it_for_the_service() {
    let stack = TestStack::new("beside", &APP.replace("\"/tiny\", \"env\"", "\"/tiny\", \"serve\", \"--port\", \"8080\"")).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    let mut child = begin(&stack, &["run", "app", "/tiny", "sleep", "--print", "here"]);
    let container = one_off(&stack).await;
    printed(&container, "here").await;
    let seen = crate::support::inspect(&container);
    let network = &seen["NetworkSettings"]["Networks"][&stack.name];
    let names = network["Aliases"].as_array().cloned().unwrap_or_default();
    assert!(!names.iter().any(|name| name == "app"), "{names:?}");
    assert_eq!(seen["HostConfig"]["PortBindings"], serde_json::json!({}));
    assert!(stack.done(&["exec", "app", "/tiny", "env", "HOSTNAME"]).contains("app"), "the service, not the one-off container");
    signal("-INT", &child);
    // The code that it gives to every signal that asks it to end.
    assert_eq!(end_of(&mut child).code(), Some(143));
    assert_eq!((one_offs(&stack), stack.identities()), (Vec::new(), before.clone()));

    stack.done(&["stop", "cache"]);
    stack.done(&["run", "app", "/tiny", "tcp", "cache:6379"]);
    let cache = stack.item("cache");
    assert_eq!((&cache["state"], &cache["held"]), (&"stopped".into(), &true.into()), "{cache:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_reaches_it_and_a_client_that_is_killed_leaves_nothing_for_long() {
    let stack = TestStack::new("signals", APP).await;
    stack.done(&["up", "-d", "cache"]);
    let sleeps = ["run", "app", "/tiny", "sleep", "--print", "here", "--term-code", "7"];
    let mut child = begin(&stack, &sleeps);
    printed(&one_off(&stack).await, "here").await;
    signal("-TERM", &child);
    assert_eq!((end_of(&mut child).code(), one_offs(&stack)), (Some(7), Vec::new()));

    let mut child = begin(&stack, &["run", "app", "/tiny", "stdin"]);
    let container = one_off(&stack).await;
    eventually(SOON, "it runs", async || (crate::support::inspect(&container)["State"]["Running"] == true).then_some(())).await;
    child.kill().expect("killed");
    end_of(&mut child);
    // Its input ended, so it did; the daemon takes away what is left.
    eventually(SOON, "nothing is left", async || one_offs(&stack).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_must_wait_until_what_was_started_for_it_has_stopped() {
    let deaf = r#"["/tiny", "sleep", "--ignore-term", "--print", "deaf now"]
stop_grace = "5m""#;
    let serves = "[\"/tiny\", \"serve\", \"--port\", \"6379\"]\nport = 6379\nhealth.tcp = true";
    let stack = TestStack::new("lets-go", &APP.replace(serves, deaf)).await;
    let mut command = stack.command(&["run", "app", "/tiny", "stdin"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    one_off(&stack).await;
    printed(&format!("{}-cache-1", stack.name), "deaf now").await;
    drop(child.stdin.take());
    eventually(SOON, "it is being stopped", async || (stack.item("cache")["state"] == "stopping").then_some(())).await;
    signal("-INT", &child);
    assert_eq!(end_of(&mut child).code(), Some(130));
    let said = std::io::read_to_string(child.stderr.take().expect("piped")).expect("read");
    assert!(said.contains("`witwd down` stops all"), "{said}");
    docker(&["kill", &format!("{}-cache-1", stack.name)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_it_has_its_size_its_keys_and_gives_its_code() {
    let stack = TestStack::new("run-tty", APP).await;
    let mut person = Person::runs(&stack, &["run", "--no-deps", "app", "/tiny", "tty", "42"]);
    person.sees("80 columns, 24 rows").await;
    assert!(person.is_raw());
    person.types("\r");
    assert_eq!(person.ends().await.code(), Some(42));
    assert!(!person.is_raw(), "the terminal is as it was");
    let words = ["run", "--no-deps", "app", "/tiny", "sleep", "--print", "sleeping", "--term-code", "9"];
    let mut person = Person::runs(&stack, &words);
    person.sees("sleeping").await;
    person.types("\u{3}");
    assert_eq!(person.ends().await.code(), Some(9));
    assert_eq!(stack.identities(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn clean_removes_old_builds_and_what_a_killed_client_left_and_nothing_else() {
    let file = APP.replace("[services.app]\nimage = \"TINY\"", "[services.app]\nbuild = \".\"");
    let stack = TestStack::new("clean", &file).await;
    let test = crate::support::TestEngine::new("clean-builds").await;
    let dockerfile = |colour: &str| {
        let label = format!("LABEL {}={}", crate::support::TEST, test.stack);
        let text = format!("FROM {}\n{label}\nENV COLOUR={colour}\n", crate::support::TINY);
        std::fs::write(stack.path().join("Dockerfile"), text).expect("a Dockerfile");
    };
    let built = |stack: &TestStack| {
        let document: serde_json::Value = serde_json::from_str(&stack.done(&["build", "--json"])).expect("JSON");
        document["items"][0]["digest"].as_str().expect("an id").to_owned()
    };
    let is_here = |image: &str| docker(&["image", "inspect", image]).status.success();
    dockerfile("red");
    let red = built(&stack);
    stack.done(&["run", "--no-deps", "app", "/tiny", "write", "/things/kept", "words"]);
    stack.done(&["up", "-d", "cache"]);
    assert_eq!(stack.done(&["clean"]), "there is nothing to clean\n");
    dockerfile("blue");
    let blue = built(&stack);
    // It goes on without its client, for it does not look at its input.
    let mut child = begin(&stack, &["run", "--no-deps", "app", "/tiny", "sleep", "--print", "here"]);
    let left = one_off(&stack).await;
    printed(&left, "here").await;
    let before = stack.identities();
    assert!(!stack.done(&["clean", "--dry-run"]).contains("container"), "its client waits for it");
    child.kill().expect("killed");
    end_of(&mut child);

    let said = stack.done(&["clean", "--dry-run"]);
    assert!(said.contains("would remove container") && said.contains("would remove image"), "{said}");
    assert_eq!((one_offs(&stack).len(), is_here(&red), stack.identities()), (1, true, before.clone()));
    let said = stack.done(&["clean"]);
    assert!(said.contains("whoever ran it is gone") && said.contains("a newer build took its tag"), "{said}");
    assert_eq!((one_offs(&stack), is_here(&red), is_here(&blue)), (Vec::new(), false, true));
    let kept: Vec<String> = before.into_iter().filter(|line| !line.contains("-run-")).collect();
    assert_eq!(stack.identities(), kept);
    assert_eq!(stack.done(&["run", "--no-deps", "app", "/tiny", "cat", "/things/kept"]), "words\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_run_are_left_alone_and_holds_are_as_they_were() {
    let serves = APP.replace("\"/tiny\", \"env\"", "\"/tiny\", \"serve\", \"--port\", \"8080\"");
    let of_cache = |count: u32| format!("{serves}replicas = {count}\n");
    let stack = TestStack::new("replicas", &of_cache(2)).await;
    stack.done(&["up", "-d"]);
    stack.done(&["stop", "cache.2"]);
    let before = stack.identities();
    let is_cache = |line: &&String| line.contains("-cache-1 ");
    stack.done(&["run", "app", "/tiny", "tcp", "cache:6379"]);
    assert_eq!(stack.identities().iter().find(is_cache), before.iter().find(is_cache), "one that ran was touched");
    assert_eq!(caches(&stack), ["1 running false", "2 stopped true"]);

    stack.done(&["start", "cache.2"]);
    stack.done(&["scale", "cache=3"]);
    stack.done(&["stop", "cache.3"]);
    stack.done(&["run", "app", "/tiny", "tcp", "cache:6379"]);
    assert_eq!(caches(&stack), ["1 running true", "2 running true", "3 stopped true"], "`scale` holds too");

    // A hold of all of it is one of all that are still to come.
    stack.done(&["start", "cache"]);
    stack.done(&["stop", "cache"]);
    stack.done(&["run", "app", "/tiny", "tcp", "cache:6379"]);
    assert_eq!(caches(&stack), ["1 stopped true", "2 stopped true"]);
    stack.write(&of_cache(3));
    let all = eventually(SOON, "the save is applied", async || Some(caches(&stack)).filter(|all| all.len() == 3)).await;
    assert_eq!(all[2], "3 stopped true");
}

/// Number, state and whether it is held of each replica of cache.
fn caches(stack: &TestStack) -> Vec<String> {
    let status = stack.ps();
    let items = status["items"].as_array().expect("items").iter().filter(|item| item["name"] == "cache");
    items.map(|item| format!("{} {} {}", item["replica"], item["state"].as_str().unwrap_or_default(), item["held"])).collect()
}
