//! The command line beside a daemon that a test plays: joining, leaving, refusing, being told no.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use witwd::control::protocol::{Fault, Hello, Up, VERSION};
use witwd::control::{Admission, ControlSocket, Downs, Loader, Peer, Records, Service, SocketAccess, serve};
use witwd::host::SystemDisk;
use witwd::host::lock::{StackLock, acquire};
use witwd::host::runtime::keep_socket_address;
use witwd::model::preview::Preview;
use witwd::model::status::{EngineStatus, EventRecord, FileStatus, ItemStatus, Status};
use witwd::supervisor::{self, Command, Ends, Known, Published};

use super::cli::witwd as command;
use super::control::FakeLoader;

const STACK: &str = "name = \"shop\"\n[services.web]\nimage = \"app:1\"\nenv = { TOKEN = \"${env.TOKEN:-none}\" }\n";

/// Refuses everything, and remembers what was asked.
#[derive(Default)]
struct Refusing(std::sync::Mutex<Vec<Up>>);

#[async_trait]
impl Loader for Refusing {
    async fn load(&self, up: Up, _: Peer) -> Result<(supervisor::Up, Vec<String>), Fault> {
        self.0.lock().expect("no panic").push(up);
        let hint = "`witwd down` there frees the name; `witwd --name NAME up` takes another one here".to_owned();
        let message = "a stack named shop belongs to /srv/shop (its daemon (process 7) runs): shop-web-1";
        Err(Fault { hint: Some(hint), ..Fault::new("held", message) })
    }

    async fn preview(&self, _: Up, _: Option<Known>) -> Result<Preview, Fault> {
        Err(Fault::new("refused", "not asked for here"))
    }
}

/// Refuses in words that are in no list.
struct Unlisted;

#[async_trait]
impl Loader for Unlisted {
    async fn load(&self, _: Up, _: Peer) -> Result<(supervisor::Up, Vec<String>), Fault> {
        Err(Fault { hint: Some("nor this".into()), ..Fault::new("refused", "nobody wrote this down") })
    }

    async fn preview(&self, _: Up, _: Option<Known>) -> Result<Preview, Fault> {
        Err(Fault::new("refused", "not asked for here"))
    }
}

/// A daemon whose supervisor is `ends`.
pub struct Daemon {
    directory: tempfile::TempDir,
    pub ends: Ends,
    _lock: StackLock,
    records: Arc<Records>,
}

impl Daemon {
    pub fn start() -> Self {
        Self::with(Arc::new(Refusing::default()))
    }

    /// One that reads files so.
    fn with(loader: Arc<dyn Loader>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("stack.toml"), STACK).expect("a file");
        let state = directory.path().join(".witwd");
        let lock = acquire(&state, Timestamp::UNIX_EPOCH).expect("the lock");
        let path: PathBuf = directory.path().join("s");
        keep_socket_address(&SystemDisk, &state, &path).expect("the address");
        let mut socket = ControlSocket::open(&path, SocketAccess::Owner).expect("a socket");
        let (handle, ends) = supervisor::channel(status(directory.path()));
        let hello = Hello {
            v: VERSION,
            version: "0.3.0".into(),
            pid: 1,
            since: Timestamp::UNIX_EPOCH,
            directory: directory.path().into(),
            engine: None,
        };
        let records = Arc::new(Records::open(&state));
        let service = Service {
            hello,
            handle,
            loader,
            records: records.clone(),
            admission: Admission { uid: rustix::process::geteuid().as_raw(), group: None },
            ending: tokio::sync::watch::Sender::new(false),
            downs: tokio::sync::watch::Sender::new(Downs::default()),
        };
        let listener = socket.take_listener().expect("the listener");
        tokio::spawn(async move {
            serve(listener, service).await;
            drop(socket);
        });
        Self { directory, ends, _lock: lock, records }
    }

    pub async fn ask(&self, arguments: &[&str]) -> std::process::Output {
        self.asking(arguments).await.expect("no panic")
    }

    /// Runs the command line while the test plays on.
    pub fn asking(&self, arguments: &[&str]) -> tokio::task::JoinHandle<std::process::Output> {
        let mut asked = command(self.directory.path());
        asked.args(arguments);
        tokio::task::spawn_blocking(move || asked.output().expect("an end"))
    }

    /// Says how things are once the look after this request is over.
    fn publish(&self, generation: u64) {
        let status = Arc::new(self.status(Vec::new()));
        self.ends.published.send_replace(Published { generation, looked: true, status, blocked: Vec::new() });
    }

    /// How things are before anything is asked, but for these items.
    pub fn status(&self, items: Vec<ItemStatus>) -> Status {
        Status { items, ..status(self.directory.path()) }
    }
}

fn status(directory: &Path) -> Status {
    let path = directory.join("stack.toml").display().to_string();
    Status {
        v: 1,
        stack: "shop".into(),
        profiles: Vec::new(),
        file: FileStatus::applied(path),
        daemon: None,
        engine: EngineStatus::Up,
        converged: true,
        reached: true,
        others: Vec::new(),
        items: Vec::new(),
        notes: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ps_and_events_ask_the_daemon_and_need_no_engine() {
    let daemon = Daemon::start();
    let shown = daemon.ask(&["ps", "--json"]).await;
    let document: Status = serde_json::from_slice(&shown.stdout).expect("the document of ps");
    assert_eq!((shown.status.code(), document), (Some(0), status(daemon.directory.path())));
    let (at, detail) = (Timestamp::UNIX_EPOCH, serde_json::Value::Null);
    daemon.records.add(EventRecord { at, kind: "start".into(), target: "web".into(), cause: "no container".into(), detail });
    let shown = daemon.ask(&["events", "--json"]).await;
    let line: EventRecord = serde_json::from_slice(&shown.stdout).expect("an event");
    assert_eq!(line.target, "web");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_told_who_holds_the_stack() {
    let daemon = Daemon::start();
    let refused = daemon.ask(&["--json", "daemon"]).await;
    assert_eq!(refused.status.code(), Some(7));
    let document: serde_json::Value = serde_json::from_slice(&refused.stdout).expect("JSON");
    let message = document["error"]["message"].as_str().expect("a message");
    let directory = daemon.directory.path().canonicalize().expect("a directory");
    assert!(message.contains(&directory.display().to_string()), "{message}");
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_outside_the_list_fails_the_test_that_meets_it() {
    let daemon = Daemon::with(Arc::new(Unlisted));
    daemon.publish(1);
    for words in [&["up", "-d"][..], &["up", "-d", "--json"], &["-q", "up", "-d"]] {
        let said = daemon.ask(words).await;
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(101), "{text}");
        for part in ["outside the list", "code 6 (Refused)", "\"nobody wrote this down\"", "Some(\"nor this\")"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_nothing_is_begun() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("stack.toml"), STACK).expect("a file");
    for arguments in [["up", "-d"].as_slice(), &["up"], &["down"], &["ps"], &["logs"]] {
        let mut asked = command(directory.path());
        let said = asked.args(arguments).output().expect("an end");
        assert_eq!(said.status.code(), Some(4), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    }
    assert!(!directory.path().join(".witwd/daemon.log").exists(), "no daemon was started");
    let said = command(directory.path()).args(["doctor"]).output().expect("an end");
    assert_eq!(said.status.code(), Some(1));
}

/// A daemon that has looked at its engine and then accepted an `up -d`, which waits for the look that follows.
async fn asked_for_an_up() -> (Daemon, tokio::task::JoinHandle<std::process::Output>) {
    let mut daemon = Daemon::with(Arc::new(FakeLoader));
    daemon.publish(1);
    let asked = daemon.asking(&["up", "-d"]);
    let Some(Command::Up(_, answer)) = daemon.ends.commands.recv().await else { panic!("it was not asked") };
    answer.send(2).expect("somebody waits");
    (daemon, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_hangs_since_the_daemon_looked_is_told_and_not_waited_for() {
    let (_daemon, asked) = asked_for_an_up().await;
    let said = asked.await.expect("no panic");
    assert_eq!(said.status.code(), Some(4), "{}", String::from_utf8_lossy(&said.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_that_changes_nothing_is_done_with_the_first_look() {
    let (daemon, asked) = asked_for_an_up().await;
    daemon.publish(2);
    let said = tokio::time::timeout(Duration::from_secs(10), asked).await.expect("nothing more is told").expect("no panic");
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_on_another_machine_is_refused_with_the_way_out() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("stack.toml"), STACK).expect("a file");
    let said = command(directory.path())
        .args(["--json", "up", "-d"])
        .env("DOCKER_HOST", "tcp://10.0.0.7:2375")
        .output()
        .expect("an end");
    assert_eq!(said.status.code(), Some(4));
    let document: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    assert_eq!(document["error"]["code"], "engine_unavailable");
    assert!(document["error"]["hint"].as_str().is_some_and(|hint| hint.contains("ssh")));
}

#[test]
fn a_file_with_mistakes_is_told_whole() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(
        directory.path().join("stack.toml"),
        "name = \"shop\"\n[services.web]\nimag = \"app\"\n[services.api]\nimage = 7\n",
    )
    .expect("a file");
    let said = command(directory.path()).args(["check", "--json"]).output().expect("an end");
    assert_eq!(said.status.code(), Some(3));
    let document: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    assert_eq!((&document["v"], &document["ok"]), (&1.into(), &false.into()));
    let errors = document["errors"].as_array().expect("errors");
    assert!(errors.len() >= 2 && errors.iter().all(|error| error["line"].is_number() && error["file"].is_string()), "{errors:?}");
    let said = command(directory.path()).args(["up", "-d"]).output().expect("an end");
    assert_eq!(said.status.code(), Some(3));
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(text.contains("did you mean `image`?") && text.matches("error: ").count() == 1, "{text}");
}

#[test]
fn a_good_file_is_checked_and_shown_without_an_engine() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("stack.toml"), STACK).expect("a file");
    std::fs::create_dir(directory.path().join("deeper")).expect("a directory");
    let said = command(&directory.path().join("deeper")).args(["check"]).output().expect("an end");
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    let said = command(directory.path()).args(["config"]).env("TOKEN", "abc").output().expect("an end");
    assert!(String::from_utf8_lossy(&said.stdout).contains("abc"));
    let said = command(directory.path()).args(["config", "--origin"]).env("TOKEN", "abc").output().expect("an end");
    assert!(String::from_utf8_lossy(&said.stdout).contains("TOKEN"));
    assert!(!directory.path().join(".witwd").exists(), "looking leaves no trace");
}
