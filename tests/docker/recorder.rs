//! A recorder on the engine's socket: what a daemon really asked of its engine.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
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
}

/// What becomes of the engine's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Events {
    /// They pass.
    Told,
    /// Those of nobody are asked for.
    Lost,
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
        Self::with(directory, Events::Told)
    }

    /// One behind which no event is ever heard of.
    pub fn deaf(directory: &Path) -> Self {
        Self::with(directory, Events::Lost)
    }

    fn with(directory: &Path, events: Events) -> Self {
        let socket = directory.join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket for the proxy");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, events, seen.clone()));
        Self { socket, seen, task }
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
        self.seen().into_iter().filter(|line| !line.starts_with("GET ") && !line.starts_with("HEAD ")).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: UnixListener, events: Events, seen: Arc<Mutex<Vec<Asked>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let seen = seen.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| forward(request, events, seen.clone()));
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = serving.with_upgrades().await;
        });
    }
}

async fn forward(
    mut request: Request<Incoming>,
    events: Events,
    seen: Arc<Mutex<Vec<Asked>>>,
) -> Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
    let at = SystemClock::new().wall();
    let here = hyper::upgrade::on(&mut request);
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let (mut head, body) = request.into_parts();
    if events == Events::Lost && head.uri.path().ends_with("/events") {
        head.uri = format!("{}?filters=%7B%22container%22:%5B%22nobody%22%5D%7D", head.uri.path()).parse()?;
    }
    let body = body.collect().await?.to_bytes();
    let asked = Asked { at, method: head.method.to_string(), target, body: body.clone() };
    seen.lock().expect("no panic while requests are noted").push(asked);
    let stream = UnixStream::connect("/var/run/docker.sock").await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let mut response = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        tokio::spawn(join(here, hyper::upgrade::on(&mut response)));
    }
    Ok(response)
}

/// Passes what is said both ways on a connection that became something else, as that of `docker buildx`.
async fn join(here: OnUpgrade, there: OnUpgrade) {
    if let Ok((here, there)) = tokio::try_join!(here, there) {
        // How it ended is told by the ends themselves.
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(here), &mut TokioIo::new(there)).await;
    }
}
