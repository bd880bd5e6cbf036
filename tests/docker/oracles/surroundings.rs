//! What stands around a stack: objects that are not its own must stay as they are, and the set of
//! volumes never shrinks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::stack::{TestStack, text};
use crate::support::docker;

/// Networks that the engine makes anew, with other ids, each time it starts.
const OF_THE_ENGINE: [&str; 3] = ["bridge", "host", "none"];

/// What nobody may change of a container, a network, a volume.
const OF_CONTAINERS: [&str; 8] = ["Id", "Created", "Path", "Args", "Image", "Config", "HostConfig", "Mounts"];
const OF_NETWORKS: [&str; 6] = ["Id", "Created", "Driver", "IPAM", "Options", "Labels"];
const OF_VOLUMES: [&str; 4] = ["Driver", "Labels", "Mountpoint", "Options"];

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
        let filter = format!("label={label}");
        let filter: &[&str] = if stack.engine().is_empty() { &["--filter", &filter] } else { &[] };
        Self::found(&stack.engine(), filter, ("dev.witwd.stack", &stack.name))
    }

    /// All on the engine of these options but what has this label with this value.
    pub fn beside(engine: &[&str], own: (&str, &str)) -> Self {
        Self::found(engine, &[], own)
    }

    fn found(engine: &[&str], filter: &[&str], own: (&str, &str)) -> Self {
        let foreign = |value: &&Value, labels: &str| {
            let label = value.pointer(labels).and_then(|labels| labels.get(own.0));
            label.and_then(Value::as_str) != Some(own.1)
        };
        let all = |list: &[&str], kind: &str| inspected(engine, &[list, filter].concat(), kind);
        let (mut definitions, mut runs) = (BTreeMap::new(), BTreeMap::new());
        let containers = all(&["ps", "-aq", "--no-trunc"], "container");
        for container in containers.iter().filter(|container| foreign(container, "/Config/Labels")) {
            let name = container["Name"].to_string();
            definitions.insert(format!("container {name}"), pick(container, &OF_CONTAINERS));
            runs.insert(name, pick(&container["State"], &["Status", "Pid", "StartedAt"]));
        }
        let networks = all(&["network", "ls", "-q"], "network");
        for network in networks.iter().filter(|network| foreign(network, "/Labels")) {
            let name = network["Name"].as_str().unwrap_or_default();
            let parts: &[&str] = if OF_THE_ENGINE.contains(&name) { &["Driver"] } else { &OF_NETWORKS };
            definitions.insert(format!("network {name}"), pick(network, parts));
        }
        let volumes = all(&["volume", "ls", "-q"], "volume");
        for volume in volumes.iter().filter(|volume| foreign(volume, "/Labels")) {
            definitions.insert(format!("volume {}", volume["Name"]), pick(volume, &OF_VOLUMES));
        }
        let volumes = volumes.iter().map(|volume| volume["Name"].to_string()).collect();
        Self { definitions, runs, volumes }
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
