//! The bytes of a command with a terminal, as they are. A terminal's stream has no frames, and a
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

/// Starts a command that was made with a terminal; returns its bytes, both ways.
pub(super) async fn start(engine: &DockerEngine, what: Call, id: &str) -> Result<TokioIo<Upgraded>, EngineError> {
    let Call { operation, target } = what;
    let failed = |kind, message: String| EngineError::new(operation, &target, kind, message);
    match tokio::time::timeout(QUICK, connect(engine, id)).await {
        Ok(Ok(Ok(stream))) => Ok(stream),
        Ok(Ok(Err(status))) => Err(failed(ErrorKind::Other, format!("the engine answered {status} in place of a stream"))),
        Ok(Err(error)) => Err(failed(ErrorKind::Unavailable, error.to_string())),
        Err(_) => Err(error::timeout(operation, &target, QUICK)),
    }
}

async fn connect(engine: &DockerEngine, id: &str) -> std::io::Result<Result<TokioIo<Upgraded>, StatusCode>> {
    let socket = UnixStream::connect(&engine.address().path).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection.with_upgrades());
    let body = Full::new(Bytes::from_static(br#"{"Detach":false,"Tty":true}"#));
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/exec/{id}/start"))
        .header(HOST, "engine")
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "tcp")
        .body(body)
        .map_err(std::io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(std::io::Error::other)?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Err(answer.status()));
    }
    hyper::upgrade::on(answer).await.map(|stream| Ok(TokioIo::new(stream))).map_err(std::io::Error::other)
}
