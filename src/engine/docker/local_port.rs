//! Ports of this machine: whether one is free, and which one is. Only a bind tells, and only for now.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use crate::model::container::Protocol;

/// Whether nobody listens there.
pub(super) fn is_free(address: IpAddr, port: u16, protocol: Protocol) -> bool {
    bound(address, port, protocol).is_some()
}

/// A port that nobody listens on; `None` where this address is not ours to ask (an engine in a virtual
/// machine): the engine chooses then, at each start anew.
pub(super) fn free(address: IpAddr, protocol: Protocol) -> Option<u16> {
    bound(address, 0, protocol).map(|address| address.port())
}

fn bound(address: IpAddr, port: u16, protocol: Protocol) -> Option<SocketAddr> {
    let address = SocketAddr::new(address, port);
    match protocol {
        Protocol::Tcp => TcpListener::bind(address).and_then(|listener| listener.local_addr()).ok(),
        Protocol::Udp => UdpSocket::bind(address).and_then(|socket| socket.local_addr()).ok(),
    }
}
