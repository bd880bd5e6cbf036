//! The engine's own calls, with nothing around them.

use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::measure::{LIMIT, shown};

/// A bare client of the engine.
#[derive(Clone)]
pub struct Raw {
    socket: PathBuf,
}

impl Raw {
    /// One on the engine's own socket.
    pub fn new() -> Self {
        Self { socket: "/var/run/docker.sock".into() }
    }

    /// One call; an answer that is no success ends the measurement, and so does none.
    pub async fn call(&self, method: &str, target: &str, body: Option<Bytes>) -> Bytes {
        let asked = tokio::time::timeout(LIMIT, self.ask(method, target, body)).await;
        let (status, body) = asked.unwrap_or_else(|_| panic!("{method} {target}: no answer within {}", shown(LIMIT)));
        let is_fine = status.is_success() || status == StatusCode::NOT_MODIFIED;
        assert!(is_fine, "{method} {target}: {status} {}", String::from_utf8_lossy(&body));
        body
    }

    async fn ask(&self, method: &str, target: &str, body: Option<Bytes>) -> (StatusCode, Bytes) {
        let stream = UnixStream::connect(&self.socket).await.expect("the engine's socket");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(target).header("Host", "engine");
        let request = request.header("Content-Type", "application/json").body(Full::new(body.unwrap_or_default())).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        (answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
    }

    /// One call, its answer as JSON.
    pub async fn json(&self, method: &str, target: &str, body: Option<Bytes>) -> Value {
        serde_json::from_slice(&self.call(method, target, body).await).expect("JSON of the engine")
    }

    /// What the engine says of a container.
    pub async fn container(&self, id: &str) -> Value {
        self.json("GET", &format!("/containers/{id}/json"), None).await
    }
}
