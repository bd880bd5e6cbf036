//! What the command line is put together from: the one file where the engine, the supervisor and
//! the schema are named. Everything else in `cli` knows traits and handles only.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::exit_code::{Exit, Failure, chain};
use super::place::Place;
use crate::config::Loaded;
use crate::engine::Engine;
use crate::engine::docker::{ConnectError, DockerEngine, Surroundings};
use crate::host::runtime::Runtime;
use crate::host::{Clock, Disk};
use crate::model::name::{InstanceId, WorkloadName};
use crate::supervisor::Ends;

/// What a supervisor is given to work with.
#[derive(Clone)]
pub struct Parts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Small files.
    pub disk: Arc<dyn Disk>,
    /// The engine, which need not answer yet.
    pub engine: Arc<dyn Engine>,
    /// Where the stack lies.
    pub place: Place,
    /// Which instance of the stack this is.
    pub instance: InstanceId,
    /// Where sockets and secrets lie.
    pub runtime: Runtime,
}

/// The engine of this machine, once it has answered.
pub async fn connect(clock: Arc<dyn Clock>) -> Result<Arc<dyn Engine>, Failure> {
    Ok(Arc::new(docker(clock).await?))
}

/// The same with what only the real one can: streams for a person.
pub async fn docker(clock: Arc<dyn Clock>) -> Result<DockerEngine, Failure> {
    DockerEngine::connect(Surroundings::of_process(), clock).await.map_err(|error| no_engine(&error))
}

/// The engine of this machine, whether it answers or not: for a daemon, which waits for it.
pub fn locate(clock: Arc<dyn Clock>) -> Result<Arc<dyn Engine>, Failure> {
    Ok(Arc::new(DockerEngine::locate(Surroundings::of_process(), clock).map_err(|error| no_engine(&error))?))
}

fn no_engine(error: &ConnectError) -> Failure {
    let hint = error.hint();
    Failure::new(Exit::NoEngine, chain(error)).hint(hint)
}

/// The JSON schema of stack.toml.
pub fn schema() -> String {
    // HOLE: config::schema().
    String::from("{}")
}

/// Runs the supervisor until `ending` is true, leaving the stack as it is. What is asked of it
/// comes through `ends`; nothing is done before the first command.
pub async fn supervise(parts: Parts, ends: Ends, mut ending: watch::Receiver<bool>) {
    // HOLE: monitor, caretaker and supervisor::run(...).
    let _ = (parts, ends);
    // Without a sender nobody is left to end it otherwise.
    let _ = ending.wait_for(|ending| *ending).await;
}

/// Whether the stack is to run, as far as the supervisor's own state says: not after a `down`.
pub fn is_wanted(parts: &Parts) -> bool {
    // HOLE: the goal in the state of the supervisor; `true` where there is no state.
    let _ = parts;
    true
}

/// Workloads whose build definition or context changed since their image was made.
pub fn stale_builds(loaded: &Loaded, parts: &Parts) -> BTreeSet<WorkloadName> {
    // HOLE: digests of contexts.
    let _ = (loaded, parts);
    BTreeSet::new()
}
