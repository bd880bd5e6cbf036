//! A daemon beside a file that is broken or gone runs the one that was accepted last, and says so.
//! No engine answers here: what is wanted shows without one.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::cli::witwd as verb;

const STACK: &str = "name = \"shop\"\ninclude = [\"more.toml\"]\n[services.web]\nimage = \"app:${env.TAG}\"\n";

/// A daemon in the foreground; killed when dropped.
pub struct Daemon(Child);

impl Daemon {
    /// Starts one.
    pub fn start(directory: &Path) -> Self {
        let log = std::fs::File::create(directory.join("log")).expect("a log");
        let child = Command::new(assert_cmd::cargo::cargo_bin!("witwd"))
            .arg("daemon")
            .current_dir(directory)
            .env_clear()
            .env("TAG", "7")
            .env("DOCKER_HOST", format!("unix://{}/no-engine.sock", directory.display()))
            .env("WITWD_RUNTIME_DIR", directory.join("run"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a daemon");
        Self(child)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as a service manager does.
    pub fn end(mut self) {
        witwd::host::process::terminate(self.0.id()).expect("a signal");
        assert_eq!(self.0.wait().expect("an end").code(), Some(0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Where it ended already nothing is left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn write(directory: &Path) {
    std::fs::write(directory.join("stack.toml"), STACK).expect("a file");
    std::fs::write(directory.join("more.toml"), "[services.api]\nimage = \"api:1\"\n").expect("a file");
}

/// The document of `ps`, once a daemon runs that says of `ok` what is expected.
pub fn ps(directory: &Path, is_as_expected: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..250 {
        let output = verb(directory).args(["ps", "--json"]).output().expect("ps");
        last = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if last["daemon"]["pid"].is_number() && is_as_expected(&last) {
            return last;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("not within five seconds: {last:#}\n{}", std::fs::read_to_string(directory.join("log")).unwrap_or_default());
}

fn names(document: &Value) -> Vec<String> {
    let items = document["items"].as_array().expect("items");
    items.iter().map(|item| format!("{} {}", item["name"].as_str().unwrap_or_default(), item["image"])).collect()
}

/// Ends a first daemon that accepted the file; what is there then is as after a crash or a reboot.
fn accepted(directory: &Path) -> Vec<String> {
    write(directory);
    let daemon = Daemon::start(directory);
    let before = names(&ps(directory, |document| document["items"].as_array().is_some_and(|items| items.len() == 2)));
    daemon.end();
    before
}

#[test]
fn a_daemon_beside_a_broken_file_runs_the_last_one_and_says_so() {
    let scratch = tempfile::tempdir().expect("a directory");
    let directory = scratch.path();
    let before = accepted(directory);
    assert_eq!(before, ["api \"api:1\"", "web \"app:7\""]);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(directory.join(".witwd/environment.json")).expect("kept"));
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(directory.join("stack.toml"), STACK.replace("image", "imag")).expect("a file");
    std::fs::remove_file(directory.join("more.toml")).expect("removing it");
    let daemon = Daemon::start(directory);
    let document = ps(directory, |document| document["items"].as_array().is_some_and(|items| items.len() == 2));
    assert_eq!(names(&document), before);
    assert_eq!(document["file"]["ok"], false);
    let checked = verb(directory).args(["check", "--json"]).env("TAG", "7").output().expect("check");
    let checked: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert_eq!(document["file"]["errors"], checked["errors"]);
    let events = verb(directory).args(["events", "--json"]).output().expect("events");
    let events = String::from_utf8_lossy(&events.stdout).into_owned();
    assert!(events.contains("\"file-invalid\"") && events.contains("accepted last"), "{events}");
    let log = std::fs::read_to_string(directory.join("log")).expect("the log");
    assert!(log.contains("file-invalid") && log.contains("more.toml"), "{log}");
    let shown = verb(directory).arg("ps").output().expect("ps");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("stack.toml can't be used"), "{shown}");
    daemon.end();
    // A second start changes nothing of what is kept.
    let daemon = Daemon::start(directory);
    assert_eq!(names(&ps(directory, |document| document["items"] != Value::Array(Vec::new()))), before);
    daemon.end();
}

#[test]
fn a_daemon_whose_file_is_gone_runs_the_last_one_and_another_file_waits() {
    let scratch = tempfile::tempdir().expect("a directory");
    let directory = scratch.path();
    let before = accepted(directory);
    std::fs::remove_file(directory.join("stack.toml")).expect("removing it");
    let daemon = Daemon::start(directory);
    let document = ps(directory, |document| document["items"] != Value::Array(Vec::new()));
    assert_eq!((&names(&document), &document["file"]["ok"]), (&before, &Value::Bool(false)));
    let message = document["file"]["errors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("not there"), "{message}");
    daemon.end();
    std::fs::write(directory.join("stack.toml"), "name = \"shop\"\n[services.new]\nimage = \"new:1\"\n").expect("a file");
    let daemon = Daemon::start(directory);
    // What it would do is not known without an engine: it waits, and what was accepted is kept.
    let document = ps(directory, |document| document["file"]["pending"] == Value::Bool(true));
    assert_eq!((&names(&document), &document["file"]["ok"]), (&before, &Value::Bool(true)));
    daemon.end();
}

#[test]
fn a_broken_file_that_was_never_accepted_is_an_error() {
    let scratch = tempfile::tempdir().expect("a directory");
    std::fs::write(scratch.path().join("stack.toml"), "name = ").expect("a file");
    assert_eq!(verb(scratch.path()).arg("daemon").output().expect("an end").status.code(), Some(3));
    // A person who asks for a broken file is told, whatever was accepted before.
    accepted(scratch.path());
    std::fs::remove_file(scratch.path().join("stack.toml")).expect("removing it");
    for words in [["up"].as_slice(), &["up", "-d"], &["check"]] {
        assert_eq!(verb(scratch.path()).args(words).output().expect("an end").status.code(), Some(3), "{words:?}");
    }
}

#[test]
fn a_stack_whose_file_is_gone_hides_the_one_above_it() {
    let scratch = tempfile::tempdir().expect("a directory");
    let inner = scratch.path().join("inner");
    std::fs::create_dir(&inner).expect("a directory");
    accepted(&inner);
    std::fs::write(scratch.path().join("stack.toml"), "name = \"outer\"\n").expect("a file");
    std::fs::remove_file(inner.join("stack.toml")).expect("removing it");
    let daemon = Daemon::start(&inner);
    let document = ps(&inner, |document| document["items"] != Value::Array(Vec::new()));
    assert_eq!(document["stack"], "shop");
    daemon.end();
}

#[test]
fn what_the_daemon_says_of_the_file_is_told_whatever_the_shell_of_the_reader_knows() {
    let scratch = tempfile::tempdir().expect("a directory");
    let directory = scratch.path();
    write(directory);
    let daemon = Daemon::start(directory);
    ps(directory, |document| document["items"] != Value::Array(Vec::new()));
    std::fs::write(directory.join("stack.toml"), STACK.replace("${env.TAG}", "${env.TAG}-${env.NEW}")).expect("a file");
    let told = ps(directory, |document| document["file"]["ok"] == false);
    // Somebody else's shell knows the variable.
    let output = verb(directory).args(["ps", "--json"]).env("TAG", "7").env("NEW", "1").output().expect("ps");
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(seen["file"], told["file"], "the daemon can't use it");
    assert!(seen["file"]["errors"][0]["message"].as_str().expect("a message").contains("NEW"), "{seen:#}");
    // And somebody's shell does not know what the daemon does.
    write(directory);
    ps(directory, |document| document["file"]["ok"] == true);
    let output = verb(directory).args(["ps", "--json"]).env("TAG", "").output().expect("ps");
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&seen["file"]["ok"], &seen["file"]["errors"]), (&true.into(), &Value::Array(Vec::new())));
    daemon.end();
}

#[test]
fn what_was_accepted_outlives_any_damage_of_its_file() {
    let scratch = tempfile::tempdir().expect("a directory");
    let directory = scratch.path();
    let kept = directory.join(".witwd/environment.json");
    write(directory);
    let daemon = Daemon::start(directory);
    let before = names(&ps(directory, |document| document["items"] != Value::Array(Vec::new())));
    daemon.end();
    let content = std::fs::read(&kept).expect("kept");
    let damages: [&dyn Fn(); 4] = [
        &|| std::fs::write(&kept, &content[..content.len() / 2]).expect("cut"),
        &|| std::fs::write(&kept, b"").expect("emptied"),
        &|| std::fs::remove_file(&kept).expect("removed"),
        &|| {
            std::fs::remove_file(&kept).expect("removed");
            std::fs::create_dir(&kept).expect("a directory in its place");
        },
    ];
    for damage in damages {
        damage();
        // The file itself is gone too: what is run is what was accepted.
        std::fs::rename(directory.join("stack.toml"), directory.join("away.toml")).expect("moved");
        let daemon = Daemon::start(directory);
        let told = ps(directory, |document| document["items"] != Value::Array(Vec::new()));
        assert_eq!(names(&told), before);
        std::fs::rename(directory.join("away.toml"), directory.join("stack.toml")).expect("moved back");
        daemon.end();
    }
    // It was made anew from its copy, and the directory that lay in its place is moved aside.
    assert!(kept.is_file() && directory.join(".witwd/environment.json.damaged-3").is_dir());
}
