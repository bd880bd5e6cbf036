//! A recorder on the engine's socket: what a daemon really asked of its engine. It can also lie, cut
//! the line, and kill who asks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::{UnixListener, UnixStream};
use witwd::host::{Clock as _, SystemClock};

/// A request as the engine got it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// `POST`.
    pub method: String,
    /// The path with its query: `/containers/create?name=web-1`.
    pub target: String,
    /// What was sent with it.
    pub body: Bytes,
}

impl Asked {
    /// The path alone.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Whether it changes something.
    pub fn is_mutating(&self) -> bool {
        self.method != "GET" && self.method != "HEAD"
    }
}

/// The socket of the engine of this machine.
const MACHINE: &str = "/var/run/docker.sock";

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It passes.
    Pass,
    /// It never arrives: the line is cut.
    CutBefore,
    /// It is carried out, and nobody is told: the line is cut.
    CutAfter,
    /// It never arrives, for who asks is killed.
    KillBefore,
    /// It is carried out, and who asked is killed before it hears of it.
    KillAfter,
    /// It never arrives; this status is the answer.
    Answer(u16),
    /// Of events: those of nobody are asked for, so none is ever heard of.
    Deaf,
}

type Course = Arc<dyn Fn(&Asked) -> Fate + Send + Sync>;

/// Where requests go, what becomes of them, and those of until now.
#[derive(Clone)]
struct Line {
    engine: PathBuf,
    course: Course,
    seen: Arc<Mutex<Vec<Asked>>>,
}

/// Forwards to the engine and remembers every request. Ends when dropped.
pub struct Recorder {
    /// Where it listens.
    pub socket: PathBuf,
    seen: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Recorder {
    /// A proxy in `directory` in front of the engine's own socket.
    pub fn start(directory: &Path) -> Self {
        Self::with(directory, Path::new(MACHINE), |_| Fate::Pass)
    }

    /// One behind which no event is ever heard of.
    pub fn deaf(directory: &Path) -> Self {
        Self::with(directory, Path::new(MACHINE), deaf)
    }

    /// One in front of this engine that asks `course` what becomes of each request.
    pub fn with(directory: &Path, engine: &Path, course: impl Fn(&Asked) -> Fate + Send + Sync + 'static) -> Self {
        let socket = directory.join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket for the proxy");
        let line = Line { engine: engine.to_owned(), course: Arc::new(course), seen: Arc::default() };
        let seen = line.seen.clone();
        let task = tokio::spawn(serve(listener, line));
        Self { socket, seen, task }
    }

    /// How `DOCKER_HOST` names it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Every request until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.seen.lock().expect("no panic while requests are noted").clone()
    }

    /// `METHOD /path` of every request until now.
    pub fn seen(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method, asked.path())).collect()
    }

    /// Those that change something.
    pub fn mutating(&self) -> Vec<String> {
        self.asked()
            .iter()
            .filter(|asked| asked.is_mutating())
            .map(|asked| format!("{} {}", asked.method, asked.path()))
            .collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The course of a line on which no event is heard.
pub fn deaf(asked: &Asked) -> Fate {
    if asked.path().ends_with("/events") { Fate::Deaf } else { Fate::Pass }
}

async fn serve(listener: UnixListener, line: Line) {
    while let Ok((stream, _)) = listener.accept().await {
        let line = line.clone();
        let peer = stream.peer_cred().ok().and_then(|peer| peer.pid());
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, line.clone(), peer));
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = serving.with_upgrades().await;
        });
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<Either<Incoming, Full<Bytes>>>;

async fn answer(mut request: Request<Incoming>, line: Line, peer: Option<i32>) -> Result<Answer, Failed> {
    let at = SystemClock::new().wall();
    let here = hyper::upgrade::on(&mut request);
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let asked = Asked { at, method: head.method.to_string(), target, body: body.clone() };
    line.seen.lock().expect("no panic while requests are noted").push(asked.clone());
    match (line.course)(&asked) {
        Fate::Pass => {}
        Fate::Deaf => head.uri = format!("{}?filters=%7B%22container%22:%5B%22nobody%22%5D%7D", head.uri.path()).parse()?,
        Fate::CutBefore => return Err("the line was cut".into()),
        Fate::KillBefore => return Err(kill(peer).into()),
        Fate::Answer(status) => return Ok(Response::builder().status(status).body(Either::Right(Full::default()))?),
        fate @ (Fate::CutAfter | Fate::KillAfter) => {
            let done = forward(Request::from_parts(head, Full::new(body)), &line.engine, None).await?;
            // A stream has no end that could be waited for: its beginning is the effect.
            drop(done);
            return Err(if fate == Fate::KillAfter { kill(peer) } else { "the line was cut" }.into());
        }
    }
    forward(Request::from_parts(head, Full::new(body)), &line.engine, Some(here)).await
}

/// Ends the process that asked, as a crash would.
fn kill(peer: Option<i32>) -> &'static str {
    if let Some(process) = peer.and_then(rustix::process::Pid::from_raw) {
        // One that is gone by now needs no kill.
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    }
    "who asked was killed"
}

async fn forward(request: Request<Full<Bytes>>, engine: &Path, here: Option<OnUpgrade>) -> Result<Answer, Failed> {
    let stream = UnixStream::connect(engine).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut response = sender.send_request(request).await?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(here)) = (response.status(), here) {
        tokio::spawn(join(here, hyper::upgrade::on(&mut response)));
    }
    Ok(response.map(Either::Left))
}

/// Passes what is said both ways on a connection that became something else, as that of `docker buildx`.
async fn join(here: OnUpgrade, there: OnUpgrade) {
    if let Ok((here, there)) = tokio::try_join!(here, there) {
        // How it ended is told by the ends themselves.
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(here), &mut TokioIo::new(there)).await;
    }
}
