//! Published ports as a person reads and opens them. Pure.

use super::fit::hang;
use crate::model::container::Protocol;
use crate::model::status::{ItemStatus, PortStatus, Status};
use crate::model::wish::Chosen;
use crate::model::workload::KindName;

/// A published port in a table: `127.0.0.1:8080->8000`; the inner port only where it differs.
pub fn port_text(port: &PortStatus) -> String {
    let inner = if port.host == port.container { String::new() } else { format!("->{}", port.container) };
    let protocol = if port.protocol == Protocol::Udp { "/udp" } else { "" };
    format!("{}{inner}{protocol}", host_text(port))
}

/// Where it is published: `127.0.0.1:8080`.
pub fn host_text(port: &PortStatus) -> String {
    let address = if port.address.contains(':') { format!("[{}]", port.address) } else { port.address.clone() };
    format!("{address}:{}", port.host)
}

/// What to say of the published ports of a stack that is ready: a line each, services first, indented;
/// what does not fit into `room` goes on below.
pub fn addresses(status: &Status, room: usize) -> Vec<String> {
    let mut items: Vec<&ItemStatus> = status.items.iter().filter(|item| !item.ports.is_empty()).collect();
    items.sort_by_key(|item| (item.kind != KindName::Service, &item.name, item.replica));
    let width = items.iter().map(|item| item.name.len()).max().unwrap_or(0);
    let line = |item: &&ItemStatus| {
        let addresses: Vec<String> = item.ports.iter().map(|port| address(item.kind, port)).collect();
        hang(&format!("  {:width$}  {}", item.name, addresses.join("  ")), room, width + 4)
    };
    items.iter().map(line).collect()
}

/// The address to open in a browser: that of the first service of `of`, or of all, that publishes one.
pub fn to_open(status: &Status, of: Option<&Chosen>) -> Option<String> {
    let is_meant = |item: &ItemStatus| of.is_none_or(|of| of.covers(&item.name, item.replica));
    let services = status.items.iter().filter(|item| item.kind == KindName::Service && is_meant(item));
    let mut services: Vec<&ItemStatus> = services.collect();
    services.sort_by_key(|item| (&item.name, item.replica));
    let port = services.iter().flat_map(|item| &item.ports).find(|port| port.protocol == Protocol::Tcp)?;
    Some(address(KindName::Service, port))
}

fn address(kind: KindName, port: &PortStatus) -> String {
    let host = match port.address.as_str() {
        "0.0.0.0" | "::" => "localhost".to_owned(),
        address if address.contains(':') => format!("[{address}]"),
        address => address.to_owned(),
    };
    match (kind, port.protocol, port.host) {
        (KindName::Service, Protocol::Tcp, 80) => format!("http://{host}"),
        (KindName::Service, Protocol::Tcp, number) => format!("http://{host}:{number}"),
        (_, protocol, number) => format!("{host}:{number}/{}", protocol.as_str()),
    }
}
