//! `ports`: `"8000"`, `"8080:8000"`, `"auto:8000"`, `"0.0.0.0:80:8000"`, `"53:53/udp"`.

use core::net::{IpAddr, Ipv4Addr};

use crate::model::container::{Protocol, PublishedPort};

use super::diagnostics::Place;
use super::node::Value;
use super::reader::Reader;
use super::values::{Mistake, mistake};

const SYNTAX: &str = "write \"8000\", \"8080:8000\", \"auto:8000\", \"0.0.0.0:80:8000\" or \"53:53/udp\"";

/// The published ports, with their places.
pub(super) fn ports(reader: &Reader<'_>) -> Vec<(PublishedPort, Place)> {
    let mut ports: Vec<(PublishedPort, Place)> = Vec::new();
    for item in reader.items("ports") {
        let text = match &item.value {
            Value::Text(raw) => reader.cx.scope.text(raw, item.place),
            Value::Table(_) => {
                reader.error(
                    item.place,
                    "a port is a string here",
                    "write `ports = [\"8080:8000\"]`: port of the host, port of the container",
                );
                None
            }
            Value::Integer(number) => {
                reader.error(item.place, "a port is a string here", format!("write `ports = [\"{number}\"]`"));
                None
            }
            _ => {
                reader.error(item.place, format!("a port is a string here, this is {}", item.kind()), SYNTAX);
                None
            }
        };
        let Some(port) = text.and_then(|text| reader.report(item.place, parse(&text))) else { continue };
        ports.push((port, item.place));
    }
    ports
}

/// One published port.
pub(super) fn parse(text: &str) -> Result<PublishedPort, Mistake> {
    let (rest, protocol) = match text.rsplit_once('/') {
        None => (text, Protocol::Tcp),
        Some((rest, "tcp")) => (rest, Protocol::Tcp),
        Some((rest, "udp")) => (rest, Protocol::Udp),
        Some((_, other)) => return mistake(format!("{other:?} is not a protocol"), "after `/` comes `tcp` or `udp`"),
    };
    let (rest, container) = rest.rsplit_once(':').map_or((None, rest), |(rest, container)| (Some(rest), container));
    let container = number(text, container)?;
    let Some(rest) = rest else {
        return Ok(PublishedPort { address: LOCAL, host: Some(container), container, protocol });
    };
    let alone = rest.ends_with(']') || rest.parse::<IpAddr>().is_ok();
    let (address, host) = match rest.rsplit_once(':') {
        _ if alone => (parse_address(rest)?, "same"),
        Some((address, host)) => (parse_address(address)?, host),
        None => (LOCAL, rest),
    };
    let host = match host {
        "auto" | "0" => None,
        "same" => Some(container),
        host => Some(number(text, host)?),
    };
    Ok(PublishedPort { address, host, container, protocol })
}

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn parse_address(text: &str) -> Result<IpAddr, Mistake> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match inner {
        "localhost" => Ok(LOCAL),
        "*" => mistake("`*` is not an address", "for every address write `0.0.0.0`"),
        _ => inner.parse().or_else(|_| {
            mistake(format!("{text:?} is not an address"), "write an address of this machine: `127.0.0.1`, `0.0.0.0` or `[::1]`")
        }),
    }
}

fn number(whole: &str, text: &str) -> Result<u16, Mistake> {
    match text.parse::<u32>() {
        Ok(number @ 1..=65535) => Ok(u16::try_from(number).unwrap_or_default()),
        Ok(number) => mistake(format!("{number} is not a port"), "ports are 1 to 65535"),
        Err(_) if text.contains('-') => mistake(format!("{whole:?} is a range of ports"), "publish one port a line"),
        Err(_) => mistake(format!("{whole:?} does not say what to publish"), SYNTAX),
    }
}
