//! `enable` on a machine that systemd runs: a container that boots it, with a stack below /home. The engine
//! is that of the machine outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::stack::text;
use crate::support::{SOON, TEST, TINY, connect, docker, ended, eventually, remove_labelled, tiny, unique};

/// The machine that all of these tests boot (`images/systemd`).
const IMAGE: &str = "localhost/witwd-test-systemd:latest";

const STACK: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.tcp = true
"#;

/// Who says a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Root,
    Dev,
}

/// A booted machine with a stack of `dev`'s.
struct Machine {
    name: String,
    engine: PathBuf,
    /// The number of the group that may talk to the engine, inside as outside.
    group: u32,
}

impl Machine {
    async fn boot(name: &str) -> Self {
        let engine = connect().await;
        tiny(&engine).await;
        image().await;
        let name = unique(name);
        let path = engine.address().path.clone();
        let group = std::os::unix::fs::MetadataExt::gid(&std::fs::metadata(&path).expect("the engine's socket"));
        let machine = Self { name, engine: path, group };
        machine.run();
        machine.is_up().await;
        machine.root(
            "getent group $1 >/dev/null || groupadd --gid $1 engine; usermod -aG $(getent group $1 | cut -d: -f1) dev",
            &[&group.to_string()],
        );
        let file = STACK.replace("NAME", &machine.name).replace("TINY", TINY);
        machine.dev("mkdir ~/stack && printf %s \"$1\" >~/stack/stack.toml", &[&file]);
        machine
    }

    fn run(&self) {
        let bind = |from: &Path, to: &str| format!("{}:{to}", from.display());
        let (socket, program) = (bind(&self.engine, "/run/engine.sock"), env!("CARGO_BIN_EXE_witwd"));
        let program = bind(Path::new(program), "/usr/local/bin/witwd:ro");
        let (label, name) = (format!("{TEST}={}", self.name), format!("{}-machine", self.name));
        // On a file system of its own: a directory of an overlay may be another one after a boot.
        let home = format!("{}-home", self.name);
        assert!(docker(&["volume", "create", "--label", &label, &home]).status.success());
        let home = format!("{home}:/home");
        let output = docker(&[
            "run",
            "-d",
            "--name",
            &name,
            "--label",
            &label,
            "--network",
            "host",
            "--cap-add",
            "SYS_ADMIN",
            "--security-opt",
            "apparmor=unconfined",
            "--security-opt",
            "seccomp=unconfined",
            "--tmpfs",
            "/run",
            "--tmpfs",
            "/run/lock",
            "--tmpfs",
            "/tmp:exec",
            "-v",
            &socket,
            "-v",
            &program,
            "-v",
            &home,
            IMAGE,
        ]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Waits until it has booted.
    async fn is_up(&self) {
        // Degraded: a unit failed. Which one that was is told by what then does not come.
        let has_booted = async || {
            let state = text(&self.inside(Who::Root, "systemctl is-system-running", &[]).stdout);
            matches!(state.trim(), "running" | "degraded").then_some(())
        };
        eventually(SOON * 3, "systemd has booted", has_booted).await;
    }

    /// A line of shell inside.
    fn inside(&self, who: Who, line: &str, words: &[&str]) -> Output {
        let container = format!("{}-machine", self.name);
        let mut command = Command::new("docker");
        command.args(["exec", "-e", "DOCKER_HOST=unix:///run/engine.sock"]);
        match who {
            Who::Root => &mut command,
            Who::Dev => command.args(["-u", &format!("dev:{}", self.group), "-e", "XDG_RUNTIME_DIR=/run/user/1000"]),
        };
        command.args([&container, "bash", "-c", line, "bash"]).args(words);
        ended(command)
    }

    fn good(&self, who: Who, line: &str, words: &[&str]) -> String {
        let output = self.inside(who, line, words);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{who:?}: {line} {words:?}\n{out}\n{err}");
        out + &err
    }

    fn root(&self, line: &str, words: &[&str]) -> String {
        self.good(Who::Root, line, words)
    }

    fn dev(&self, line: &str, words: &[&str]) -> String {
        self.good(Who::Dev, line, words)
    }

    /// A verb of ours in the directory of the stack.
    fn witwd(&self, who: Who, words: &[&str]) -> String {
        self.good(who, "cd ~dev/stack && exec witwd \"$@\"", words)
    }

    /// The document of `ps`.
    fn ps(&self, who: Who) -> Option<Value> {
        serde_json::from_slice(&self.inside(who, "cd ~dev/stack && exec witwd ps --json", &[]).stdout).ok()
    }

    /// The document of `ps`, once somebody keeps the stack and all of it is ready.
    async fn is_kept(&self, who: Who) -> Value {
        let kept = async || {
            let status = self.ps(who)?;
            (status["converged"] == true && status["daemon"]["pid"].is_u64()).then_some(status)
        };
        eventually(SOON * 2, "the stack is kept", kept).await
    }

    /// The container of the service: its id and when it was started.
    fn web(&self) -> String {
        let name = format!("{}-web-1", self.name);
        text(&docker(&["inspect", "-f", "{{.Id}} {{.State.StartedAt}}", &name]).stdout)
    }

    /// Switches it off and on again; what ran on the engine went with it, as on a real one.
    async fn reboots(&self) {
        let (machine, web) = (format!("{}-machine", self.name), format!("{}-web-1", self.name));
        assert!(docker(&["stop", "-t", "20", &machine]).status.success());
        assert!(self.web() == "\n" || docker(&["stop", "-t", "1", &web]).status.success());
        assert!(docker(&["start", &machine]).status.success());
        self.is_up().await;
    }

    fn told(&self) -> String {
        text(&self.inside(Who::Root, "journalctl --no-pager -n 60; cat ~dev/stack/.witwd/daemon.log", &[]).stdout)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.told());
        }
        remove_labelled(&[], &format!("{TEST}={}", self.name));
        remove_labelled(&[], &format!("dev.witwd.stack={}", self.name));
    }
}

async fn image() {
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("images/systemd/build");
        let mut command = Command::new(script);
        command.env("WITWD_IMAGE", IMAGE);
        let output = ended(command);
        assert!(output.status.success(), "images/systemd/build: {}", text(&output.stderr));
    })
    .await;
}

/// What was taken down stays down over a boot, and nobody goes on with what is done; its container once it is up again.
async fn stays_down(machine: &Machine) -> String {
    machine.witwd(Who::Dev, &["down"]);
    machine.reboots().await;
    let serves = async || machine.ps(Who::Dev)?["daemon"]["pid"].as_u64();
    eventually(SOON, "its daemon serves again", serves).await;
    let events = machine.witwd(Who::Dev, &["events"]);
    assert!(machine.web() == "\n" && !events.contains("a daemon died before it was done"), "{events}");
    machine.witwd(Who::Dev, &["up", "-d"]);
    machine.is_kept(Who::Dev).await;
    machine.web()
}

/// A stack that systemd keeps for `who` is back after its daemon died and after a reboot, and goes on
/// when the unit goes.
async fn is_kept_for(who: Who, machine: &Machine) {
    let status = machine.is_kept(Who::Dev).await;
    let (web, pid) = (machine.web(), status["daemon"]["pid"].as_u64().expect("a process"));
    let said = machine.witwd(who, &["enable"]);
    assert!(said.contains(&format!("witwd-{}.service keeps the stack", machine.name)), "{said}");
    let unit = machine.is_kept(Who::Dev).await["daemon"]["pid"].as_u64().expect("a process");
    assert!(unit != pid && machine.web() == web, "{said}");

    machine.root("kill -9 $1", &[&unit.to_string()]);
    let back = async || machine.is_kept(Who::Dev).await["daemon"]["pid"].as_u64().filter(|pid| *pid != unit);
    eventually(SOON, "systemd started it again", back).await;
    assert_eq!(machine.web(), web, "it touched what runs");

    machine.reboots().await;
    machine.is_kept(Who::Dev).await;
    let again = machine.web();
    assert!(again != web && again.split(' ').next() == web.split(' ').next(), "{web} {again}");

    let again = stays_down(machine).await;

    // The same container goes on without anybody.
    machine.witwd(who, &["disable"]);
    assert_eq!(machine.web(), again);
    machine.witwd(Who::Dev, &["down"]);
    assert_eq!(machine.web(), "\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_below_home_is_kept_by_the_systemd_of_its_user() {
    let machine = Machine::boot("of-user").await;
    machine.root("loginctl enable-linger dev", &[]);
    let runs = async || machine.inside(Who::Dev, "systemctl --user is-active default.target", &[]).status.success();
    eventually(SOON, "the user's own systemd runs", async || runs().await.then_some(())).await;
    machine.witwd(Who::Dev, &["up", "-d"]);
    is_kept_for(Who::Dev, &machine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_below_home_is_kept_by_the_systemd_of_the_machine_as_its_owner() {
    let machine = Machine::boot("of-system").await;
    machine.witwd(Who::Dev, &["up", "-d"]);
    let unit = machine.witwd(Who::Root, &["enable", "--print"]);
    assert!(unit.contains("\nUser=1000\n"), "{unit}");
    is_kept_for(Who::Root, &machine).await;
    let verified = machine.root(
        "cd ~dev/stack && witwd enable --print >/tmp/witwd-$1.service && systemd-analyze verify /tmp/witwd-$1.service",
        &[&machine.name],
    );
    assert!(!verified.contains(&machine.name), "{verified}");
}
