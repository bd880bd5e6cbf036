//! What the assertions are run on, and what they need again and again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::request::{CreateContainer, CreateNetwork, CreateVolume, MountFrom, MountRequest, Scope, Streams};
use crate::engine::{Engine, EngineError, ErrorKind};
use crate::host::Clock;
use crate::model::container::{Hardening, LogBounds, Protocol, PublishedPort};
use crate::model::name::{ContainerId, InstanceId, ReplicaKey, StackName};
use crate::model::observed::{Container, ContainerState, Exit, Identity, Observed};
use crate::model::workload::KindName;

/// How long anything may take on an engine that is not overloaded.
const LIMIT: Duration = Duration::from_secs(30);
/// How often the engine is asked whether something came true.
const STEP: Duration = Duration::from_millis(50);

/// A foreign hand on the same engine: it knows nothing of our labels.
#[async_trait]
pub trait Hand: Send + Sync {
    /// Does what the engine's own tool does with these words: `["kill", NAME]`, `["pause", NAME]`,
    /// `["create", "--name", NAME, IMAGE, WORDS...]`, `["rm", "-f", NAME]`, `["volume", "create", NAME]`,
    /// `["volume", "rm", NAME]`, `["image", "rm", TAG]`,
    /// `["network", "create", NAME]`, `["network", "rm", NAME]`,
    /// `["network", "connect", "--alias", ALIAS, NETWORK, ID]`, `["network", "disconnect", NETWORK, ID]`.
    async fn docker(&self, words: &[&str]) -> Result<(), String>;
}

/// Why an assertion does not hold.
#[derive(Debug)]
pub struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<EngineError> for Broken {
    fn from(error: EngineError) -> Self {
        Self(format!("{error} ({:?})", error.kind))
    }
}

impl From<String> for Broken {
    fn from(words: String) -> Self {
        Self(words)
    }
}

/// What an assertion says.
pub type Claim<T = ()> = Result<T, Broken>;

/// An engine to be tried, and a stack of its own to try it with: everything of that stack is removed
/// after each assertion.
pub struct Bench {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Foreign hands on the same engine.
    pub hand: Arc<dyn Hand>,
    /// The tiny image; it is there.
    pub image: String,
    /// A stack that nobody else uses.
    pub stack: StackName,
    /// Its instance.
    pub instance: InstanceId,
    /// A directory with a Dockerfile that can be built; empty where the engine reads none.
    pub context: PathBuf,
    count: AtomicU32,
    foreign: Mutex<Vec<[String; 3]>>,
}

impl Bench {
    /// A bench for this stack on this engine.
    pub fn new(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>, hand: Arc<dyn Hand>, image: &str, stack: StackName) -> Self {
        let instance = InstanceId("contract".to_owned());
        let (count, foreign) = (AtomicU32::new(0), Mutex::new(Vec::new()));
        let context = PathBuf::new();
        Self { engine, clock, hand, image: image.to_owned(), stack, instance, context, count, foreign }
    }

    /// Runs one assertion and removes what it left.
    pub async fn check(&self, assertion: super::Check) -> Result<(), String> {
        let held = tokio::select! {
            biased;
            held = assertion(self) => held.map_err(|broken| broken.to_string()),
            () = self.clock.sleep(LIMIT * 2) => Err("it is not over after a minute".to_owned()),
        };
        let cleaned = self.clean().await.map_err(|broken| format!("cleaning up: {broken}"));
        held.and(cleaned)
    }

    fn foreign(&self) -> MutexGuard<'_, Vec<[String; 3]>> {
        self.foreign.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn clean(&self) -> Claim {
        let theirs: Vec<[String; 3]> = std::mem::take(&mut *self.foreign());
        for words in theirs {
            self.hand.docker(&words.each_ref().map(String::as_str)).await?;
        }
        let seen = self.observe().await?;
        let ours = |container: &&Container| container.identity.as_ref().is_some_and(|identity| identity.stack == self.stack);
        for container in seen.containers.iter().filter(ours) {
            self.engine.stop(&container.id, Duration::ZERO).await?;
            self.engine.remove(&container.id).await?;
        }
        for network in &seen.networks {
            self.engine.remove_network(&network.id).await?;
        }
        for volume in &seen.volumes {
            self.engine.remove_volume(&volume.name).await?;
        }
        Ok(())
    }

    /// Everything of this stack.
    pub async fn observe(&self) -> Claim<Observed> {
        let scope = Scope { images: vec![self.image.clone()], ..Scope::of(&self.stack) };
        Ok(self.engine.observe(&scope).await?)
    }

    /// A name on the engine that is not taken.
    pub fn fresh(&self, word: &str) -> String {
        format!("{}-{word}-{}", self.stack, self.count.fetch_add(1, Ordering::SeqCst))
    }

    /// Lets foreign hands make something (`["volume", "create"]`) of a fresh name, and undo it
    /// (`["volume", "rm"]`) at the end.
    pub async fn foreign_made(&self, make: [&str; 2], undo: [&str; 2]) -> Claim<String> {
        let name = self.fresh("foreign");
        let container = [make[0], make[1], name.as_str(), self.image.as_str(), "serve", "--port", "8080"];
        let words = if make[0] == "create" { &container[..] } else { &container[..3] };
        self.hand.docker(words).await?;
        self.undo([undo[0], undo[1], &name]);
        Ok(name)
    }

    /// Lets foreign hands do this at the end.
    pub fn undo(&self, words: [&str; 3]) {
        self.foreign().push(words.map(str::to_owned));
    }

    /// A container of the tiny image with these command words.
    pub fn request(&self, words: &[&str]) -> Claim<CreateContainer> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let workload = format!("c{number}").parse().map_err(|error| Broken(format!("{error}")))?;
        let key = ReplicaKey { name: workload, replica: 1 };
        let identity = Identity {
            stack: self.stack.clone(),
            kind: KindName::Service,
            key: key.clone(),
            spec: None,
            secrets: None,
            instance: self.instance.clone(),
            directory: "/srv/contract".to_owned(),
        };
        Ok(CreateContainer {
            name: self.stack.container(&key),
            image: self.image.clone(),
            platform: None,
            identity,
            labels: BTreeMap::new(),
            data_name: self.stack.clone(),
            env: BTreeMap::new(),
            command: Some(words.iter().map(|word| (*word).to_owned()).collect()),
            entrypoint: None,
            workdir: None,
            user: None,
            hostname: key.name.to_string(),
            network: None,
            aliases: Vec::new(),
            extra_hosts: Vec::new(),
            ports: Vec::new(),
            remembered: Vec::new(),
            asked: std::collections::BTreeSet::new(),
            mounts: Vec::new(),
            tmpfs: Vec::new(),
            shm_size: None,
            ulimits: BTreeMap::new(),
            memory: None,
            milli_cpus: None,
            stop_signal: None,
            stop_grace: Duration::from_secs(10),
            logs: Some(LogBounds::default()),
            hardening: Hardening::default(),
            streams: Streams::Log,
        })
    }

    /// Makes a container with these words.
    pub async fn created(&self, words: &[&str]) -> Claim<ContainerId> {
        Ok(self.engine.create(&self.request(words)?).await?)
    }

    /// Makes and starts a container with these words.
    pub async fn started(&self, words: &[&str]) -> Claim<ContainerId> {
        self.start(&self.request(words)?).await
    }

    /// Makes and starts a container.
    pub async fn start(&self, request: &CreateContainer) -> Claim<ContainerId> {
        let id = self.engine.create(request).await?;
        self.engine.start(&id).await?;
        Ok(id)
    }

    /// The container as it is listed.
    pub async fn listed(&self, id: &ContainerId) -> Claim<Container> {
        let seen = self.observe().await?;
        let found = seen.containers.into_iter().find(|container| container.id == *id);
        found.ok_or_else(|| Broken(format!("container {id} is not listed")))
    }

    /// Its end, once it has come.
    pub async fn end(&self, id: &ContainerId) -> Claim<Exit> {
        let began = self.clock.moment();
        loop {
            let listed = self.listed(id).await?;
            if let ContainerState::Exited { exit, .. } = listed.state {
                return Ok(exit);
            }
            ensure(self.clock.moment().since(began) < LIMIT, || format!("{} after {LIMIT:?}", listed.state.word()))?;
            self.clock.sleep(STEP).await;
        }
    }

    /// Makes this stack's network; its name.
    pub async fn network(&self) -> Claim<String> {
        let request = self.network_request();
        self.engine.create_network(&request).await?;
        Ok(request.name)
    }

    /// A request for this stack's network.
    pub fn network_request(&self) -> CreateNetwork {
        CreateNetwork {
            name: self.stack.network(),
            stack: self.stack.clone(),
            instance: self.instance.clone(),
            directory: "/srv/contract".to_owned(),
        }
    }

    /// A request for a volume of this stack.
    pub fn volume_request(&self, name: &str) -> CreateVolume {
        CreateVolume {
            name: name.to_owned(),
            volume: "data".to_owned(),
            stack: self.stack.clone(),
            instance: self.instance.clone(),
            directory: "/srv/contract".to_owned(),
            of_image: false,
            data_of: None,
            trial_of: None,
            driver: None,
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }

    /// Makes a volume and a mount of it.
    pub async fn volume(&self, target: &str) -> Claim<(String, MountRequest)> {
        let name = self.fresh("volume");
        self.engine.create_volume(&self.volume_request(&name)).await?;
        let mount = MountRequest { source: MountFrom::Volume(name.clone()), target: target.to_owned(), read_only: false };
        Ok((name, mount))
    }

    /// A container that serves, on this stack's network, with its port published at `host`.
    pub fn publishing(&self, network: &str, host: Option<u16>) -> Claim<CreateContainer> {
        let mut request = self.request(&["serve", "--port", "8080"])?;
        request.network = Some(network.to_owned());
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        request.ports = vec![PublishedPort { address, host, container: 8080, protocol: Protocol::Tcp }];
        Ok(request)
    }
}

/// Fails with these words unless it is so.
pub fn ensure(so: bool, words: impl FnOnce() -> String) -> Claim {
    if so { Ok(()) } else { Err(Broken(words())) }
}

/// Fails unless the two are equal.
pub fn same<T: PartialEq + fmt::Debug>(what: &str, seen: &T, wanted: &T) -> Claim {
    ensure(seen == wanted, || format!("{what}: {seen:?}, not {wanted:?}"))
}

/// Fails unless it failed in this way.
pub fn refused<T>(outcome: Result<T, EngineError>, kind: ErrorKind) -> Claim {
    match outcome {
        Ok(_) => Err(Broken(format!("it was done, not refused as {kind:?}"))),
        Err(error) => ensure(error.kind == kind, || format!("{error} is {:?}, not {kind:?}", error.kind)),
    }
}
