//! Clients of the control socket that mean ill or are broken: what they cost a real daemon is bounded, and
//! it is nobody else's time. No engine answers here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use witwd::control::Client;
use witwd::host::Rng as _;
use witwd::host::sim::SimRng;

use super::last_file::{Daemon, ps};

/// How soon anybody else is answered, whatever goes on.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How much more memory a daemon may have taken at any moment, in KiB.
const MORE_MEMORY: u64 = 64 << 10;
/// How long what was taken from it may take to come back.
const COMES_BACK: Duration = Duration::from_secs(20);
/// How many connections a flood is made of.
const FLOOD: usize = 1000;

/// How many connections a daemon keeps at once.
const PLACES: usize = 256;

const STACK: &str = "name = \"shop\"\n[services.web]\nimage = \"app:1\"\n";

/// A daemon under attack.
struct Besieged {
    _directory: tempfile::TempDir,
    daemon: Daemon,
    socket: PathBuf,
    files: usize,
    memory: u64,
}

impl Besieged {
    /// A daemon beside whose stack these events lie.
    async fn start(events: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("stack.toml"), STACK).expect("a file");
        std::fs::create_dir(directory.path().join(".witwd")).expect("a directory");
        std::fs::write(directory.path().join(".witwd/events.jsonl"), events).expect("events");
        let daemon = Daemon::start(directory.path());
        ps(directory.path(), |document| document["items"] != Value::Array(Vec::new()));
        let socket = std::fs::read_to_string(directory.path().join(".witwd/socket")).expect("the address").into();
        let mut besieged = Self { _directory: directory, daemon, socket, files: 0, memory: 0 };
        besieged.answers().await;
        (besieged.files, besieged.memory) = (besieged.open_files(), besieged.most_memory());
        besieged
    }

    fn process(&self) -> PathBuf {
        Path::new("/proc").join(self.daemon.id().to_string())
    }

    fn open_files(&self) -> usize {
        std::fs::read_dir(self.process().join("fd")).expect("its files").count()
    }

    /// The most that it ever had, in KiB.
    fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(self.process().join("status")).expect("its state");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its memory");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    async fn connect(&self) -> UnixStream {
        // The kernel refuses whom it has no room for until the daemon's next turn.
        let connected = async || UnixStream::connect(&self.socket).await.ok();
        eventually("there is room to connect", connected).await
    }

    /// So many connections, on each of which this was sent as far as it was taken at once.
    async fn connections(&self, count: usize, bytes: &[u8]) -> Vec<UnixStream> {
        let mut streams = Vec::new();
        for _ in 0..count {
            let stream = self.connect().await;
            stream.writable().await.expect("a connection");
            send(&stream, bytes);
            streams.push(stream);
        }
        streams
    }

    /// Sends this and returns what comes back until the connection is closed.
    async fn answer(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // Who has heard enough hangs up while we still write.
        let _ = stream.write_all(bytes).await;
        rest(&mut stream).await
    }

    /// Somebody else is answered.
    async fn answers(&self) {
        answers(&self.socket, self.daemon.id()).await;
    }

    /// Others are answered for as long as `attack` lasts; how it ended.
    async fn endures<T>(&self, attack: impl Future<Output = T>) -> T {
        let (socket, process) = (self.socket.clone(), self.daemon.id());
        let mut others = tokio::spawn(async move {
            loop {
                answers(&socket, process).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let outcome = tokio::select! {
            outcome = attack => outcome,
            ended = &mut others => panic!("{}", ended.expect_err("there are always others")),
        };
        others.abort();
        outcome
    }

    /// What was taken from it was little, and is there again.
    async fn recovers(self) {
        let is_back = async || (self.open_files() <= self.files).then_some(());
        eventually("its files are closed", is_back).await;
        let more = self.most_memory().saturating_sub(self.memory);
        assert!(more < MORE_MEMORY, "it took {more} KiB more");
        self.answers().await;
        self.daemon.end();
    }
}

/// A daemon of this process answers who has nothing to do with the attack.
async fn answers(socket: &Path, process: u32) {
    let asked = async {
        let client = Client::connect(socket).await.expect("a greeting");
        assert_eq!(client.hello().pid, process);
        assert_eq!(client.status().await.expect("a status").stack, "shop");
    };
    tokio::time::timeout(AT_ONCE, asked).await.expect("somebody else is answered at once");
}

/// Looks until `check` finds what it looks for.
async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(COMES_BACK, looking).await.unwrap_or_else(|_| panic!("not within {COMES_BACK:?}: {what}"))
}

/// Sends as much of this as is taken at once.
fn send(stream: &UnixStream, bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(count @ 1..) = stream.try_write(rest) {
        rest = &rest[count..];
    }
}

/// What comes until the connection is closed.
async fn rest(stream: &mut UnixStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(COMES_BACK, stream.read_to_end(&mut answer)).await.expect("it is let go");
    String::from_utf8_lossy(&answer).into_owned()
}

/// What comes on each of these until it is closed.
async fn rests(streams: Vec<UnixStream>) -> Vec<String> {
    join_all(streams.into_iter().map(|mut stream| async move { rest(&mut stream).await })).await
}

/// A whole request.
fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The beginning of a request whose body is so long.
fn begin(length: usize) -> String {
    format!("POST /v1/up HTTP/1.1\r\nhost: w\r\ncontent-length: {length}\r\n\r\n")
}

/// Status and error of an answer.
fn fault(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, serde_json::from_str::<Value>(body).map(|failed| failed["error"].clone()).unwrap_or_default())
}

/// A refusal as it should be: with words and a way out.
fn is_told(answer: &str, words: &str) {
    let (status, error) = fault(answer);
    assert!((400..500).contains(&status), "{answer}");
    assert!(error["code"] == "usage" && error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{answer}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains(words)), "{words}: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_or_says_it_slowly_keeps_nobody_out() {
    let besieged = Besieged::start("").await;
    let idle = besieged.endures(async { rests(besieged.connections(FLOOD, b"").await).await }).await;
    assert!(idle.iter().all(String::is_empty));
    let slow = |mut stream: UnixStream| async move {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        while stream.write_all(b"x").await.is_ok() {
            second.tick().await;
        }
    };
    let streams = async {
        let heads = besieged.connections(PLACES / 2, b"POST /v1/up HTTP/1.1\r\nhost: w\r\nx-slow: ").await;
        let bodies = besieged.connections(PLACES / 2, begin(10_000).as_bytes()).await;
        heads.into_iter().chain(bodies)
    };
    besieged.endures(async { join_all(streams.await.map(slow)).await }).await;
    besieged.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_before_it_is_there() {
    let besieged = Besieged::start("").await;
    let head = format!("GET /v1/hello HTTP/1.1\r\nhost: w\r\nx-large: {}\r\n\r\n", "x".repeat(64 << 10));
    assert_eq!(fault(&besieged.answer(head.as_bytes()).await).0, 431);
    let announced = besieged.endures(besieged.answer(begin(1_000_000_000).as_bytes())).await;
    is_told(&announced, "larger than");
    let streamed = async {
        let mut stream = besieged.connect().await;
        let head = "POST /v1/up HTTP/1.1\r\nhost: w\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("a head");
        let piece = format!("10000\r\n{}\r\n", " ".repeat(1 << 16));
        let mut taken = 0;
        while stream.write_all(piece.as_bytes()).await.is_ok() && taken < 1_000_000_000 {
            taken += piece.len();
        }
        (taken, rest(&mut stream).await)
    };
    let (taken, answer) = besieged.endures(streamed).await;
    assert!(taken < 4 << 20, "{taken} bytes were taken");
    is_told(&answer, "larger than");
    // Almost all of as much as may be sent, and then nothing more.
    let almost = format!("{}{}", begin(1 << 20), " ".repeat((1 << 20) - 1));
    let almost = almost.as_bytes();
    let held = async {
        let streams = besieged.connections(FLOOD, b"").await;
        let send = |mut stream: UnixStream| async move {
            let _ = stream.write_all(almost).await;
            rest(&mut stream).await
        };
        join_all(streams.into_iter().map(send)).await
    };
    besieged.endures(held).await;
    besieged.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_half_requests_and_whole_floods_are_answered_or_let_go() {
    let besieged = Besieged::start("").await;
    let seed = 0x5eed;
    let noise = SimRng::new(seed);
    let garbage = async {
        for round in 0..200 {
            let mut bytes = vec![0; 4096];
            noise.fill(&mut bytes);
            let answer = besieged.answer(&bytes).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "seed {seed}, round {round}: {answer}");
        }
    };
    besieged.endures(garbage).await;
    let after = format!("{}\0\0\r\n\r\nnot HTTP at all", "GET /v1/hello HTTP/1.1\r\nhost: w\r\n\r\n".repeat(3));
    let answer = besieged.answer(after.as_bytes()).await;
    assert_eq!((answer.matches("HTTP/1.1 200").count(), answer.matches("HTTP/1.1 400").count()), (3, 1), "{answer}");

    for part in
        ["GET /v1/hello HTTP/1.1\r\nhost: w\r\n\r\n", "GET /v1/watch HTTP/1.1\r\nhost: w\r\n\r\n", "GET /v1/he", &begin(9)]
    {
        let mut streams = besieged.connections(50, part.as_bytes()).await;
        for stream in &mut streams {
            stream.shutdown().await.expect("half of it is closed");
        }
        besieged.endures(rests(streams)).await;
    }
    // Dear ones, all at once: each is answered, or told that there are too many.
    let plan = post("/v1/plan", "{}");
    let answers = besieged.endures(async { rests(besieged.connections(PLACES, plan.as_bytes()).await).await }).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| fault(answer).0).collect();
    statuses.sort_unstable();
    statuses.dedup();
    assert!(answers.iter().any(|answer| answer.contains("wait for this daemon already")), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 500, 503].contains(status)), "{statuses:?}");
    besieged.recovers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_that_makes_no_sense_is_told_why_and_what_to_do() {
    let besieged = Besieged::start("").await;
    for (request, words) in [
        (post("/v1/nothing", ""), "does not know that verb"),
        (post("/v1/hello", ""), "does not know that verb"),
        (post("/", ""), "does not know that verb"),
        (post("/v1/up", "").replace("POST", "DELETE"), "does not know that verb"),
        (post("/v1/up", ""), "EOF while parsing"),
        (post("/v1/up", "{\"only\": 7"), "invalid type: integer `7`"),
        (post("/v1/up", "[1, 2]"), "makes no sense"),
        (post("/v1/up", "{\"environment\": {\"A\": 1}}"), "invalid type: integer `1`"),
        (post("/v1/plan", "null"), "invalid type: null"),
        (post("/v1/down", "{\"volumes\": \"all\"}"), "invalid type: string \"all\""),
        (post("/v1/hand", "{}"), "makes no sense"),
        (post("/v1/hand", "\u{0}"), "expected value"),
        (post("/v1/hand", &"[".repeat(100_000)), "invalid type: sequence"),
        (post("/v1/down", &"{\"volumes\":".repeat(10_000)), "invalid type: map"),
    ] {
        is_told(&besieged.answer(request.as_bytes()).await, words);
    }
    let mut broken = besieged.connect().await;
    let chunk = "POST /v1/up HTTP/1.1\r\nhost: w\r\ntransfer-encoding: chunked\r\n\r\nnot a length\r\n";
    broken.write_all(chunk.as_bytes()).await.expect("sent");
    is_told(&rest(&mut broken).await, "broke off");
    besieged.recovers().await;
}

/// As many events as are kept, so long that no socket holds them.
fn events() -> String {
    let event = |number: usize| {
        let cause = format!("{number} {}", "x".repeat(900));
        format!(
            "{{\"at\":\"2026-01-01T00:00:00Z\",\"kind\":\"start\",\"target\":\"web\",\"cause\":\"{cause}\",\"detail\":null}}\n"
        )
    };
    (0..1000).map(event).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_is_let_go_and_costs_little() {
    let besieged = Besieged::start(&events()).await;
    // They never read, and hold on until nobody is left at the other end.
    let gone = async || (besieged.open_files() <= besieged.files).then_some(());
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: w\r\n\r\n");
    let followers = async {
        let _streams = besieged.connections(FLOOD, get("/v1/events/follow").as_bytes()).await;
        eventually("who follows is let go", gone).await;
    };
    besieged.endures(followers).await;
    // What was asked a thousand times on one connection is not answered a thousand times beforehand.
    let (events, questions) = (get("/v1/events"), get("/v1/status").repeat(5_000));
    let askers = async {
        let _events = besieged.connections(PLACES / 3, events.as_bytes()).await;
        let _questions = besieged.connections(PLACES / 3, questions.as_bytes()).await;
        eventually("who asks is let go", gone).await;
    };
    besieged.endures(askers).await;
    // Who follows what never happens is nobody's trouble, and goes when others come.
    let quiet = besieged.connections(FLOOD, b"GET /v1/watch HTTP/1.1\r\nhost: w\r\n\r\n").await;
    besieged.answers().await;
    drop(quiet);
    besieged.recovers().await;
}
