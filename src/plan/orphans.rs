//! Containers of ours that the file no longer declares: stopped and removed, dependents or not;
//! their volumes stay.

use super::action::Action;
use super::pass::Pass;
use crate::model::history::Target;
use crate::model::name::WorkloadName;
use crate::model::observed::{Container, ContainerState, VolumeSeen};
use crate::model::workload::KindName;
use std::time::Duration;

use super::inputs::is_kept;

/// The grace of a container whose definition is gone: the contract's default of a service, or of a
/// postgres.
pub fn orphan_grace(container: &Container) -> Duration {
    let postgres = container.identity.as_ref().is_some_and(|identity| identity.kind == KindName::Postgres);
    Duration::from_secs(if postgres { 90 } else { 10 })
}

/// Plans the end of every orphan, and of replicas above the wanted number.
pub fn remove_orphans(pass: &mut Pass<'_>) {
    let inputs = pass.inputs;
    for container in inputs.ours().filter(|container| is_kept(container)) {
        let Some(identity) = &container.identity else { continue };
        let declared = inputs.stack.workload(&identity.key.name).filter(|workload| workload.kind_name() == identity.kind);
        match declared {
            // It may be the old name of one that waits to be told so: what runs goes on running.
            None if !container.volumes.is_empty() && pass.protects_data() => {
                pass.block(Target::Replica(identity.key.clone()), "not in stack.toml; kept until it is said which data is meant");
            }
            None if inputs.history.only.is_empty() => end(pass, container, "not in stack.toml"),
            Some(workload) if identity.key.replica > inputs.replicas(workload) && inputs.is_meant(&workload.name) => {
                let by_hand = super::hand::scaled(inputs, workload);
                end(pass, container, by_hand.as_deref().unwrap_or("more replicas than wanted"));
            }
            _ => {}
        }
    }
}

/// Plans the removal of one-off containers whose run is over: whoever ran them is gone, or is about to
/// remove them too. One that runs, or is about to, is somebody's.
pub fn remove_leftovers(pass: &mut Pass<'_>) {
    let is_run = |container: &&Container| container.identity.as_ref().is_some_and(|identity| identity.kind == KindName::Run);
    for container in pass.inputs.ours().filter(is_run) {
        if matches!(container.state, ContainerState::Exited { .. } | ContainerState::Dead) {
            end(pass, container, "its run is over");
        }
    }
}

/// Plans the end of what the taking and trying of sets left behind: whoever made it is gone.
pub fn remove_throw_away(pass: &mut Pass<'_>) {
    const CAUSE: &str = "left by a set that was given up";
    let inputs = pass.inputs;
    let is_used = |name: &WorkloadName| inputs.in_flight.contains_key(&Target::Backup(name.clone()));
    for container in inputs.ours().filter(|container| is_throw_away(container)) {
        if container.identity.as_ref().is_some_and(|identity| !is_used(&identity.key.name)) {
            end_within(pass, container, Duration::ZERO, CAUSE);
        }
    }
    let ours = |volume: &&VolumeSeen| volume.owner.as_ref().is_some_and(|(_, by)| by == inputs.instance);
    for volume in inputs.observed.volumes.iter().filter(ours) {
        let is_mounted = inputs.containers.all().iter().any(|container| container.volumes.contains(&volume.name));
        if volume.trial_of.as_ref().is_some_and(|name| !is_used(name)) && !is_mounted {
            pass.act(Action::RemoveVolume { name: volume.name.clone() }, CAUSE);
        }
    }
}

/// Whether a container was made for a dump or a trial restore.
pub fn is_throw_away(container: &Container) -> bool {
    let kind = container.identity.as_ref().map(|identity| identity.kind);
    matches!(kind, Some(KindName::Dump | KindName::Verify))
}

/// Plans the next step towards the end of a container: stop, then remove.
pub fn end(pass: &mut Pass<'_>, container: &Container, cause: &str) {
    let Some(identity) = &container.identity else { return };
    let declared = pass.inputs.stack.workload(&identity.key.name);
    let grace = declared.map_or_else(|| orphan_grace(container), |workload| workload.container.stop_grace);
    end_within(pass, container, grace, cause);
}

fn end_within(pass: &mut Pass<'_>, container: &Container, grace: Duration, cause: &str) {
    let Some(identity) = &container.identity else { return };
    let key = identity.key.clone();
    let id = container.id.clone();
    match &container.state {
        ContainerState::Removing => pass.block(Target::Replica(key), format!("container {id} is being removed by the engine")),
        state if state.is_up() => pass.act(Action::Stop { key, container: id, grace, failed: false }, cause),
        _ => pass.act(Action::Remove { key, container: id }, cause),
    }
}
