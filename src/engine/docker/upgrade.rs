//! The bytes of what runs at a terminal, as they are. A terminal's stream has no frames, and a
//! reader that looks for their heads in it misreads control characters: so the connection is made
//! here, without one.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Call, DockerEngine, QUICK, error};
use crate::engine::{EngineError, ErrorKind};

/// What makes the engine turn a connection into a stream of bytes.
pub(super) struct Ask {
    /// The path of the request, and what it asks for.
    pub uri: String,
    /// Its JSON; empty where there is none.
    pub body: &'static [u8],
}

/// Joins something that was made with a terminal; returns its bytes, both ways.
pub(super) async fn start(engine: &DockerEngine, what: Call, ask: Ask) -> Result<TokioIo<Upgraded>, EngineError> {
    let Call { operation, target } = what;
    let failed = |kind, message: String| EngineError::new(operation, &target, kind, message);
    match tokio::time::timeout(QUICK, connect(engine, ask)).await {
        Ok(Ok(Ok(stream))) => Ok(stream),
        Ok(Ok(Err(status))) => Err(failed(ErrorKind::Other, format!("the engine answered {status} in place of a stream"))),
        Ok(Err(error)) => Err(failed(ErrorKind::Unavailable, error.to_string())),
        Err(_) => Err(error::timeout(operation, &target, QUICK)),
    }
}

async fn connect(engine: &DockerEngine, ask: Ask) -> std::io::Result<Result<TokioIo<Upgraded>, StatusCode>> {
    let socket = UnixStream::connect(&engine.address().path).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection.with_upgrades());
    let request = Request::builder()
        .method(Method::POST)
        .uri(ask.uri)
        .header(HOST, "engine")
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "tcp")
        .body(Full::new(Bytes::from_static(ask.body)))
        .map_err(std::io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(std::io::Error::other)?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Err(answer.status()));
    }
    hyper::upgrade::on(answer).await.map(|stream| Ok(TokioIo::new(stream))).map_err(std::io::Error::other)
}
