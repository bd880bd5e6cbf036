//! The world as an observation, and an observation as a world.

use std::time::Duration;

use super::faults::FaultKind;
use super::script::Script;
use super::world::{End, Now, Run, SimContainer, SimNetwork, SimVolume, World};
use crate::engine::labels;
use crate::engine::request::{MountFrom, MountRequest, Scope};
use crate::model::container::PublishedPort;
use crate::model::name::{ContainerId, StackName};
use crate::model::observed::{Container, ContainerState, Network, Observed, VolumeSeen};

/// Observations kept for stale answers.
const KEPT: usize = 16;
/// Where the numbers of what is made in a copy of a world begin.
const PLAYED: u64 = 1 << 40;

impl World {
    /// One look; a stale one where a fault asks for it.
    pub(super) fn observed(&mut self, scope: &Scope, now: Now) -> Observed {
        if let Some(age) = self.stale_by.take() {
            let old_enough = self.seen.iter().rev().find(|(at, _)| *at + age <= now.moment);
            if let Some((_, stale)) = old_enough.or(self.seen.first()).cloned() {
                if stale != self.look(scope) {
                    self.note_effect(FaultKind::StaleRead);
                }
                return stale;
            }
        }
        let fresh = self.look(scope);
        if self.seen.len() == KEPT {
            self.seen.remove(0);
        }
        self.seen.push((now.moment, fresh.clone()));
        fresh
    }

    /// What is there, within a scope.
    pub fn look(&self, scope: &Scope) -> Observed {
        let is_ours = |owner: &Option<(_, _)>| owner.as_ref().is_some_and(|(stack, _): &(StackName, _)| *stack == scope.stack);
        let network_name = scope.stack.network();
        let mut networks: Vec<Network> = self
            .networks
            .iter()
            .filter(|(_, network)| network.name == network_name || is_ours(&network.owner))
            .map(|(id, network)| Network { id: id.clone(), name: network.name.clone(), owner: network.owner.clone() })
            .collect();
        networks.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        let volumes =
            self.volumes.iter().filter(|(name, volume)| scope.volumes.contains(name) || scope.owns(volume.owner.as_ref()));
        let volumes = volumes.map(|(name, volume)| VolumeSeen {
            name: name.clone(),
            owner: volume.owner.clone(),
            of_image: volume.of_image,
            directory: None,
            data_of: volume.data_of.clone(),
            trial_of: volume.trial_of.clone(),
            created_at: Some(volume.created_at),
            driver: volume.driver.clone(),
        });
        let images = scope.images.iter().filter_map(|reference| Some((reference.clone(), self.images.id(reference)?)));
        let containers = self.containers.values().map(seen);
        Observed { containers: containers.collect(), networks, volumes: volumes.collect(), images: images.collect() }
    }

    /// One container, as it would be listed.
    pub fn seen(&self, id: &ContainerId) -> Option<Container> {
        self.containers.get(id).map(seen)
    }

    /// A world that looks like this observation. What can't be seen (what apps do, what registries
    /// hold) is assumed to be well.
    pub(super) fn from_observed(observed: &Observed, stack: &StackName, now: Now) -> Self {
        let mut world = Self::default();
        // What is made here must not take the id of what was made where this was seen.
        world.count_from(PLAYED);
        world.images.knows_all = true;
        for (reference, id) in &observed.images {
            world.images.add_as(reference, id.clone());
        }
        let found = observed.containers.iter().filter_map(|container| container.identity.as_ref());
        for identity in found {
            world.scripts.set(identity.key.name.as_str(), vec![Script::of_kind(Some(identity.kind))]);
        }
        for network in &observed.networks {
            let there = SimNetwork { name: network.name.clone(), owner: network.owner.clone() };
            world.networks.insert(network.id.clone(), there);
        }
        for volume in &observed.volumes {
            let mut there = SimVolume::empty(volume.owner.clone(), now);
            there.created_at = volume.created_at.unwrap_or(now.wall);
            there.of_image = volume.of_image;
            there.driver.clone_from(&volume.driver);
            there.data_of.clone_from(&volume.data_of);
            there.trial_of.clone_from(&volume.trial_of);
            world.volumes.insert(volume.name.clone(), there);
        }
        for container in &observed.containers {
            world.images.hold(&container.image_reference, &container.image);
            world.add_unseen_networks(container, stack);
            let number = world.number();
            let there = revived(container, number);
            world.containers.insert(container.id.clone(), there);
        }
        world.revive_runs(now);
        world
    }

    /// Networks of other stacks are no part of an observation: they are there all the same.
    fn add_unseen_networks(&mut self, container: &Container, stack: &StackName) {
        let seen = stack.network();
        for name in container.networks.keys().filter(|name| **name != seen) {
            if self.network(name).is_none() {
                let id = self.new_id("network");
                self.networks.insert(id, SimNetwork { name: name.clone(), owner: None });
            }
        }
    }

    fn revive_runs(&mut self, now: Now) {
        let ids: Vec<ContainerId> = self.containers.keys().cloned().collect();
        for id in ids {
            let Some(container) = self.containers.get(&id) else { continue };
            let script = self.script(container);
            let Some(container) = self.containers.get_mut(&id) else { continue };
            match container.state {
                ContainerState::Running { .. } | ContainerState::Paused { .. } => {
                    // It has long been ready, for all that can be seen.
                    let end =
                        script.run_for.map(|run_for| End { at: now.moment + run_for, code: script.exit_code, oom: script.oom });
                    let script = Script { ready_after: Duration::ZERO, ..script };
                    container.run = Some(Run { began: now.moment, script, end, hung: false });
                }
                ContainerState::Removing => container.gone_at = Some(now.moment + super::containers::REMOVAL),
                _ => {}
            }
        }
    }
}

fn seen(container: &SimContainer) -> Container {
    let mut volumes: Vec<String> = container.volumes().map(str::to_owned).collect();
    volumes.sort();
    Container {
        id: container.id.clone(),
        name: container.name.clone(),
        image: container.image.clone(),
        image_reference: container.image_reference.clone(),
        state: container.state.clone(),
        identity: container.identity(),
        published: container.published.clone(),
        networks: container.networks.clone(),
        volumes,
        created_at: container.created_at,
        image_health: None,
    }
}

/// Where it is mounted can't be seen.
fn revived_mount(volume: &str) -> MountRequest {
    MountRequest { source: MountFrom::Volume(volume.to_owned()), target: format!("/volumes/{volume}"), read_only: false }
}

fn revived(container: &Container, number: u64) -> SimContainer {
    let port = |seen: &crate::model::observed::PublishedSeen| PublishedPort {
        address: seen.address,
        host: Some(seen.host),
        container: seen.container,
        protocol: seen.protocol,
    };
    SimContainer {
        id: container.id.clone(),
        name: container.name.clone(),
        labels: container.identity.as_ref().map(labels::of_container).unwrap_or_default(),
        image: container.image.clone(),
        image_reference: container.image_reference.clone(),
        command: Vec::new(),
        env: std::collections::BTreeMap::new(),
        mounts: container.volumes.iter().map(|volume| revived_mount(volume)).collect(),
        ports: container.published.iter().map(port).collect(),
        published: container.published.clone(),
        networks: container.networks.clone(),
        read_only: false,
        keeps_log: true,
        state: container.state.clone(),
        created_at: container.created_at,
        run: None,
        ended: Vec::new(),
        gone_at: None,
        log: Vec::new(),
        files: std::collections::BTreeMap::new(),
        number,
    }
}
