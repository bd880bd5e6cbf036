//! A daemon that is killed at each of its calls to the engine, or whose line is cut there: the end is that
//! of a run in which nothing happened.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::oracles::ledger::{Ledger, Server};
use crate::oracles::watch::Watch;
use crate::postgres::{IMAGE, image};
use crate::recorder::{Asked, Fate, Recorder};
use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, end_of, eventually};

const MACHINE: &str = "/var/run/docker.sock";
const TEXT: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
command = ["/tiny", "serve", "--port", "8080"]
entrypoint = []
port = 8080
health.tcp = true
depends_on = ["cache"]
[services.cache]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "6379"]
port = 6379
health.tcp = true
volumes = ["kept:/kept"]
[volumes]
kept = {}
"#;

/// Which of the changing calls meets its fate: set anew for each try.
#[derive(Clone, Default)]
struct Nth {
    left: Arc<AtomicUsize>,
}

impl Nth {
    /// From now on the `number`th, counted from 1; 0: none.
    fn set(&self, number: usize) {
        self.left.store(number, Ordering::SeqCst);
    }

    /// Whether it has not come yet.
    fn is_to_come(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }

    fn course(&self, fate: Fate) -> impl Fn(&Asked) -> Fate + Send + Sync + 'static {
        let left = self.left.clone();
        move |asked| {
            let count = |left: usize| left.checked_sub(1);
            let is_it = asked.is_mutating() && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count) == Ok(1);
            if is_it { fate } else { Fate::Pass }
        }
    }
}

/// What is on the engine of a stack, under any name of the stack.
fn end(stack: &TestStack) -> Vec<String> {
    let filter = format!("label=dev.witwd.stack={}", stack.name);
    let list = |words: &[&str], format: &str| {
        text(&docker(&[words, &["--no-trunc", "--filter", &filter, "--format", format]].concat()).stdout)
    };
    let containers =
        list(&["ps", "-a"], "container {{.Names}} {{.State}} {{.Label \"dev.witwd.spec\"}} {{.Mounts}} {{.Networks}}");
    let networks = list(&["network", "ls"], "network {{.Name}}");
    let volumes = list(&["volume", "ls"], "volume {{.Name}}");
    let mut lines: Vec<String> =
        [containers, networks, volumes].concat().replace(&stack.name, "NAME").lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Waits until all is as the file says, and sees that nothing changes any more.
async fn rests(stack: &TestStack, line: &Recorder) {
    let is_done = async || {
        let output = stack.run(&["ps", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        (status["converged"] == true && status["daemon"]["pid"].is_u64()).then_some(())
    };
    eventually(SOON * 2, "all is as the file says", is_done).await;
    let before = line.mutating().len();
    stack.done(&["up", "-d"]);
    assert_eq!(line.mutating()[before..], Vec::<String>::new(), "at rest nothing is changed");
}

/// Comes up with this fate at each changing call in turn; how many calls there were.
async fn up_with(fate: Fate, undisturbed: &[String], watch: &Watch) -> usize {
    for number in 1.. {
        // First, so that it outlives the stack.
        let scratch = tempfile::tempdir().expect("a directory");
        let nth = Nth::default();
        nth.set(number);
        let line = Recorder::with(scratch.path(), Path::new(MACHINE), nth.course(fate));
        let mut stack = TestStack::new("step", TEXT).await;
        stack.docker_host = Some(line.host());
        let output = stack.run(&["up", "-d"]);
        if nth.is_to_come() {
            assert!(output.status.success(), "{}", text(&output.stderr));
            // The end of the stack is to be left alone.
            nth.set(0);
            return number - 1;
        }
        rests(&stack, &line).await;
        assert_eq!(end(&stack), undisturbed, "{fate:?} at call {number}: {}", stack.log());
        watch.is_clean();
    }
    unreachable!("an `up` has an end")
}

async fn undisturbed() -> Vec<String> {
    let stack = TestStack::new("calm", TEXT).await;
    stack.done(&["up", "-d"]);
    end(&stack)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_before_or_after_any_call_of_an_up_ends_as_if_it_had_lived() {
    let (calm, watch) = (undisturbed().await, Watch::of_engine(Path::new(MACHINE)));
    for fate in [Fate::KillBefore, Fate::KillAfter] {
        let calls = up_with(fate, &calm, &watch).await;
        assert!(calls >= 6, "{fate:?}: a network, a volume, two made and started: {calls}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_an_up_that_is_lost_or_whose_answer_is_lost_makes_nothing_twice() {
    let (calm, watch) = (undisturbed().await, Watch::of_engine(Path::new(MACHINE)));
    for fate in [Fate::CutBefore, Fate::CutAfter, Fate::Answer(500)] {
        let calls = up_with(fate, &calm, &watch).await;
        assert!(calls >= 6, "{fate:?}: a network, a volume, two made and started: {calls}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_in_a_down_is_followed_by_one_that_ends_it_and_then_by_none() {
    let scratch = tempfile::tempdir().expect("a directory");
    let nth = Nth::default();
    let line = Recorder::with(scratch.path(), Path::new(MACHINE), nth.course(Fate::KillAfter));
    let mut stack = TestStack::new("downing", TEXT).await;
    stack.docker_host = Some(line.host());
    for number in 1..=4 {
        stack.done(&["up", "-d"]);
        nth.set(number);
        stack.run(&["down"]);
        assert!(!nth.is_to_come(), "a `down` of two has so many calls");
        let is_over = async || (stack.processes().is_empty() && stack.identities().is_empty()).then_some(());
        eventually(SOON, "neither a container, a daemon nor a guardian is left", is_over).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_down_that_a_daemon_of_a_service_manager_was_killed_in_is_ended_by_the_next_and_once() {
    let scratch = tempfile::tempdir().expect("a directory");
    let nth = Nth::default();
    let line = Recorder::with(scratch.path(), Path::new(MACHINE), nth.course(Fate::KillAfter));
    let mut stack = TestStack::new("managed-down", TEXT).await;
    stack.docker_host = Some(line.host());
    let managed = || stack.command(&["daemon"]).stderr(std::process::Stdio::null()).spawn().expect("a daemon");
    let mut first = managed();
    let is_up = async || stack.ps()["converged"].as_bool().filter(|converged| *converged);
    eventually(SOON, "the stack is up", is_up).await;
    nth.set(2);
    stack.run(&["down"]);
    assert!(!end_of(&mut first).success() && !stack.identities().is_empty(), "it was killed in the middle");
    assert!(end_of(&mut managed()).success(), "as after any `down`, and its manager starts it again");
    assert_eq!(stack.identities(), Vec::<String>::new());
    let mut next = managed();
    eventually(SOON, "it serves", async || stack.ps()["daemon"]["pid"].as_u64()).await;
    let gone_on = stack.done(&["events"]).lines().filter(|line| line.contains("a daemon died before it was done")).count();
    assert_eq!(gone_on, 1, "what is done is not gone on with");
    stack.done(&["up", "-d"]);
    assert_eq!((stack.identities().len(), stack.daemon_pid()), (2, u64::from(next.id())));
    stack.done(&["down"]);
    assert!(end_of(&mut next).success());
}

pub const DATABASE: &str = r#"
name = "NAME"
[postgres.db]
image = "IMAGE"
pull = "never"
backup.enabled = false
password = "ledger"
user = "app"
database = "app"
ports = ["auto:5432"]
settings.work_mem = "4MB"
"#;

/// How a ledger reaches the database of this stack, by its published port.
pub fn server(stack: &TestStack) -> Server {
    let port = stack.item("db")["ports"][0]["host"].as_u64().expect("a published port");
    Server { network: None, address: format!("host=127.0.0.1 port={port} user=app password=ledger dbname=app connect_timeout=2") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_at_any_call_of_a_recreate_of_a_database_loses_no_row() {
    image().await;
    let scratch = tempfile::tempdir().expect("a directory");
    let nth = Nth::default();
    // Before the one, after the next, before the one after that: of two recreates each call is met both ways.
    let (before, after) = (nth.course(Fate::KillBefore), nth.course(Fate::KillAfter));
    let turn = Arc::new(AtomicUsize::new(0));
    let way = turn.clone();
    let course = move |asked: &Asked| if way.load(Ordering::SeqCst).is_multiple_of(2) { before(asked) } else { after(asked) };
    let line = Recorder::with(scratch.path(), Path::new(MACHINE), course);
    let text = DATABASE.replace("IMAGE", IMAGE);
    let mut stack = TestStack::new("recreate", &text).await;
    stack.docker_host = Some(line.host());
    stack.done(&["up", "-d"]);
    let calm = end(&stack).len();
    let (watch, ledger) = (Watch::of_engine(Path::new(MACHINE)), Ledger::start(server(&stack)).await);
    let mut number = 0;
    loop {
        let now = turn.fetch_add(1, Ordering::SeqCst) + 1;
        number += now % 2;
        stack.write(&text.replace("4MB", &format!("{}MB", 4 + now)));
        nth.set(number);
        stack.run(&["up", "-d"]);
        if nth.is_to_come() {
            nth.set(0);
            break;
        }
        rests(&stack, &line).await;
        assert_eq!(end(&stack).len(), calm, "call {number}: {:#?}", end(&stack));
        ledger.grows().await;
    }
    assert!(number > 5, "made, stopped, started, removed, named: {number}");
    watch.is_clean();
    ledger.balance().is_even();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_ends_while_no_event_comes_is_found_by_the_next_list() {
    let scratch = tempfile::tempdir().expect("a directory");
    let line = Recorder::deaf(scratch.path());
    let mut stack = TestStack::new("blind", TEXT).await;
    stack.docker_host = Some(line.host());
    stack.done(&["up", "-d"]);
    let web = stack.item("web")["container"].as_str().expect("an id").to_owned();
    docker(&["kill", &web]);
    let is_back = async || {
        let item = stack.item("web");
        (item["ready"] == true && item["restarts"] == 1).then_some(())
    };
    eventually(Duration::from_secs(45), "web is back", is_back).await;
    assert!(line.seen().iter().any(|asked| asked.ends_with("/events")), "it listens");
}
