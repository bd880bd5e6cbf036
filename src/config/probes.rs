//! `health`, `readiness`, `liveness`, `startup`.

use std::collections::BTreeMap;

use crate::model::probe::{Check, Probe, Probes};

use super::reader::Reader;
use super::values::{Mistake, mistake};

/// The probes of a service; `port` is what it listens on.
pub(super) fn probes(reader: &Reader<'_>, port: Option<u16>) -> Probes {
    let probe = |key: &'static str| table(reader, key).and_then(|table| one(table, port));
    let health = probe("health");
    let (startup, readiness, liveness) = (probe("startup"), probe("readiness"), probe("liveness"));
    if reader.has("health") {
        for key in ["readiness", "liveness"].into_iter().filter(|key| reader.has(key)) {
            let hint = "`health` serves as readiness and liveness: keep it, or write both apart";
            reader.error(reader.key_place(key), format!("`{}` has no meaning beside `health`", reader.name(key)), hint);
        }
    }
    match health {
        Some(health) => Probes { startup, ..Probes::both(health) },
        None => Probes { startup, readiness, liveness },
    }
}

/// A probe is a table; what people write in its place is answered with one.
fn table<'a>(reader: &Reader<'a>, key: &'static str) -> Option<Reader<'a>> {
    let node = reader.node(key)?;
    if node.as_table().is_some() {
        return reader.table(key, "probe");
    }
    let hint = match &node.value {
        super::node::Value::Text(text) if text.starts_with('/') => format!("write `{key}.http = {text:?}`"),
        super::node::Value::Text(text) => format!("write `{key}.exec = {text:?}`"),
        _ => format!("write `{key}.http = \"/path\"`, `{key}.tcp = true` or `{key}.exec = \"cmd\"`"),
    };
    reader.error(node.place, format!("`{}` must be a table, this is {}", reader.name(key), node.kind()), hint);
    None
}

fn one(reader: Reader<'_>, service_port: Option<u16>) -> Option<Probe> {
    let check = check(&reader);
    let own_port = reader.port("port");
    let mut probe = Probe::new(Check::Tcp, None);
    probe.interval = reader.duration("interval").unwrap_or(probe.interval);
    probe.timeout = reader.duration("timeout").unwrap_or(probe.timeout);
    probe.retries = reader.count("retries", 1..=1000).unwrap_or(probe.retries);
    probe.successes = reader.count("successes", 1..=1000).unwrap_or(probe.successes);
    probe.start_period = reader.duration_or_zero("start_period").unwrap_or(probe.start_period);
    if let Some(check) = check {
        probe.check = check;
        set_port(&reader, &mut probe, own_port, service_port);
    }
    let asks = reader.has("http") || reader.has("tcp") || reader.has("exec");
    reader.finish();
    asks.then_some(probe)
}

fn set_port(reader: &Reader<'_>, probe: &mut Probe, own: Option<u16>, of_service: Option<u16>) {
    if matches!(probe.check, Check::Exec(_)) {
        if reader.has("port") {
            let message = format!("`{}` has no meaning beside `exec`", reader.name("port"));
            reader.error(reader.key_place("port"), message, "leave it out: the command runs in the container");
        }
        return;
    }
    probe.port = own.or(of_service);
    if probe.port.is_none() && !reader.has("port") {
        let place = reader.key_place(if reader.has("http") { "http" } else { "tcp" });
        let hint = "say what the service listens on: `port = 8000`, in the service";
        reader.error(place, format!("`{}` does not know which port to ask", reader.path), hint);
    }
}

fn check(reader: &Reader<'_>) -> Option<Check> {
    let http = reader.filled("http");
    let tcp = reader.flag("tcp");
    let exec = reader.command("exec");
    let headers = reader.strings("headers");
    let status =
        reader.text("status").map_or(Some((200, 399)), |text| reader.report(reader.value_place("status"), status(&text)));
    let given: Vec<&str> = ["http", "tcp", "exec"].into_iter().filter(|key| reader.has(key)).collect();
    if let [_, second, ..] = given.as_slice() {
        reader.error(
            reader.key_place(second),
            format!("`{}` asks one thing: `{}` and `{second}` are two", reader.path, given[0]),
            "keep one of them",
        );
        return None;
    }
    if given.is_empty() {
        let hint = if reader.has("test") || reader.has("path") {
            "write `http = \"/path\"`, `tcp = true` or `exec = \"cmd\"`"
        } else {
            "give it one of `http = \"/path\"`, `tcp = true`, `exec = \"cmd\"`"
        };
        reader.error(reader.place, format!("`{}` says nothing to ask", reader.path), hint);
    }
    if !reader.has("http") {
        for key in ["headers", "status"].into_iter().filter(|key| reader.has(key)) {
            let message = format!("`{}` has a meaning only beside `http`", reader.name(key));
            reader.error(reader.key_place(key), message, "leave it out, or ask with `http = \"/path\"`");
        }
    }
    if let Some(path) = http {
        return http_check(reader, &path, headers, status?);
    }
    if tcp == Some(false) {
        let message = format!("`{}` is true or not there", reader.name("tcp"));
        reader.error(reader.value_place("tcp"), message, "write `tcp = true`, or leave it out");
    }
    tcp.filter(|tcp| *tcp).map(|_| Check::Tcp).or(exec.map(Check::Exec))
}

fn http_check(reader: &Reader<'_>, path: &str, headers: BTreeMap<String, String>, status: (u16, u16)) -> Option<Check> {
    if !path.starts_with('/') {
        let hint = match path.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
            Some((_, path)) => format!("write only the path: `http = \"/{path}\"`; the port is `port`"),
            None => format!("write `http = \"/{path}\"`"),
        };
        reader.error(reader.value_place("http"), format!("`{}` must be a path that begins with `/`", reader.name("http")), hint);
        return None;
    }
    Some(Check::Http { path: path.to_owned(), headers, status })
}

/// `200-399`, `204`.
fn status(text: &str) -> Result<(u16, u16), Mistake> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.trim().parse(), to.trim().parse()) {
        (Ok(from), Ok(to)) if (100..=599).contains(&from) && (from..=599).contains(&to) => Ok((from, to)),
        _ => mistake(format!("{text:?} is not a range of status codes"), "write \"200-399\" or \"204\""),
    }
}
