//! What comes over the control socket, and what a client is answered with.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use witwd::control::protocol::{Down, Failed, Hello, Line, Request, Up};
use witwd::model::backup::{Errand, Work, WorkFailed};
use witwd::model::wish::Wish;
use witwd::supervisor::Command;

use super::driver::{Fate, Target};
use super::mutation::Corpus;
use crate::control::Played;

/// How long the daemon may take to answer, or to hang up.
const ANSWERS: Duration = Duration::from_secs(20);

/// How long it is waited for one: who asks for nothing whole is not answered.
const MOMENT: Duration = Duration::from_millis(3);

/// The name of the thread that serves.
const SERVER: &str = "fuzzed-server";
/// How often that thread panicked.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// What is likely to hurt a reader of HTTP and JSON.
const SHARP: [&str; 34] = [
    "\r\n",
    "\r\n\r\n",
    "\n",
    " ",
    ":",
    "/",
    "GET ",
    "POST ",
    "DELETE ",
    "HTTP/1.0",
    "HTTP/9.9",
    "content-length: 5\r\n",
    "content-length: -1\r\n",
    "content-length: 99999999999999999999\r\n",
    "transfer-encoding: chunked\r\n",
    "connection: close\r\n",
    "connection: upgrade\r\nupgrade: h2c\r\n",
    "expect: 100-continue\r\n",
    "host: a\r\nhost: b\r\n",
    "0\r\n\r\n",
    "fffffffffffffffff\r\n",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    "null",
    "-1",
    "\\ud800",
    "\"only\":[\"web\"]",
    "\"restart\"",
    "%2e%2e/",
    "\u{0}",
];

/// The requests of the command line, one by one and two on a connection.
fn corpus() -> Corpus {
    let up = Up { environment: [("TAG".to_owned(), "1".to_owned())].into(), only: vec!["web".to_owned()], ..Up::default() };
    let scale = Wish::Scale { to: [("web".parse().expect("a name"), 3)].into() };
    let requests = [
        Request::Hello,
        Request::Status,
        Request::Up(Box::new(up.clone())),
        Request::Plan(Box::new(up)),
        Request::Down(Down { volumes: ["demo_data".to_owned()].into() }),
        Request::Hand(scale),
        Request::Errand(Errand { of: "db".parse().expect("a name"), work: Work::Take { slot: None, missed: 0, before: None } }),
        Request::Watch,
        Request::Events { follow: false },
        Request::Events { follow: true },
    ];
    let mut examples: Vec<Vec<u8>> = requests.iter().map(bytes).collect();
    examples.push(requests[..2].iter().flat_map(bytes).collect());
    examples.push(b"POST /v1/up HTTP/1.1\r\nhost: w\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_vec());
    Corpus { examples, words: SHARP.map(|word| word.as_bytes().to_vec()).to_vec() }
}

/// A request as it is sent.
fn bytes(request: &Request) -> Vec<u8> {
    let ((method, path), body) = (request.route(), request.body());
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: witwd\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// A daemon whose supervisor agrees to everything; it serves for as long as this process lives.
fn socket() -> PathBuf {
    static SERVING: OnceLock<(Runtime, PathBuf)> = OnceLock::new();
    let serving = SERVING.get_or_init(|| {
        count_panics();
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name(SERVER).enable_all().build().expect("a runtime");
        let entered = runtime.enter();
        let daemon = Played::start();
        let path = daemon.socket();
        runtime.spawn(agree(daemon));
        drop(entered);
        (runtime, path)
    });
    serving.1.clone()
}

/// Counts panics of the server's thread, which end a connection and are seen by nobody else.
fn count_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panicked| {
        let is_ours = std::thread::current().name() == Some(SERVER);
        PANICS.fetch_add(usize::from(is_ours), Ordering::SeqCst);
        usual(panicked);
    }));
}

async fn agree(mut daemon: Played) {
    while let Some(command) = daemon.ends.commands.recv().await {
        // Who asked may be gone.
        let _ = match command {
            Command::Up(_, answer) | Command::Down(_, answer) => answer.send(1).is_ok(),
            Command::Hand(_, answer) => answer.send(Ok((1, Vec::new()))).is_ok(),
            Command::Errand(_, answer) => {
                let failed = WorkFailed { reason: "none".to_owned(), words: "no sets here".to_owned() };
                answer.send(Err(failed.into())).is_ok()
            }
            Command::Pulse(answer) => answer.send(()).is_ok(),
            Command::File(_) | Command::Tell(_) => true,
        };
    }
}

fn tries(input: &[u8]) -> Result<Fate, String> {
    // A client reads what a daemon says, and may meet something else.
    let _ =
        (serde_json::from_slice::<Line>(input), serde_json::from_slice::<Hello>(input), serde_json::from_slice::<Failed>(input));
    // That one ends it, as it should.
    if String::from_utf8_lossy(input).contains("/v1/end") {
        return Ok(Fate::Taken);
    }
    let before = PANICS.load(Ordering::SeqCst);
    let answer = answer(input)?;
    let greeting = answer_to_greeting()?;
    if PANICS.load(Ordering::SeqCst) != before {
        return Err("the server panicked".to_owned());
    }
    if !greeting.starts_with("HTTP/1.1 200") {
        return Err(format!("the next one is not greeted: {greeting:?}"));
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        None if answer.is_empty() => Ok(Fate::Refused),
        Some("400") if head.contains("application/json") => is_told(body).map(|()| Fate::Refused),
        Some("400" | "422" | "431" | "500" | "505") => Ok(Fate::Refused),
        Some("100" | "200") => Ok(Fate::Taken),
        _ => Err(format!("a strange answer: {answer:?}")),
    }
}

/// The refusal has words and a way out.
fn is_told(body: &str) -> Result<(), String> {
    let mut documents = serde_json::Deserializer::from_str(body).into_iter::<Value>();
    let error = documents.next().and_then(Result::ok).map(|document| document["error"].clone()).unwrap_or_default();
    let has = |key: &str| error[key].as_str().is_some_and(|text| !text.trim().is_empty());
    if has("code") && has("message") && has("hint") { Ok(()) } else { Err(format!("a refusal without words or hint: {body:?}")) }
}

fn answer_to_greeting() -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = UnixStream::connect(socket()).map_err(failed)?;
    stream.set_read_timeout(Some(ANSWERS)).map_err(failed)?;
    stream.write_all(b"GET /v1/hello HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\r\n").map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    Ok(answer)
}

/// What comes back on a connection of which our half is closed once there is an answer, or none for a moment:
/// who hangs up earlier is not answered.
fn answer(input: &[u8]) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = UnixStream::connect(socket()).map_err(failed)?;
    // It may have heard enough before.
    let _ = stream.write_all(input);
    let (mut answer, mut buffer) = (Vec::new(), [0; 1 << 14]);
    stream.set_read_timeout(Some(MOMENT)).map_err(failed)?;
    let mut read = stream.read(&mut buffer);
    let _ = stream.shutdown(Shutdown::Write);
    stream.set_read_timeout(Some(ANSWERS)).map_err(failed)?;
    if is_late(&read) {
        read = stream.read(&mut buffer);
    }
    loop {
        match read {
            Ok(count @ 1..) => answer.extend_from_slice(&buffer[..count]),
            read if is_late(&read) => return Err("it neither answers nor hangs up".to_owned()),
            _ => break,
        }
        // Lines go on for as long as somebody listens.
        if String::from_utf8_lossy(&answer).contains("application/x-ndjson") {
            break;
        }
        read = stream.read(&mut buffer);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_late(read: &std::io::Result<usize>) -> bool {
    read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn a_request_is_answered_and_the_next_one_too() {
    Target { name: "requests", cases: 1_500, corpus: corpus(), tries }.run();
}
