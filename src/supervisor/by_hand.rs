//! How what is held by hand is shown: pure.

use std::collections::BTreeSet;

use crate::model::history::Goal;
use crate::model::name::ReplicaKey;
use crate::model::observed::Container;
use crate::model::status::{ItemStatus, State};
use crate::model::workload::Workload;
use crate::plan::{Inputs, waits_for_hand};

/// Replicas above the wanted number that are still there.
pub(super) fn surplus(inputs: &Inputs<'_>, workload: &Workload) -> BTreeSet<u32> {
    let containers = inputs.of_workload(&workload.name).iter();
    let numbers = containers.filter_map(|container| container.identity.as_ref()).map(|identity| identity.key.replica);
    numbers.filter(|number| *number > inputs.replicas(workload) && inputs.is_meant(&workload.name)).collect()
}

/// Whether a replica is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It is.
    Wanted,
    /// Not before `start` or `up`.
    Stopped,
    /// Above the wanted number.
    Surplus,
}

pub(super) fn part_of(inputs: &Inputs<'_>, item: &ItemStatus) -> Part {
    let Some(workload) = item.name.parse().ok().and_then(|name| inputs.stack.workload(&name)) else { return Part::Wanted };
    let key = ReplicaKey { name: workload.name.clone(), replica: item.replica };
    match inputs.history.goal {
        Goal::Up if item.replica > inputs.replicas(workload) => Part::Surplus,
        Goal::Up if inputs.history.by_hand.is_stopped(&key) => Part::Stopped,
        Goal::Up | Goal::Down => Part::Wanted,
    }
}

/// What a person holds, and what of it is still to come.
pub(super) fn show(item: &mut ItemStatus, inputs: &Inputs<'_>, workload: &Workload, containers: &[&Container]) {
    let by_hand = &inputs.history.by_hand;
    if inputs.history.goal == Goal::Down {
        return;
    }
    let key = ReplicaKey { name: workload.name.clone(), replica: item.replica };
    let scaled = by_hand.scaled(workload);
    item.stopped_as = by_hand.stopped_as(&key).cloned();
    item.held = item.stopped_as.is_some() || scaled.is_some();
    item.restart_asked = by_hand.is_asked(&key) || containers.iter().any(|container| by_hand.is_renewed(container));
    if let (Some(count), 1, true) = (scaled, item.replica, item.cause.is_empty()) {
        item.cause = format!("scaled to {count} by hand, {} in stack.toml", workload.replicas());
    }
}

/// Whether it can't start, or be restarted, because of another that is stopped by hand.
pub(super) fn waits(inputs: &Inputs<'_>, workload: &Workload, item: &ItemStatus) -> bool {
    let waits = matches!(item.state, State::Blocked | State::Backoff) || item.restart_asked;
    waits && waits_for_hand(inputs, workload)
}

/// How one that is not to run is started.
pub(super) fn way_back(inputs: &Inputs<'_>, key: &ReplicaKey) -> String {
    if inputs.history.by_hand.is_stopped(key) {
        return format!("`witwd start {key}` starts it");
    }
    format!("not asked for: `witwd up {}` starts it", key.name)
}
