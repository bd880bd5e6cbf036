//! Thousands of commands as probes: what they leave behind, on engines of the tests' own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use witwd::engine::request::Exec;
use witwd::engine::{Engine as _, ErrorKind};

use crate::private::{PrivateEngine, handed_to_root};
use crate::stack::TestStack;
use crate::support::{SOON, TestEngine, eventually, kind, words};

/// How many probes are made.
const PROBES: usize = 5_000;
/// How long they may take: five times what they take on two cores that have nothing else to do.
const TAKE: Duration = Duration::from_secs(8 * 60);
/// The engine closes some streams only when it next looks for memory that nobody uses, at the latest
/// after two minutes.
const TIDIED_UP: Duration = Duration::from_secs(150);

/// Name, replicas and probe of each service: those that pass, and one for each way to be a nuisance.
const SERVICES: [(&str, usize, &str); 5] = [
    ("good", 4, r#"exec = ["/tiny", "exit", "0"]"#),
    ("leaving", 2, r#"exec = ["/tiny", "leave", "sleep", "20ms"]"#),
    ("failing", 1, r#"exec = ["/tiny", "exit", "3"]"#),
    ("absent", 1, r#"exec = ["/none"]"#),
    ("endless", 1, r#"exec = ["/tiny", "run", "sleep"], timeout = "200ms""#),
];

/// How many containers these are.
fn containers() -> usize {
    SERVICES.iter().map(|(_, replicas, _)| replicas).sum()
}

/// The stack with this time between two probes: another one recreates nothing. Nobody is restarted for
/// his readiness.
fn stack(interval: &str) -> String {
    let mut text = "name = \"NAME\"\n".to_owned();
    for (name, replicas, probe) in SERVICES {
        let _ = write!(
            text,
            "[services.{name}]\nimage = \"TINY\"\nentrypoint = []\ncommand = [\"/tiny\", \"sleep\"]\nreplicas = {replicas}\n\
             readiness = {{ {probe}, interval = \"{interval}\", start_period = \"0s\" }}\n"
        );
    }
    text
}

/// The begin or the end of a command, as the engine tells it.
#[derive(Debug, Clone)]
struct Happening {
    container: String,
    is_begin: bool,
}

/// All that the engine tells of commands.
struct Told {
    happenings: Arc<Mutex<Vec<Happening>>>,
    reader: Child,
}

impl Told {
    fn by(engine: &PrivateEngine) -> Self {
        let mut command = Command::new("docker");
        command.args(["-H", &engine.host(), "events", "--format", "{{json .}}"]);
        command.args(["--filter", "event=exec_start", "--filter", "event=exec_die"]);
        let mut reader = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("docker events");
        let happenings = Arc::<Mutex<Vec<Happening>>>::default();
        let (lines, kept) = (reader.stdout.take().expect("its output"), happenings.clone());
        std::thread::spawn(move || keep(lines, &kept));
        Self { happenings, reader }
    }

    fn all(&self) -> Vec<Happening> {
        self.happenings.lock().expect("no panic while events are kept").clone()
    }

    /// How many commands began. The engine leaves out what its reader is too slow for: there may have been more.
    fn begun(&self) -> usize {
        let happenings = self.happenings.lock().expect("no panic while events are kept");
        happenings.iter().filter(|happening| happening.is_begin).count()
    }
}

fn keep(lines: ChildStdout, kept: &Mutex<Vec<Happening>>) {
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        let event: Value = serde_json::from_str(&line).expect("an event");
        let container = event["Actor"]["Attributes"]["name"].as_str().expect("a name").to_owned();
        let is_begin = event["Action"].as_str().is_some_and(|action| action.starts_with("exec_start"));
        kept.lock().expect("no panic while events are kept").push(Happening { container, is_begin });
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.reader.kill();
        let _ = self.reader.wait();
    }
}

/// The containers in which a command began before the one before it was over.
fn crowded(told: &[Happening]) -> BTreeSet<&str> {
    let mut under_way = BTreeSet::new();
    let mut crowded = BTreeSet::new();
    // Of a command that is not there no end is told.
    for Happening { container, is_begin } in told.iter().filter(|happening| !happening.container.contains("-absent-")) {
        let is_second = *is_begin && !under_way.insert(container.as_str());
        crowded.extend(is_second.then_some(container.as_str()));
        if !is_begin {
            under_way.remove(container.as_str());
        }
    }
    crowded
}

/// What commands left behind in a container: those that the engine still knows, and processes, dead ones too.
fn left_in(engine: &PrivateEngine, container: &str) -> Vec<String> {
    let known = engine.done(&["inspect", "-f", "{{range .ExecIDs}}command {{.}}\n{{end}}", container]);
    let processes = engine.done(&["top", container, "-eo", "pid,stat,args"]);
    let is_own = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let is_dead = words.next().is_some_and(|state| state.starts_with('Z'));
        let words = words.collect::<Vec<_>>().join(" ");
        !is_dead && ["/sbin/docker-init -- /tiny sleep", "/tiny sleep"].contains(&words.as_str())
    };
    let (own, others): (Vec<&str>, Vec<&str>) = processes.lines().skip(1).partition(|line| is_own(line));
    let missing = (own.len() != 2).then(|| format!("{own:?}"));
    known.lines().chain(others).map(str::to_owned).chain(missing).map(|line| format!("{container}: {line}")).collect()
}

/// Waits until each container is what it was made of.
async fn is_clean(engine: &PrivateEngine) {
    let mut left = Vec::new();
    let names = engine.done(&["ps", "--format", "{{.Names}}"]);
    assert_eq!(names.lines().count(), containers(), "{names}");
    let look = eventually(SOON * 2, "nothing is left behind", async || {
        left = names.lines().flat_map(|name| left_in(engine, name)).collect();
        left.is_empty().then_some(())
    });
    let is_clean = tokio::time::timeout(SOON, look).await.is_ok();
    assert!(is_clean, "left behind: {left:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_commands_leave_nothing_behind() {
    if handed_to_root().await {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    // To compile its filter is half of what a command costs the engine.
    let unconfined = directory.path().join("seccomp.json");
    std::fs::write(&unconfined, r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).expect("a file");
    let engine = PrivateEngine::start(json!({ "seccomp-profile": unconfined })).await;
    let told = Told::by(&engine);
    let of_stack = TestStack::beside(&engine, "exec", &stack("1h"));
    of_stack.run(&["up", "-d", "--timeout", "3s"]);
    eventually(SOON, "each was asked once", async || (told.begun() >= containers()).then_some(())).await;
    is_clean(&engine).await;
    let (before, asked_before) = (engine.namespaces().open_files(), told.all().len());

    of_stack.write(&stack("50ms"));
    eventually(TAKE, "all probes are made", async || (told.begun() >= PROBES).then_some(())).await;
    let asked = told.all().split_off(asked_before);
    of_stack.write(&stack("1h"));
    assert_eq!(crowded(&asked), BTreeSet::new(), "one at a time in a container");
    let counts = asked.iter().filter(|happening| happening.is_begin).fold(BTreeMap::<&str, usize>::new(), |mut counts, begin| {
        *counts.entry(&begin.container).or_default() += 1;
        counts
    });
    assert!(counts.len() == containers() && counts.values().all(|count| *count > PROBES / 50), "{counts:#?}");
    is_clean(&engine).await;
    let mut more = Vec::new();
    let look = eventually(TIDIED_UP * 2, "files are closed", async || {
        // Also an engine that is asked for nothing tidies up, but later.
        engine.done(&["info"]);
        more =
            engine.namespaces().open_files().into_iter().filter(|(program, count)| before.get(program) < Some(count)).collect();
        more.is_empty().then_some(())
    });
    let is_closed = tokio::time::timeout(TIDIED_UP, look).await.is_ok();
    assert!(is_closed, "more files than before: {more:?} of {before:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_nobody_can_end_is_begun_once() {
    if handed_to_root().await {
        return;
    }
    // Our own process is outside: the engine's numbers of processes mean nothing here.
    let engine = PrivateEngine::start(json!({})).await;
    let test = TestEngine::on(engine.adapter(), "endless");
    let id = test.run("web", &["sleep"]).await;
    let exec = async |command: &[&str], limit| {
        let exec = Exec { command: words(command), ..Exec::default() };
        test.engine.exec(&id, &exec, limit).await
    };
    let times_out = async || {
        let outcome = exec(&["/tiny", "sleep", "1h"], Duration::from_secs(1)).await;
        assert_eq!(kind(outcome), ErrorKind::Timeout);
    };
    let running = |words: &str| engine.done(&["top", &id.0, "-eo", "pid,args"]).matches(&format!("/tiny {words}")).count();
    for _ in 0..20 {
        times_out().await;
    }
    assert_eq!(running("sleep 1h"), 1);
    assert_eq!(exec(&["/tiny", "exit", "3"], SOON).await.expect("another one is none of its business").code, 3);
    // Once it is over it may be begun again.
    let command = engine.done(&["top", &id.0, "-eo", "pid,args"]);
    let pid = command.lines().find(|line| line.contains("sleep 1h")).and_then(|line| line.split_whitespace().next());
    engine.signal_process("KILL", pid.expect("a process"));
    eventually(SOON, "it is begun again", async || {
        times_out().await;
        (running("sleep 1h") == 1).then_some(())
    })
    .await;
}
