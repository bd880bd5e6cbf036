//! What stands around a stack: objects that are not its own must stay as they are, and the set of
//! volumes never shrinks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::stack::{TestStack, text};
use crate::support::docker;

/// Networks that the engine makes anew, with other ids, each time it starts.
const OF_THE_ENGINE: [&str; 3] = ["bridge", "host", "none"];

/// What is there and is not a stack's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Surroundings {
    /// How each object is defined: nothing may ever change it.
    pub definitions: BTreeMap<String, Value>,
    /// Process and start of each container: only an end of its own or of the engine may change it.
    pub runs: BTreeMap<String, Value>,
    /// Every volume by name, the stack's too.
    pub volumes: BTreeSet<String>,
}

impl Surroundings {
    /// All but the stack's own; on the engine of this machine what carries this label, for tests beside this
    /// one have objects of their own.
    pub fn of(stack: &TestStack, label: &str) -> Self {
        let engine: Vec<&str> = stack.engine();
        let foreign = |value: &Value, labels: &str| {
            let labels = value.pointer(labels);
            let of = |name: &str| labels.and_then(|labels| labels.get(name)).and_then(Value::as_str);
            of("dev.witwd.stack") != Some(stack.name.as_str())
        };
        let filter = format!("label={label}");
        let filter: &[&str] = if engine.is_empty() { &["--filter", &filter] } else { &[] };
        let containers = inspected(&engine, &[&["ps", "-aq", "--no-trunc"], filter].concat(), "container");
        let networks = inspected(&engine, &[&["network", "ls", "-q"], filter].concat(), "network");
        let volumes = inspected(&engine, &[&["volume", "ls", "-q"], filter].concat(), "volume");
        let mut definitions = BTreeMap::new();
        let mut runs = BTreeMap::new();
        for container in containers.iter().filter(|container| foreign(container, "/Config/Labels")) {
            let name = container["Name"].to_string();
            let parts = ["Id", "Created", "Path", "Args", "Image", "Config", "HostConfig", "Mounts"];
            definitions.insert(format!("container {name}"), pick(container, &parts));
            runs.insert(name, pick(&container["State"], &["Status", "Pid", "StartedAt"]));
        }
        for network in networks.iter().filter(|network| foreign(network, "/Labels")) {
            let name = network["Name"].as_str().unwrap_or_default();
            let parts: &[&str] = if OF_THE_ENGINE.contains(&name) {
                &["Driver"]
            } else {
                &["Id", "Created", "Driver", "IPAM", "Options", "Labels"]
            };
            definitions.insert(format!("network {name}"), pick(network, parts));
        }
        for volume in volumes.iter().filter(|volume| foreign(volume, "/Labels")) {
            definitions
                .insert(format!("volume {}", volume["Name"]), pick(volume, &["Driver", "Labels", "Mountpoint", "Options"]));
        }
        let all = text(&docker(&[engine.as_slice(), &["volume", "ls", "-q"], filter].concat()).stdout);
        Self { definitions, runs, volumes: all.lines().map(str::to_owned).collect() }
    }

    /// Fails where something foreign was changed, or a volume that was there is gone; `what` happened meanwhile.
    pub fn are_kept_by(&self, now: &Self, what: &str) {
        assert_eq!(self.definitions, now.definitions, "{what}: a foreign object was changed");
        let gone: Vec<&String> = self.volumes.iter().filter(|name| !now.volumes.contains(*name)).collect();
        assert!(gone.is_empty(), "{what}: volumes are gone: {gone:?}");
    }
}

fn inspected(engine: &[&str], list: &[&str], kind: &str) -> Vec<Value> {
    let ids = text(&docker(&[engine, list].concat()).stdout);
    let ids: Vec<&str> = ids.split_whitespace().collect();
    if ids.is_empty() {
        return Vec::new();
    }
    let output = docker(&[engine, &[kind, "inspect"], &ids].concat());
    serde_json::from_slice(&output.stdout).expect("JSON of docker inspect")
}

fn pick(object: &Value, parts: &[&str]) -> Value {
    let parts = parts.iter().map(|part| ((*part).to_owned(), object[*part].clone()));
    json!(parts.collect::<serde_json::Map<String, Value>>())
}
