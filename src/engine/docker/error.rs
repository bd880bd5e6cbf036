//! What bollard and the engine say, told apart once. The engine's texts are matched in lower case
//! and in parts: they vary from version to version.

use std::net::SocketAddr;
use std::time::Duration;

use bollard::errors::Error;

use crate::engine::{EngineError, ErrorKind};
use crate::model::chain::chain;

/// The error of `operation` on `target`.
pub(super) fn classify(operation: &'static str, target: &str, error: &Error) -> EngineError {
    let (kind, message) = match error {
        Error::DockerResponseServerError { status_code, message } => (of_status(*status_code, message), explain(message)),
        Error::RequestTimeoutError => (ErrorKind::Timeout, "the engine did not answer in time".to_owned()),
        Error::IOError { .. } | Error::HyperResponseError { .. } | Error::HyperLegacyError { .. } => {
            (ErrorKind::Unavailable, chain(error))
        }
        Error::SocketNotFoundError(path) => (ErrorKind::Unavailable, format!("no engine socket at {path}")),
        Error::DockerStreamError { error } => (of_text(error).unwrap_or(ErrorKind::Other), explain(error)),
        other => (ErrorKind::Other, other.to_string()),
    };
    EngineError::new(operation, target, kind, message)
}

/// The error of a request that the engine did not answer within `limit`.
pub(super) fn timeout(operation: &'static str, target: &str, limit: Duration) -> EngineError {
    let message = format!("the engine did not answer within {} s", limit.as_secs());
    EngineError::new(operation, target, ErrorKind::Timeout, message)
}

fn of_status(status: u16, message: &str) -> ErrorKind {
    match status {
        404 => ErrorKind::NotFound,
        409 => of_conflict(message),
        503 => ErrorKind::Unavailable,
        status => of_text(message).unwrap_or(match status {
            400 => ErrorKind::Invalid,
            _ => ErrorKind::Other,
        }),
    }
}

fn of_conflict(message: &str) -> ErrorKind {
    let text = message.to_lowercase();
    if text.contains("removal of container") && text.contains("in progress") {
        ErrorKind::RemovalInProgress
    } else if text.contains("volume is in use") || text.contains("being used by") {
        ErrorKind::InUse
    } else {
        ErrorKind::Conflict
    }
}

fn of_text(message: &str) -> Option<ErrorKind> {
    let text = message.to_lowercase();
    let any = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if any(&["port is already allocated", "address already in use"]) {
        Some(ErrorKind::PortInUse)
    } else if any(&["has active endpoints", "volume is in use", "volume is being used"]) {
        Some(ErrorKind::InUse)
    } else if text.contains("already exists in network") {
        Some(ErrorKind::Conflict)
    } else if any(&["is not connected to", "no such container"]) {
        Some(ErrorKind::NotFound)
    } else {
        None
    }
}

/// The engine's words, with the way out where they hide it.
fn explain(message: &str) -> String {
    let pools = ["non-overlapping ipv4 address pool", "predefined address pools have been fully subnetted"];
    if pools.iter().any(|part| message.to_lowercase().contains(part)) {
        return format!(
            "{message}; the engine has no address range left for another network: remove unused ones (`docker network ls`, \
             `docker network prune`) or give it more with \"default-address-pools\" in daemon.json"
        );
    }
    taken_port(message).unwrap_or_else(|| message.to_owned())
}

/// A port that is taken, without what the engine says of its drivers and endpoints before it.
fn taken_port(message: &str) -> Option<String> {
    let (before, _) =
        message.split_once(": bind: address already in use").or_else(|| message.split_once(" failed: port is already"))?;
    let address = before.rsplit(' ').next().filter(|address| address.contains(':'))?;
    Some(format!("{address}{TAKEN}"))
}

/// What is said of a port before it is known who holds it.
const TAKEN: &str = " is taken";

/// The address of the port that an error is about.
pub(super) fn taken_address(error: &EngineError) -> Option<SocketAddr> {
    error.message.strip_suffix(TAKEN)?.parse().ok()
}
