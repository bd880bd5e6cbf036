//! Stops and removes everything of the stack in reverse order, then its network. Volumes stay.

use std::collections::BTreeSet;

use super::action::{Action, Plan};
use super::inputs::Inputs;
use super::orphans::{end, is_throw_away, remove_throw_away};
use super::pass::Pass;
use crate::model::name::WorkloadName;
use crate::model::observed::{Container, VolumeSeen};

/// The plan of a stack that is to be down.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let mut pass = Pass::new(inputs);
    let containers: Vec<&Container> = inputs.ours().collect();
    let up: BTreeSet<&WorkloadName> =
        containers.iter().filter(|container| container.state.is_up()).filter_map(|container| container.workload()).collect();
    for container in &containers {
        if !is_throw_away(container) && may_end(inputs, container, &up) {
            end(&mut pass, container, "witwd down");
        }
    }
    remove_throw_away(&mut pass);
    if containers.is_empty() {
        remove_network(&mut pass);
        drop_volumes(&mut pass);
    }
    pass.finish()
}

/// Whether nobody who depends on it is still up. What is not declared any more depends on all.
fn may_end(inputs: &Inputs<'_>, container: &Container, up: &BTreeSet<&WorkloadName>) -> bool {
    let Some(name) = container.workload().filter(|name| inputs.stack.workload(name).is_some()) else {
        return true;
    };
    let undeclared = up.iter().any(|other| inputs.stack.workload(other).is_none());
    let dependents = inputs.stack.dependents(name).any(|dependent| up.contains(&dependent.name));
    !container.state.is_up() || !(undeclared || dependents)
}

fn remove_network(pass: &mut Pass<'_>) {
    let inputs = pass.inputs;
    let owner = Some((inputs.stack.name().clone(), inputs.instance.clone()));
    let ours = inputs.observed.networks.iter().find(|network| network.owner == owner);
    if let Some(network) = ours {
        pass.act(Action::RemoveNetwork { id: network.id.clone() }, "witwd down");
    }
}

/// The one place that plans the removal of a volume: where the user's command names it. One that was
/// made since stays. The stack may have been called otherwise when it was made: the file can have lost
/// its `renamed_from` while what ran had the data of the old name.
fn drop_volumes(pass: &mut Pass<'_>) {
    let inputs = pass.inputs;
    let ours = |volume: &&VolumeSeen| volume.owner.as_ref().is_some_and(|(_, by)| by == inputs.instance);
    let external: BTreeSet<String> = inputs.stack.external_volumes().collect();
    let is_named = |volume: &&VolumeSeen| inputs.history.drop_volumes.contains(&volume.name) && !external.contains(&volume.name);
    for volume in inputs.observed.volumes.iter().filter(ours).filter(is_named) {
        pass.act(Action::RemoveVolume { name: volume.name.clone() }, "witwd down --volumes");
    }
}
