//! `up -d` where a unit keeps the stack, on the real engine; a script stands in for systemd.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use crate::stack::{TestStack, text};
use crate::support::ended;

const WEB: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.tcp = true
"#;

/// A machine that systemd seems to run, for one stack.
struct Machine {
    stack: TestStack,
    root: tempfile::TempDir,
}

impl Machine {
    async fn new(name: &str) -> Self {
        let (stack, root) = (TestStack::new(name, WEB).await, tempfile::tempdir().expect("a root"));
        std::fs::create_dir_all(root.path().join("run/systemd/system")).expect("a directory");
        std::fs::create_dir(root.path().join("bin")).expect("a directory");
        for (name, script) in [("systemctl", include_str!("../systemctl")), ("loginctl", "#!/bin/sh\nexit 1\n")] {
            let program = root.path().join("bin").join(name);
            std::fs::write(&program, script).expect("a script");
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        }
        Self { stack, root }
    }

    fn command(&self, words: &[&str]) -> Command {
        let is_root = rustix::process::geteuid().is_root();
        let (of, target) = if is_root { ("system", "multi-user") } else { ("user", "default") };
        let path = format!("{}/bin:{}", self.root.path().display(), std::env::var("PATH").expect("a path"));
        let mut command = self.stack.command(words);
        command.env("PATH", path).env("WITWD_SYSTEMD_IN_TESTS", self.root.path());
        command.env("XDG_CONFIG_HOME", self.root.path().join("etc")).env("OF", of).env("TARGET", target);
        command
    }

    /// What a verb that must succeed says to a person.
    fn said(&self, words: &[&str]) -> String {
        let Output { status, stderr, .. } = ended(self.command(words));
        assert!(status.success(), "{words:?}: {}{}", text(&stderr), self.stack.log());
        text(&stderr)
    }

    /// The process of the unit.
    fn unit(&self) -> Option<u64> {
        std::fs::read_to_string(self.root.path().join("pid")).ok()?.trim().parse().ok()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Where the test went through it was disabled already.
        let _ = self.command(&["disable"]).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_leaves_the_stack_to_its_unit_and_says_that_it_lasts() {
    let machine = Machine::new("boots").await;
    let said = machine.said(&["up", "-d"]);
    assert!(said.contains("a reboot stops the stack: `witwd enable`"), "{said}");
    let before = machine.stack.identities();
    machine.said(&["enable"]);
    let unit = machine.unit().expect("a process");
    assert_eq!(machine.stack.daemon_pid(), unit);
    let said = machine.said(&["up", "-d"]);
    let lasts = |said: &str| said.contains(".service starts it again at boot") && !said.contains("a reboot stops");
    assert!(lasts(&said), "{said}");
    assert_eq!(machine.stack.daemon_pid(), unit, "it goes on");

    // Nobody keeps it for the moment: an `up` has the unit do so, not a daemon of its own.
    let stopped = Command::new(machine.root.path().join("bin/systemctl")).args(["stop", "any"]).status();
    assert!(stopped.expect("the script").success() && machine.stack.ps()["daemon"].is_null());
    let said = machine.said(&["up", "-d"]);
    assert!(lasts(&said), "{said}");
    assert_eq!(Some(machine.stack.daemon_pid()), machine.unit());
    assert_eq!(machine.stack.identities(), before, "the stack itself ran on");
    machine.said(&["disable"]);
    assert!(machine.said(&["up", "-d"]).contains("a reboot stops the stack"));
}
