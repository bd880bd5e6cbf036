//! Who holds a port of the machine that a container was to be given.

use std::net::SocketAddr;

use bollard::query_parameters::ListContainersOptions;

use super::{Call, DockerEngine, QUICK, error, observe};
use crate::engine::EngineError;
use crate::host::listeners;

/// The error of a port that is taken, with who holds it, as far as that can be seen, and the way out.
pub(super) async fn name_holder(engine: &DockerEngine, mut error: EngineError) -> EngineError {
    let Some(address) = error::taken_address(&error) else { return error };
    // The engine's own proxy listens for a container: the container is whom the user knows.
    let holder = match container(engine, address).await {
        Some(name) => format!("container {name}"),
        None => listeners::describe(address),
    };
    error.message = format!("{address} is taken by {holder}: end that, or publish another port in stack.toml");
    error
}

async fn container(engine: &DockerEngine, address: SocketAddr) -> Option<String> {
    let options = ListContainersOptions::default();
    let listed = engine
        .call(Call::new("list", "containers"), QUICK, |docker| async move { docker.list_containers(Some(options)).await })
        .await
        .ok()?;
    let mut running = listed.iter().map(observe::of_summary);
    running.find(|container| container.publishes(address, None)).map(|container| container.name)
}
