//! What a container looks like: the keys that services, postgres and jobs share.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::model::container::{ContainerSettings, Hardening, LogBounds};
use crate::model::hash::hex;
use crate::model::template::Template;

use super::diagnostics::Place;
use super::dotenv;
use super::image::{secrets, templates};
use super::mounts::{masks, mounts};
use super::node::Value;
use super::reader::Reader;
use super::values::Mistake;

/// Keys of a service: under `[services.NAME.env]` they are a header that was not closed.
pub(super) const SERVICE_KEYS: [&str; 43] = [
    "image",
    "build",
    "fallback",
    "extends",
    "profiles",
    "pull",
    "command",
    "entrypoint",
    "workdir",
    "user",
    "stop_signal",
    "labels",
    "platform",
    "hostname",
    "aliases",
    "extra_hosts",
    "shm_size",
    "ulimits",
    "env",
    "env_files",
    "port",
    "ports",
    "volumes",
    "inputs",
    "tmpfs",
    "secrets",
    "depends_on",
    "replicas",
    "restart",
    "backoff",
    "stop_grace",
    "resources",
    "health",
    "readiness",
    "liveness",
    "startup",
    "logs",
    "hardening",
    "watch",
    "update",
    "networks",
    "gpus",
    "devices",
];

/// The keys that all three kinds have, without `ports`.
pub(super) fn common(reader: &Reader<'_>, kind: &str) -> ContainerSettings {
    let hardening = if kind == "postgres" { Hardening::default() } else { hardening(reader) };
    let resources = resources(reader);
    let mounts = mounts(reader, &hardening);
    ContainerSettings {
        command: reader.command("command"),
        tmpfs: masks(reader, &mounts),
        env: env(reader),
        labels: labels(reader),
        mounts,
        secrets: secrets(reader, "secrets"),
        shm_size: reader.size("shm_size"),
        memory: resources.0,
        milli_cpus: resources.1,
        logs: logs(reader),
        hardening,
        ..ContainerSettings::default()
    }
}

/// The keys that services and jobs have beyond [`common`].
pub(super) fn full(reader: &Reader<'_>, container: &mut ContainerSettings) {
    container.entrypoint = reader.command("entrypoint");
    container.workdir = reader.filled("workdir");
    container.user = reader.filled("user");
    container.stop_signal = reader.filled("stop_signal").filter(|signal| is_signal(reader, signal));
    container.hostname = reader.filled("hostname").filter(|name| is_host(reader, name, reader.value_place("hostname")));
    container.aliases = reader
        .list("aliases")
        .into_iter()
        .filter(|(alias, place)| is_host(reader, alias, *place))
        .map(|(alias, _)| alias)
        .collect();
    container.extra_hosts = extra_hosts(reader);
    container.ulimits = ulimits(reader);
    container.tmpfs.extend(tmpfs(reader));
    let mut env = env_files(reader);
    env.append(&mut container.env);
    container.env = env;
}

/// Whether an entry of `env` is a key of the service that slipped below its header.
pub(super) fn is_misplaced(reader: &Reader<'_>, name: &str, node: &super::node::Node) -> bool {
    let header = reader.node("env").is_some_and(|node| reader.cx.diagnostics.begins_with(node.place, "["));
    SERVICE_KEYS.contains(&name) && (header || matches!(node.value, Value::Table(_) | Value::List(_)))
}

/// `env`. A key of a service in a `[services.NAME.env]` is reported: the header was not closed.
fn env(reader: &Reader<'_>) -> BTreeMap<String, Template> {
    let env = templates(reader, "env");
    for (name, entry) in reader.node("env").and_then(|node| node.as_table()).into_iter().flatten() {
        if is_misplaced(reader, name, &entry.node) {
            let header = format!("[{}.env]", reader.path);
            reader.error(
                entry.key,
                format!("`{name}` is a key of `{}`, but stands under `{header}`", reader.path),
                format!("a header holds until the next one: move `{name}` above `{header}`, or write `env = {{ {name} = ... }}` if a variable is meant"),
            );
        } else if name.is_empty() || name.contains(['=', '\0', ' ']) {
            reader.error(entry.key, format!("{name:?} is not a name of a variable"), "use letters, digits and _");
        }
    }
    env
}

fn env_files(reader: &Reader<'_>) -> BTreeMap<String, Template> {
    let mut variables = BTreeMap::new();
    for item in reader.items("env_files") {
        let Some((path, optional)) = env_file(reader, item) else { continue };
        let full = reader.cx.path(item.place, &path);
        match reader.cx.files.text(&full) {
            Ok(text) => {
                let file = reader.cx.diagnostics.add_source(&reader.cx.diagnostics.shown(item.place, &path), &text);
                let read = dotenv::parse(&text, file, reader.cx.diagnostics);
                variables.extend(read.into_iter().map(|(name, value)| (name, Template::text(value))));
            }
            Err(why) if optional && why == super::files::MISSING => {}
            Err(why) => reader.error(
                item.place,
                format!("{path} can't be read: {why}"),
                "if it may be missing: `{ path = \"...\", optional = true }`",
            ),
        }
    }
    variables
}

fn env_file(reader: &Reader<'_>, item: &super::node::Node) -> Option<(String, bool)> {
    if let Value::Text(raw) = &item.value {
        Some((reader.cx.scope.text(raw, item.place)?, false))
    } else {
        let inner = Reader::new(reader.cx, "env_file", reader.name("env_files"), item);
        let path = inner.filled("path");
        let optional = inner.flag("optional").unwrap_or(false);
        if path.is_none() && !inner.has("path") && item.as_table().is_some() {
            inner.error(item.place, "this names no file", "write `{ path = \".env.app\", optional = true }`");
        }
        inner.finish();
        path.map(|path| (path, optional))
    }
}

/// A hash of the content of all files that `inputs` names; `None` without `inputs`.
pub(super) fn inputs(reader: &Reader<'_>) -> Option<String> {
    let mut digest = Sha256::new();
    let patterns = reader.list("inputs");
    for (pattern, place) in &patterns {
        let base = reader.cx.path(*place, ".");
        let found = reader.cx.files.matching(&base, pattern).map_err(|why| Mistake {
            message: format!("{pattern:?} can't be carried out: {why}"),
            hint: "`*` is a part of a name, `**` any directories, `?` a character".to_owned(),
        });
        let Some(files) = reader.report(*place, found) else { continue };
        if files.is_empty() && super::files::is_glob(pattern) {
            let hint = "a path begins beside the file that names it; `**` stands for any directories";
            reader.cx.diagnostics.warning(*place, format!("{pattern:?} matches no file"), hint);
        } else if files.is_empty() {
            reader.error(
                *place,
                format!("there is no file {pattern}"),
                "`inputs` names files whose content belongs to the definition",
            );
        }
        for file in files {
            let name = file.strip_prefix(&base).unwrap_or(&file).to_string_lossy().into_owned();
            match reader.cx.files.digest(&file) {
                Ok(content) => digest.update(format!("{name}\0{content}\0")),
                Err(why) => reader.error(
                    *place,
                    format!("{name} can't be read: {why}"),
                    "it is read as you: see who may, or leave it out",
                ),
            }
        }
    }
    (!patterns.is_empty()).then(|| hex(&digest.finalize()[..16]))
}

fn labels(reader: &Reader<'_>) -> BTreeMap<String, String> {
    let labels = reader.strings("labels");
    for name in labels.keys().filter(|name| name.starts_with(crate::model::name::LABEL_NAMESPACE)) {
        reader.error(
            reader.key_place("labels"),
            format!("the label `{name}` is witwd's own"),
            "labels of yours begin with another word",
        );
    }
    labels
}

fn is_signal(reader: &Reader<'_>, signal: &str) -> bool {
    let named = signal.strip_prefix("SIG").is_some_and(|name| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'+' || byte == b'-')
    });
    let numbered = signal.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    if !named && !numbered {
        reader.error(
            reader.value_place("stop_signal"),
            format!("{signal:?} is not a signal"),
            "write `SIGTERM`, `SIGINT`, `SIGQUIT`, ...",
        );
    }
    named || numbered
}

/// Whether a text can be a name on a network; reported where it can't.
fn is_host(reader: &Reader<'_>, text: &str, place: Place) -> bool {
    let body = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    // No resolver finds a longer part (RFC 1035, 2.3.4).
    let parts = text.strip_suffix('.').unwrap_or(text).split('.').all(|part| (1..=63).contains(&part.len()));
    let fine = body && parts && text.len() <= 253 && text.starts_with(|first: char| first.is_ascii_alphanumeric());
    if !fine {
        let rule = "use letters, digits, - and ., a letter or digit first, at most 63 between two dots";
        reader.error(place, format!("{text:?} is not a host name"), rule);
    }
    fine
}

fn extra_hosts(reader: &Reader<'_>) -> Vec<String> {
    let mut hosts = Vec::new();
    for (text, place) in reader.list("extra_hosts") {
        let (name, address) = text.split_once([':', '=']).unwrap_or((text.as_str(), ""));
        if name.is_empty() || !(address == "host-gateway" || address.parse::<core::net::IpAddr>().is_ok()) {
            reader.error(place, format!("{text:?} is not a host and its address"), "write \"name:10.0.0.5\"");
            continue;
        }
        hosts.push(format!("{name}:{address}"));
    }
    hosts
}

fn ulimits(reader: &Reader<'_>) -> BTreeMap<String, (i64, i64)> {
    let mut limits = BTreeMap::new();
    for (name, entry) in reader.entries("ulimits", "write `ulimits = { nofile = 65536 }`") {
        let (soft, hard) = match &entry.node.value {
            Value::Integer(number) => (Some(*number), Some(*number)),
            Value::Table(_) => {
                let inner = Reader::new(reader.cx, "ulimit", format!("{}.{name}", reader.name("ulimits")), &entry.node);
                let both = (inner.number("soft", -1..=i64::MAX), inner.number("hard", -1..=i64::MAX));
                inner.finish();
                both
            }
            _ => (None, None),
        };
        let (Some(soft), Some(hard)) = (soft, hard) else {
            reader.error(
                entry.node.place,
                format!("`ulimits.{name}` must be a number or `{{ soft, hard }}`"),
                "write `ulimits = { nofile = 65536 }`",
            );
            continue;
        };
        if hard >= 0 && soft > hard {
            let message = format!("`ulimits.{name}`: soft is above hard");
            reader.error(entry.node.place, message, format!("`soft` can be {hard} at most, or raise `hard`"));
        }
        limits.insert(name.to_owned(), (soft, hard));
    }
    limits
}

fn tmpfs(reader: &Reader<'_>) -> Vec<String> {
    let paths = reader.list("tmpfs");
    for (path, place) in paths.iter().filter(|(path, _)| !path.starts_with('/')) {
        let message = format!("the path in the container must be absolute, {path:?} is not");
        reader.error(*place, message, format!("write \"/{path}\""));
    }
    paths.into_iter().map(|(path, _)| path).collect()
}

/// Bytes of memory and thousandths of a processor.
fn resources(reader: &Reader<'_>) -> (Option<u64>, Option<u64>) {
    let Some(reader) = reader.table("resources", "resources") else { return (None, None) };
    let memory = reader.size("memory");
    if memory.is_some_and(|memory| memory < 6 << 20) {
        let message = "no container starts with less than 6M of memory";
        reader.error(reader.value_place("memory"), message, "write `memory = \"6M\"`, or more");
    }
    let cpus = reader.node("cpus").and_then(|node| {
        let number = match &node.value {
            #[expect(clippy::cast_precision_loss, reason = "a count of processors")]
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Text(raw) => reader.cx.scope.text(raw, node.place)?.trim().parse().ok(),
            _ => None,
        };
        let milli = number.map(|number| (number * 1000.0).round()).filter(|milli| (1.0..1.0e7).contains(milli));
        if milli.is_none() {
            reader.error(node.place, format!("`{}` must be a number of processors", reader.name("cpus")), "write `cpus = 1.5`");
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 10 million, checked above")]
        milli.map(|milli| milli as u64)
    });
    reader.finish();
    (memory, cpus)
}

fn logs(reader: &Reader<'_>) -> LogBounds {
    let default = LogBounds::default();
    let Some(reader) = reader.table("logs", "logs") else { return default };
    let bounds = LogBounds {
        max_size: reader.size("max_size").unwrap_or(default.max_size),
        max_files: reader.count("max_files", 1..=1000).unwrap_or(default.max_files),
    };
    reader.finish();
    bounds
}

fn hardening(reader: &Reader<'_>) -> Hardening {
    let default = Hardening::default();
    let Some(reader) = reader.table("hardening", "hardening") else { return default };
    let capabilities = |key: &'static str| reader.list(key).into_iter().map(|(name, _)| name).collect();
    let hardening = Hardening {
        no_new_privileges: reader.flag("no_new_privileges").unwrap_or(default.no_new_privileges),
        init: reader.flag("init"),
        pids: reader.count("pids", 1..=4_194_304).unwrap_or(default.pids),
        read_only: reader.flag("read_only").unwrap_or(false),
        cap_drop: capabilities("cap_drop"),
        cap_add: capabilities("cap_add"),
        privileged: reader.flag("privileged").unwrap_or(false),
        docker_socket: reader.flag("docker_socket").unwrap_or(false),
    };
    reader.finish();
    hardening
}

/// The path of a file named in another, as the user would write it.
impl super::diagnostics::Diagnostics {
    fn shown(&self, place: Place, text: &str) -> std::path::PathBuf {
        let whole = self.path(place.file).parent().map(|parent| parent.join(text)).unwrap_or_default();
        super::files::normal(&whole)
    }
}
