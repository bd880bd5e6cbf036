//! What the planner is given, and the questions it asks of it again and again.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::action::Action;
use super::containers::Containers;
use super::divergence::Divergence;
use crate::model::backup::Due;
use crate::model::family::Families;
use crate::model::hash::{Fingerprint, SCHEME};
use crate::model::health::Verdicts;
use crate::model::history::{AcceptedImage, History, Target};
use crate::model::name::{InstanceId, ReplicaKey, WorkloadName};
use crate::model::observed::{Container, Observed, Owner};
use crate::model::stack::Stack;
use crate::model::time::Moment;
use crate::model::workload::{KindName, Workload};

/// What is under way, by target: nothing is planned for a target that is in it.
pub type InFlight = BTreeMap<Target, Action>;

/// Everything a plan is derived from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What is wanted.
    pub stack: &'a Stack,
    /// Who we are.
    pub instance: &'a InstanceId,
    /// What is there.
    pub observed: &'a Observed,
    /// Its containers, by what is asked of them.
    pub containers: &'a Containers<'a>,
    /// What happened.
    pub history: &'a History,
    /// What probes say.
    pub verdicts: &'a Verdicts,
    /// Keyed hashes of the secrets that workloads would be made with now.
    pub fingerprints: &'a BTreeMap<WorkloadName, Fingerprint>,
    /// Digests of the databases, roles and extensions that are wanted of each postgres.
    pub provisions: &'a BTreeMap<WorkloadName, String>,
    /// What is to be done with the sets of each postgres; nothing for one that is not in it.
    pub backups: &'a BTreeMap<WorkloadName, Due>,
    /// What images of postgres servers make: those that are wanted, and those of containers.
    pub families: &'a Families,
    /// What is under way.
    pub in_flight: &'a InFlight,
    /// The monotonic moment, for delays.
    pub now: Moment,
    /// The wall clock, for windows that outlive the daemon.
    pub wall: Timestamp,
}

impl<'a> Inputs<'a> {
    /// Our own containers, by id.
    pub fn ours(&self) -> impl Iterator<Item = &'a Container> {
        self.containers.ours().iter().copied()
    }

    /// Our own containers of one replica that keep a service or postgres, by id.
    pub fn of_replica(&self, key: &ReplicaKey) -> &'a [&'a Container] {
        self.containers.of_replica(key)
    }

    /// Our own containers of one workload that keep a service or postgres, by id.
    pub fn of_workload(&self, name: &WorkloadName) -> &'a [&'a Container] {
        self.containers.of_workload(name)
    }

    /// Whether this `up` is about `name`: everything, unless it named some.
    pub fn is_meant(&self, name: &WorkloadName) -> bool {
        self.history.only.is_empty() || self.stack.with_dependencies(&self.history.only).contains(name)
    }

    /// How many replicas of a workload are wanted, by the file or by hand.
    pub fn replicas(&self, workload: &Workload) -> u32 {
        self.history.by_hand.replicas(workload)
    }

    /// Why `container` is not what `workload` wants now; `None` where it is.
    pub fn divergence(&self, workload: &Workload, container: &Container) -> Option<Divergence> {
        let identity = container.identity.as_ref()?;
        // An older or newer scheme hashes something else: what runs is adopted.
        if identity.spec.as_ref().is_some_and(|spec| spec.scheme() == SCHEME && spec != &workload.spec) {
            return Some(Divergence::Definition);
        }
        if super::data::is_elsewhere(self, workload, container) {
            return Some(Divergence::Volume);
        }
        // It keeps the port that was chosen for `auto` when it was made; only another one can have another.
        let is_kept_from_its_port = self.history.port_taken.get(&identity.key) == Some(&container.id) && !container.state.is_up();
        if is_kept_from_its_port && workload.container.ports.iter().any(|port| port.host.is_none()) {
            return Some(Divergence::Port);
        }
        let accepted = self.accepted(workload);
        if accepted.is_some_and(|accepted| accepted.id != container.image) {
            return Some(Divergence::Image);
        }
        match (&identity.secrets, self.fingerprints.get(&workload.name)) {
            (Some(then), Some(now)) if then.is_of_another_store(now) => Some(Divergence::LostPasswords),
            (Some(then), Some(now)) if then.differs_from(now) => Some(Divergence::Secret),
            _ => None,
        }
    }

    /// The image that was accepted for a workload, under the reference it has now or as its fallback.
    /// What was accepted under another reference says nothing any more.
    pub fn accepted(&self, workload: &Workload) -> Option<&'a AcceptedImage> {
        let accepted = self.history.images.get(&workload.name)?;
        workload.image.is_named(&accepted.reference).then_some(accepted)
    }

    /// Whose a container is, as words for a message.
    pub fn describe_owner(&self, container: &Container) -> String {
        match container.owner(self.stack.name(), self.instance) {
            Owner::Ours => "ours".to_owned(),
            Owner::OtherInstance { directory } => format!("of the stack in {directory}"),
            Owner::Foreign => "not ours".to_owned(),
        }
    }
}

/// Whether a container keeps a service or postgres; jobs, one-off runs, dumps and trial restores
/// have owners of their own.
pub fn is_kept(container: &Container) -> bool {
    let kind = container.identity.as_ref().map(|identity| identity.kind);
    matches!(kind, Some(KindName::Service | KindName::Postgres))
}
