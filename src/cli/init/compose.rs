//! A compose file in the words of stack.toml, with a list of what was not carried over. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::compose_service::Service;
use super::compose_values::{MountFound, interpolated, mount, pairs, port};
use super::facts::Facts;
use super::proposal::Draft;
use super::text::{Section, host_name};
use crate::model::name::WorkloadName;
use crate::model::postgres::major_of;

/// Images that keep the conventions of the official one.
const POSTGRES: [&str; 5] = ["postgres", "library/postgres", "postgis/postgis", "pgvector/pgvector", "timescale/timescaledb"];

/// What a Postgres of the file is asked for with.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// Under which name it stands in ours.
    pub name: String,
    /// Its user, in our words.
    pub user: String,
    /// Its password.
    pub password: Option<String>,
    /// Its database.
    pub database: String,
}

/// What the parts of a file share while it is carried over.
pub(super) struct Carrying<'a> {
    /// What lies beside the file.
    pub facts: &'a Facts,
    /// Variables that `.env` gives a value.
    pub known: BTreeSet<&'a str>,
    /// Our names of its services.
    pub names: BTreeMap<String, String>,
    /// Its Postgres servers.
    pub servers: BTreeMap<String, Server>,
    /// Volumes that are used.
    pub volumes: BTreeSet<String>,
    /// Paths of the machine that are bound.
    pub host_paths: BTreeSet<String>,
    /// Whether a port is published without an address.
    pub publishes: bool,
    /// Whether an image is built.
    pub builds: bool,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Reads a compose file; the error says why it can't be.
pub(super) fn read(facts: &Facts, file: &str, text: &str) -> Result<Draft, String> {
    let document: Value = serde_saphyr::from_str(text).map_err(|error| format!("failed to read {file}: {error}"))?;
    let nothing = Map::new();
    let services = document["services"].as_object().unwrap_or(&nothing);
    let mut carrying = Carrying::new(facts, services);
    carrying.notes.push(format!("carried over from {file}, which stays as it is"));
    let mut sections = Vec::new();
    // What is built here is what the stack is about.
    let (built, other): (Vec<_>, Vec<_>) = services.iter().partition(|(_, service)| !service["build"].is_null());
    for (name, service) in built.into_iter().chain(other) {
        let (Some(own), Some(table)) = (carrying.names.get(name).cloned(), service.as_object()) else {
            carrying
                .notes
                .push(format!("{name} was not carried over: it has neither `image` nor `build`, or no name that can stand here"));
            continue;
        };
        if !carrying.servers.contains_key(name) {
            sections.push(Service { carrying: &mut carrying, compose: name, name: &own }.section(table));
        }
    }
    let known = sections.iter().map(Section::text).collect::<String>();
    for (name, server) in carrying.servers.clone() {
        let table = services.get(&name).and_then(Value::as_object).unwrap_or(&nothing);
        sections.push(carrying.postgres(&name, &server, table, &known));
    }
    sections.extend(carrying.volumes_section());
    let left: Vec<&str> =
        ["networks", "secrets", "configs", "include"].into_iter().filter(|key| !document[*key].is_null()).collect();
    if !left.is_empty() {
        carrying.notes.push(format!("not carried over: {}", left.join(", ")));
    }
    Ok(carrying.draft(document["name"].as_str(), sections))
}

impl<'a> Carrying<'a> {
    fn new(facts: &'a Facts, services: &Map<String, Value>) -> Self {
        let known = facts.variables();
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for (name, service) in services {
            let is_whole = !service["image"].is_null() || !service["build"].is_null();
            let own = host_name(name).filter(|own| is_whole && own.parse::<WorkloadName>().is_ok());
            if let Some(own) = own.filter(|own| !names.values().any(|other| other == own)) {
                names.insert(name.clone(), own);
            }
        }
        let servers = services.iter().filter(|(_, service)| is_postgres(service)).filter_map(|(name, service)| {
            let environment: BTreeMap<String, Option<String>> = pairs(&service["environment"]).into_iter().collect();
            let value = |key: &str| environment.get(key)?.as_ref().map(|text| interpolated(text, &known));
            let user = value("POSTGRES_USER").unwrap_or_else(|| "postgres".to_owned());
            let database = value("POSTGRES_DB").unwrap_or_else(|| user.clone());
            Some((name.clone(), Server { name: names.get(name)?.clone(), password: value("POSTGRES_PASSWORD"), user, database }))
        });
        let servers = servers.collect();
        let (volumes, host_paths, notes) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        Self { facts, known, names, servers, volumes, host_paths, publishes: false, builds: false, notes }
    }

    /// A published port of ours.
    pub(super) fn port(&mut self, value: &Value) -> Option<String> {
        let port = port(value, &self.known)?;
        self.publishes |= super::compose_values::parts(&port).len() < 3;
        Some(port)
    }

    /// A server of ours. Its password is carried over only where `others`, the text of the services, needs it.
    fn postgres(&mut self, name: &str, server: &Server, table: &Map<String, Value>, others: &str) -> Section {
        let mut section = Section::new(format!("postgres.{}", server.name));
        let image = interpolated(table.get("image").and_then(Value::as_str).unwrap_or_default(), &self.known);
        section.set("image", image.as_str());
        if image.contains("${") || major_of(&image).is_none() {
            section.set_with("volume", format!("{}-data", server.name), "the image's tag does not say which major version it is");
        }
        let is_needed = |password: &&String| others.contains(password.as_str()) || others.contains("env_files");
        let password = server.password.as_ref().filter(is_needed);
        // What a variable without a value would leave empty is ours to choose.
        let given = [("database", Some(&server.database)), ("user", Some(&server.user)), ("password", password)];
        for (key, value) in
            given.into_iter().filter_map(|(key, value)| Some((key, value?))).filter(|(_, value)| !value.contains(":-}"))
        {
            section.set(key, value.as_str());
        }
        let ports: Vec<String> = array(table.get("ports")).iter().filter_map(|value| self.port(value)).collect();
        if !ports.is_empty() {
            section.set("ports", ports);
        }
        let mut left = left_of_postgres(table);
        for value in array(table.get("volumes")) {
            let (source, target, _) = mount(value, &self.known);
            match source {
                MountFound::Beside(path) if target.starts_with("/docker-entrypoint-initdb.d") => {
                    let is_file = std::path::Path::new(&path).extension().is_some_and(|end| end == "sql");
                    section.set("init", vec![if is_file { path } else { format!("{path}/*.sql") }]);
                }
                _ if target.starts_with("/var/lib/postgresql") => {}
                _ => left.push(format!("volume {target}")),
            }
        }
        say_left(&mut section, &mut self.notes, name, &left);
        let note = format!(
            "{} begins with an empty volume of its own: the data of the old one stays there; move it with pg_dump and `witwd psql`",
            server.name
        );
        self.notes.push(note);
        section
    }

    fn volumes_section(&self) -> Option<Section> {
        let mut section = Section::new("volumes");
        for name in &self.volumes {
            section.set(name, toml::Table::new());
        }
        (!self.volumes.is_empty()).then_some(section)
    }

    fn draft(mut self, name: Option<&str>, sections: Vec<Section>) -> Draft {
        let mut top = Section::default();
        if !self.host_paths.is_empty() {
            top.set("host_paths", self.host_paths.into_iter().collect::<Vec<_>>());
        }
        if self.publishes {
            self.notes.push(
                "ports are published on 127.0.0.1; compose does on every address: write \"0.0.0.0:80:80\" where that is meant"
                    .to_owned(),
            );
        }
        if !self.volumes.is_empty() {
            let names: Vec<String> = self.volumes.into_iter().collect();
            self.notes.push(format!("volumes begin empty, those of compose stay as they are: {}", names.join(", ")));
        }
        let has_postgres = !self.servers.is_empty();
        Draft { name: name.map(str::to_owned), top, sections, notes: self.notes, builds: self.builds, has_postgres }
    }
}

/// The items of a list; none where there is none.
pub(super) fn array(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Says what was not carried over, in the file and to the person.
pub(super) fn say_left(section: &mut Section, notes: &mut Vec<String>, name: &str, left: &[String]) {
    if !left.is_empty() {
        section.say(&format!("not carried over: {}", left.join(", ")));
        notes.push(format!("{name}: not carried over: {}", left.join(", ")));
    }
}

fn is_postgres(service: &Value) -> bool {
    let image = service["image"].as_str().unwrap_or_default();
    let repository = image.split(['@', '$']).next().unwrap_or_default();
    // A colon before a slash is a port of the registry.
    let named = match repository.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => repository,
    };
    service["build"].is_null() && POSTGRES.contains(&named.trim_start_matches("docker.io/"))
}

/// The keys of a server that are neither carried over nor looked after by ours.
fn left_of_postgres(table: &Map<String, Value>) -> Vec<String> {
    let known = [
        "image",
        "environment",
        "ports",
        "volumes",
        "healthcheck",
        "restart",
        "container_name",
        "networks",
        "expose",
        "hostname",
    ];
    let mut left: Vec<String> =
        table.keys().filter(|key| !known.contains(&key.as_str()) && !key.starts_with("x-")).cloned().collect();
    let variables = pairs(table.get("environment").unwrap_or(&Value::Null)).into_iter().map(|(name, _)| name);
    let own = ["POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "PGDATA"];
    left.extend(variables.filter(|name| !own.contains(&name.as_str())).map(|name| format!("environment {name}")));
    left
}
