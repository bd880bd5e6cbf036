//! The definition of a workload: what the user wrote, after merging and interpolation, without
//! defaults, in a form in which equal containers are equal. Its hash decides about recreation.

use serde_json::{Map, Value as Json, json};

use crate::model::container::{ContainerSettings, Mount, MountSource, PublishedPort};
use crate::model::image::ImageSource;

use super::node::{Node, Value};
use super::reader::Reader;

/// Keys that are not part of the definition: with another value of these, the container that would
/// be created is the same one. Changing this list needs a new scheme number in `model::hash`.
pub(super) const NOT_HASHED: [&str; 39] = [
    // How many there are and how they are looked after; the running ones need not go.
    "replicas",
    "restart",
    "backoff",
    "stop_grace",
    "health",
    "readiness",
    "liveness",
    "startup",
    // For probes and references only; `ports` is in.
    "port",
    // When it starts, and whether; not what it is.
    "depends_on",
    "profiles",
    // How the image gets here. Its reference is in; that of a build is its tag.
    "build",
    "fallback",
    "pull",
    "extends",
    // When a job runs.
    "run",
    "schedule",
    "timezone",
    "every",
    "overlap",
    "catch_up",
    "history",
    "timeout",
    "retries",
    // Done inside the running server, never by a new container.
    "database",
    "databases",
    "roles",
    "password",
    "extensions",
    "init",
    "backup",
    "renamed_from",
    // A server elsewhere has no container.
    "url",
    // Below, in another form.
    "image",
    "env",
    "env_files",
    "inputs",
    "command",
    "entrypoint",
];

/// What of a workload was read already.
pub(super) struct Shape<'a> {
    /// The container, before witwd adds anything of its own.
    pub container: &'a ContainerSettings,
    /// The image.
    pub image: &'a ImageSource,
    /// The hash of the content of `inputs`.
    pub inputs: Option<String>,
}

/// The definition of what `reader` has read.
pub(super) fn definition(reader: &Reader<'_>, shape: &Shape<'_>) -> Json {
    let container = shape.container;
    let mut fields = Map::new();
    fields.insert("image".to_owned(), json!(shape.image.reference));
    if let Some(platform) = &shape.image.platform {
        fields.insert("platform".to_owned(), json!(platform));
    }
    for (key, words) in [("command", &container.command), ("entrypoint", &container.entrypoint)] {
        fields.extend(words.as_ref().map(|words| (key.to_owned(), json!(words))));
    }
    if !container.env.is_empty() {
        fields.insert("env".to_owned(), json!(container.env));
    }
    fields.extend(shape.inputs.as_ref().map(|inputs| ("inputs".to_owned(), json!(inputs))));
    let is_postgres = reader.is("postgres");
    for (key, entry) in reader.written() {
        if key.starts_with("x-") || NOT_HASHED.contains(&key.as_str()) || (is_postgres && key == "user") {
            continue;
        }
        let value = match key.as_str() {
            "ports" => json!(container.ports.iter().map(port).collect::<Vec<_>>()),
            "volumes" => json!(container.mounts.iter().map(|each| mount(reader, each)).collect::<Vec<_>>()),
            "secrets" => json!(container.secrets.iter().map(|name| reader.cx.secret_file(name)).collect::<Vec<_>>()),
            "shm_size" => json!(container.shm_size),
            "resources" => json!({ "memory": container.memory, "milli_cpus": container.milli_cpus }),
            _ => plain(reader, &entry.node),
        };
        if !is_empty(&value) {
            fields.insert(key.clone(), value);
        }
    }
    Json::Object(fields)
}

/// An empty array or table says the same as none.
fn is_empty(value: &Json) -> bool {
    matches!(value, Json::Array(items) if items.is_empty())
        || matches!(value, Json::Object(fields) if fields.is_empty())
        || value.is_null()
}

/// A port as the file would spell it in full.
pub(super) fn port(port: &PublishedPort) -> String {
    let host = port.host.map_or_else(|| "auto".to_owned(), |host| host.to_string());
    let address = match port.address {
        core::net::IpAddr::V4(address) => address.to_string(),
        core::net::IpAddr::V6(address) => format!("[{address}]"),
    };
    format!("{address}:{host}:{}/{}", port.container, port.protocol.as_str())
}

/// A mount as the file would spell it, relative to the stack's directory where it lies in it.
fn mount(reader: &Reader<'_>, mount: &Mount) -> String {
    let source = match &mount.source {
        MountSource::Volume(name) => name.to_string(),
        MountSource::Bind(path) => match path.strip_prefix(&reader.cx.directory) {
            Ok(inside) => format!("./{}", inside.display()),
            Err(_) => path.display().to_string(),
        },
    };
    format!("{source}:{}{}", mount.target, if mount.read_only { ":ro" } else { "" })
}

/// A value after interpolation, secrets as holes.
pub(super) fn plain(reader: &Reader<'_>, node: &Node) -> Json {
    match &node.value {
        Value::Text(raw) => json!(reader.cx.scope.template(raw, node.place).unwrap_or_default().to_string()),
        Value::Integer(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Flag(flag) => json!(flag),
        Value::Time(time) => json!(time),
        Value::List(items) => items.iter().map(|item| plain(reader, item)).collect(),
        Value::Table(table) => Json::Object(
            table
                .iter()
                .filter(|(key, _)| !key.starts_with("x-"))
                .map(|(key, entry)| (key.clone(), plain(reader, &entry.node)))
                .collect(),
        ),
    }
}
