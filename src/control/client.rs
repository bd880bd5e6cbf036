//! The command line's side of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::protocol::{Failed, Fault, Hello, Line, Request, Up, VERSION};
use crate::model::preview::Preview;
use crate::model::status::Status;

/// How long a daemon may take to say who it is. It answers also while the engine hangs.
const HELLO_TIME: Duration = Duration::from_secs(5);
/// How many connections in a row may break off before somebody says who he is.
const BROKEN: u32 = 5;
/// The longest line of a stream.
const LONGEST_LINE: usize = 16 << 20;

/// A daemon that answers.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    hello: Hello,
}

/// Why no daemon could be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no socket: no daemon runs.
    #[error("no daemon runs for this stack")]
    NoDaemon,
    /// There is a socket that nobody listens on: the daemon died, or is just starting.
    #[error("nobody listens on {}", .0.display())]
    Stale(PathBuf),
    /// The socket belongs to somebody who does not let us in.
    #[error("{} is not for this user", .0.display())]
    Forbidden(PathBuf),
    /// The daemon speaks another language.
    #[error("the daemon (process {}) is witwd {}, which speaks version {} of the protocol and not {VERSION}", .0.pid, .0.version, .0.v)]
    Version(Box<Hello>),
    /// It does not answer as a daemon does.
    #[error("{} does not answer", .socket.display())]
    Silent {
        /// The socket.
        socket: PathBuf,
        /// What came instead.
        #[source]
        source: ClientError,
    },
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection broke.
    #[error("failed to speak to the daemon")]
    Connection(#[source] io::Error),
    /// HTTP went wrong.
    #[error("failed to speak to the daemon")]
    Http(#[from] hyper::Error),
    /// It does not answer.
    #[error("the daemon does not answer")]
    Silent,
    /// What came makes no sense.
    #[error("the daemon's answer makes no sense: {0}")]
    Nonsense(String),
    /// The daemon said no.
    #[error(transparent)]
    Fault(#[from] Box<Fault>),
}

impl Client {
    /// Finds out who listens on `socket`.
    pub async fn connect(socket: &Path) -> Result<Self, ConnectError> {
        let mut broken = 0;
        let hello = loop {
            match hello(socket).await? {
                Ok(hello) => break hello,
                // Who listened has ended meanwhile: by now nobody listens, or somebody else.
                Err(ClientError::Connection(_) | ClientError::Http(_)) if broken < BROKEN => broken += 1,
                Err(source) => return Err(ConnectError::Silent { socket: socket.to_owned(), source }),
            }
        };
        match hello.v {
            VERSION => Ok(Self { socket: socket.to_owned(), hello }),
            _ => Err(ConnectError::Version(Box::new(hello))),
        }
    }

    /// Who answered.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// The document of `ps`.
    pub async fn status(&self) -> Result<Status, ClientError> {
        read(ask(&self.socket, &Request::Status).await?).await
    }

    /// What an `up` would do: the document of `plan`.
    pub async fn plan(&self, up: Up) -> Result<Preview, ClientError> {
        read(ask(&self.socket, &Request::Plan(Box::new(up))).await?).await
    }

    /// Asks for something that is answered with lines.
    pub async fn lines(&self, request: &Request) -> Result<Lines, ClientError> {
        let response = ask(&self.socket, request).await?;
        Ok(Lines { body: response.into_body(), buffer: BytesMut::new() })
    }

    /// Whether the daemon that answered has ended since.
    pub async fn is_gone(&self) -> bool {
        let connected = UnixStream::connect(&self.socket).await.map_err(|error| connect_error(&self.socket, error));
        matches!(connected, Err(ConnectError::NoDaemon | ConnectError::Stale(_)))
    }

    /// Ends the daemon; the stack stays as it is.
    pub async fn end(&self) -> Result<(), ClientError> {
        ask(&self.socket, &Request::End).await.map(|_| ())
    }
}

/// Asks who listens; the inner error is of a connection that broke off.
async fn hello(socket: &Path) -> Result<Result<Hello, ClientError>, ConnectError> {
    let stream = UnixStream::connect(socket).await.map_err(|error| connect_error(socket, error))?;
    let asked = async { read(ask_on(stream, &Request::Hello).await?).await };
    let silent = |_| ConnectError::Silent { socket: socket.to_owned(), source: ClientError::Silent };
    tokio::time::timeout(HELLO_TIME, asked).await.map_err(silent)
}

fn connect_error(socket: &Path, error: io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::NotFound => ConnectError::NoDaemon,
        io::ErrorKind::ConnectionRefused => ConnectError::Stale(socket.to_owned()),
        io::ErrorKind::PermissionDenied => ConnectError::Forbidden(socket.to_owned()),
        _ => ConnectError::Silent { socket: socket.to_owned(), source: ClientError::Connection(error) },
    }
}

/// Sends a request on a connection of its own and returns the answer's head, once it is a good one.
async fn ask(socket: &Path, request: &Request) -> Result<Response<Incoming>, ClientError> {
    ask_on(UnixStream::connect(socket).await.map_err(ClientError::Connection)?, request).await
}

async fn ask_on(stream: UnixStream, request: &Request) -> Result<Response<Incoming>, ClientError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // How the connection ends is told by the body, to whoever reads it.
        let _ = connection.await;
    });
    let (method, path) = request.route();
    let asked = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "witwd")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(request.body())))
        .map_err(|error| ClientError::Nonsense(error.to_string()))?;
    let response = sender.send_request(asked).await?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    Err(ClientError::Fault(Box::new(fault(status, response).await)))
}

async fn fault(status: StatusCode, response: Response<Incoming>) -> Fault {
    match read::<Failed>(response).await {
        Ok(failed) => failed.error,
        Err(_) => Fault::new("failed", format!("the daemon answered {status}")),
    }
}

async fn read<T: serde::de::DeserializeOwned>(response: Response<Incoming>) -> Result<T, ClientError> {
    let body = response.into_body().collect().await?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| ClientError::Nonsense(error.to_string()))
}

/// The lines of an answer, as they come.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    /// The next line; `None` at the end. Safe to drop before it returned: nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Line>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                return serde_json::from_slice(&line).map(Some).map_err(|error| ClientError::Nonsense(error.to_string()));
            }
            if self.buffer.len() > LONGEST_LINE {
                return Err(ClientError::Nonsense("a line without an end".into()));
            }
            match self.body.frame().await {
                Some(frame) => self.buffer.extend(frame?.into_data().ok()),
                None => return Ok(None),
            }
        }
    }
}
