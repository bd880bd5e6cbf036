//! One replica: recreate only what diverged, the new container before the old one is stopped, and
//! never two running at once.
//!
//! Recreate is, over several passes: create the new one under a name with a suffix, stop the old,
//! start the new, remove the old, give the name.

use super::action::Action;
use super::attach::attach;
use super::divergence::Divergence;
use super::inputs::Inputs;
use super::pass::Pass;
use super::restart::{Decision, End, Times, decide};
use super::{backups, data, gates, hand};
use crate::model::history::Target;
use crate::model::name::ReplicaKey;
use crate::model::observed::{Container, ContainerState, Exit};
use crate::model::workload::Workload;

/// What must be there before a container can be made.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The image's reference, once it is here.
    pub image: Option<String>,
    /// Whether the network is here.
    pub network: bool,
    /// Whether the volumes are here.
    pub volumes: bool,
}

/// One replica and its containers.
struct Replica<'a> {
    workload: &'a Workload,
    key: ReplicaKey,
    /// The container that is what is wanted, where there is one.
    current: Option<&'a Container>,
    /// All others, by id.
    others: Vec<&'a Container>,
}

/// Plans the next step of one replica.
pub fn plan_replica(pass: &mut Pass<'_>, workload: &Workload, key: ReplicaKey, ready: &Ready) {
    let target = Target::Replica(key.clone());
    if pass.is_busy(&target) || (!pass.failed_to_remove(&target) && pass.waits_after_failure(&target)) {
        return;
    }
    let inputs = pass.inputs;
    let containers = inputs.of_replica(&key);
    if inputs.history.by_hand.is_stopped(&key) {
        hand::stop(pass, workload, containers);
        return;
    }
    if let Some(of) = backups::changing(inputs, workload) {
        hand::make_way(pass, workload, containers, (&target, of));
        return;
    }
    if inputs.history.by_hand.is_asked(&key) {
        pass.block(target, hand::ASKED);
        return;
    }
    let meant = inputs.is_meant(&workload.name);
    let matching = |container: &&Container| !meant || inputs.divergence(workload, container).is_none();
    if let Some((surplus, kept)) = surplus(containers, matching) {
        super::orphans::end(pass, surplus, &format!("replaced by {}", kept.id));
        return;
    }
    let usable = containers.iter().copied().filter(|container| !is_vanishing(container)).filter(matching);
    let current = usable.min_by_key(|container| (rank(container), container.created_at, container.id.clone()));
    let others =
        containers.iter().copied().filter(|container| current.is_none_or(|current| current.id != container.id)).collect();
    let replica = Replica { workload, key, current, others };
    match replica.current {
        Some(current) if current.state.is_up() => tend(pass, &replica, current, ready.network),
        Some(current) => bring_up(pass, &replica, current),
        None if meant => create(pass, &replica, ready),
        None => {}
    }
}

/// Where more than one is up, one to be ended and one that stays: whatever else waits, this does not.
fn surplus<'a>(
    containers: &[&'a Container],
    matching: impl Fn(&&'a Container) -> bool,
) -> Option<(&'a Container, &'a Container)> {
    let mut up: Vec<&Container> = containers.iter().copied().filter(|container| container.state.is_up()).collect();
    up.sort_by_key(|container| (rank(container), !matching(container), container.created_at, container.id.clone()));
    match up.as_slice() {
        [kept, .., surplus] => Some((surplus, kept)),
        _ => None,
    }
}

/// Of several that are what is wanted, the one that runs stays: then one that only is up.
fn rank(container: &Container) -> u8 {
    match container.state {
        ContainerState::Running { .. } => 0,
        _ if container.state.is_up() => 1,
        _ => 2,
    }
}

/// Whether the engine is taking a container away, or has half done so.
fn is_vanishing(container: &Container) -> bool {
    matches!(container.state, ContainerState::Removing | ContainerState::Dead)
}

/// The wanted container is up, and no other: keep it healthy, then put the rest in order.
/// Health comes first, for a removal that fails again and again must not keep a database from its
/// roles. Nobody reaches what is not on the network, so that comes before its health.
fn tend(pass: &mut Pass<'_>, replica: &Replica<'_>, current: &Container, network: bool) {
    if network && attach(pass, replica.workload, &replica.key, current) {
        return;
    }
    if hand::renew(pass, replica.workload, current) || heal(pass, replica, current) || put_in_order(pass, replica, current) {
        return;
    }
    let target = Target::Replica(replica.key.clone());
    match current.state {
        ContainerState::Running { .. } => wait_for_health(pass, replica, current),
        ContainerState::Paused { .. } => pass.block(target, "paused by hand"),
        _ => pass.block(target, "the engine restarts it: its restart policy was changed by hand"),
    }
}

/// Removes what was replaced and gives the wanted container its name; whether there was anything
/// to do.
fn put_in_order(pass: &mut Pass<'_>, replica: &Replica<'_>, current: &Container) -> bool {
    let removable = replica.others.iter().find(|other| other.state != ContainerState::Removing);
    if let Some(other) = removable.or(replica.others.first()) {
        super::orphans::end(pass, other, &format!("replaced by {}", current.id));
        return true;
    }
    let name = pass.inputs.stack.name().container(&replica.key);
    let is_free = current.name != name && pass.inputs.containers.holder(&name).is_none();
    if is_free {
        let action = Action::Rename { key: replica.key.clone(), container: current.id.clone(), name };
        pass.act(action, "takes the place of the old one");
    }
    is_free
}

/// Stops what has lost its liveness, makes the databases of what answers; whether there was
/// anything to do.
fn heal(pass: &mut Pass<'_>, replica: &Replica<'_>, current: &Container) -> bool {
    if !matches!(current.state, ContainerState::Running { .. }) {
        return false;
    }
    let verdict = gates::verdict_of(pass.inputs, replica.workload, current);
    let key = replica.key.clone();
    if verdict.alive == Some(false) && gates::liveness_counts(pass.inputs, replica.workload) {
        let cause = format!("liveness lost: {}", verdict.words.clone().unwrap_or_default());
        let asked = gates::unconfirmed(pass.inputs, replica.workload, verdict.lost_at.unwrap_or_default());
        if !asked.is_empty() {
            pass.ask(asked);
            pass.block(Target::Replica(key), format!("{cause}; what it depends on is asked first"));
            return true;
        }
        let grace = replica.workload.container.stop_grace;
        pass.act(Action::Stop { key, container: current.id.clone(), grace, failed: true }, cause);
        return true;
    }
    if verdict.alive == Some(true) && !gates::is_provisioned(pass.inputs, replica.workload, current) {
        pass.act(Action::Provision { key, container: current.id.clone() }, "databases and roles");
        return true;
    }
    false
}

fn wait_for_health(pass: &mut Pass<'_>, replica: &Replica<'_>, current: &Container) {
    if !gates::is_ready(pass.inputs, replica.workload, current) {
        let verdict = gates::verdict_of(pass.inputs, replica.workload, current);
        let waiting = match verdict.ready {
            Some(_) => "not ready",
            None if replica.workload.probes().is_empty() && current.image_health.is_none() => "has not run for 300 ms yet",
            None => "no answer yet",
        };
        let words = verdict.words.unwrap_or_else(|| waiting.to_owned());
        pass.block(Target::Replica(replica.key.clone()), words);
    }
}

/// The wanted container is there and not up: stop the old one, then start it.
fn bring_up(pass: &mut Pass<'_>, replica: &Replica<'_>, current: &Container) {
    let target = Target::Replica(replica.key.clone());
    if let Some(reason) = gates::never_opens(pass.inputs, replica.workload) {
        pass.needs_operator(target, reason);
        return;
    }
    if let Some(reason) = gates::closed_gate(pass.inputs, replica.workload) {
        pass.block(target, reason);
        return;
    }
    match data::fitness(pass.inputs, replica.workload, current) {
        data::Fitness::Fits => {}
        data::Fitness::Unknown(cause) => {
            pass.act(Action::Examine { key: replica.key.clone(), container: current.id.clone() }, cause);
            return;
        }
        data::Fitness::Refused(cause) => {
            pass.protect_data(target, cause);
            start_old(pass, replica);
            return;
        }
    }
    if let Some(old) = replica.others.iter().find(|other| other.state.is_up()) {
        if !backups::may_leave(pass, replica.workload, old, current) {
            return;
        }
        let reason = pass.inputs.divergence(replica.workload, old).map_or("a newer container is there", Divergence::words);
        super::orphans::end(pass, old, reason);
        return;
    }
    start(pass, replica, current);
}

fn start(pass: &mut Pass<'_>, replica: &Replica<'_>, container: &Container) {
    if let Some(other) = data::other_server(pass.inputs, replica.workload, container) {
        pass.block(Target::Replica(replica.key.clone()), format!("waiting for {}: it runs on the same data", other.name));
        return;
    }
    if let Some(other) = still_to_come(pass.inputs, replica, container) {
        super::orphans::end(pass, other, "the engine did not answer its start, which may still come");
        return;
    }
    let ended = data::rivals(pass.inputs, replica.workload, &replica.key, container);
    let action = Action::Start { key: replica.key.clone(), container: container.id.clone(), ended };
    let exit = match &container.state {
        ContainerState::Exited { .. } if pass.inputs.history.by_hand.is_renewed(container) => {
            return pass.act(action, hand::ASKED);
        }
        ContainerState::Exited { exit, .. } => Some(*exit),
        // One that has run is never new again: what was seen is older than what is known.
        ContainerState::Created => known_exit(pass.inputs, replica, container),
        _ => return,
    };
    match exit {
        None => pass.act(action, "created, all it needs is there"),
        Some(exit) => match restart(pass.inputs, replica, container, &exit) {
            Decision::Start { cause } => pass.act(action, cause),
            Decision::Wait { until, cause } => {
                pass.block_until(Target::Replica(replica.key.clone()), cause, until);
            }
            // It has done what it was for: what it replaced goes, and it takes its place.
            Decision::Ended if replica.current.is_some() => drop(put_in_order(pass, replica, container)),
            Decision::Ended => {}
        },
    }
}

/// Another container that was asked to start, and may do so at any time: once it is gone it can't.
fn still_to_come<'a>(inputs: &Inputs<'a>, replica: &Replica<'a>, container: &Container) -> Option<&'a Container> {
    let asked = inputs.history.replicas.get(&replica.key)?.asked.as_ref()?;
    let others = inputs.of_replica(&replica.key).iter().copied().filter(|other| other.id != container.id);
    others.filter(|other| !is_vanishing(other)).find(|other| &other.id == asked)
}

/// How a run of this container ended that is remembered.
fn known_exit(inputs: &Inputs<'_>, replica: &Replica<'_>, container: &Container) -> Option<Exit> {
    let last = inputs.history.replicas.get(&replica.key)?.last_exit.as_ref()?;
    (last.run.container == container.id).then_some(last.exit)
}

fn restart(inputs: &Inputs<'_>, replica: &Replica<'_>, container: &Container, exit: &Exit) -> Decision {
    let history = inputs.history.replicas.get(&replica.key);
    let lost_liveness = history.is_some_and(|history| history.failed.is_some() && history.failed == container.run());
    let end = End { exit: *exit, lost_liveness };
    decide(replica.workload.restart(), &replica.key, history, end, Times { now: inputs.now, wall: inputs.wall })
}

/// There is no container that is what is wanted: make one. Until that can be done, an old one is
/// kept running.
fn create(pass: &mut Pass<'_>, replica: &Replica<'_>, ready: &Ready) {
    let target = Target::Replica(replica.key.clone());
    if let Some(refusal) = data::misfit(pass.inputs, replica.workload, ready.image.as_deref()) {
        pass.protect_data(target, refusal);
    } else if let Some(reason) = gates::not_carried_out(replica.workload) {
        pass.needs_operator(target, reason);
    } else if let Some(reason) = what_is_missing(replica.workload, ready) {
        pass.block(target, reason);
    } else {
        return create_now(pass, replica, ready);
    }
    start_old(pass, replica);
}

/// Nothing can take the place of what ran: it is kept running.
fn start_old(pass: &mut Pass<'_>, replica: &Replica<'_>) {
    // A server that never ran is what was refused before, and not what keeps the data.
    let is_server = replica.workload.postgres().is_some();
    let has_run = |other: &&Container| !is_server || other.run().is_some() || other.state.is_up();
    let old = replica.others.iter().copied().filter(|other| !is_vanishing(other)).filter(has_run).collect::<Vec<_>>();
    if let Some(up) = old.iter().find(|other| other.state.is_up()) {
        hand::renew(pass, replica.workload, up);
        return;
    }
    let gate = gates::closed_gate(pass.inputs, replica.workload);
    if let (Some(old), None) = (old.last(), gate) {
        start(pass, replica, old);
    }
}

fn create_now(pass: &mut Pass<'_>, replica: &Replica<'_>, ready: &Ready) {
    let Some(image) = ready.image.clone() else { return };
    // An older attempt that never took its place goes first: there are never more than two.
    let idle = replica.others.iter().rev().find(|other| !other.state.is_up());
    if let (Some(idle), true) = (idle, replica.others.len() > 1) {
        super::orphans::end(pass, idle, "an older attempt that never took its place");
        return;
    }
    let reason = replica.others.first().and_then(|old| pass.inputs.divergence(replica.workload, old));
    let by_hand = hand::scaled(pass.inputs, replica.workload).filter(|_| replica.key.replica > replica.workload.replicas());
    let cause = reason.map(Divergence::words).or(by_hand.as_deref()).unwrap_or("no container");
    match free_name(pass.inputs, replica) {
        Ok(name) => pass.act(Action::Create { key: replica.key.clone(), name, image }, cause),
        Err(cause) => pass.needs_operator(Target::Replica(replica.key.clone()), cause),
    }
}

/// Why a container can't be made now.
fn what_is_missing(workload: &Workload, ready: &Ready) -> Option<String> {
    let waits_for = match (&ready.image, ready.network, ready.volumes) {
        (None, _, _) => format!("image {}", workload.image.reference),
        (_, false, _) => "the network".to_owned(),
        (_, _, false) => "a volume".to_owned(),
        _ => return None,
    };
    Some(format!("waiting for {waits_for}"))
}

/// The final name, or one with a suffix while an older container of this replica holds it.
fn free_name(inputs: &Inputs<'_>, replica: &Replica<'_>) -> Result<String, String> {
    let name = inputs.stack.name().container(&replica.key);
    let Some(holder) = inputs.containers.holder(&name) else {
        return Ok(name);
    };
    if !replica.others.iter().any(|other| other.id == holder.id) {
        let whose = inputs.describe_owner(holder);
        return Err(format!("the name {name} is taken by container {}, which is {whose}: remove or rename that one", holder.id));
    }
    let suffixed = format!("{name}-{}", replica.workload.spec.short());
    let numbered = (2..).map(|number| format!("{suffixed}-{number}"));
    let free = std::iter::once(suffixed.clone()).chain(numbered).find(|name| inputs.containers.holder(name).is_none());
    Ok(free.unwrap_or(suffixed))
}
