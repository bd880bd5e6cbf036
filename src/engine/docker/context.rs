//! Docker contexts: named engines in the Docker configuration.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::connect::{ConnectError, Surroundings};

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints", default)]
    endpoints: std::collections::BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

/// Name and address of the context that is meant; `None`: the engine of this machine.
pub(super) fn current(surroundings: &Surroundings) -> Result<Option<(String, String)>, ConnectError> {
    let name = match &surroundings.docker_context {
        Some(name) => Some(name.clone()),
        None => configured(surroundings)?,
    };
    match name {
        Some(name) if name != "default" => address(surroundings, &name).map(|host| Some((name, host))),
        _ => Ok(None),
    }
}

fn configured(surroundings: &Surroundings) -> Result<Option<String>, ConnectError> {
    let Some(directory) = &surroundings.docker_config else { return Ok(None) };
    let path = directory.join("config.json");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
    let config: Config = serde_json::from_str(&text).map_err(|error| ConnectError::BadContext {
        name: "of the configuration".to_owned(),
        reason: format!("{} can't be read: {error}", path.display()),
    })?;
    Ok(config.current_context.filter(|name| !name.is_empty()))
}

fn address(surroundings: &Surroundings, name: &str) -> Result<String, ConnectError> {
    let bad = |reason: String| ConnectError::BadContext { name: name.to_owned(), reason };
    let directory = surroundings.docker_config.as_ref().ok_or_else(|| bad("there is no Docker configuration".to_owned()))?;
    let path = directory.join("contexts/meta").join(hex(&Sha256::digest(name.as_bytes()))).join("meta.json");
    let text = std::fs::read_to_string(&path).map_err(|_| bad("there is no context of this name".to_owned()))?;
    let mut meta: Meta =
        serde_json::from_str(&text).map_err(|error| bad(format!("{} can't be read: {error}", path.display())))?;
    meta.endpoints
        .remove("docker")
        .map(|endpoint| endpoint.host)
        .filter(|host| !host.is_empty())
        .ok_or_else(|| bad("it names no Docker engine".to_owned()))
}

/// Bytes in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
