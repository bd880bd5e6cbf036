//! Podman behind its Docker-compatible socket: a stack comes up on it, is healed and goes.

use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use witwd::engine::docker::{DockerEngine, Surroundings};
use witwd::host::SystemClock;

use crate::namespaces::{Namespaces, remove_cgroups, remove_empty_cgroup};
use crate::private::handed_to_root;
use crate::stack::TestStack;
use crate::support::{SOON, TINY, TestEngine, connect, docker, eventually, tiny};

/// How long its service may take until it answers.
const ANSWERS: Duration = Duration::from_secs(30);
/// Below this it keeps the control groups of its containers.
const CGROUPS: &str = "libpod_parent";

/// A `podman system service` of this test alone, with the small image in it. What it made goes with it.
struct Podman {
    directory: tempfile::TempDir,
    namespaces: Namespaces,
    service: Child,
}

impl Podman {
    async fn start() -> Self {
        tiny(&connect().await).await;
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name).display().to_string();
        let settings = format!("[network]\nnetwork_config_dir = {:?}\n[engine]\nlock_type = \"file\"\n", path("networks"));
        std::fs::write(path("containers.conf"), settings).expect("its settings");
        let namespaces = Namespaces::open(&directory.path().join("complaints"));
        // What is the machine's own Podman's is not seen.
        let mounted = namespaces.inside("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).status().expect("mount");
        assert!(mounted.success(), "no /run of its own");
        let mut command = namespaces.inside("podman");
        command.env("CONTAINERS_CONF", path("containers.conf"));
        command.args(["--root", &path("root"), "--runroot", &path("run"), "--tmpdir", &path("tmp")]);
        // What works on every file system, and without systemd.
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
        command.args(["--log-level", "error", "system", "service", "--time", "0"]).arg(format!("unix://{}", path("podman.sock")));
        let log = std::fs::File::create(path("log")).expect("a log");
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        let service = command.spawn().expect("podman, of Debian's package podman");
        let podman = Self { directory, namespaces, service };
        podman.answers().await;
        podman
    }

    async fn answers(&self) {
        let answers = async || docker(&["-H", &self.host(), "version"]).status.success().then_some(());
        let waited = tokio::time::timeout(ANSWERS, eventually(ANSWERS * 2, "it answers", answers)).await;
        assert!(waited.is_ok(), "podman does not answer:\n{}", self.log());
        let archive = self.path("tiny.tar").display().to_string();
        assert!(docker(&["save", "-o", &archive, TINY]).status.success(), "docker save {TINY}");
        self.done(&["load", "-i", &archive]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.path("podman.sock").display())
    }

    /// Our adapter, speaking to it.
    fn adapter(&self) -> DockerEngine {
        let surroundings = Surroundings { docker_host: Some(self.host()), ..Surroundings::of_process() };
        DockerEngine::locate(surroundings, Arc::new(SystemClock::new())).expect("an address")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The processes in its containers that run exactly these words, as its namespaces count them.
    fn processes(&self, words: &str) -> Vec<String> {
        let output = self.namespaces.inside("ps").args(["-e", "-o", "pid,args"]).output().expect("ps, of procps");
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = listed.lines().filter_map(|line| line.trim().split_once(' '));
        lines.filter(|(_, args)| *args == words).map(|(pid, _)| pid.to_owned()).collect()
    }

    async fn kill(&self, words: &str) {
        // What was started is another program until it becomes this one.
        let running = async || Some(self.processes(words)).filter(|processes| !processes.is_empty());
        let processes = eventually(SOON, words, running).await;
        let killed = self.namespaces.inside("kill").arg("-9").args(processes).status().expect("kill");
        assert!(killed.success(), "kill {words}");
    }

    /// Runs the command line of Docker on it, which must succeed; returns what it printed.
    fn done(&self, words: &[&str]) -> String {
        let output = docker(&[&["-H", &self.host()], words].concat());
        assert!(output.status.success(), "docker {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("podman said:\n{}", self.log());
        }
        self.namespaces.end();
        let _ = self.service.wait();
        // What a failed test left: nothing else has these ids.
        let containers = std::fs::read_dir(self.path("root/vfs-containers")).into_iter().flatten().flatten();
        for container in containers.filter(|entry| entry.path().is_dir()) {
            let id = container.file_name().to_string_lossy().into_owned();
            remove_cgroups(&format!("{CGROUPS}/libpod-{id}"));
            remove_cgroups(&format!("{CGROUPS}/libpod-conmon-{id}"));
        }
        remove_empty_cgroup(&format!("{CGROUPS}/conmon"));
        remove_empty_cgroup(CGROUPS);
    }
}

/// One that is asked over TCP and by a command, and one whose command never ends.
const STACK: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
volumes = ["./state:/state:ro"]
readiness = { tcp = true, interval = "200ms" }
liveness = { exec = ["/tiny", "cat", "/state/well"], interval = "200ms", start_period = "0s" }
[services.slow]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8081"]
readiness = { exec = ["/tiny", "run", "sleep"], interval = "200ms", timeout = "300ms" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_up_on_podman_is_healed_and_goes() {
    if handed_to_root().await {
        return;
    }
    let podman = Podman::start().await;
    let stack = TestStack::at(podman.host(), podman.namespaces.all(), "podman", STACK);
    let well = stack.path().join("state/well");
    std::fs::create_dir(stack.path().join("state")).expect("a directory");
    std::fs::write(&well, "").expect("a file");
    stack.done(&["up", "-d", "web"]);
    let web = stack.item("web");
    assert_eq!((&web["ready"], &web["restarts"]), (&true.into(), &0.into()), "{web}");
    assert_eq!(stack.ps()["engine"], "up");
    let is_back = async |restarts: u64| {
        let is_back = |web: &Value| web["ready"] == true && web["restarts"].as_u64() >= Some(restarts);
        eventually(SOON, "web is back", async || Some(stack.item("web")).filter(is_back)).await
    };

    // Its server; Podman's own `kill` would wait for an end that is over before it looks.
    podman.kill("/tiny serve --port 8080").await;
    is_back(1).await;
    std::fs::remove_file(&well).expect("removed");
    let lost = "stop web | liveness lost: exec: exit code 2: tiny: /state/well: No such file";
    eventually(SOON, "it is found to be sick", async || stack.log().contains(lost).then_some(())).await;
    std::fs::write(&well, "").expect("a file");
    is_back(2).await;

    stack.run(&["up", "-d", "--timeout", "1s", "slow"]);
    let is_late = async || stack.item("slow")["cause"].as_str()?.contains("exec: timed out after 0.3s").then_some(());
    eventually(SOON, "its command takes too long", is_late).await;
    // Nobody asks any more: then all such commands are gone.
    stack.done(&["stop", "web"]);
    stack.write(&STACK.replace("interval = \"200ms\", timeout", "interval = \"1h\", start_period = \"0s\", timeout"));
    let is_ended = async || podman.processes("/tiny run sleep").is_empty().then_some(());
    eventually(SOON, "what took too long is ended", is_ended).await;

    stack.done(&["down"]);
    assert!(!stack.log().contains("engine-down"), "each answer was understood:\n{}", stack.log());
    assert_eq!(podman.done(&["ps", "-aq"]), "");
    assert_eq!(podman.done(&["network", "ls", "-q", "--filter", &format!("name={}", stack.name)]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_podman_still_clears_up_after_is_understood() {
    if handed_to_root().await {
        return;
    }
    let podman = Podman::start().await;
    let test = TestEngine::on(podman.adapter(), "ends");
    let id = test.run("web", &["sleep"]).await;
    podman.kill("/tiny sleep").await;
    // For a while it is neither running nor exited, and each look must be answered all the same.
    let ended = async || test.seen(&id).await.filter(|container| container.state.word() == "exited");
    eventually(SOON, "its end is seen", ended).await;
}
