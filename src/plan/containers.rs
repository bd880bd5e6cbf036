//! The containers of one look, by what the planner asks of them again and again.

use std::collections::BTreeMap;

use super::inputs::is_kept;
use crate::model::name::{InstanceId, ReplicaKey, StackName, WorkloadName};
use crate::model::observed::{Container, Observed, Owner};

/// An index, made once for each plan: a plan of a thousand services asks thousands of times, and a walk
/// over all containers for each question grows with the square.
#[derive(Debug, Clone, Default)]
pub struct Containers<'a> {
    all: Vec<&'a Container>,
    ours: Vec<&'a Container>,
    of_workload: BTreeMap<&'a WorkloadName, Vec<&'a Container>>,
    of_replica: BTreeMap<&'a ReplicaKey, Vec<&'a Container>>,
    by_name: BTreeMap<&'a str, &'a Container>,
}

impl<'a> Containers<'a> {
    /// The index of what was seen, for the stack of this name of this instance.
    pub fn of(observed: &'a Observed, stack: &StackName, instance: &InstanceId) -> Self {
        let mut all: Vec<&Container> = observed.containers.iter().collect();
        all.sort_by_key(|container| &container.id);
        let ours: Vec<&Container> =
            all.iter().copied().filter(|container| container.owner(stack, instance) == Owner::Ours).collect();
        let mut index = Self { all, ours, ..Self::default() };
        for container in &observed.containers {
            index.by_name.entry(&container.name).or_insert(container);
        }
        for container in index.ours.iter().copied().filter(|container| is_kept(container)) {
            let Some(identity) = &container.identity else { continue };
            index.of_workload.entry(&identity.key.name).or_default().push(container);
            index.of_replica.entry(&identity.key).or_default().push(container);
        }
        index
    }

    /// Every container, by id, in whatever order they were seen.
    pub fn all(&self) -> &[&'a Container] {
        &self.all
    }

    /// Our own, by id.
    pub fn ours(&self) -> &[&'a Container] {
        &self.ours
    }

    /// Our own of one replica that keep a service or postgres, by id.
    pub fn of_replica(&self, key: &ReplicaKey) -> &[&'a Container] {
        self.of_replica.get(key).map_or(&[], Vec::as_slice)
    }

    /// Our own of one workload that keep a service or postgres, by id.
    pub fn of_workload(&self, name: &WorkloadName) -> &[&'a Container] {
        self.of_workload.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whoever holds a container name, where anybody does.
    pub fn holder(&self, name: &str) -> Option<&'a Container> {
        self.by_name.get(name).copied()
    }
}
