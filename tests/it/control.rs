//! The control server over a real Unix socket, with a supervisor that a test plays itself.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use witwd::control::protocol::{self, Fault, Hello, Line, Request};
use witwd::control::{
    Admission, Client, ClientError, ConnectError, ControlSocket, Downs, Loader, Peer, Records, Service, SocketAccess, serve,
};
use witwd::model::preview::Preview;
use witwd::model::stack::{DaemonSettings, Stack, StackParts};
use witwd::model::status::{EngineStatus, EventRecord, FileStatus, Status};
use witwd::model::wish::{Refusal, Wish};
use witwd::supervisor::{self, Command, Ends, Known, Published};

fn status(converged: bool) -> Status {
    let file = FileStatus::applied("stack.toml".into());
    Status {
        v: 1,
        stack: "shop".into(),
        profiles: Vec::new(),
        file,
        daemon: None,
        engine: EngineStatus::Up,
        converged,
        reached: converged,
        others: Vec::new(),
        items: Vec::new(),
        notes: Vec::new(),
    }
}

fn record(target: &str) -> EventRecord {
    let at = Timestamp::UNIX_EPOCH;
    EventRecord { at, kind: "start".into(), target: target.into(), cause: "no container".into(), detail: serde_json::Value::Null }
}

/// Loads an empty stack, or refuses a profile named `broken`.
pub struct FakeLoader;

#[async_trait]
impl Loader for FakeLoader {
    async fn load(&self, up: protocol::Up, _: Peer) -> Result<(supervisor::Up, Vec<String>), Fault> {
        if up.profiles == ["broken"] {
            return Err(Fault::new("invalid_file", "stack.toml is invalid: 1 problem"));
        }
        let parts = StackParts {
            renamed_from: None,
            name: "shop".parse().expect("a name"),
            directory: PathBuf::from("/shop"),
            profiles: up.profiles,
            workloads: Vec::new(),
            volumes: [].into(),
            secrets: [].into(),
            daemon: DaemonSettings::default(),
        };
        let stack = Arc::new(Stack::new(parts).expect("a stack"));
        let up = supervisor::Up { build: up.build, pull: up.pull, ..supervisor::Up::of(stack) };
        Ok((up, vec!["a warning".into()]))
    }

    async fn preview(&self, up: protocol::Up, known: Option<Known>) -> Result<Preview, Fault> {
        let stack = if known.is_some() { "known" } else { "unknown" }.to_owned();
        Ok(Preview {
            v: 1,
            stack,
            changes: up.pull,
            actions: Vec::new(),
            blocked: Vec::new(),
            held: Vec::new(),
            notes: Vec::new(),
        })
    }
}

/// A daemon whose supervisor is `ends`.
pub struct Played {
    directory: tempfile::TempDir,
    /// The supervisor's part.
    pub ends: Ends,
    service: Service,
    server: tokio::task::JoinHandle<()>,
}

impl Played {
    /// Serves in this runtime.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut socket = ControlSocket::open(&directory.path().join("s"), SocketAccess::Owner).expect("a socket");
        let (handle, ends) = supervisor::channel(status(false));
        let hello = Hello {
            v: protocol::VERSION,
            version: "0.3.0".into(),
            pid: std::process::id(),
            since: Timestamp::UNIX_EPOCH,
            directory: directory.path().to_owned(),
            engine: None,
        };
        let records = Arc::new(Records::open(directory.path()));
        let admission = Admission { uid: rustix::process::geteuid().as_raw(), group: None };
        let (ending, downs) = (tokio::sync::watch::Sender::new(false), tokio::sync::watch::Sender::new(Downs::default()));
        let service = Service { hello, handle, loader: Arc::new(FakeLoader), records, admission, ending, downs };
        let listener = socket.take_listener().expect("the listener");
        let serving = service.clone();
        let server = tokio::spawn(async move {
            serve(listener, serving).await;
            drop(socket);
        });
        Self { directory, ends, service, server }
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }

    async fn client(&self) -> Client {
        Client::connect(&self.socket()).await.expect("a daemon")
    }

    /// Sends raw bytes and returns what comes back until the connection closes.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).await.expect("connecting");
        // A server that has seen enough hangs up while we still write.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut answer)).await.expect("an end");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn publish(&self, generation: u64, converged: bool) {
        self.ends.published.send_replace(Published {
            generation,
            looked: true,
            status: Arc::new(status(converged)),
            blocked: Vec::new(),
        });
    }
}

async fn next(lines: &mut witwd::control::Lines) -> Line {
    let line = tokio::time::timeout(Duration::from_secs(5), lines.next()).await.expect("a line in time");
    line.expect("a line that can be read").expect("a line")
}

#[tokio::test]
async fn a_daemon_says_who_it_is_and_how_things_are() {
    let daemon = Played::start();
    let client = daemon.client().await;
    assert_eq!(client.hello().pid, std::process::id());
    assert_eq!(client.status().await.expect("a status"), status(false));
}

#[tokio::test]
async fn an_up_is_accepted_and_followed_until_the_daemon_ends() {
    let mut daemon = Played::start();
    let client = daemon.client().await;
    let up = protocol::Up { pull: true, profiles: vec!["prod".into()], ..protocol::Up::default() };
    let asked = tokio::spawn(async move { client.lines(&Request::Up(Box::new(up))).await.expect("an answer") });
    let Some(Command::Up(up, answer)) = daemon.ends.commands.recv().await else { panic!("an up") };
    assert!(up.pull && !up.build && up.stack.profiles() == ["prod"]);
    answer.send(7).expect("somebody waits");
    let mut lines = asked.await.expect("the client");
    assert_eq!(next(&mut lines).await, Line::Accepted { generation: 7, warnings: vec!["a warning".into()] });
    // How things were before is of no use to who asked for something.
    daemon.ends.records.send(record("web")).expect("a listener");
    assert_eq!(next(&mut lines).await, Line::Event(record("web")));
    daemon.publish(7, true);
    let now = Line::Status { generation: 7, looked: true, status: Box::new(status(true)) };
    assert_eq!(next(&mut lines).await, now);
    daemon.service.ending.send_replace(true);
    assert_eq!(next(&mut lines).await, Line::Ended { down: 0 });
    daemon.server.await.expect("the server ends");
    assert!(!daemon.directory.path().join("s").exists(), "the socket is removed");
}

#[tokio::test]
async fn a_plan_is_made_from_what_the_supervisor_tells_and_asks_nothing_else_of_it() {
    let mut daemon = Played::start();
    let plan = async |client: Client| client.plan(protocol::Up { pull: true, ..protocol::Up::default() }).await.expect("a plan");
    let asked = tokio::spawn(plan(daemon.client().await));
    let Some(Command::Tell(answer)) = daemon.ends.commands.recv().await else { panic!("a question") };
    answer.send(Box::default()).expect("somebody waits");
    let told = asked.await.expect("the client");
    assert!(told.changes && told.stack == "known");
    // A supervisor that was asked for nothing yet knows nothing.
    let asked = tokio::spawn(plan(daemon.client().await));
    drop(daemon.ends.commands.recv().await);
    assert_eq!(asked.await.expect("the client").stack, "unknown");
    assert!(daemon.ends.commands.try_recv().is_err());
}

#[tokio::test]
async fn a_file_that_is_refused_asks_nothing_of_the_supervisor() {
    let mut daemon = Played::start();
    let up = protocol::Up { profiles: vec!["broken".into()], ..protocol::Up::default() };
    let refused = daemon.client().await.lines(&Request::Up(Box::new(up))).await;
    let Err(ClientError::Fault(fault)) = refused else { panic!("a fault") };
    assert_eq!(fault.code, "invalid_file");
    assert!(daemon.ends.commands.try_recv().is_err());
}

#[tokio::test]
async fn down_and_end_are_told_apart() {
    let mut daemon = Played::start();
    let client = daemon.client().await;
    let asking = client.clone();
    tokio::spawn(async move { asking.lines(&Request::Down(protocol::Down { volumes: ["demo_data".to_owned()].into() })).await });
    let Some(Command::Down(down, _)) = daemon.ends.commands.recv().await else { panic!("a down") };
    assert_eq!(down.volumes, ["demo_data".to_owned()].into());
    client.end().await.expect("an answer");
    daemon.server.await.expect("the server ends");
    assert!(matches!(Client::connect(client_socket(&daemon.directory).as_path()).await, Err(ConnectError::NoDaemon)));
}

#[tokio::test]
async fn a_wish_is_asked_with_what_it_names_and_answered_with_notes_or_a_refusal() {
    let mut daemon = Played::start();
    let client = daemon.client().await;
    let wish = Wish::Scale { to: [("web".parse().expect("a name"), 3)].into() };
    let (asking, said) = (client.clone(), wish.clone());
    let asked = tokio::spawn(async move { asking.lines(&Request::Hand(said)).await.expect("an answer") });
    let Some(Command::Hand(heard, answer)) = daemon.ends.commands.recv().await else { panic!("a wish") };
    assert_eq!(heard, wish);
    answer.send(Ok((9, vec!["a note".into()]))).expect("somebody waits");
    let mut lines = asked.await.expect("the client");
    assert_eq!(next(&mut lines).await, Line::Accepted { generation: 9, warnings: vec!["a note".into()] });
    for (depends_on_state, code) in [(true, "failed"), (false, "usage")] {
        let (asking, said) = (client.clone(), wish.clone());
        let asked = tokio::spawn(async move { asking.lines(&Request::Hand(said)).await });
        let Some(Command::Hand(_, answer)) = daemon.ends.commands.recv().await else { panic!("a wish") };
        let refusal = Refusal { message: "no".into(), hint: Some("otherwise".into()), depends_on_state };
        answer.send(Err(refusal)).expect("somebody waits");
        let Err(ClientError::Fault(fault)) = asked.await.expect("the client") else { panic!("a fault") };
        assert_eq!((fault.code.as_str(), fault.hint.as_deref()), (code, Some("otherwise")));
    }
}

fn client_socket(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("s")
}

#[tokio::test]
async fn events_are_kept_and_followed() {
    let daemon = Played::start();
    daemon.service.records.add(record("db"));
    let mut past = daemon.client().await.lines(&Request::Events { follow: false }).await.expect("events");
    assert_eq!(next(&mut past).await, Line::Event(record("db")));
    assert!(past.next().await.expect("an end").is_none());
    let mut all = daemon.client().await.lines(&Request::Events { follow: true }).await.expect("events");
    assert_eq!(next(&mut all).await, Line::Event(record("db")));
    daemon.ends.records.send(record("web")).expect("a listener");
    assert_eq!(next(&mut all).await, Line::Event(record("web")));
}

#[tokio::test(start_paused = true)]
async fn a_follower_who_goes_away_behind_another_question_is_found_out() {
    let daemon = Played::start();
    let mut stream = UnixStream::connect(daemon.socket()).await.expect("connecting");
    let ask = "GET /v1/watch HTTP/1.1\r\nhost: w\r\n\r\n";
    stream.write_all(ask.repeat(2).as_bytes()).await.expect("asked");
    stream.readable().await.expect("an answer");
    let followers = || daemon.ends.records.receiver_count();
    assert_eq!(followers(), 1);
    drop(stream);
    // Nothing happens, but for the time that goes by.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    assert_eq!(followers(), 0);
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_told_from_none() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("s");
    assert!(matches!(Client::connect(&path).await, Err(ConnectError::NoDaemon)));
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    assert!(matches!(Client::connect(&path).await, Err(ConnectError::Stale(_))));
    drop(ControlSocket::open(&path, SocketAccess::Owner).expect("what is left behind is replaced"));
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_is_never_open_wider_than_its_mode() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("s");
    let over = Arc::new(AtomicBool::new(false));
    let (target, until) = (path.clone(), over.clone());
    let watcher = std::thread::spawn(move || {
        let mut modes = std::collections::BTreeSet::new();
        while !until.load(Ordering::Relaxed) {
            modes.extend(mode(&target));
        }
        modes
    });
    for _ in 0..200 {
        let socket = ControlSocket::open(&path, SocketAccess::Owner).expect("a socket");
        assert_eq!(mode(&path), Some(0o600));
        drop(socket);
    }
    over.store(true, Ordering::Relaxed);
    let modes = watcher.join().expect("the watcher");
    assert!(modes.iter().all(|mode| mode.trailing_zeros() >= 6), "modes seen: {modes:?}");
}

fn mode(path: &Path) -> Option<u32> {
    std::fs::symlink_metadata(path).ok().map(|facts| facts.permissions().mode() & 0o777)
}

#[tokio::test]
async fn garbage_is_refused_and_the_daemon_lives() {
    let daemon = Played::start();
    assert!(daemon.raw(b"\x16\x03\x01 not http\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    let post = |body: &str| {
        format!("POST /v1/up HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let answer = daemon.raw(post("{\"only\": 7").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(r#""code":"usage""#), "{answer}");
    let answer = daemon.raw(b"GET /v1/nothing HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("does not know that verb"), "{answer}");
    daemon.client().await;
}

#[tokio::test]
async fn a_head_or_body_that_is_too_large_is_refused() {
    let daemon = Played::start();
    let head = format!("GET /v1/hello HTTP/1.1\r\nhost: w\r\nx-large: {}\r\n\r\n", "x".repeat(64 << 10));
    assert!(daemon.raw(head.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let mut body = b"POST /v1/up HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: 1000000000\r\n\r\n".to_vec();
    body.extend(std::iter::repeat_n(b' ', 2 << 20));
    let answer = daemon.raw(&body).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    daemon.client().await;
}

#[tokio::test]
async fn clients_that_send_nothing_are_let_go() {
    let daemon = Played::start();
    let mut idle = Vec::new();
    for _ in 0..60 {
        let mut stream = UnixStream::connect(daemon.socket()).await.expect("connecting");
        stream.write_all(b"POST /v1/up HTTP/1.1\r\nhost").await.expect("writing");
        idle.push(stream);
    }
    daemon.client().await;
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(8), idle[0].read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "a head that never ends is given up");
}

#[tokio::test]
async fn a_reader_that_is_too_slow_misses_events_and_nobody_waits() {
    let daemon = Played::start();
    let mut lines = daemon.client().await.lines(&Request::Watch).await.expect("an answer");
    assert!(matches!(next(&mut lines).await, Line::Status { .. }));
    for number in 0..20_000 {
        daemon.ends.records.send(record(&format!("web.{number}"))).expect("a listener");
        if number % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    daemon.client().await;
    let mut missed = 0;
    let mut seen = 0;
    while missed + seen < 20_000 {
        match next(&mut lines).await {
            Line::Missed { count } => missed += count,
            Line::Event(_) => seen += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(missed > 0, "what waits for a reader is bounded");
}
