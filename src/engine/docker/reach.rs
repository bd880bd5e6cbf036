//! How a port of a running container is reached from this process.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bollard::models::{ContainerInspectResponse, EndpointSettings};

use super::{DockerEngine, facts, observe, published};
use crate::engine::answer::Reach;
use crate::engine::request::describe;
use crate::engine::{EngineError, ErrorKind, labels};
use crate::model::container::Protocol;
use crate::model::name::ContainerId;

/// By its address on the stack's network where the engine is a rootful one of this machine, else
/// by a port that is published on this machine.
pub(super) async fn reach(engine: &DockerEngine, container: &ContainerId, port: u16) -> Result<Reach, EngineError> {
    let facts = facts::known(engine).await?;
    let answer = observe::inspect_container(engine, "inspect", container).await?;
    let failed = |kind, message: &str| EngineError::new("reach", describe(container), kind, message);
    if answer.state.as_ref().and_then(|state| state.running) != Some(true) {
        return Err(failed(ErrorKind::Conflict, "it does not run"));
    }
    let direct = facts.info.direct.then(|| address(&answer)).flatten();
    if let Some(address) = direct {
        return Ok(Reach::Direct(SocketAddr::new(address, port)));
    }
    published(&answer, port)
        .map(Reach::Published)
        .ok_or_else(|| failed(ErrorKind::Invalid, &format!("port {port} is not published, and this engine hides its addresses")))
}

fn address(answer: &ContainerInspectResponse) -> Option<IpAddr> {
    let labels = answer.config.as_ref().and_then(|config| config.labels.as_ref());
    let own = labels.and_then(|labels| labels.get(labels::STACK));
    let networks = answer.network_settings.as_ref()?.networks.as_ref()?;
    let sorted: BTreeMap<&String, &EndpointSettings> = networks.iter().collect();
    let preferred = own.and_then(|name| sorted.get(name)).copied();
    let parse = |endpoint: &EndpointSettings| endpoint.ip_address.as_deref().and_then(|text| text.parse().ok());
    preferred.into_iter().chain(sorted.values().copied()).find_map(parse)
}

fn published(answer: &ContainerInspectResponse, port: u16) -> Option<SocketAddr> {
    let found = published::inspected(answer).into_iter().find(|seen| (seen.container, seen.protocol) == (port, Protocol::Tcp))?;
    Some(SocketAddr::new(local(found.address), found.host))
}

/// Where one connects to what listens on `address`.
fn local(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    }
}
