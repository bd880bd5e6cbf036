//! What a person asked for beside the file: replicas that are not to run, and runs that are to be
//! followed by another.

use super::action::Action;
use super::inputs::Inputs;
use super::pass::Pass;
use super::{backups, gates};
use crate::model::history::Target;
use crate::model::name::{ReplicaKey, WorkloadName};
use crate::model::observed::Container;
use crate::model::workload::Workload;

/// The cause of a run that was asked for by hand.
pub const ASKED: &str = "asked by a user";
/// The cause of the end of the run before it.
const RESTART: &str = "restart asked by a user";

/// How many were asked for by hand, in words.
pub fn scaled(inputs: &Inputs<'_>, workload: &Workload) -> Option<String> {
    inputs.history.by_hand.scaled(workload).map(|count| format!("scaled to {count} by hand"))
}

/// Plans the stop of a replica that is stopped by hand, after those that are stopped with it and
/// need it. What ended stays where it is, with its log.
pub fn stop(pass: &mut Pass<'_>, workload: &Workload, containers: &[&Container]) {
    let Some(up) = containers.iter().find(|container| container.state.is_up()) else { return };
    let Some(identity) = &up.identity else { return };
    let key = identity.key.clone();
    if let Some(dependent) = ends_first(pass.inputs, workload) {
        pass.block(Target::Replica(key), format!("stopped by hand after {dependent}, which needs it"));
        return;
    }
    let action = Action::Stop { key, container: up.id.clone(), grace: workload.container.stop_grace, failed: false };
    pass.act(action, "stopped by hand");
}

/// Plans the stop of a replica while databases that it needs change hands, after those that need it and are stopped
/// too; it is started again when that is over.
pub fn make_way(pass: &mut Pass<'_>, workload: &Workload, containers: &[&Container], (target, of): (&Target, &WorkloadName)) {
    let up = containers.iter().find(|container| container.state.is_up());
    let Some((up, identity)) = up.and_then(|up| Some((up, up.identity.as_ref()?))) else {
        pass.block(target.clone(), format!("{of} gets restored databases"));
        return;
    };
    let inputs = pass.inputs;
    let is_first = |other: &&Workload| {
        let is_up = inputs.of_workload(&other.name).iter().any(|container| container.state.is_up());
        is_up && backups::changing(inputs, other).is_some()
    };
    if let Some(first) = inputs.stack.dependents(&workload.name).find(is_first) {
        pass.block(target.clone(), format!("{of} gets restored databases: stopped after {}, which needs it", first.name));
        return;
    }
    let key = identity.key.clone();
    let action = Action::Stop { key, container: up.id.clone(), grace: workload.container.stop_grace, failed: false };
    pass.act(action, format!("{of} gets restored databases"));
}

/// One that is stopped by hand too, needs `workload`, perhaps through others, and is still up.
fn ends_first(inputs: &Inputs<'_>, workload: &Workload) -> Option<ReplicaKey> {
    inputs.ours().filter(|container| container.state.is_up()).find_map(|container| {
        let key = &container.identity.as_ref()?.key;
        let needs = inputs.stack.with_dependencies(&[key.name.clone()].into());
        let is_dependent = key.name != workload.name && needs.contains(&workload.name);
        (is_dependent && inputs.history.by_hand.is_stopped(key)).then(|| key.clone())
    })
}

/// Plans the end of a run that is to be followed by another; whether it did. It waits until what it
/// needs is there, and of several replicas one goes after the other.
pub fn renew(pass: &mut Pass<'_>, workload: &Workload, up: &Container) -> bool {
    let inputs = pass.inputs;
    let Some(identity) = up.identity.as_ref().filter(|_| inputs.history.by_hand.is_renewed(up)) else { return false };
    let key = identity.key.clone();
    if let Some(reason) = not_yet(pass, workload, up) {
        pass.block(Target::Replica(key), format!("{RESTART}: waiting for {reason}"));
        return false;
    }
    pass.act(Action::Stop { key, container: up.id.clone(), grace: workload.container.stop_grace, failed: false }, RESTART);
    true
}

fn not_yet(pass: &Pass<'_>, workload: &Workload, up: &Container) -> Option<String> {
    let inputs = pass.inputs;
    let needed = workload.dependencies.iter().map(|dependency| &dependency.on);
    let restarting =
        needed.flat_map(|name| inputs.of_workload(name)).copied().find(|other| inputs.history.by_hand.is_renewed(other));
    if let Some(name) = restarting.and_then(Container::workload) {
        return Some(format!("{name}, which is restarted first"));
    }
    if let Some(reason) = gates::unmet_dependency(inputs, workload) {
        return Some(reason);
    }
    // One that serves nobody can go at once.
    gates::is_ready(inputs, workload, up).then(|| another_away(pass, workload, up)).flatten()
}

/// Another replica that is to run and is not ready: this one serves until it is.
fn another_away(pass: &Pass<'_>, workload: &Workload, up: &Container) -> Option<String> {
    let inputs = pass.inputs;
    let own = up.identity.as_ref().map(|identity| identity.key.replica);
    let others = (1..=inputs.replicas(workload)).filter(|number| Some(*number) != own);
    let keys = others.map(|replica| ReplicaKey { name: workload.name.clone(), replica });
    let mut wanted = keys.filter(|key| !inputs.history.by_hand.is_stopped(key));
    let is_away = |key: &ReplicaKey| {
        pass.is_busy(&Target::Replica(key.clone()))
            || !inputs.of_replica(key).iter().any(|container| gates::is_ready(inputs, workload, container))
    };
    wanted.find(is_away).map(|key| format!("{}.{}", key.name, key.replica))
}
