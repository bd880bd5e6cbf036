//! The real engine: Docker or Podman over their Unix socket. The only place that names bollard.
//!
//! [`DockerEngine::connect`] finds the engine as `docker` itself would and says what to do where it
//! does not answer. Every request is bounded in time. No decision is taken here: an answer of the
//! engine is told apart by [`super::ErrorKind`] and handed up. Contents of secrets, environments
//! and credentials are never part of an error or a log line.

mod archive;
mod build;
mod buildx;
mod cache;
mod connect;
mod containers;
mod context;
mod create;
mod credentials;
mod error;
mod events;
mod exec;
mod facts;
mod ignore;
mod images;
mod interactive;
mod local_port;
mod logs;
mod networks;
mod observe;
mod overdue;
mod ports;
mod published;
mod reach;
mod reference;
#[cfg(test)]
mod tests;
mod upgrade;
mod usage;
mod volumes;
mod wait;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, Docker};

pub use build::build_digest;
pub use connect::{ConnectError, EngineAddress, Surroundings};
pub use interactive::{ExecInteractive, Session};
pub use usage::Usage;

use super::answer::{BuiltImage, EngineInfo, ExecOutput, FileSeen, ImageFacts, Reach, Waited};
use super::request::{BuildImage, CreateContainer, CreateNetwork, CreateVolume, Exec, FileToPut, LogQuery, PullImage, Scope};
use super::{Engine, EngineError, ErrorKind, EventStream, Joined, LogStream, ProgressSink};
use crate::host::Clock;
use crate::model::name::{ContainerId, ImageId, InstanceId, StackName};
use crate::model::observed::Observed;
use cache::Cache;
use facts::Facts;

/// How long the engine may take for an answer that costs it nothing.
const QUICK: Duration = Duration::from_secs(30);
/// How long the engine may take to make, start or remove something.
const SLOW: Duration = Duration::from_secs(120);

/// A container engine of this machine. Clones share what they know.
#[derive(Clone)]
pub struct DockerEngine {
    inner: Arc<Inner>,
}

struct Inner {
    address: EngineAddress,
    surroundings: Surroundings,
    clock: Arc<dyn Clock>,
    cache: Mutex<Cache>,
    facts: tokio::sync::Mutex<Option<Facts>>,
    buildx: tokio::sync::OnceCell<bool>,
    overdue: Mutex<overdue::Known>,
}

impl DockerEngine {
    /// Finds the engine and asks whether it answers; the error carries the way out.
    pub async fn connect(surroundings: Surroundings, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        let engine = Self::locate(surroundings, clock)?;
        engine.check().await?;
        Ok(engine)
    }

    /// Finds where the engine would answer, without asking it: for a daemon that waits for it.
    pub fn locate(surroundings: Surroundings, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        let address = connect::locate(&surroundings)?;
        let inner = Inner {
            address,
            surroundings,
            clock,
            cache: Mutex::default(),
            facts: tokio::sync::Mutex::default(),
            buildx: tokio::sync::OnceCell::new(),
            overdue: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether the engine answers and is new enough.
    pub async fn check(&self) -> Result<(), ConnectError> {
        connect::check(self).await
    }

    /// Where the engine is, and who said so.
    pub fn address(&self) -> &EngineAddress {
        &self.inner.address
    }

    /// Runs a command a person looks at: with a terminal or raw streams. Its words are published
    /// in the engine's event stream.
    pub async fn exec_interactive(&self, container: &ContainerId, request: &ExecInteractive) -> Result<Session, EngineError> {
        interactive::open(self, container, request).await
    }

    /// What a container uses just now; `None` where it does not run.
    pub async fn usage(&self, container: &ContainerId) -> Result<Option<Usage>, EngineError> {
        usage::look(self, container).await
    }

    /// Joins a container that is not started yet and was made to be attached to.
    pub async fn attach(&self, container: &ContainerId, tty: bool) -> Result<Session, EngineError> {
        interactive::attach(self, container, tty).await
    }

    /// Passes a signal on to what runs in a container. One that does not run is fine.
    pub async fn signal(&self, container: &ContainerId, signal: &str) -> Result<(), EngineError> {
        containers::signal(self, container, signal).await
    }

    /// The images that an instance built, by id.
    pub async fn built_images(&self, instance: &InstanceId) -> Result<Vec<BuiltImage>, EngineError> {
        images::built(self, instance).await
    }

    /// Removes an image that nothing is made from. One that is gone is fine; one that is used:
    /// [`ErrorKind::Conflict`].
    pub async fn remove_image(&self, id: &ImageId) -> Result<(), EngineError> {
        images::remove(self, id).await
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.inner.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client whose answers must begin within `limit`. Made anew for each call: it keeps no
    /// connections, and its making fails where there is no socket.
    fn client(&self, limit: Duration) -> Result<Docker, bollard::errors::Error> {
        Docker::connect_with_unix(&self.inner.address.path.to_string_lossy(), limit.as_secs().max(1), API_DEFAULT_VERSION)
    }

    /// One request, bounded in time, its failure classified.
    async fn call<T, F>(&self, what: Call, limit: Duration, request: impl FnOnce(Docker) -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let Call { operation, target } = what;
        let client = self.client(limit).map_err(|error| error::classify(operation, &target, &error))?;
        match tokio::time::timeout(limit + Duration::from_secs(1), request(client)).await {
            Ok(outcome) => outcome.map_err(|error| error::classify(operation, &target, &error)),
            Err(_) => Err(error::timeout(operation, &target, limit)),
        }
    }
}

/// What is tried on what: the head of an error message.
struct Call {
    operation: &'static str,
    target: String,
}

impl Call {
    fn new(operation: &'static str, target: impl Into<String>) -> Self {
        Self { operation, target: target.into() }
    }

    fn on(operation: &'static str, container: &ContainerId) -> Self {
        Self::new(operation, super::request::describe(container))
    }
}

/// Takes a failure of these kinds for success.
fn fine<T: Default>(outcome: Result<T, EngineError>, kinds: &[ErrorKind]) -> Result<T, EngineError> {
    match outcome {
        Err(error) if kinds.contains(&error.kind) => Ok(T::default()),
        other => other,
    }
}

#[async_trait]
impl Engine for DockerEngine {
    fn docker_host(&self) -> Option<String> {
        Some(format!("unix://{}", self.address().path.display()))
    }

    async fn info(&self) -> Result<EngineInfo, EngineError> {
        facts::info(self).await
    }

    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError> {
        observe::observe(self, scope).await
    }

    async fn events(&self, stack: &StackName) -> Result<EventStream, EngineError> {
        events::open(self, stack).await
    }

    async fn pull(&self, request: &PullImage, progress: ProgressSink) -> Result<ImageId, EngineError> {
        images::pull(self, request, progress).await
    }

    async fn build(&self, request: &BuildImage, progress: ProgressSink) -> Result<ImageId, EngineError> {
        build::build(self, request, progress).await
    }

    async fn image(&self, reference: &str) -> Result<ImageFacts, EngineError> {
        images::facts(self, reference).await
    }

    async fn create_network(&self, request: &CreateNetwork) -> Result<(), EngineError> {
        networks::create(self, request).await
    }

    async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        networks::remove(self, id).await
    }

    async fn create_volume(&self, request: &CreateVolume) -> Result<(), EngineError> {
        volumes::create(self, request).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        volumes::remove(self, name).await
    }

    async fn create(&self, request: &CreateContainer) -> Result<ContainerId, EngineError> {
        containers::create(self, request).await
    }

    async fn start(&self, container: &ContainerId) -> Result<(), EngineError> {
        containers::start(self, container).await
    }

    async fn stop(&self, container: &ContainerId, grace: Duration) -> Result<(), EngineError> {
        containers::stop(self, container, grace).await
    }

    async fn remove(&self, container: &ContainerId) -> Result<(), EngineError> {
        containers::remove(self, container).await
    }

    async fn rename(&self, container: &ContainerId, name: &str) -> Result<(), EngineError> {
        containers::rename(self, container, name).await
    }

    async fn connect(&self, container: &ContainerId, network: &str, names: &[String]) -> Result<(), EngineError> {
        networks::connect(self, container, network, names).await
    }

    async fn disconnect(&self, container: &ContainerId, network: &str) -> Result<(), EngineError> {
        networks::disconnect(self, container, network).await
    }

    async fn read_file(&self, container: &ContainerId, path: &str, most: usize) -> Result<Option<FileSeen>, EngineError> {
        containers::read_file(self, container, path, most).await
    }

    async fn put_files(&self, container: &ContainerId, directory: &str, files: &[FileToPut]) -> Result<(), EngineError> {
        containers::put_files(self, container, directory, files).await
    }

    async fn exec(&self, container: &ContainerId, exec: &Exec, limit: Duration) -> Result<ExecOutput, EngineError> {
        exec::run(self, container, exec, limit).await
    }

    async fn is_up(&self, container: &ContainerId) -> Result<bool, EngineError> {
        containers::is_up(self, container).await
    }

    async fn join_container(&self, container: &ContainerId) -> Result<Joined, EngineError> {
        Ok(interactive::attach(self, container, false).await?.joined())
    }

    async fn join_command(&self, container: &ContainerId, exec: &Exec) -> Result<Joined, EngineError> {
        let Exec { command, user, env, .. } = exec.clone();
        Ok(interactive::open(self, container, &ExecInteractive { command, user, env, tty: false }).await?.joined())
    }

    async fn wait(&self, container: &ContainerId) -> Result<Waited, EngineError> {
        wait::wait(self, container).await
    }

    async fn logs(&self, container: &ContainerId, query: &LogQuery) -> Result<LogStream, EngineError> {
        logs::open(self, container, query).await
    }

    async fn reach(&self, container: &ContainerId, port: u16) -> Result<Reach, EngineError> {
        reach::reach(self, container, port).await
    }
}
