//! Logs over the life of containers, with the real binary on the real engine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};

use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, end_of, eventually};

const SAYING: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080", "--print", "the first"]
port = 8080
health.tcp = true
"#;

/// What the service itself was told to say, of what `logs` with these words shows.
fn shown(stack: &TestStack, words: &[&str]) -> Vec<String> {
    let out = stack.done(&[&["logs"], words].concat());
    let lines = out.lines().filter_map(|line| line.split_once("| "));
    lines.map(|(_, line)| line.to_owned()).filter(|line| line.starts_with("the ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_there_after_a_recreate_and_after_a_down() {
    let stack = TestStack::new("kept", SAYING).await;
    stack.done(&["up", "-d"]);
    assert_eq!(shown(&stack, &["web"]), ["the first"]);
    let none = stack.run(&["logs", "--previous", "web"]);
    assert_eq!((none.status.code(), text(&none.stderr).contains("no run that is over of web")), (Some(1), true));
    stack.write(&SAYING.replace("the first", "the second"));
    stack.done(&["up", "-d"]);
    assert_eq!(shown(&stack, &["web"]), ["the first", "the second"]);
    assert_eq!(shown(&stack, &["--tail", "2"]), ["the second"]);
    assert_eq!(shown(&stack, &["--previous", "web"]), ["the first"]);
    stack.done(&["down"]);
    assert_eq!(shown(&stack, &["web"]), ["the first", "the second"]);
    assert_eq!(shown(&stack, &["-n", "2"]), ["the second"]);
    assert_eq!(shown(&stack, &["--previous"]), ["the second"]);
    assert_eq!(shown(&stack, &["--since", "2000-01-01T00:00:00Z", "web.1"]).len(), 2);
    assert_eq!(stack.run(&["logs", "wbe"]).status.code(), Some(2));
    let line: serde_json::Value =
        serde_json::from_str(stack.done(&["logs", "--json"]).lines().next().expect("a line")).expect("JSON");
    assert_eq!((&line["name"], &line["replica"], &line["stream"]), (&"web".into(), &1.into(), &"stdout".into()));
    assert!(line["at"].is_string());
    for entry in std::fs::read_dir(stack.path().join(".witwd/logs")).expect("the logs that were kept") {
        let mode = entry.expect("an entry").metadata().expect("its facts").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_previous_run_of_one_container_is_told_from_those_around_it() {
    let stack = TestStack::new("runs", SAYING).await;
    stack.done(&["up", "-d"]);
    for restarts in 1..=2 {
        let container = stack.item("web")["container"].as_str().expect("an id").to_owned();
        docker(&["kill", &container]);
        let is_back =
            async || stack.item("web").as_object().filter(|web| web["ready"] == true && web["restarts"] == restarts).cloned();
        eventually(SOON, "web is back", is_back).await;
    }
    assert_eq!(shown(&stack, &["web"]).len(), 3);
    assert_eq!(shown(&stack, &["--previous", "web"]), ["the first"]);
    stack.done(&["down"]);
    assert_eq!(shown(&stack, &["web"]).len(), 3);
    assert_eq!(shown(&stack, &["--previous", "web"]), ["the first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_has_a_log_in_the_background_and_in_the_foreground() {
    let stack = TestStack::new("own", SAYING).await;
    stack.done(&["up", "-d"]);
    assert!(stack.done(&["logs", "witwd"]).contains(" up "), "{}", stack.log());
    assert_eq!(stack.run(&["logs", "--previous", "witwd"]).status.code(), Some(1), "none is over");
    let first = stack.daemon_pid();
    Command::new("kill").args(["-9", &first.to_string()]).status().expect("kill");
    let next = async || stack.ps()["daemon"]["pid"].as_u64().filter(|pid| *pid != first);
    let second = eventually(SOON, "another daemon", next).await;
    let previous = stack.done(&["logs", "--previous", "witwd"]);
    let begins = |pid: u64| format!(" begins as process {pid}\n");
    assert!(previous.contains(&begins(first)) && !previous.contains(&begins(second)), "{previous}");
    stack.done(&["down"]);
    assert!(stack.done(&["logs", "--previous", "witwd"]).contains(&begins(second)));
    std::fs::remove_file(stack.path().join(".witwd/daemon.log")).expect("a log");
    let mut foreground = stack.command(&["up", "-q"]).stdout(std::process::Stdio::null()).spawn().expect("up");
    eventually(SOON, "all is ready", async || (stack.ps()["converged"] == true).then_some(())).await;
    assert!(stack.done(&["logs", "witwd"]).contains(" up "), "{}", stack.log());
    let out = stack.done(&["logs", "witwd", "web", "--json"]);
    assert!(["\"witwd\"", "\"web\""].iter().all(|name| out.contains(name)), "{out}");
    Command::new("kill").args(["-INT", &foreground.id().to_string()]).status().expect("kill");
    assert!(end_of(&mut foreground).success());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_up_with_names_one_that_was_not_named_does_not_count() {
    let loops = "[services.loops]\nimage = \"TINY\"\nentrypoint = []\ncommand = [\"/tiny\", \"exit\", \"7\"]\nport = 1\nhealth.tcp = true\n";
    let stack = TestStack::new("named", &format!("{SAYING}{loops}")).await;
    assert_eq!(stack.run(&["up", "-d", "--timeout", "60s"]).status.code(), Some(1));
    stack.done(&["up", "-d", "--timeout", "30s", "web"]);
    let named = stack.run(&["up", "-d", "--timeout", "60s", "loops"]);
    assert_eq!(named.status.code(), Some(1));
    assert!(text(&named.stderr).contains("exited with code 7"), "{}", text(&named.stderr));
}

/// A verb that stays, and what it has printed; killed when dropped.
struct Staying {
    child: Child,
    output: PathBuf,
}

impl Staying {
    fn begin(stack: &TestStack, words: &[&str]) -> Self {
        let output = stack.path().join(words.join("-"));
        let file = std::fs::File::create(&output).expect("a file");
        let child = stack.command(words).stdout(file).spawn().expect("it runs");
        Self { child, output }
    }

    async fn shows(&self, what: &str) {
        let printed = || std::fs::read_to_string(&self.output).unwrap_or_default();
        eventually(SOON, &format!("{what} is shown"), async || printed().contains(what).then_some(())).await;
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        // Where it ended already nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_logs_and_events_sees_what_comes_also_of_a_container_that_is_made_anew() {
    let stack = TestStack::new("follow", SAYING).await;
    stack.done(&["up", "-d"]);
    let logs = Staying::begin(&stack, &["logs", "-f", "web"]);
    logs.shows("the first").await;
    let mut events = Staying::begin(&stack, &["events", "-f", "--json"]);
    events.shows("\"create\"").await;
    stack.write(&SAYING.replace("the first", "the second"));
    logs.shows("the second").await;
    events.shows("\"save\"").await;
    // Once more: it did not only find the one that was there when it looked again.
    stack.write(&SAYING.replace("the first", "the third"));
    logs.shows("the third").await;
    stack.done(&["down"]);
    events.shows("\"down\"").await;
    assert!(end_of(&mut events.child).success(), "nothing more will happen");
    let printed = std::fs::read_to_string(&logs.output).expect("the output");
    for said in ["the first", "the second", "the third"] {
        assert_eq!(printed.matches(said).count(), 1, "{printed}");
    }
}
