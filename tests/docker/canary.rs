//! No secret value where it is not allowed: unique words are looked for everywhere on a stack's way.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use witwd::host::{Clock as _, SystemClock};

use crate::postgres::{IMAGE, image};
use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, eventually, inspect};

/// `given`'s password is in the file, all others are made.
const TEXT: &str = r#"
name = "NAME"
[postgres.given]
image = "IMAGE"
pull = "never"
backup.enabled = false
password = "GIVEN"
settings.log_statement = "all"
labels.note = "LEAKED"
[postgres.made]
image = "IMAGE"
pull = "never"
backup.enabled = false
databases = ["more"]
roles.report = { grant = ["pg_read_all_data"] }
[services.app]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.http = "/healthz"
env.DATABASE_URL = "${given.url}"
env.OTHER_URL = "${made.url}"
env.REPORT_URL = "${made.roles.report.url}"
"#;

const APP_ENV: &str = "the environment of app";
const STORE: &str = "the file .witwd/secrets.json";
/// The file as it was last accepted: the user's own words, for this user alone.
const KEPT: &str = "the file .witwd/environment.json";
const GIVEN_SECRETS: &str = "/run/secrets of given";
const MADE_SECRETS: &str = "/run/secrets of made";

/// What was seen where.
#[derive(Default)]
struct Seen(BTreeMap<String, String>);

impl Seen {
    fn note(&mut self, place: impl Into<String>, said: &str) {
        let all = self.0.entry(place.into()).or_default();
        all.push_str(said);
        all.push('\n');
    }

    fn note_output(&mut self, words: &[&str], output: &Output) {
        let place = format!("`witwd {}`", words.join(" "));
        self.note(place, &(text(&output.stdout) + &text(&output.stderr)));
    }

    /// The places that have this word.
    fn places_of(&self, word: &str) -> BTreeSet<&str> {
        self.0.iter().filter(|(_, said)| said.contains(word)).map(|(place, _)| place.as_str()).collect()
    }

    /// A place that was looked at, and that had something to show.
    fn of(&self, place: &str) -> &str {
        self.0.get(place).unwrap_or_else(|| panic!("{place} was not looked at"))
    }
}

/// The engine's events from its start on.
struct Events {
    child: Child,
    file: tempfile::NamedTempFile,
}

impl Events {
    fn record() -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut command = Command::new("docker");
        command.args(["events", "--format", "{{json .}}"]).stdin(Stdio::null()).stderr(Stdio::null());
        let child = command.stdout(file.reopen().expect("the file")).spawn().expect("docker events");
        Self { child, file }
    }

    /// All until and with the one that has this word.
    async fn until(&self, word: &str) -> String {
        eventually(SOON, "the event", async || {
            let said = std::fs::read_to_string(self.file.path()).expect("events");
            said.contains(word).then_some(said)
        })
        .await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks at the words of all processes, again and again.
struct Processes {
    end: Sender<()>,
    looking: JoinHandle<BTreeSet<String>>,
}

impl Processes {
    fn watch() -> Self {
        let (end, ended) = channel();
        let looking = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while ended.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
                seen.extend(std::fs::read_dir("/proc").expect("processes").flatten().filter_map(|process| {
                    let words = std::fs::read(process.path().join("cmdline")).ok()?;
                    Some(text(&words).replace('\0', " "))
                }));
            }
            seen
        });
        Self { end, looking }
    }

    fn ended(self) -> String {
        drop(self.end);
        self.looking.join().expect("no panic").into_iter().collect::<Vec<_>>().join("\n")
    }
}

/// Every object of the stack as the engine describes it; the environment of app is a place of its own.
fn look_at_the_engine(stack: &TestStack, seen: &mut Seen) {
    let label = format!("label=dev.witwd.stack={}", stack.name);
    for list in [["ps", "-aq"], ["network", "ls -q"], ["volume", "ls -q"]] {
        let words: Vec<&str> = list.iter().flat_map(|words| words.split(' ')).chain(["--filter", &label]).collect();
        let ids = text(&docker(&words).stdout);
        assert!(!ids.is_empty(), "no {} of the stack", list[0]);
        for id in ids.split_whitespace() {
            let mut object = inspect(id);
            if object["Name"].as_str().is_some_and(|name| name.ends_with("-app-1")) {
                seen.note(APP_ENV, &object["Config"]["Env"].take().to_string());
            }
            seen.note("docker inspect", &object.to_string());
        }
    }
    for (name, place) in [("given", GIVEN_SECRETS), ("made", MADE_SECRETS)] {
        let container = stack.item(name)["container"].as_str().expect("a container").to_owned();
        seen.note(place, &text(&docker(&["exec", &container, "sh", "-c", "cat /run/secrets/*"]).stdout));
    }
}

/// Every file of the state.
fn look_at_files(directory: &Path, seen: &mut Seen) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            look_at_files(&path, seen);
        } else if let Ok(content) = std::fs::read(&path) {
            let name = path.file_name().expect("a name").to_string_lossy();
            // A copy is the same place once more.
            let name = name.strip_suffix(".1").unwrap_or(&name);
            seen.note(format!("the file .witwd/{name}"), &text(&content));
        }
    }
}

/// All that the verbs tell.
fn look_at_verbs(stack: &TestStack, seen: &mut Seen) {
    let verbs: [&[&str]; 14] = [
        &["ps"],
        &["ps", "--json"],
        &["events"],
        &["events", "--json"],
        &["config"],
        &["config", "--json"],
        &["config", "--origin"],
        &["plan"],
        &["plan", "--json"],
        &["check"],
        &["check", "--json"],
        &["logs", "witwd"],
        &["logs"],
        &["doctor"],
    ];
    for words in verbs {
        let output = stack.run(words);
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty() || words == ["check"], "{words:?} says nothing");
        seen.note_output(words, &output);
    }
}

/// Every password of the store, below the name of its server and of its role.
fn passwords(stack: &TestStack) -> BTreeMap<String, String> {
    fn collect(value: &Value, path: &str, into: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| collect(value, &format!("{path}/{name}"), into)),
            Value::String(word) if word.len() >= 16 => drop(into.insert(path.to_owned(), word.clone())),
            _ => {}
        }
    }
    let store = std::fs::read_to_string(stack.path().join(".witwd/secrets.json")).expect("the store");
    let mut found = BTreeMap::new();
    collect(&serde_json::from_str(&store).expect("JSON"), "", &mut found);
    found
}

/// An `up` that fails, and says why.
fn fail(stack: &TestStack, seen: &mut Seen, file: &str) {
    stack.write(file);
    for words in [&["up", "-d", "--timeout", "60s"][..], &["up", "-d", "--timeout", "60s", "--json"]] {
        let output = stack.run(words);
        assert!(!output.status.success());
        seen.note_output(words, &output);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_where_they_are_allowed_and_nowhere_else() {
    image().await;
    let unique = format!("{}x{}", std::process::id(), SystemClock::new().wall().as_nanosecond());
    let (given, leaked) = (format!("canarygiven{unique}"), format!("canaryleaked{unique}"));
    let file = TEXT.replace("IMAGE", IMAGE).replace("GIVEN", &given).replace("LEAKED", &leaked);
    let stack = TestStack::new("canary", &file).await;
    let (mut seen, events, processes) = (Seen::default(), Events::record(), Processes::watch());
    // The changed file is planned before anything of it is there.
    seen.note_output(&["plan"], &stack.run(&["plan"]));
    let output = stack.run(&["up", "-d"]);
    assert!(output.status.success(), "{}{}", text(&output.stderr), stack.log());
    seen.note_output(&["up", "-d"], &output);
    look_at_the_engine(&stack, &mut seen);
    look_at_verbs(&stack, &mut seen);
    fail(&stack, &mut seen, &file.replace("databases = [", "extensions = [\"no_such\"]\ndatabases = ["));
    look_at_verbs(&stack, &mut seen);
    look_at_the_engine(&stack, &mut seen);
    look_at_files(&stack.path().join(".witwd"), &mut seen);
    for file in ["secrets.json", "secrets.json.1", "environment.json", "environment.json.1"] {
        let facts = std::fs::metadata(stack.path().join(".witwd").join(file)).expect("the file");
        assert_eq!(facts.permissions().mode() & 0o777, 0o600, "{file} is for its user alone");
    }
    let app = inspect(&format!("{}-app-1", stack.name))["Id"].as_str().expect("an id").to_owned();
    seen.note("docker events", &events.until(&format!("\"start\",\"id\":\"{app}")).await);
    seen.note("arguments of processes", &processes.ended());
    nothing_is_told(&seen, &given, &passwords(&stack));
    what_is_told_is_found(&seen, &leaked, &stack.name);
}

/// Each word is where it is needed, and nowhere else.
fn nothing_is_told(seen: &Seen, given: &str, passwords: &BTreeMap<String, String>) {
    let secrets = BTreeSet::from([STORE, GIVEN_SECRETS, MADE_SECRETS]);
    assert!(passwords.len() >= 4, "two superusers, an app's role, and one more: {:?}", passwords.keys());
    let mut in_app = 0;
    for (name, word) in passwords.iter().chain([(&"given in the file".to_owned(), &given.to_owned())]) {
        let places = seen.places_of(word);
        let is_allowed = |place: &&str| secrets.contains(place) || *place == APP_ENV || (*place == KEPT && word == given);
        let allowed = places.iter().all(is_allowed);
        assert!(allowed, "{name} is told in {places:?}");
        assert!(!places.is_empty(), "{name} was not found at all: the sweep looks at the wrong places");
        in_app += usize::from(places.contains(APP_ENV));
    }
    assert_eq!(in_app, 3, "app has the three passwords that its addresses need, and no other");
    assert!(seen.places_of(given).contains(APP_ENV));
    for place in [GIVEN_SECRETS, MADE_SECRETS] {
        assert!(passwords.values().any(|word| seen.of(place).contains(word)), "no superuser's password in {place}");
    }
}

/// The same sweep finds a word that the user leaked.
fn what_is_told_is_found(seen: &Seen, leaked: &str, name: &str) {
    let places = seen.places_of(leaked);
    for place in ["docker inspect", "docker events", "`witwd config`"] {
        assert!(places.contains(place), "a label is not found in {place}: {places:?}");
    }
    // Where it is not, there was something to look at.
    assert!(seen.of("arguments of processes").contains(" __guardian "), "the daemon was started under watch");
    for place in ["the file .witwd/daemon.log", "the file .witwd/state.json", "`witwd logs witwd`", "`witwd events`"] {
        assert!(!seen.of(place).trim().is_empty(), "{place} of {name} is empty");
    }
    assert!(seen.of("`witwd up -d --timeout 60s`").contains("no_such"), "{}", seen.of("`witwd up -d --timeout 60s`"));
}
