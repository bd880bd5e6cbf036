//! An engine of a test's own, for what must not be done to the engine of this machine: starved,
//! stopped, killed, started again.
//!
//! It lives in namespaces of its own, which outlive it: its bridges, rules and address pools are no
//! business of the machine, and it is there again after a restart. `witwd` reaches its containers from
//! inside the network namespace.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use witwd::engine::docker::{DockerEngine, Surroundings};
use witwd::host::SystemClock;

use crate::namespaces::{Namespaces, remove_cgroups};
use crate::support::{HANDED_OVER, TINY, connect, docker, ended, eventually, tiny};

/// How long the engine may take until it answers.
const ANSWERS: Duration = Duration::from_secs(60);
/// What dockerd says when its containerd took longer than the 15 s it is given.
const GAVE_UP: &str = "timeout waiting for containerd to start";
/// How often it may give up.
const GIVES_UP: usize = 3;
/// A `dockerd` of this test alone. All that it made goes with it, also when the test fails.
pub struct PrivateEngine {
    directory: tempfile::TempDir,
    /// Where its data lies.
    data: PathBuf,
    namespaces: Namespaces,
    daemon: Option<Child>,
    cgroup: String,
}

/// Whether this test was run by root, for only root starts an engine: where it is another user's, root runs
/// it now, through `sudo`, which the bootstrap of this repository asks for too.
pub async fn handed_to_root() -> bool {
    if rustix::process::geteuid().is_root() {
        return false;
    }
    tiny(&connect().await).await;
    let thread = std::thread::current();
    let name = thread.name().filter(|name| name.contains("::")).expect("a thread that has the name of its test");
    let mut command = Command::new("sudo");
    command.args(["env", &format!("{HANDED_OVER}=1")]).arg(std::env::current_exe().expect("our own program"));
    command.args([name, "--exact"]);
    let output = ended(command);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "as root: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    true
}

impl PrivateEngine {
    /// An engine with these settings (as in `daemon.json`) beside ours, with the small image in it.
    pub async fn start(settings: Value) -> Self {
        Self::start_in(settings, None).await
    }

    /// The same; its data lies below this directory.
    pub async fn start_in(settings: Value, disk: Option<&Path>) -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test starts an engine of its own: see `handed_to_root`");
        let machine = connect().await;
        tiny(&machine).await;
        let directory = tempfile::tempdir().expect("a directory");
        let cgroup = directory.path().file_name().expect("a name").to_string_lossy().replace('.', "witwd-test-");
        let namespaces = Namespaces::open(&directory.path().join("complaints"));
        let data = disk.map_or_else(|| directory.path().join("data"), |disk| disk.join("data"));
        let mut engine = Self { directory, data, namespaces, daemon: None, cgroup };
        engine.configure(settings);
        engine.launch().await;
        engine.load(TINY);
        engine
    }

    /// Writes its settings: they hold from its next launch on.
    pub fn configure(&self, settings: Value) {
        let mut all = json!({
            "cgroup-parent": format!("/{}", self.cgroup),
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
        });
        let driver = String::from_utf8_lossy(&docker(&["info", "--format", "{{.Driver}}"]).stdout).trim().to_owned();
        // Where the machine's engine needs another one than the engine would choose by itself.
        if driver == "fuse-overlayfs" {
            all["storage-driver"] = driver.into();
        }
        if let (Some(all), Value::Object(settings)) = (all.as_object_mut(), settings) {
            all.extend(settings);
        }
        std::fs::write(self.path("daemon.json"), all.to_string()).expect("writing daemon.json");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the daemon, also again after [`Self::kill`], and waits until it answers. Where it gave up
    /// waiting for its containerd, as on a machine that is busy, it is started again, as systemd would.
    pub async fn launch(&mut self) {
        for gave_up_before in 0..GIVES_UP {
            self.spawn();
            let answers = eventually(ANSWERS, "the engine of this test answers or has ended", async || {
                let ended = self.daemon.as_mut().and_then(|daemon| daemon.try_wait().expect("its state"));
                match ended {
                    Some(_) => Some(false),
                    None => self.docker(&["version"]).status.success().then_some(true),
                }
            });
            if answers.await {
                return;
            }
            let log = self.log();
            assert!(log.matches(GAVE_UP).count() > gave_up_before, "dockerd ended:\n{log}");
        }
        panic!("dockerd gave up {GIVES_UP} times:\n{}", self.log());
    }

    fn spawn(&mut self) {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.path("log")).expect("a log");
        let mut command = self.inside("dockerd");
        command.arg("--config-file").arg(self.path("daemon.json")).arg("--data-root").arg(&self.data);
        command.arg("--exec-root").arg(self.path("exec")).arg("-p").arg(self.path("pid")).args(["-H", &self.host()]);
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        self.daemon = Some(command.spawn().expect("dockerd, of Debian's package docker.io"));
    }

    /// Gives it an image of the engine of this machine.
    pub fn load(&self, image: &str) {
        let archive = self.path("image.tar");
        let file = archive.display().to_string();
        assert!(docker(&["save", "-o", &file, image]).status.success(), "docker save {image}");
        let loaded = self.docker(&["load", "-i", &file]);
        assert!(loaded.status.success(), "docker load: {}", String::from_utf8_lossy(&loaded.stderr));
        std::fs::remove_file(archive).expect("removing the archive");
    }

    /// A command that runs in the engine's namespaces.
    pub fn inside(&self, program: &str) -> Command {
        self.namespaces.inside(program)
    }

    /// Where it lives.
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// Where it listens, as `DOCKER_HOST` says it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.path("docker.sock")
    }

    /// The network that its containers are reached from.
    pub fn network(&self) -> String {
        self.namespaces.network_file()
    }

    /// Where its data lies.
    pub fn data_root(&self) -> PathBuf {
        self.data.clone()
    }

    /// Our adapter, speaking to it.
    pub fn adapter(&self) -> DockerEngine {
        let surroundings = Surroundings { docker_host: Some(self.host()), ..Surroundings::of_process() };
        DockerEngine::locate(surroundings, Arc::new(SystemClock::new())).expect("an address")
    }

    /// Runs the engine's own command line on it.
    pub fn docker(&self, words: &[&str]) -> Output {
        docker(&[&["-H", &self.host()], words].concat())
    }

    /// Runs the engine's own command line on it, which must succeed; returns what it printed.
    pub fn done(&self, words: &[&str]) -> String {
        let output = self.docker(words);
        assert!(output.status.success(), "docker {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Sends a signal to the daemon: `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.path("pid")).expect("the daemon's process id");
        self.signal_process(signal, pid.trim());
    }

    /// Sends a signal to a process by its id as the engine sees it.
    pub fn signal_process(&self, signal: &str, pid: &str) {
        let sent = self.inside("kill").args(["-s", signal, pid]).status().expect("kill");
        assert!(sent.success(), "kill -s {signal} {pid}");
    }

    /// Stops the daemon as `kill -STOP` does, until the guard is dropped: it accepts and never answers.
    pub fn hang(&self) -> Hanging<'_> {
        self.signal("STOP");
        Hanging(self)
    }

    /// Ends the daemon as `kill -9` does; its containers run on until it is launched again.
    pub fn kill(&mut self) {
        self.signal("KILL");
        if let Some(mut daemon) = self.daemon.take() {
            daemon.wait().expect("its end");
        }
    }

    /// Waits for the end of the daemon, which was asked to.
    pub fn ended(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            crate::support::end_of(&mut daemon);
        }
    }

    /// What the daemon said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

/// An engine that hangs. It goes on when this is dropped, also where a test fails meanwhile.
pub struct Hanging<'a>(&'a PrivateEngine);

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.signal("CONT");
        // Who started it stops with it, as a shell's job does.
        if let Some(daemon) = &self.0.daemon {
            let _ = Command::new("kill").args(["-s", "CONT", &daemon.id().to_string()]).status();
        }
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the engine said, newest first:\n{}", last.join("\n"));
        }
        self.namespaces.end();
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.wait();
        }
        remove_cgroups(&self.cgroup);
    }
}
