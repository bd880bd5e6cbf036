//! The stack's network.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{EndpointSettings, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest};
use bollard::query_parameters::ListNetworksOptions;

use super::{Call, DockerEngine, QUICK, SLOW, containers, fine, observe};
use crate::engine::request::CreateNetwork;
use crate::engine::{EngineError, ErrorKind, labels};
use crate::model::name::ContainerId;

/// How often a network is tried to be removed while endpoints of dead containers are cleared.
const ATTEMPTS: u32 = 5;

/// Makes a network. One of that name is a conflict: the engine itself would make a second one.
pub(super) async fn create(engine: &DockerEngine, request: &CreateNetwork) -> Result<(), EngineError> {
    if let Some(id) = ids_of(engine, &request.name).await?.first() {
        return Err(taken(&request.name, id));
    }
    let body = NetworkCreateRequest {
        name: request.name.clone(),
        driver: Some("bridge".to_owned()),
        options: Some(HashMap::from([("com.docker.network.bridge.host_binding_ipv4".to_owned(), "127.0.0.1".to_owned())])),
        labels: Some(labels::of_owner(&request.stack, &request.instance, &request.directory).into_iter().collect()),
        ..Default::default()
    };
    let made = engine
        .call(Call::new("create network", &request.name), SLOW, |docker| async move { docker.create_network(body).await })
        .await?;
    // Somebody may have made one at the same time: then the smaller id stays.
    let ids = ids_of(engine, &request.name).await?;
    match ids.iter().min() {
        Some(first) if ids.len() > 1 && *first != made.id => {
            remove(engine, &made.id).await?;
            Err(taken(&request.name, first))
        }
        _ => Ok(()),
    }
}

fn taken(name: &str, id: &str) -> EngineError {
    let message = format!("there is a network of this name: {}", id.get(..12).unwrap_or(id));
    EngineError::new("create network", name, ErrorKind::Conflict, message)
}

async fn ids_of(engine: &DockerEngine, name: &str) -> Result<Vec<String>, EngineError> {
    // The engine's filter finds parts of names too.
    let filters = HashMap::from([("name".to_owned(), vec![name.to_owned()])]);
    let options = ListNetworksOptions { filters: Some(filters) };
    let listed = engine
        .call(Call::new("list", "networks"), QUICK, |docker| async move { docker.list_networks(Some(options)).await })
        .await?;
    Ok(listed.into_iter().filter(|network| network.name.as_deref() == Some(name)).filter_map(|network| network.id).collect())
}

/// Removes a network. None there is fine. Endpoints that dead containers left behind are
/// disconnected; one of a container that is there makes the network [`ErrorKind::InUse`].
pub(super) async fn remove(engine: &DockerEngine, id: &str) -> Result<(), EngineError> {
    let mut attempt = 1;
    loop {
        let outcome =
            engine.call(Call::new("remove network", id), SLOW, |docker| async move { docker.remove_network(id).await }).await;
        match fine(outcome, &[ErrorKind::NotFound]) {
            Err(error) if error.kind == ErrorKind::InUse && attempt < ATTEMPTS => {
                clear_stale(engine, id).await?;
                engine.inner.clock.sleep(Duration::from_millis(100) * attempt).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn clear_stale(engine: &DockerEngine, id: &str) -> Result<(), EngineError> {
    let network = engine
        .call(Call::new("inspect network", id), QUICK, |docker| async move { docker.inspect_network(id, None).await })
        .await?;
    for (endpoint, resource) in network.containers.unwrap_or_default() {
        // A stale endpoint is listed as `ep-...`, or by the id of a container that is no more.
        if is_there(engine, &endpoint).await? {
            let message = format!("container {} is on it", resource.name.unwrap_or(endpoint));
            return Err(EngineError::new("remove network", id, ErrorKind::InUse, message));
        }
        let container = if endpoint.starts_with("ep-") { resource.name.unwrap_or(endpoint) } else { endpoint };
        let body = NetworkDisconnectRequest { container, force: Some(true) };
        let outcome = engine
            .call(Call::new("disconnect", id), QUICK, |docker| async move { docker.disconnect_network(id, body).await })
            .await;
        fine(outcome, &[ErrorKind::NotFound, ErrorKind::Other])?;
    }
    Ok(())
}

/// Puts a container on a network, with these names beside its own.
pub(super) async fn connect(
    engine: &DockerEngine,
    container: &ContainerId,
    network: &str,
    names: &[String],
) -> Result<(), EngineError> {
    let endpoint = EndpointSettings { aliases: Some(names.to_vec()), ..Default::default() };
    let body = NetworkConnectRequest { container: container.0.clone(), endpoint_config: Some(endpoint) };
    let outcome = engine
        .call(Call::on("connect", container), SLOW, |docker| async move { docker.connect_network(network, body).await })
        .await;
    engine.cache().forget(&container.0);
    outcome.map_err(containers::of_its_surroundings)
}

/// Takes a container from a network. One that is not there is fine.
pub(super) async fn disconnect(engine: &DockerEngine, container: &ContainerId, network: &str) -> Result<(), EngineError> {
    let body = NetworkDisconnectRequest { container: container.0.clone(), force: Some(false) };
    let outcome = engine
        .call(Call::on("disconnect", container), SLOW, |docker| async move { docker.disconnect_network(network, body).await })
        .await;
    engine.cache().forget(&container.0);
    fine(outcome, &[ErrorKind::NotFound])
}

async fn is_there(engine: &DockerEngine, endpoint: &str) -> Result<bool, EngineError> {
    if endpoint.starts_with("ep-") {
        return Ok(false);
    }
    let id = ContainerId(endpoint.to_owned());
    match observe::inspect_container(engine, "inspect", &id).await {
        Ok(container) => Ok(container.state.is_some_and(|state| state.running == Some(true))),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
