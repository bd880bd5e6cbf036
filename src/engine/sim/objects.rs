//! Changes of networks and volumes.

use std::collections::BTreeMap;

use super::mutation::Applied;
use super::trace::Operation;
use super::world::{Now, SimNetwork, SimVolume, World};
use crate::engine::request::{CreateNetwork, CreateVolume};
use crate::engine::{EngineError, ErrorKind};
use crate::model::name::{ContainerId, InstanceId, StackName};

/// How many networks the engine's address pools are good for, the default bridge among them.
const POOLS: usize = 31;

impl SimVolume {
    pub(super) fn empty(owner: Option<(StackName, InstanceId)>, now: Now) -> Self {
        let (ledger, files) = (Vec::new(), BTreeMap::new());
        Self {
            owner,
            of_image: false,
            data_of: None,
            trial_of: None,
            created_at: now.wall,
            driver: "local".to_owned(),
            ledger,
            files,
        }
    }
}

impl World {
    pub(super) fn create_network(&mut self, request: &CreateNetwork, now: Now) -> Result<Applied, EngineError> {
        let owner = (request.stack.clone(), request.instance.clone());
        self.add_network(&request.name, Some(owner), now)
    }

    pub(super) fn add_network(
        &mut self,
        name: &str,
        owner: Option<(StackName, InstanceId)>,
        now: Now,
    ) -> Result<Applied, EngineError> {
        let refused = |kind, message: String| EngineError::new(Operation::CreateNetwork.words(), name, kind, message);
        if self.network(name).is_some() {
            return Err(refused(ErrorKind::Conflict, format!("network with name {name} already exists")));
        }
        if self.networks.len() + 1 >= POOLS {
            let message = "could not find an available, non-overlapping IPv4 address pool among the defaults";
            return Err(refused(ErrorKind::Other, message.to_owned()));
        }
        let id = self.new_id("network");
        let stack = owner.as_ref().map(|(stack, _)| stack.clone());
        self.networks.insert(id.clone(), SimNetwork { name: name.to_owned(), owner });
        self.bus.emit(now, ("network", "create"), &id, stack.as_ref());
        Ok(Applied::Done)
    }

    pub(super) fn remove_network(&mut self, id: &str, now: Now) -> Result<Applied, EngineError> {
        let Some(network) = self.networks.get(id) else { return Ok(Applied::Done) };
        let attached =
            self.containers.values().find(|container| container.state.is_up() && container.networks.contains_key(&network.name));
        if let Some(container) = attached {
            let message = format!("network {} has active endpoints: {}", network.name, container.name);
            return Err(EngineError::new(Operation::RemoveNetwork.words(), id, ErrorKind::InUse, message));
        }
        if let Some(network) = self.networks.remove(id) {
            self.bus.emit(now, ("network", "destroy"), id, network.owner.map(|(stack, _)| stack).as_ref());
        }
        Ok(Applied::Done)
    }

    pub(super) fn connect(&mut self, id: &ContainerId, name: &str, names: &[String], now: Now) -> Result<Applied, EngineError> {
        let container = self.find(Operation::Connect, id)?;
        let refused = |kind, message: String| EngineError::new(Operation::Connect.words(), id.to_string(), kind, message);
        let Some((network, _)) = self.network(name) else {
            return Err(refused(ErrorKind::Other, format!("network {name} not found")));
        };
        if container.state.is_up() && container.networks.contains_key(name) {
            let message = format!("endpoint with name {} already exists in network {name}", container.name);
            return Err(refused(ErrorKind::Conflict, message));
        }
        let network = network.clone();
        self.find_mut(Operation::Connect, id)?.networks.insert(name.to_owned(), names.iter().cloned().collect());
        self.emit_network(now, &network, "connect");
        Ok(Applied::Done)
    }

    pub(super) fn disconnect(&mut self, id: &ContainerId, name: &str, now: Now) {
        let was_there = self.containers.get_mut(id).and_then(|container| container.networks.remove(name)).is_some();
        let network = self.network(name).map(|(network, _)| network.clone()).filter(|_| was_there);
        if let Some(network) = network {
            self.emit_network(now, &network, "disconnect");
        }
    }

    fn emit_network(&mut self, now: Now, id: &str, action: &'static str) {
        let stack = self.networks.get(id).and_then(|network| network.owner.as_ref()).map(|(stack, _)| stack.clone());
        self.bus.emit(now, ("network", action), id, stack.as_ref());
    }

    pub(super) fn create_volume(&mut self, request: &CreateVolume, now: Now) -> Result<Applied, EngineError> {
        let owner = Some((request.stack.clone(), request.instance.clone()));
        match self.volumes.get(&request.name) {
            Some(volume) if volume.owner == owner => return Ok(Applied::Done),
            Some(_) => {
                let message = format!("volume {} exists and is not ours", request.name);
                let operation = Operation::CreateVolume.words();
                return Err(EngineError::new(operation, &request.name, ErrorKind::Conflict, message));
            }
            None => {}
        }
        let mut volume = SimVolume::empty(owner, now);
        volume.of_image = request.of_image;
        volume.data_of.clone_from(&request.data_of);
        volume.trial_of.clone_from(&request.trial_of);
        if let Some(driver) = &request.driver {
            volume.driver.clone_from(driver);
        }
        self.volumes.insert(request.name.clone(), volume);
        self.bus.emit(now, ("volume", "create"), &request.name, Some(&request.stack));
        Ok(Applied::Done)
    }

    pub(super) fn remove_volume(&mut self, name: &str, now: Now) -> Result<Applied, EngineError> {
        if !self.volumes.contains_key(name) {
            return Ok(Applied::Done);
        }
        if !self.permitted_volumes.contains(name) && self.guard.is_some() {
            self.breach(format!("remove volume {name} that no command of the user names"));
        }
        self.drop_volume(name, now).map(|()| Applied::Done)
    }

    /// Removes a volume, whoever asks.
    pub(super) fn drop_volume(&mut self, name: &str, now: Now) -> Result<(), EngineError> {
        let user = self.containers.values().find(|container| container.volumes().any(|volume| volume == name));
        if let Some(container) = user {
            let message = format!("remove {name}: volume is in use - [{}]", container.id.0);
            return Err(EngineError::new(Operation::RemoveVolume.words(), name, ErrorKind::InUse, message));
        }
        if let Some(volume) = self.volumes.remove(name) {
            self.bus.emit(now, ("volume", "destroy"), name, volume.owner.map(|(stack, _)| stack).as_ref());
        }
        Ok(())
    }
}
