//! A service of a compose file as a service of ours, key by key.

use serde_json::{Map, Value};
use toml::Value as Toml;

use super::compose::{Carrying, Server, array, say_left};
use super::compose_values::{MountFound, interpolated, list, mount, pairs, parts, scalar, size};
use super::text::Section;

/// Directories of the machine that no file should bind without a thought.
const SYSTEM: [&str; 12] = ["/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var"];

/// The order in which one would write them; what is not among these comes last.
const FIRST: [&str; 8] = ["build", "image", "entrypoint", "command", "ports", "environment", "env_file", "volumes"];

/// A service that is carried over.
pub(super) struct Service<'c, 'a> {
    /// What all share.
    pub carrying: &'c mut Carrying<'a>,
    /// Its name in the compose file.
    pub compose: &'c str,
    /// Its name in ours.
    pub name: &'c str,
}

impl Service<'_, '_> {
    /// The table of ours.
    pub(super) fn section(mut self, table: &Map<String, Value>) -> Section {
        let mut section = Section::new(format!("services.{}", self.name));
        let mut left = Vec::new();
        let is_replicated =
            [&table.get("deploy").unwrap_or(&Value::Null)["replicas"], table.get("scale").unwrap_or(&Value::Null)]
                .into_iter()
                .any(|count| count.as_i64() > Some(1));
        if self.compose != self.name {
            section.set_with("aliases", vec![self.compose], "its name in the compose file");
        }
        let first = FIRST.iter().filter_map(|key| table.get_key_value(*key));
        let others = table.iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
        for (key, value) in first.chain(others) {
            if !key.starts_with("x-")
                && !value.is_null()
                && self.key(&mut section, &mut left, (key, value, is_replicated)).is_none()
            {
                left.push(key.clone());
            }
        }
        say_left(&mut section, &mut self.carrying.notes, self.compose, &left);
        section
    }

    /// Carries one key over; `None` where it can't be as a whole.
    fn key(
        &mut self,
        section: &mut Section,
        left: &mut Vec<String>,
        (key, value, is_replicated): (&str, &Value, bool),
    ) -> Option<()> {
        match key {
            "image" | "user" | "hostname" | "platform" | "stop_signal" => section.set(key, self.text(value)?),
            "working_dir" => section.set("workdir", self.text(value)?),
            "build" => section.set("build", self.build(left, value)?),
            "command" | "entrypoint" => section.set(key, self.words(value)),
            "environment" => self.environment(section, value),
            "env_file" => section.set("env_files", self.env_files(value)),
            "ports" => self.ports(section, left, value, is_replicated),
            "expose" => self.expose(section, value),
            "volumes" => self.volumes(section, left, value),
            "depends_on" => self.depends_on(section, left, value),
            "restart" => restart(section, value.as_str()?)?,
            "healthcheck" => self.health(section, value)?,
            "profiles" => section.set("profiles", self.texts(value)),
            "tmpfs" => section.set(
                "tmpfs",
                self.texts(value).iter().map(|path| path.split(':').next().unwrap_or_default().to_owned()).collect::<Vec<_>>(),
            ),
            "stop_grace_period" => section.set("stop_grace", duration(value)?),
            "shm_size" => section.set("shm_size", size(value)?),
            "read_only" | "privileged" => section.set(&format!("hardening.{key}"), value.as_bool()?),
            "cap_add" | "cap_drop" => section.set(&format!("hardening.{key}"), self.texts(value)),
            "scale" => section.set("replicas", value.as_i64()?),
            "deploy" => deploy(section, left, value),
            "mem_limit" => section.set("resources.memory", size(value)?),
            // What ours does by itself.
            "init" | "pull_policy" if value != &Value::Bool(false) && value != "never" => {}
            _ => return None,
        }
        Some(())
    }

    fn text(&self, value: &Value) -> Option<String> {
        scalar(value).map(|text| interpolated(&text, &self.carrying.known))
    }

    fn texts(&self, value: &Value) -> Vec<String> {
        list(value).iter().map(|text| interpolated(text, &self.carrying.known)).collect()
    }

    fn words(&self, value: &Value) -> Toml {
        match value {
            Value::Array(_) => self.texts(value).into(),
            other => self.text(other).unwrap_or_default().into(),
        }
    }

    fn build(&mut self, left: &mut Vec<String>, value: &Value) -> Option<Toml> {
        self.carrying.builds = true;
        let Value::Object(table) = value else { return Some(self.text(value)?.into()) };
        let mut build = toml::Table::new();
        for (key, value) in table {
            match key.as_str() {
                "context" | "dockerfile" | "target" => {
                    build.insert(key.clone(), self.text(value)?.into());
                }
                "args" => {
                    let args: toml::Table =
                        pairs(value).into_iter().map(|(name, value)| (name.clone(), self.value(&name, value).into())).collect();
                    build.insert(key.clone(), args.into());
                }
                _ => left.push(format!("build.{key}")),
            }
        }
        let context = build.get("context").and_then(Toml::as_str).unwrap_or(".").to_owned();
        build.entry("context").or_insert_with(|| ".".into());
        Some(if build.len() == 1 { context.into() } else { build.into() })
    }

    /// A variable: without a value it is that of the caller.
    fn value(&self, name: &str, value: Option<String>) -> String {
        interpolated(&value.unwrap_or_else(|| format!("${{{name}}}")), &self.carrying.known)
    }

    fn environment(&self, section: &mut Section, value: &Value) {
        for (name, value) in pairs(value) {
            let value = self.value(&name, value);
            let mut servers = self.carrying.servers.iter();
            let referring = servers.find_map(|(host, server)| address(&value, host, server));
            section.set(&format!("env.{name}"), referring.unwrap_or(value));
        }
    }

    fn env_files(&self, value: &Value) -> Vec<Toml> {
        let items = if let Value::Array(items) = value { items.clone() } else { vec![value.clone()] };
        let file = |item: &Value| {
            let path = self.text(item.get("path").unwrap_or(item)).unwrap_or_default();
            if self.carrying.facts.has(path.trim_start_matches("./")) {
                return Toml::from(path);
            }
            toml::Table::from_iter([("path".to_owned(), path.into()), ("optional".to_owned(), true.into())]).into()
        };
        items.iter().map(file).collect()
    }

    fn ports(&mut self, section: &mut Section, left: &mut Vec<String>, value: &Value, is_replicated: bool) {
        let (mut ports, all) = (Vec::new(), array(Some(value)));
        for value in all {
            match self.carrying.port(value) {
                // Replicas can't share a port of the machine.
                Some(port) if is_replicated => {
                    ports.push(format!("auto:{}", parts(&port).last().copied().unwrap_or_default()));
                }
                Some(port) => ports.push(port),
                None => left.push(format!("port {}", scalar(value).unwrap_or_default())),
            }
        }
        if !ports.is_empty() {
            section.set("ports", ports);
        }
    }

    fn expose(&self, section: &mut Section, value: &Value) {
        let first = self.texts(value).first().and_then(|port| port.split('/').next()?.parse::<u16>().ok());
        if let Some(port) = first.filter(|_| !section.text().contains("\nports = ")) {
            section.set("port", i64::from(port));
        }
    }

    fn volumes(&mut self, section: &mut Section, left: &mut Vec<String>, value: &Value) {
        let mut mounts = Vec::new();
        for value in array(Some(value)) {
            let (source, target, read_only) = mount(value, &self.carrying.known);
            let end = if read_only { ":ro" } else { "" };
            let source = match source {
                MountFound::Volume(name) => {
                    self.carrying.volumes.insert(name.clone());
                    name
                }
                MountFound::Beside(path) => path,
                MountFound::Machine(path) if !is_system(&path) => {
                    self.carrying.host_paths.insert(path.clone());
                    path
                }
                MountFound::Machine(path) => {
                    left.push(format!("volume {path}"));
                    continue;
                }
                MountFound::Other => {
                    left.push(format!("volume {target}"));
                    continue;
                }
            };
            mounts.push(format!("{source}:{target}{end}"));
        }
        if !mounts.is_empty() {
            section.set("volumes", mounts);
        }
    }

    fn depends_on(&self, section: &mut Section, left: &mut Vec<String>, value: &Value) {
        let wanted: Vec<(String, String)> = match value {
            Value::Object(table) => {
                let condition = |value: &Value| value["condition"].as_str().unwrap_or_default().to_owned();
                table.iter().map(|(name, value)| (name.clone(), condition(value))).collect()
            }
            other => list(other).into_iter().map(|name| (name, String::new())).collect(),
        };
        let (mut names, text) = (Vec::new(), section.text());
        for (name, condition) in wanted {
            match self.carrying.names.get(&name) {
                Some(own) if condition == "service_started" => names.push(format!("{own}:started")),
                // What ends is a job here.
                Some(_) if condition == "service_completed_successfully" => {
                    left.push(format!("depends_on {name}, which is to end"));
                }
                Some(own) if text.contains(&format!("${{{own}.url}}")) => {}
                Some(own) => names.push(own.clone()),
                None => left.push(format!("depends_on {name}")),
            }
        }
        if !names.is_empty() {
            section.set("depends_on", names);
        }
    }

    fn health(&self, section: &mut Section, value: &Value) -> Option<()> {
        let words = self.texts(&value["test"]);
        let exec: Vec<String> = match (&value["test"], words.split_first()) {
            (Value::String(_), Some((line, _))) => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
            (_, Some((first, [line]))) if first == "CMD-SHELL" => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
            (_, Some((first, words))) if first == "CMD" => words.to_vec(),
            _ => return None,
        };
        section.set("health.exec", exec);
        for key in ["interval", "timeout", "start_period"] {
            if let Some(value) = value.get(key).and_then(duration) {
                section.set(&format!("health.{key}"), value);
            }
        }
        if let Some(retries) = value["retries"].as_i64() {
            section.set("health.retries", retries);
        }
        Some(())
    }
}

/// The address of a server of ours, where a value is the address of that of the compose file.
fn address(value: &str, host: &str, server: &Server) -> Option<String> {
    let (scheme, rest) = value.split_once("://").filter(|(scheme, _)| scheme.starts_with("postgres"))?;
    let (login, place) = rest.rsplit_once('@')?;
    let (place, query) = place.split_once('?').map_or((place, String::new()), |(place, query)| (place, format!("?{query}")));
    let (authority, database) = place.split_once('/')?;
    let is_user = login == server.user || login.starts_with(&format!("{}:", server.user));
    if authority.split(':').next() != Some(host) || database != server.database || !is_user {
        return None;
    }
    let name = &server.name;
    Some(match scheme {
        "postgres" | "postgresql" => format!("${{{name}.url}}{query}"),
        driver => format!(
            "{driver}://${{{name}.user}}:${{{name}.password}}@${{{name}.host}}:${{{name}.port}}/${{{name}.database}}{query}"
        ),
    })
}

fn is_system(path: &str) -> bool {
    path == "/" || SYSTEM.iter().any(|system| std::path::Path::new(path).starts_with(system))
}

fn restart(section: &mut Section, policy: &str) -> Option<()> {
    match policy.split(':').next()? {
        "always" | "unless-stopped" => {}
        "on-failure" => section.set("restart", "on-failure"),
        "no" => section.set("restart", "never"),
        _ => return None,
    }
    Some(())
}

fn duration(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    humantime::parse_duration(text).ok().map(|duration| humantime::format_duration(duration).to_string().replace(' ', ""))
}

fn deploy(section: &mut Section, left: &mut Vec<String>, value: &Value) {
    if let Some(replicas) = value["replicas"].as_i64() {
        section.set("replicas", replicas);
    }
    let limits = &value["resources"]["limits"];
    if let Some(memory) = size(&limits["memory"]) {
        section.set("resources.memory", memory);
    }
    if let Some(cpus) = scalar(&limits["cpus"]).and_then(|cpus| cpus.parse::<f64>().ok()) {
        section.set("resources.cpus", cpus);
    }
    let others =
        value.as_object().into_iter().flat_map(Map::keys).filter(|key| !["replicas", "resources"].contains(&key.as_str()));
    left.extend(others.map(|key| format!("deploy.{key}")));
}
