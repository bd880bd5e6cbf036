//! `daemon` under a service manager, which is a socket here; `enable` and `disable` with a script in the
//! place of `systemctl`; units as systemd itself reads them. No engine answers.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::cli::witwd as verb;

const STACK: &str = "name = \"shop\"\n[services.web]\nimage = \"app:${env.TAG}\"\n";

/// A daemon whose manager is this test.
struct Managed {
    child: Child,
    socket: UnixDatagram,
}

impl Managed {
    fn start(directory: &Path, tag: Option<&str>) -> Self {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("witwd"));
        command.arg("daemon").current_dir(directory).env_clear().envs(tag.map(|tag| ("TAG", tag)));
        command
            .env("DOCKER_HOST", format!("unix://{}/no-engine.sock", directory.display()))
            .env("WITWD_RUNTIME_DIR", directory.join("run"))
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "200000");
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("a daemon");
        Self { child, socket }
    }

    /// What it says next.
    fn said(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).expect("a word of the daemon within ten seconds");
        String::from_utf8_lossy(&bytes[..length]).trim_end().to_owned()
    }

    fn until(&self, what: &str) -> Vec<String> {
        let mut said = Vec::new();
        while !said.last().is_some_and(|last: &String| last.contains(what)) {
            assert!(said.len() < 200, "{what} is not among {said:?}");
            said.push(self.said());
        }
        said
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        // Where it ended already nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn scratch() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("stack.toml"), STACK).expect("a file");
    directory
}

#[test]
fn a_manager_hears_that_it_serves_that_it_lives_and_that_it_ends() {
    let directory = scratch();
    let mut managed = Managed::start(directory.path(), Some("7"));
    let first = managed.said();
    assert!(first.starts_with("READY=1\nSTATUS="), "{first}");
    verb(directory.path()).arg("ps").assert().code(0);
    managed.until("STATUS=stack shop: 0 of 1 ready; the engine does not answer");
    for _ in 0..3 {
        managed.until("WATCHDOG=1");
    }
    witwd::host::process::terminate(managed.child.id()).expect("a signal");
    managed.until("STOPPING=1");
    assert_eq!(managed.child.wait().expect("an end").code(), Some(0));
    let log = verb(directory.path()).args(["logs", "witwd"]).output().expect("logs");
    assert!(String::from_utf8_lossy(&log.stdout).contains("SIGTERM: the daemon ends, the stack stays"));
}

#[test]
fn a_file_that_was_never_accepted_is_no_reason_to_start_again_and_nobody_is_told_it_serves() {
    let directory = scratch();
    let mut managed = Managed::start(directory.path(), None);
    assert_eq!(managed.child.wait().expect("an end").code(), Some(3));
    managed.socket.set_nonblocking(true).expect("a mode");
    assert!(managed.socket.recv(&mut [0; 64]).is_err(), "it said something");
}

#[test]
fn what_was_up_is_served_again_after_a_boot_with_a_broken_file_and_another_environment() {
    let directory = scratch();
    drop(accepted(directory.path()));
    std::fs::write(directory.path().join("stack.toml"), "name = 1").expect("a file");
    std::fs::remove_file(directory.path().join("notify")).expect("the old socket");
    let managed = Managed::start(directory.path(), None);
    managed.until("STATUS=stack shop: 0 of 1 ready; the engine does not answer; stack.toml can't be used");
}

#[test]
fn a_daemon_that_an_engine_keeps_waiting_ends_before_it_goes_on_where_it_is_told() {
    let directory = scratch();
    drop(accepted(directory.path()));
    std::fs::remove_file(directory.path().join("notify")).expect("the old socket");
    let silent = UnixListener::bind(directory.path().join("no-engine.sock")).expect("a socket");
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let asked = silent.accept().expect("a connection").0;
        // Where the test has given up nobody listens.
        let _ = tell.send((asked, silent));
    });
    let mut managed = Managed::start(directory.path(), None);
    let asked = told.recv_timeout(Duration::from_secs(10)).expect("a question to the engine within ten seconds");
    witwd::host::process::terminate(managed.child.id()).expect("a signal");
    managed.until("STOPPING=1");
    assert_eq!(managed.child.wait().expect("an end").code(), Some(0));
    drop(asked);
    let log = verb(directory.path()).args(["logs", "witwd"]).output().expect("logs");
    assert!(String::from_utf8_lossy(&log.stdout).contains("SIGTERM: the daemon ends before it went on with the stack"));
}

/// A daemon that accepted the file.
fn accepted(directory: &Path) -> Managed {
    let managed = Managed::start(directory, Some("7"));
    managed.until("READY=1");
    managed
}

#[test]
fn a_second_daemon_ends_with_the_code_that_is_not_started_again() {
    let directory = scratch();
    let _first = accepted(directory.path());
    verb(directory.path()).arg("daemon").env("TAG", "7").assert().code(7);
    let unit = verb(directory.path()).args(["enable", "--print"]).output().expect("a unit");
    assert!(String::from_utf8_lossy(&unit.stdout).contains("\nRestartPreventExitStatus=2 3 7\n"));
}

#[test]
fn systemd_finds_nothing_wrong_with_units() {
    for name in ["plain", "with space", "100% \"quoted\"", "it's $HOME"] {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let directory = parent.path().join(name);
        std::fs::create_dir(&directory).expect("a directory");
        std::fs::write(directory.join("stack.toml"), STACK.replace("${env.TAG}", "1")).expect("a file");
        let output = verb(&directory).args(["enable", "--print"]).assert().code(0).get_output().clone();
        let unit = parent.path().join("witwd-shop.service");
        std::fs::write(&unit, &output.stdout).expect("a file");
        // What a user's manager would read needs no directory of the machine's, only one of its own.
        let of = format!("--{}", manager().0);
        let mut command = Command::new("systemd-analyze");
        command.args([&of, "verify"]).arg(&unit).env("XDG_RUNTIME_DIR", parent.path());
        let verified = command.output();
        let verified = verified.expect("systemd-analyze, of Debian's package systemd (`images/bootstrap test` installs it)");
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        // Units of the machine that ours does not even want may have their own problems.
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("shop")).collect();
        assert!(verified.status.success() && ours.is_empty(), "{name}: {said}\n{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// What stands in for systemd: its directories, and a `systemctl` that starts the unit's command line.
const SYSTEMCTL: &str = include_str!("../systemctl");

/// Whose units they are, and the target that starts them.
fn manager() -> (&'static str, &'static str) {
    if rustix::process::geteuid().is_root() { ("system", "multi-user") } else { ("user", "default") }
}

/// A stack beside a machine that systemd seems to run.
struct Machine {
    directory: tempfile::TempDir,
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let (directory, root) = (scratch(), tempfile::tempdir().expect("a root"));
        std::fs::create_dir_all(root.path().join("run/systemd/system")).expect("a directory");
        std::fs::create_dir(root.path().join("bin")).expect("a directory");
        for (name, script) in [("systemctl", SYSTEMCTL), ("loginctl", "#!/bin/sh\nexit 1\n")] {
            let program = root.path().join("bin").join(name);
            std::fs::write(&program, script).expect("a script");
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        }
        Self { directory, root }
    }

    /// A verb as who runs this test speaks it here: root of the system, or a user of that user's own systemd.
    fn verb(&self, words: &[&str]) -> assert_cmd::Command {
        let mut command = verb(self.directory.path());
        let path = format!("{}/bin:/usr/bin:/bin", self.root.path().display());
        let configuration = self.root.path().join("etc");
        command.args(words).env("PATH", path).env("WITWD_SYSTEMD_IN_TESTS", self.root.path());
        command.env("XDG_CONFIG_HOME", configuration);
        let (of, target) = manager();
        command.env("OF", of).env("TARGET", target);
        command
    }

    fn said(&self, words: &[&str], code: i32) -> String {
        let output = self.verb(words).assert().code(code).get_output().stderr.clone();
        String::from_utf8_lossy(&output).into_owned()
    }

    fn unit(&self) -> std::path::PathBuf {
        self.root.path().join("etc/systemd").join(manager().0).join("witwd-shop.service")
    }

    fn asked(&self) -> Vec<String> {
        let asked = std::fs::read_to_string(self.root.path().join("asked")).unwrap_or_default();
        asked.lines().map(str::to_owned).collect()
    }

    fn daemon(&self) -> Option<i64> {
        let output = self.verb(&["ps", "--json"]).output().expect("ps");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).ok()?["daemon"]["pid"].as_i64()
    }

    fn unit_pid(&self) -> Option<i64> {
        std::fs::read_to_string(self.root.path().join("pid")).ok()?.trim().parse().ok()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(pid) = self.unit_pid() {
            let _ = witwd::host::process::terminate(u32::try_from(pid).unwrap_or_default());
        }
    }
}

#[test]
fn enable_hands_the_stack_over_to_the_unit_and_disable_leaves_it_to_nobody() {
    let machine = Machine::new();
    let mut former = accepted(machine.directory.path());
    let said = machine.said(&["enable"], 0);
    assert!(said.contains("witwd-shop.service keeps the stack in "), "{said}");
    assert_eq!(former.child.wait().expect("an end").code(), Some(0));
    assert!(machine.unit_pid().is_some() && machine.daemon() == machine.unit_pid());
    let first = machine.unit_pid();
    machine.said(&["enable"], 0);
    assert_eq!(machine.unit_pid(), first, "an unchanged unit was restarted: {:?}", machine.asked());
    let said = machine.said(&["disable"], 0);
    assert!(said.contains("nobody keeps it now"), "{said}");
    assert!(!machine.unit().exists() && machine.daemon().is_none());
    assert!(machine.said(&["disable"], 0).contains("nothing starts this stack at boot"));
}

#[test]
fn where_the_unit_does_not_start_it_is_gone_and_said() {
    let machine = Machine::new();
    drop(accepted(machine.directory.path()));
    std::fs::write(machine.root.path().join("refuse"), "").expect("a file");
    let said = machine.said(&["enable"], 1);
    assert!(
        said.contains("Job for witwd-shop.service failed") && said.contains("status witwd-shop.service` shows why"),
        "{said}"
    );
    assert!(!machine.unit().exists(), "{:?}", machine.asked());
}

#[test]
fn enable_wants_a_stack_that_was_up_a_unit_of_its_own_and_systemd() {
    let machine = Machine::new();
    assert!(machine.said(&["enable"], 3).contains("TAG"));
    std::fs::write(machine.directory.path().join("stack.toml"), STACK.replace("${env.TAG}", "1")).expect("a file");
    assert!(machine.said(&["enable"], 1).contains("never up here"));
    drop(accepted(machine.directory.path()));
    std::fs::create_dir_all(machine.unit().parent().expect("a directory")).expect("a directory");
    std::fs::write(machine.unit(), "[Service]\nExecStart=/bin/true\n").expect("a unit of somebody else");
    assert!(machine.said(&["enable"], 7).contains("not of this directory"));
    let elsewhere = tempfile::tempdir().expect("a root");
    let said =
        machine.verb(&["enable"]).env("WITWD_SYSTEMD_IN_TESTS", elsewhere.path()).assert().code(1).get_output().stderr.clone();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("systemd does not run this machine") && said.contains("`witwd enable --print`"), "{said}");
}
