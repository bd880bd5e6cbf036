//! The guardian of a daemon in the background, with a shell script in the daemon's place.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Starts a guardian over a script that writes a line into `lives` each time it is started.
fn guard(directory: &Path, script: &str) -> Child {
    let lives = directory.join("lives");
    let script = format!("echo \"$*\" >> '{}'\n{script}", lives.display());
    Command::new(assert_cmd::cargo::cargo_bin!("witwd"))
        .args(["__guardian", "--first=--wait", "--log"])
        .arg(directory.join("daemon.log"))
        .args(["--", "/bin/sh", "-c", &script, "daemon"])
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(directory.join("said")).expect("a file"))
        .spawn()
        .expect("a guardian")
}

fn lives(directory: &Path) -> Vec<String> {
    std::fs::read_to_string(directory.join("lives")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Waits up to five seconds.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..250 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what}: not within five seconds");
}

fn ended(guardian: &mut Child) -> Option<i32> {
    let mut code = None;
    eventually("the guardian ends", || {
        code = guardian.try_wait().expect("asking").map(|status| status.code().unwrap_or(-1));
        code.is_some()
    });
    code
}

#[test]
fn a_daemon_that_dies_is_started_again_without_the_argument_of_the_first_start() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut guardian = guard(directory.path(), "exit 1");
    eventually("three lives", || lives(directory.path()).len() >= 3);
    assert_eq!(lives(directory.path())[..3], ["--wait", "", ""]);
    witwd::host::process::terminate(guardian.id()).expect("a signal");
    assert_eq!(ended(&mut guardian), Some(0));
}

#[test]
fn a_killed_daemon_is_back_within_a_second() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut guardian = guard(directory.path(), &format!("echo $$ > '{}/pid'; exec sleep 60", directory.path().display()));
    eventually("a first life", || directory.path().join("pid").exists() && lives(directory.path()).len() == 1);
    std::thread::sleep(Duration::from_millis(50));
    let pid: i32 = std::fs::read_to_string(directory.path().join("pid")).expect("a pid").trim().parse().expect("a number");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killing it");
    for _ in 0..50 {
        if lives(directory.path()).len() == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(lives(directory.path()).len(), 2, "not back within a second");
    witwd::host::process::terminate(guardian.id()).expect("a signal");
    assert_eq!(ended(&mut guardian), Some(0));
}

#[test]
fn a_bad_file_a_held_lock_and_a_wanted_end_are_final() {
    for (code, then) in [(3, 3), (7, 7), (2, 2), (0, 0)] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut guardian = guard(directory.path(), &format!("exit {code}"));
        assert_eq!(ended(&mut guardian), Some(then));
        assert_eq!(lives(directory.path()).len(), 1, "code {code}");
    }
}

#[test]
fn a_guardian_whose_stack_is_gone_ends_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let stack = directory.path().join("stack");
    let state = stack.join(".witwd");
    std::fs::create_dir_all(&state).expect("a directory");
    let mut guardian = guard(&state, "exit 1");
    eventually("it is started again while its stack is there", || lives(&state).len() >= 2);
    std::fs::remove_dir_all(&stack).expect("removed");
    assert_eq!(ended(&mut guardian), Some(1));
}

#[test]
fn a_signal_is_passed_on_and_waited_for() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mark = directory.path().join("mark");
    let script = format!("trap 'sleep 0.2; echo over > \"{}\"; exit 0' TERM; while :; do sleep 0.05; done", mark.display());
    let mut guardian = guard(directory.path(), &script);
    eventually("a life", || lives(directory.path()).len() == 1);
    std::thread::sleep(Duration::from_millis(100));
    witwd::host::process::terminate(guardian.id()).expect("a signal");
    assert_eq!(ended(&mut guardian), Some(0));
    assert!(mark.exists(), "it did not wait");
}

#[test]
fn a_guardian_leaves_the_session_it_was_started_in() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut guardian = guard(directory.path(), "exec sleep 60");
    eventually("a life", || lives(directory.path()).len() == 1);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", guardian.id())).expect("its state");
    let session = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(3)).map(str::to_owned);
    assert_eq!(session, Some(guardian.id().to_string()));
    witwd::host::process::terminate(guardian.id()).expect("a signal");
    ended(&mut guardian);
}
