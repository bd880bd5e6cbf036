//! A watcher beside witwd: it lists the engine's containers ten times a second, over a connection of its
//! own, and asks `witwd ps` meanwhile. It knows what runs from nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use witwd::host::{Clock as _, SystemClock};

use crate::stack::TestStack;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the engine may take to list.
const PATIENCE: Duration = Duration::from_secs(2);
/// For so long `ps` may still say "healthy" of what has ended: a look takes time, and events are lost.
const STALE: Duration = Duration::from_secs(10);
/// Where data of a Postgres is mounted.
const DATA: &str = "/var/lib/postgresql/data";

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How often the engine listed.
    pub looks: usize,
    /// Two at once for one replica, or on one data directory.
    pub twice: BTreeSet<String>,
    /// How long each `ps` took.
    pub answers: Vec<Duration>,
    /// What `ps` said that was not so.
    pub wrong: BTreeSet<String>,
    /// When each container was last seen running, since the watch began; and the last look.
    last_run: BTreeMap<String, Duration>,
    last_look: Duration,
}

/// Watches until it is asked what it saw.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Of all stacks on the engine behind this socket.
    pub fn of_engine(socket: &Path) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let tasks = vec![tokio::spawn(look(socket.to_owned(), seen.clone()))];
        Self { seen, tasks }
    }

    /// Of this stack on that engine, and of what its `ps` says.
    pub fn of(stack: &TestStack, socket: &Path) -> Self {
        let mut watch = Self::of_engine(socket);
        let command = stack.command(&["ps", "--json"]);
        watch.tasks.push(tokio::spawn(ask(command, watch.seen.clone())));
        watch
    }

    /// What was seen until now.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("no panic while it is noted").clone()
    }

    /// Fails where something ran twice, `ps` said what was not so, or one `ps` in a hundred took a second.
    pub fn is_clean(&self) {
        let seen = self.seen();
        assert!(seen.looks > 0, "nobody looked");
        assert!(seen.twice.is_empty() && seen.wrong.is_empty(), "twice: {:?}; wrong: {:?}", seen.twice, seen.wrong);
        let slow = seen.percentile(99);
        assert!(slow < Duration::from_secs(1), "`ps` took {slow:?}");
    }
}

impl Seen {
    /// So many in a hundred `ps` were as quick as this.
    pub fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.answers, percent)
    }
}

/// So many in a hundred are no longer than this.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(place).copied().unwrap_or_default()
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The containers that the engine lists.
pub async fn containers(socket: &Path) -> Option<Vec<Value>> {
    let listing = async {
        let stream = UnixStream::connect(socket).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let request = Request::get("/containers/json?all=1").header("host", "engine").body(Empty::<Bytes>::new()).ok()?;
        let body = sender.send_request(request).await.ok()?.into_body().collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok()
    };
    tokio::time::timeout(PATIENCE, listing).await.ok().flatten()
}

async fn look(socket: PathBuf, seen: Arc<Mutex<Seen>>) {
    let clock = SystemClock::new();
    let began = clock.wall();
    loop {
        if let Some(containers) = containers(&socket).await {
            let at = clock.wall().duration_since(began).try_into().unwrap_or_default();
            note(&mut seen.lock().expect("no panic while it is noted"), &containers, at);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn note(seen: &mut Seen, containers: &[Value], at: Duration) {
    seen.looks += 1;
    seen.last_look = at;
    let mut holders: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for container in containers.iter().filter(|container| container["State"] == "running" || container["State"] == "paused") {
        let id = container["Id"].as_str().unwrap_or_default();
        seen.last_run.insert(id.to_owned(), at);
        for key in keys(container) {
            holders.entry(key).or_default().push(id);
        }
    }
    let twice = holders.iter().filter(|(_, ids)| ids.len() > 1).map(|(key, ids)| format!("{key}: {ids:?}"));
    seen.twice.extend(twice);
}

/// What only one container may be at a time: a replica of a stack, or of a project of compose, and the
/// server on a data directory.
fn keys(container: &Value) -> Vec<String> {
    let label = |name: &str| container["Labels"][name].as_str();
    let own = match (label("dev.witwd.stack"), label("dev.witwd.kind")) {
        (Some(stack), Some("service" | "postgres")) => Some(format!(
            "{stack}/{}/{}",
            label("dev.witwd.name").unwrap_or_default(),
            label("dev.witwd.replica").unwrap_or_default()
        )),
        _ => None,
    };
    let composed = label("com.docker.compose.project").map(|project| {
        format!(
            "{project}/{}/{:?}",
            label("com.docker.compose.service").unwrap_or_default(),
            label("com.docker.compose.container-number")
        )
    });
    let mounts = container["Mounts"].as_array().into_iter().flatten();
    let data = mounts.filter(|mount| mount["Destination"].as_str().is_some_and(|place| place.starts_with(DATA)));
    let data = data.map(|mount| format!("data in {}{}", mount["Name"], mount["Source"]));
    let is_whole = composed.is_some() || own.is_some();
    own.into_iter().chain(composed).chain(data.filter(|_| is_whole)).collect()
}

async fn ask(command: Command, seen: Arc<Mutex<Seen>>) {
    let clock = SystemClock::new();
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    loop {
        let began = clock.wall();
        let output = command.output().await;
        let took = clock.wall().duration_since(began).try_into().unwrap_or_default();
        if let Some(status) = output.ok().and_then(|output| serde_json::from_slice::<Value>(&output.stdout).ok()) {
            judge(&mut seen.lock().expect("no panic while it is noted"), &status, took);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Of what has not run for a while nobody may say that it is healthy, where the engine answers.
fn judge(seen: &mut Seen, status: &Value, took: Duration) {
    seen.answers.push(took);
    if status["engine"] != "up" {
        return;
    }
    for item in status["items"].as_array().into_iter().flatten() {
        let id = item["container"].as_str().unwrap_or_default();
        let last = seen.last_run.get(id).copied().unwrap_or(seen.last_look);
        if item["health"] == "healthy" && last + STALE < seen.last_look {
            seen.wrong.insert(format!("{} was called healthy {STALE:?} after it had ended", item["name"]));
        }
    }
}

#[test]
fn two_on_one_replica_or_one_directory_and_a_wrong_healthy_are_seen() {
    let container = |id: &str, name: &str, replica: &str| {
        serde_json::json!({
            "Id": id, "State": "running",
            "Labels": { "dev.witwd.stack": "s", "dev.witwd.kind": "postgres", "dev.witwd.name": name, "dev.witwd.replica": replica },
            "Mounts": [{ "Destination": DATA, "Name": name.chars().next().map(String::from), "Source": "" }],
        })
    };
    let mut seen = Seen::default();
    note(&mut seen, &[container("1", "a", "1"), container("2", "b", "1")], Duration::ZERO);
    assert!(seen.twice.is_empty(), "{:?}", seen.twice);
    let healthy = serde_json::json!({ "engine": "up", "items": [{ "name": "a", "container": "1", "health": "healthy" }] });
    judge(&mut seen, &healthy, Duration::ZERO);
    assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
    note(&mut seen, &[container("2", "b", "1"), container("3", "b", "1"), container("4", "bb", "1")], STALE * 2);
    assert_eq!(seen.twice.len(), 2, "{:?}", seen.twice);
    judge(&mut seen, &healthy, Duration::ZERO);
    assert_eq!(seen.wrong.len(), 1);
}
