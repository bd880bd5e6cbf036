//! What witwd asked of the engine, recorded and asked again: the same bodies under another name.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use witwd::engine::labels;

use crate::leftovers::Leftovers;
use crate::raw::Raw;
use crate::recorder::{Asked, Recorder};
use crate::stack::TestStack;

/// Calls at a time: from 2 to 8 the engine is as fast as it gets.
const AT_A_TIME: usize = 4;

/// What is to be made, as witwd asks for it. All that was made from it goes with it.
pub struct Recipe {
    network: Recorded,
    volumes: Vec<Recorded>,
    containers: Vec<Recorded>,
    _leftovers: Leftovers,
}

/// A recorded request that makes something.
struct Recorded {
    target: String,
    body: Value,
}

/// What was made from a recipe.
pub struct Made {
    network: String,
    volumes: Vec<String>,
    /// Ids of the containers.
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
        let asked = recorder.asked();
        let made = |what: &str| recorded(&asked, what, (&own, &other));
        let network = made("/networks/create").pop().expect("a network");
        let (volumes, containers) = (made("/volumes/create"), made("/containers/create"));
        stack.done(&["down", "--volumes", "--yes"]);
        // While the recorder still answers it.
        drop(stack);
        let label = format!("{}={other}", labels::STACK);
        Self { network, volumes, containers, _leftovers: Leftovers::of(label) }
    }

    /// The body of the container of a service.
    pub fn body(&mut self, service: &str) -> &mut Value {
        let index = self.index(service);
        &mut self.containers[index].body
    }

    fn index(&self, service: &str) -> usize {
        let found = self.containers.iter().position(|container| container.body["Labels"][labels::NAME] == service);
        found.unwrap_or_else(|| panic!("no container of {service} was asked for"))
    }

    /// Makes the network and the volumes.
    pub async fn surroundings(&self, raw: &Raw) -> Made {
        let network = self.network.make(raw).await["Id"].as_str().expect("an id").to_owned();
        let mut volumes = Vec::new();
        for volume in &self.volumes {
            volumes.push(volume.make(raw).await["Name"].as_str().expect("a name").to_owned());
        }
        Made { network, volumes, containers: Vec::new() }
    }

    /// Makes and starts the container of a service; returns its id.
    pub async fn start(&self, raw: &Raw, service: &str) -> String {
        self.containers[self.index(service)].run(raw).await
    }

    /// Makes and starts everything.
    pub async fn up(&self, raw: &Raw) -> Made {
        let surroundings = self.surroundings(raw).await;
        let each = self.containers.iter().map(|container| container.run(raw));
        let containers = stream::iter(each).buffer_unordered(AT_A_TIME).collect().await;
        Made { containers, ..surroundings }
    }
}

/// The requests that made a kind of things, under another name.
fn recorded(asked: &[Asked], what: &str, (own, other): (&str, &str)) -> Vec<Recorded> {
    let renamed = |body: &Bytes| {
        let text = String::from_utf8_lossy(body).replace(own, other);
        serde_json::from_str(&text).expect("JSON of a recorded request")
    };
    let posted = asked.iter().filter(|asked| asked.method == "POST" && asked.path().ends_with(what));
    posted.map(|asked| Recorded { target: asked.target.replace(own, other), body: renamed(&asked.body) }).collect()
}

impl Recorded {
    async fn make(&self, raw: &Raw) -> Value {
        raw.json("POST", &self.target, Some(self.body.to_string().into())).await
    }

    async fn run(&self, raw: &Raw) -> String {
        let id = self.make(raw).await["Id"].as_str().expect("an id").to_owned();
        raw.call("POST", &format!("/containers/{id}/start"), None).await;
        id
    }
}

impl Made {
    /// Stops and removes everything.
    pub async fn down(self, raw: &Raw) {
        let each = self.containers.iter().map(|id| async move {
            raw.call("POST", &format!("/containers/{id}/stop?t=10"), None).await;
            raw.call("DELETE", &format!("/containers/{id}?v=true"), None).await;
        });
        stream::iter(each).buffer_unordered(AT_A_TIME).collect::<()>().await;
        raw.call("DELETE", &format!("/networks/{}", self.network), None).await;
        for volume in &self.volumes {
            raw.call("DELETE", &format!("/volumes/{volume}"), None).await;
        }
    }
}
