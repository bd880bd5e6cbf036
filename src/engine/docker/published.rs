//! The published ports of a container: as the list of containers tells them, and as an inspect does.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use bollard::models::{ContainerInspectResponse, ContainerSummary, PortBinding, PortSummaryTypeEnum};

use crate::model::container::Protocol;
use crate::model::observed::PublishedSeen;

/// As the list tells them.
pub(super) fn listed(summary: &ContainerSummary) -> Vec<PublishedSeen> {
    let ports = summary.ports.iter().flatten().filter_map(|port| {
        Some(PublishedSeen {
            address: address(port.ip.as_deref()),
            host: port.public_port.filter(|port| *port != 0)?,
            container: port.private_port,
            protocol: match port.typ {
                Some(PortSummaryTypeEnum::UDP) => Protocol::Udp,
                _ => Protocol::Tcp,
            },
        })
    });
    in_order(ports.collect())
}

/// As an inspect tells them.
pub(super) fn inspected(answer: &ContainerInspectResponse) -> Vec<PublishedSeen> {
    let ports = answer.network_settings.as_ref().and_then(|settings| settings.ports.as_ref());
    in_order(ports.into_iter().flat_map(HashMap::iter).flat_map(|(port, bindings)| bound(port, bindings.as_deref())).collect())
}

/// What a port of a container, like `8080/tcp`, is bound to.
fn bound(port: &str, bindings: Option<&[PortBinding]>) -> Vec<PublishedSeen> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocol = if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp };
    let Ok(container) = number.parse() else { return Vec::new() };
    let seen = |binding: &PortBinding| {
        let host = binding.host_port.as_deref()?.parse().ok().filter(|port| *port != 0)?;
        Some(PublishedSeen { address: address(binding.host_ip.as_deref()), host, container, protocol })
    };
    bindings.into_iter().flatten().filter_map(seen).collect()
}

fn address(ip: Option<&str>) -> IpAddr {
    ip.and_then(|ip| ip.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn in_order(mut ports: Vec<PublishedSeen>) -> Vec<PublishedSeen> {
    ports.sort();
    ports.dedup();
    ports
}
