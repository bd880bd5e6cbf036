//! What must never be seen, whatever happens: checked at every start.

use std::collections::BTreeMap;

use super::world::{SimContainer, World};
use crate::engine::request::MountFrom;
use crate::model::name::InstanceId;
use crate::model::workload::KindName;

/// What is wrong with a world now, and what should never have happened to it.
pub fn violations(world: &World) -> Vec<String> {
    let mut all = world.breaches.clone();
    all.extend(wrong_now(world));
    all.sort();
    all.dedup();
    all
}

fn wrong_now(world: &World) -> Vec<String> {
    let mut replicas: BTreeMap<(InstanceId, String), Vec<&str>> = BTreeMap::new();
    let mut data: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
    for container in world.containers.values().filter(|container| container.state.is_up()) {
        let Some(identity) = container.identity() else { continue };
        if matches!(identity.kind, KindName::Service | KindName::Postgres) {
            let replica = format!("{} {}", identity.stack, identity.key);
            replicas.entry((identity.instance.clone(), replica)).or_default().push(container.id.short());
        }
        for volume in written_volumes(container) {
            data.entry(volume).or_default().push((container.id.short(), identity.kind == KindName::Postgres));
        }
    }
    let twice = replicas.iter().filter(|(_, ids)| ids.len() > 1);
    let twice = twice.map(|((_, replica), ids)| format!("{replica} runs more than once: {}", ids.join(", ")));
    let shared = data.iter().filter(|(_, users)| users.len() > 1 && users.iter().any(|(_, postgres)| *postgres));
    let shared = shared.map(|(volume, users)| {
        let ids: Vec<&str> = users.iter().map(|(id, _)| *id).collect();
        format!("data of a postgres in {volume} is written by more than one: {}", ids.join(", "))
    });
    twice.chain(shared).collect()
}

fn written_volumes(container: &SimContainer) -> impl Iterator<Item = &str> {
    container.mounts.iter().filter(|mount| !mount.read_only).filter_map(|mount| match &mount.source {
        MountFrom::Volume(name) => Some(name.as_str()),
        MountFrom::Bind(_) => None,
    })
}

impl World {
    /// Notes what should never have happened.
    pub(super) fn breach(&mut self, what: String) {
        if !self.breaches.contains(&what) {
            self.breaches.push(what);
        }
    }

    /// Notes what is wrong now, for it may be over soon.
    pub(super) fn note_state(&mut self) {
        for what in wrong_now(self) {
            self.breach(what);
        }
    }
}
