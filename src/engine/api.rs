//! The seam between us and a container engine.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::answer::{EngineEvent, EngineInfo, ExecOutput, FileSeen, ImageFacts, LogLine, Progress, Reach, Waited};
use super::error::{EngineError, ErrorKind};
use super::joined::Joined;
use super::request::{BuildImage, CreateContainer, CreateNetwork, CreateVolume, Exec, FileToPut, LogQuery, PullImage, Scope};
use crate::model::name::{ContainerId, ImageId, StackName};
use crate::model::observed::Observed;

/// Lines of a log, oldest first.
pub type LogStream = BoxStream<'static, Result<LogLine, EngineError>>;

/// Events, until the engine goes away: then one error or the end.
pub type EventStream = BoxStream<'static, Result<EngineEvent, EngineError>>;

/// Where progress of a pull or build goes. Called from the task that pulls; must not block.
pub type ProgressSink = std::sync::Arc<dyn Fn(Progress) + Send + Sync>;

/// A container engine: one method per primitive, no decisions. Every method ends in bounded time;
/// a mutating one that failed may have happened unless [`super::ErrorKind::nothing_happened`].
#[async_trait]
pub trait Engine: Send + Sync {
    /// What it is; also the question whether it answers at all.
    async fn info(&self) -> Result<EngineInfo, EngineError>;

    /// Where a `docker` command finds this engine (`DOCKER_HOST`), where one could.
    fn docker_host(&self) -> Option<String> {
        None
    }

    /// One look at everything: lossless, sorted, consistent as far as the engine is.
    async fn observe(&self, scope: &Scope) -> Result<Observed, EngineError>;

    /// What happens from now on.
    async fn events(&self, stack: &StackName) -> Result<EventStream, EngineError>;

    /// Pulls an image; returns what the reference means now.
    async fn pull(&self, request: &PullImage, progress: ProgressSink) -> Result<ImageId, EngineError>;

    /// Builds an image with a Dockerfile; returns its id.
    async fn build(&self, request: &BuildImage, progress: ProgressSink) -> Result<ImageId, EngineError>;

    /// What an image says of itself; [`super::ErrorKind::NotFound`] where it is not here.
    async fn image(&self, reference: &str) -> Result<ImageFacts, EngineError>;

    /// Makes a network. One of that name: [`super::ErrorKind::Conflict`].
    async fn create_network(&self, request: &CreateNetwork) -> Result<(), EngineError>;

    /// Removes a network, disconnecting stale endpoints by force. None there is fine.
    async fn remove_network(&self, id: &str) -> Result<(), EngineError>;

    /// Makes a volume. One of that name that is not ours: [`super::ErrorKind::Conflict`].
    async fn create_volume(&self, request: &CreateVolume) -> Result<(), EngineError>;

    /// Removes a volume, on an explicit command of the user only. None there is fine.
    async fn remove_volume(&self, name: &str) -> Result<(), EngineError>;

    /// Makes a container, with the engine's restart policy `no`. The name taken:
    /// [`super::ErrorKind::Conflict`]; a missing image: [`super::ErrorKind::NotFound`].
    async fn create(&self, request: &CreateContainer) -> Result<ContainerId, EngineError>;

    /// Starts a container. One that runs is fine.
    async fn start(&self, container: &ContainerId) -> Result<(), EngineError>;

    /// Whether a container is up, asked of it alone: a list may be older. One that is gone is not.
    async fn is_up(&self, container: &ContainerId) -> Result<bool, EngineError>;

    /// Asks a container to stop with its own signal and kills it after `grace`. One that does not
    /// run, or is gone, is fine. Returns when it is over.
    async fn stop(&self, container: &ContainerId, grace: Duration) -> Result<(), EngineError>;

    /// Removes a stopped container and its anonymous volumes. One that is gone is fine; one that
    /// runs: [`super::ErrorKind::Conflict`].
    async fn remove(&self, container: &ContainerId) -> Result<(), EngineError>;

    /// Gives a container another name. The name taken: [`super::ErrorKind::Conflict`].
    async fn rename(&self, container: &ContainerId, name: &str) -> Result<(), EngineError>;

    /// Puts a container on a network, with these names; the engine may add its host name. A running one that is there
    /// already: [`super::ErrorKind::Conflict`].
    async fn connect(&self, container: &ContainerId, network: &str, names: &[String]) -> Result<(), EngineError>;

    /// Takes a container from a network. One that is not there is fine.
    async fn disconnect(&self, container: &ContainerId, network: &str) -> Result<(), EngineError>;

    /// Puts files below `directory` of a container that may be stopped.
    async fn put_files(&self, container: &ContainerId, directory: &str, files: &[FileToPut]) -> Result<(), EngineError>;

    /// What lies at an absolute path of a container, which need not run; of a file at most the first
    /// `most` bytes. `None`: nothing lies there. A link is not followed.
    async fn read_file(&self, container: &ContainerId, path: &str, most: usize) -> Result<Option<FileSeen>, EngineError>;

    /// Runs a command in a running container until it ends, or fails after `limit`: then it is ended
    /// where that can be done, and goes on elsewhere.
    async fn exec(&self, container: &ContainerId, exec: &Exec, limit: Duration) -> Result<ExecOutput, EngineError>;

    /// Joins a container that was made to be attached to and is not started yet: nothing of its output is
    /// missed, and its end is seen. An engine that streams nothing says so.
    async fn join_container(&self, container: &ContainerId) -> Result<Joined, EngineError> {
        Err(no_streams("attach to", container))
    }

    /// Begins a command in a running container and joins it; its `stdin` is not looked at. It goes on when
    /// nobody is joined to it any more, until its container ends.
    async fn join_command(&self, container: &ContainerId, _exec: &Exec) -> Result<Joined, EngineError> {
        Err(no_streams("run a command in", container))
    }

    /// Returns when the container's present or next run is over. Ask before you start it.
    async fn wait(&self, container: &ContainerId) -> Result<Waited, EngineError>;

    /// The log of a container.
    async fn logs(&self, container: &ContainerId, query: &LogQuery) -> Result<LogStream, EngineError>;

    /// How a port of a running container is reached from this process.
    async fn reach(&self, container: &ContainerId, port: u16) -> Result<Reach, EngineError>;
}

/// What an engine says that streams nothing: the simulated one, whose containers have no bytes.
fn no_streams(operation: &'static str, container: &ContainerId) -> EngineError {
    EngineError::new(operation, super::request::describe(container), ErrorKind::Invalid, "this engine streams nothing")
}
