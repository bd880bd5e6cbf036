//! The engine's own calls, with nothing around them: what witwd asked, recorded and asked again.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::recorder::Recorder;
use crate::stack::TestStack;

/// Calls at a time: from 2 to 8 the engine is as fast as it gets.
const AT_A_TIME: usize = 4;

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

    /// One call; an answer that is no success ends the measurement.
    pub async fn call(&self, method: &str, target: &str, body: Option<Bytes>) -> Bytes {
        let stream = UnixStream::connect(&self.socket).await.expect("the engine's socket");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(target).header("Host", "engine");
        let request = request.header("Content-Type", "application/json").body(Full::new(body.unwrap_or_default())).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let is_fine = status.is_success() || status == StatusCode::NOT_MODIFIED;
        assert!(is_fine, "{method} {target}: {status} {}", String::from_utf8_lossy(&body));
        body
    }

    /// One call, its answer as JSON.
    pub async fn json(&self, method: &str, target: &str, body: Option<Bytes>) -> Value {
        serde_json::from_slice(&self.call(method, target, body).await).expect("JSON of the engine")
    }
}

/// What is to be made, as witwd asks for it: the network and the containers.
pub struct Recipe {
    network: Value,
    containers: Vec<(String, Value)>,
}

/// What was made from a recipe.
pub struct Made {
    network: String,
    /// Ids of the containers, in the recipe's order.
    pub containers: Vec<String>,
}

impl Recipe {
    /// Runs a stack of this text once and keeps what it asked of the engine.
    pub async fn of(name: &str, text: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(scratch.path());
        let mut stack = TestStack::new(name, text).await;
        stack.docker_host = Some(format!("unix://{}", recorder.socket.display()));
        stack.done(&["up", "-d"]);
        let (own, other) = (stack.name.clone(), format!("{}-raw", stack.name));
        let renamed = |body: &Bytes| {
            let text = String::from_utf8_lossy(body).replace(&own, &other);
            serde_json::from_str::<Value>(&text).expect("JSON of a recorded request")
        };
        let asked = recorder.asked();
        let posted = |path: &'static str| asked.iter().filter(move |asked| asked.method == "POST" && asked.target.contains(path));
        let network = posted("/networks/create").map(|asked| renamed(&asked.body)).next().expect("a network");
        let containers = posted("/containers/create").map(|asked| (asked.target.replace(&own, &other), renamed(&asked.body)));
        let containers = containers.collect();
        stack.done(&["down"]);
        drop(stack);
        drop(recorder);
        Self { network, containers }
    }

    /// Changes the container whose target contains `name`.
    pub fn adjust(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        let found = self.containers.iter_mut().find(|(target, _)| target.contains(name));
        change(&mut found.expect("a container of that name").1);
    }

    /// Makes the network.
    pub async fn network(&self, raw: &Raw) -> String {
        let made = raw.json("POST", "/networks/create", Some(self.network.to_string().into())).await;
        made["Id"].as_str().expect("an id").to_owned()
    }

    /// Makes and starts the container whose target contains `name`.
    pub async fn container_of(&self, raw: &Raw, name: &str, network: &str) -> String {
        let index = self.containers.iter().position(|(target, _)| target.contains(name));
        self.container(raw, index.expect("a container of that name"), network).await
    }

    async fn container(&self, raw: &Raw, index: usize, network: &str) -> String {
        let (target, body) = &self.containers[index];
        let before = body["HostConfig"]["NetworkMode"].as_str().expect("a network").to_owned();
        let body = body.to_string().replace(&before, network);
        let made = raw.json("POST", target, Some(body.into())).await;
        let id = made["Id"].as_str().expect("an id").to_owned();
        raw.call("POST", &format!("/containers/{id}/start"), None).await;
        id
    }

    /// Makes and starts everything.
    pub async fn up(&self, raw: &Raw) -> Made {
        let network = self.network(raw).await;
        let each = (0..self.containers.len()).map(|index| self.container(raw, index, &network));
        let containers = stream::iter(each).buffered(AT_A_TIME).collect().await;
        Made { network, containers }
    }
}

impl Made {
    /// What was made one by one.
    pub fn of(network: String, containers: Vec<String>) -> Self {
        Self { network, containers }
    }

    /// Stops and removes everything.
    pub async fn down(self, raw: &Raw) {
        let each = self.containers.iter().map(|id| async move {
            raw.call("POST", &format!("/containers/{id}/stop?t=10"), None).await;
            raw.call("DELETE", &format!("/containers/{id}?v=true"), None).await;
        });
        stream::iter(each).buffer_unordered(AT_A_TIME).collect::<()>().await;
        raw.call("DELETE", &format!("/networks/{}", self.network), None).await;
    }
}
