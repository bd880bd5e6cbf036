//! Changes of containers, with the engine's own refusals.

use std::time::Duration;

use super::mutation::Applied;
use super::trace::Operation;
use super::world::{Now, SimContainer, SimVolume, World, volume_path};
use crate::engine::request::{CreateContainer, FileToPut, MountFrom};
use crate::engine::{EngineError, ErrorKind, labels};
use crate::model::container::PublishedPort;
use crate::model::name::ContainerId;
use crate::model::observed::{ContainerState, PublishedSeen};

/// How long a removal takes.
pub(super) const REMOVAL: Duration = Duration::from_millis(30);
/// Where ports come from that the engine chooses.
const FREE_PORTS: u64 = 32_768;
/// How many there are.
const PORTS: u64 = 28_000;

fn refused(operation: Operation, target: &str, kind: ErrorKind, message: impl Into<String>) -> EngineError {
    EngineError::new(operation.words(), target, kind, message)
}

impl World {
    pub(super) fn create(&mut self, request: &CreateContainer, now: Now) -> Result<ContainerId, EngineError> {
        let Some(image) = self.images.id(&request.image) else {
            let message = format!("No such image: {}", request.image);
            return Err(refused(Operation::Create, &request.name, ErrorKind::NotFound, message));
        };
        // The engine would make it without our labels: the adapter asks first.
        let missing = request.mounts.iter().find_map(|mount| match &mount.source {
            MountFrom::Volume(name) if !self.volumes.contains_key(name) => Some(name),
            _ => None,
        });
        if let Some(name) = missing {
            let message = format!("get {name}: no such volume");
            return Err(refused(Operation::Create, &request.name, ErrorKind::NotFound, message));
        }
        self.name_is_free(Operation::Create, &request.name)?;
        let id = ContainerId(self.new_id("container"));
        let mut all_labels = request.labels.clone();
        all_labels.extend(labels::of_container(&request.identity));
        let container = SimContainer {
            id: id.clone(),
            name: request.name.clone(),
            labels: all_labels,
            image,
            image_reference: request.image.clone(),
            command: request.command.clone().unwrap_or_default(),
            env: request.env.clone(),
            mounts: request.mounts.clone(),
            ports: self.chosen_ports(request),
            published: Vec::new(),
            networks: request
                .network
                .iter()
                .map(|network| (network.clone(), request.aliases.iter().cloned().collect()))
                .collect(),
            read_only: request.hardening.read_only,
            keeps_log: request.logs.is_some(),
            state: ContainerState::Created,
            created_at: now.wall,
            run: None,
            ended: Vec::new(),
            gone_at: None,
            log: Vec::new(),
            files: std::collections::BTreeMap::new(),
            number: self.number(),
        };
        self.add_container(container, now);
        Ok(id)
    }

    /// Puts a container into the world; volumes that are not there are made, silently and empty.
    pub(super) fn add_container(&mut self, container: SimContainer, now: Now) {
        let missing: Vec<String> =
            container.volumes().filter(|name| !self.volumes.contains_key(*name)).map(str::to_owned).collect();
        for name in missing {
            self.volumes.insert(name, SimVolume::empty(None, now));
        }
        let id = container.id.clone();
        self.containers.insert(id.clone(), container);
        self.emit_container(now, &id, "create");
    }

    fn name_is_free(&self, operation: Operation, name: &str) -> Result<(), EngineError> {
        let Some(other) = self.by_name(name) else { return Ok(()) };
        let message = format!("Conflict. The container name \"/{name}\" is already in use by container \"{}\".", other.id.0);
        Err(refused(operation, name, ErrorKind::Conflict, message))
    }

    pub(super) fn start(&mut self, id: &ContainerId, now: Now) -> Result<Applied, EngineError> {
        let container = self.find(Operation::Start, id)?;
        let target = format!("container {id}");
        match container.state {
            ContainerState::Running { .. } => return Ok(Applied::Done),
            ContainerState::Paused { .. } => {
                let message = "cannot start a paused container, try unpause instead";
                return Err(refused(Operation::Start, &target, ErrorKind::Conflict, message));
            }
            ContainerState::Removing | ContainerState::Dead => {
                let message = "container is marked for removal and cannot be started";
                return Err(refused(Operation::Start, &target, ErrorKind::Conflict, message));
            }
            _ => {}
        }
        if let Some(network) = container.networks.keys().find(|name| self.network(name).is_none()) {
            // Not `NotFound`: that would say that the container is not there.
            return Err(refused(Operation::Start, &target, ErrorKind::Other, format!("network {network} not found")));
        }
        let script = self.script(container);
        let published = self.bind_ports(id)?;
        if let Some(container) = self.containers.get_mut(id) {
            container.published = published;
        }
        self.begin_run(id, script, now);
        Ok(Applied::Done)
    }

    /// The ports of a container, a number for each: what was meant before, else one that nobody has.
    fn chosen_ports(&mut self, request: &CreateContainer) -> Vec<PublishedPort> {
        let mut ports = request.ports.clone();
        for port in ports.iter_mut().filter(|port| port.host.is_none()) {
            let seen = |host| PublishedSeen { address: port.address, host, container: port.container, protocol: port.protocol };
            let known = request.remembered_port(port, |host| !self.port_is_taken(&seen(host)));
            port.host = Some(known.unwrap_or_else(|| self.free_port(port)));
        }
        ports
    }

    fn bind_ports(&mut self, id: &ContainerId) -> Result<Vec<PublishedSeen>, EngineError> {
        let wanted = self.find(Operation::Start, id)?.ports.clone();
        let mut published = Vec::new();
        for port in wanted {
            let host = match port.host {
                Some(host) => host,
                None => self.free_port(&port),
            };
            let seen = PublishedSeen { address: port.address, host, container: port.container, protocol: port.protocol };
            if self.port_is_taken(&seen) {
                let message = format!("Bind for {}:{host} failed: port is already allocated", port.address);
                return Err(refused(Operation::Start, &format!("container {id}"), ErrorKind::PortInUse, message));
            }
            published.push(seen);
        }
        published.sort();
        Ok(published)
    }

    /// A port that nobody has; with none left, one that is refused.
    fn free_port(&mut self, wanted: &PublishedPort) -> u16 {
        let mut host = 0;
        for _ in 0..PORTS {
            host = u16::try_from(FREE_PORTS + self.number() % PORTS).unwrap_or(u16::MAX);
            let seen = PublishedSeen { address: wanted.address, host, container: wanted.container, protocol: wanted.protocol };
            if !self.port_is_taken(&seen) {
                break;
            }
        }
        host
    }

    fn port_is_taken(&self, wanted: &PublishedSeen) -> bool {
        let overlaps = |other: &PublishedSeen| {
            let address = other.address == wanted.address || other.address.is_unspecified() || wanted.address.is_unspecified();
            (other.host, other.protocol) == (wanted.host, wanted.protocol) && address
        };
        let by_container = self.containers.values().any(|container| container.published.iter().any(overlaps));
        by_container || self.taken_ports.contains(&(wanted.host, wanted.protocol))
    }

    pub(super) fn begin_removal(&mut self, id: &ContainerId, now: Now) -> Result<Applied, EngineError> {
        let Some(container) = self.containers.get(id) else { return Ok(Applied::Done) };
        let target = format!("container {id}");
        if container.gone_at.is_some() {
            let message = format!("removal of container {} is already in progress", id.0);
            return Err(refused(Operation::Remove, &target, ErrorKind::RemovalInProgress, message));
        }
        if container.state.is_up() {
            let message = format!("You cannot remove a {} container {}", container.state.word(), id.0);
            return Err(refused(Operation::Remove, &target, ErrorKind::Conflict, message));
        }
        let takes = self.slow_removals.get(&container.name).copied().unwrap_or(REMOVAL);
        if let Some(container) = self.containers.get_mut(id) {
            container.state = ContainerState::Removing;
            container.gone_at = Some(now.moment + takes);
        }
        Ok(Applied::Done)
    }

    pub(super) fn rename(&mut self, id: &ContainerId, name: &str, now: Now) -> Result<Applied, EngineError> {
        let old = self.find(Operation::Rename, id)?;
        if old.name != name {
            self.name_is_free(Operation::Rename, name)?;
        }
        name.clone_into(&mut self.find_mut(Operation::Rename, id)?.name);
        self.emit_container(now, id, "rename");
        Ok(Applied::Done)
    }

    pub(super) fn put_files(&mut self, id: &ContainerId, directory: &str, files: &[FileToPut]) -> Result<Applied, EngineError> {
        for file in files {
            let path = format!("{}/{}", directory.trim_end_matches('/'), file.path);
            let container = self.find(Operation::PutFiles, id)?;
            let below = volume_path(container, &path).map(|(volume, below)| (volume.to_owned(), below));
            let bound = container
                .mounts
                .iter()
                .any(|mount| matches!(mount.source, MountFrom::Bind(_)) && path.starts_with(&mount.target));
            if let Some((volume, below)) = below {
                if let Some(volume) = self.volumes.get_mut(&volume) {
                    volume.files.insert(below, file.clone());
                }
            } else if container.read_only && !bound {
                let message = "container rootfs is marked read-only";
                return Err(refused(Operation::PutFiles, &format!("container {id}"), ErrorKind::Other, message));
            } else {
                self.find_mut(Operation::PutFiles, id)?.files.insert(path, file.clone());
            }
        }
        // No files at all: still an error where there is no container.
        self.find(Operation::PutFiles, id).map(|_| Applied::Done)
    }
}
