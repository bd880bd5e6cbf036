//! A test's own corner of the engine: unique names, a small image, and a guard that takes away
//! what the test made, by its label and nothing else.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;
use witwd::engine::docker::{DockerEngine, Surroundings};
use witwd::engine::request::{CreateContainer, CreateNetwork, CreateVolume, Scope, Streams};
use witwd::engine::{Engine, EngineError};
use witwd::host::SystemClock;
use witwd::model::container::{Hardening, LogBounds};
use witwd::model::name::{ContainerId, InstanceId, ReplicaKey, StackName};
use witwd::model::observed::{Container, Identity};
use witwd::model::workload::KindName;

/// The label that says which test made a thing.
pub const TEST: &str = "dev.witwd.test";

/// The image that all tests share: `/tiny` and nothing else (`images/tiny`). It is left on the engine
/// for the next time.
pub const TINY: &str = "localhost/witwd-test-tiny:latest";

/// How long a state may take to come about.
pub const SOON: Duration = Duration::from_secs(20);

/// A name that begins with `name` and that no other test of this machine has.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t-{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One test's corner of the engine.
pub struct TestEngine {
    /// The engine.
    pub engine: DockerEngine,
    /// A stack name of this test alone.
    pub stack: StackName,
    /// The instance that owns it.
    pub instance: InstanceId,
    /// A directory that is removed with it.
    pub directory: tempfile::TempDir,
}

impl TestEngine {
    /// A corner whose names begin with `name`.
    pub async fn new(name: &str) -> Self {
        let engine = connect().await;
        tiny(&engine).await;
        Self::on(engine, name)
    }

    /// A corner of this engine, which has the small image.
    pub fn on(engine: DockerEngine, name: &str) -> Self {
        let unique = unique(name);
        Self {
            engine,
            stack: unique.parse().expect("a name of a stack"),
            instance: InstanceId(format!("instance-of-{unique}")),
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// What is asked for when the test looks at the world.
    pub fn scope(&self) -> Scope {
        Scope::of(&self.stack)
    }

    /// A container of the small image that runs `words`, not yet made.
    pub fn container(&self, name: &str, words: &[&str]) -> CreateContainer {
        let key = ReplicaKey { name: name.parse().expect("a name"), replica: 1 };
        CreateContainer {
            name: self.stack.container(&key),
            image: TINY.to_owned(),
            platform: None,
            identity: Identity {
                stack: self.stack.clone(),
                kind: KindName::Service,
                key,
                spec: None,
                secrets: None,
                instance: self.instance.clone(),
                directory: self.directory.path().display().to_string(),
            },
            labels: BTreeMap::from([(TEST.to_owned(), self.stack.to_string())]),
            data_name: self.stack.clone(),
            env: BTreeMap::new(),
            command: Some(words.iter().map(|word| (*word).to_owned()).collect()),
            entrypoint: None,
            workdir: None,
            user: None,
            hostname: name.to_owned(),
            network: None,
            aliases: Vec::new(),
            extra_hosts: Vec::new(),
            ports: Vec::new(),
            remembered: Vec::new(),
            asked: std::collections::BTreeSet::new(),
            mounts: Vec::new(),
            tmpfs: Vec::new(),
            shm_size: None,
            ulimits: BTreeMap::new(),
            memory: None,
            milli_cpus: None,
            stop_signal: None,
            stop_grace: Duration::from_secs(1),
            logs: Some(LogBounds::default()),
            hardening: Hardening::default(),
            streams: Streams::Log,
        }
    }

    /// The network of this test's stack, not yet made.
    pub fn network(&self) -> CreateNetwork {
        CreateNetwork {
            name: self.stack.network(),
            stack: self.stack.clone(),
            instance: self.instance.clone(),
            directory: "/nowhere".to_owned(),
        }
    }

    /// A volume of this test's stack, not yet made.
    pub fn volume(&self, name: &str) -> CreateVolume {
        CreateVolume {
            name: self.stack.volume(&name.parse().unwrap()),
            volume: name.to_owned(),
            stack: self.stack.clone(),
            instance: self.instance.clone(),
            directory: "/nowhere".to_owned(),
            of_image: false,
            data_of: None,
            trial_of: None,
            driver: None,
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }

    /// Makes and starts a container that runs `words`.
    pub async fn run(&self, name: &str, words: &[&str]) -> ContainerId {
        let id = self.engine.create(&self.container(name, words)).await.expect("made");
        self.engine.start(&id).await.expect("started");
        id
    }

    /// One container as an observation shows it.
    pub async fn seen(&self, id: &ContainerId) -> Option<Container> {
        let world = self.engine.observe(&self.scope()).await.expect("observed");
        world.containers.into_iter().find(|container| &container.id == id)
    }

    /// Waits until a container is in the state called `word`.
    pub async fn until_state(&self, id: &ContainerId, word: &str) -> Container {
        eventually(SOON, &format!("container {id} is {word}"), async || {
            self.seen(id).await.filter(|container| container.state.word() == word)
        })
        .await
    }

    /// The small image with one instruction of a Dockerfile more, of this test alone and removed
    /// with it; returns its reference.
    pub async fn image(&self, instruction: &str) -> String {
        let tag = format!("localhost/{}:1", self.stack);
        let id = self.engine.create(&self.container("image", &["sleep"])).await.expect("made");
        let label = format!("LABEL {TEST}={}", self.stack);
        let output = docker(&["commit", "--change", instruction, "--change", &label, &id.0, &tag]);
        assert!(output.status.success(), "docker commit: {}", String::from_utf8_lossy(&output.stderr));
        self.engine.remove(&id).await.expect("removed");
        tag
    }
}

impl Drop for TestEngine {
    fn drop(&mut self) {
        let socket = format!("unix://{}", self.engine.address().path.display());
        remove_labelled(&["-H", &socket], &format!("dev.witwd.stack={}", self.stack));
        let made = format!("label={TEST}={}", self.stack);
        // Also what a build left half-way; children go first, and take their parents with them.
        for _ in 0..2 {
            remove(&["-H", &socket], &["image", "ls", "-aq", "--no-trunc", "--filter", &made], &["image", "rm", "-f"]);
        }
    }
}

/// The engine of this machine.
pub async fn connect() -> DockerEngine {
    let clock = Arc::new(SystemClock::new());
    match DockerEngine::connect(Surroundings::of_process(), clock).await {
        Ok(engine) => engine,
        Err(error) => panic!("these tests need a container engine: {error}; {}", error.hint()),
    }
}

/// What `docker inspect` says of an object, as JSON.
pub fn inspect(object: &str) -> serde_json::Value {
    let output = docker(&["inspect", object]);
    let objects: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON of docker inspect");
    objects[0].clone()
}

/// How long a command may take: one that takes longer hangs, and a test that hangs tells nobody why.
pub const ENDLESS: Duration = Duration::from_secs(8 * 60);

/// Runs a command to its end; fails, and kills it, where it does not come to one.
pub fn ended(command: Command) -> Output {
    let shown = format!("{command:?}");
    let output = assert_cmd::Command::from_std(command).timeout(ENDLESS).output();
    let output = output.unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert_ne!(output.status.signal(), Some(9), "was killed, or did not end within {ENDLESS:?}: {shown}\n{output:?}");
    output
}

/// Waits for the end of a process; fails, and kills it, where it does not come to one.
pub fn end_of(child: &mut Child) -> ExitStatus {
    let pause = Duration::from_millis(20);
    for _ in 0..ENDLESS.as_millis() / pause.as_millis() {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        std::thread::sleep(pause);
    }
    let _ = child.kill();
    panic!("process {} did not end within {ENDLESS:?}", child.id());
}

/// Runs the engine's own command line: for what the adapter must not be trusted with in its test.
pub fn docker(words: &[&str]) -> Output {
    let mut command = Command::new("docker");
    command.args(words);
    ended(command)
}

/// Removes all that carries this label, `name=value`; `engine` are the options that say on which engine.
pub fn remove_labelled(engine: &[&str], label: &str) {
    let ours = format!("label={label}");
    remove(engine, &["ps", "-aq", "--no-trunc", "--filter", &ours], &["rm", "-f", "-v"]);
    remove(engine, &["network", "ls", "-q", "--filter", &ours], &["network", "rm"]);
    remove(engine, &["volume", "ls", "-q", "--filter", &ours], &["volume", "rm"]);
}

/// Removes what `list` lists.
fn remove(engine: &[&str], list: &[&str], command: &[&str]) {
    let listed = docker(&[engine, list].concat());
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let objects: Vec<&str> = listed.split_whitespace().collect();
    if !objects.is_empty() {
        docker(&[engine, command, &objects].concat());
    }
}

/// Looks until `check` finds what it looks for; fails after `limit`, saying `what` did not happen.
pub async fn eventually<T>(limit: Duration, what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    let found = tokio::time::timeout(limit, looking).await;
    found.unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
}

/// Set where a test was handed to another user, who finds all made.
pub const HANDED_OVER: &str = "WITWD_TEST_HANDED_OVER";

/// Makes the small image where it is not there as it should be.
pub async fn tiny(engine: &DockerEngine) {
    static MADE: OnceCell<()> = OnceCell::const_new();
    if std::env::var_os(HANDED_OVER).is_some() {
        return;
    }
    MADE.get_or_init(|| async {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("images/tiny/build");
        let output = Command::new(script).env("WITWD_IMAGE", TINY).output().expect("images/tiny/build");
        assert!(output.status.success(), "images/tiny/build: {}", String::from_utf8_lossy(&output.stderr));
        engine.image(TINY).await.expect("the small image");
    })
    .await;
}

/// An image of one file that can't be run.
pub fn import(file: &Path, directory: &Path, tag: &str, change: &str) {
    let archive = directory.join("image.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&archive).expect("a file"));
    tar.append_path_with_name(file, "content").expect("packed");
    tar.finish().expect("packed");
    let output = docker(&["import", "--change", change, &archive.display().to_string(), tag]);
    assert!(output.status.success(), "docker import: {}", String::from_utf8_lossy(&output.stderr));
}

/// The kind of a failure.
pub fn kind<T: std::fmt::Debug>(outcome: Result<T, EngineError>) -> witwd::engine::ErrorKind {
    outcome.expect_err("a failure").kind
}

/// Words as a command takes them.
pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
