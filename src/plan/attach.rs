//! Whether a running container is on the stack's network, under its names: foreign hands may have
//! taken it away, or given it the name of another.

use super::action::Action;
use super::inputs::Inputs;
use super::pass::Pass;
use crate::model::name::ReplicaKey;
use crate::model::observed::{Container, ContainerState};
use crate::model::workload::Workload;

/// Plans the next step that puts a container where it can be found; whether there was one to do.
pub fn attach(pass: &mut Pass<'_>, workload: &Workload, key: &ReplicaKey, container: &Container) -> bool {
    let inputs = pass.inputs;
    // One of another definition may have other names: it goes its way.
    let running = matches!(container.state, ContainerState::Running { .. });
    if !running || inputs.divergence(workload, container).is_some() {
        return false;
    }
    let network = inputs.stack.name().network();
    let (key, id) = (key.clone(), container.id.clone());
    let Some(names) = container.networks.get(&network) else {
        pass.act(Action::Connect { key, container: id }, format!("not on network {network}"));
        return true;
    };
    let wanted = workload.network_names();
    let lacking = wanted.difference(names).next();
    // Some engines add its host name by themselves, whoever else has that: it would come back.
    let host = workload.container.hostname.as_ref();
    let wrong =
        names.difference(&wanted).filter(|name| Some(*name) != host).find_map(|name| Some((name, owner_of(inputs, name)?)));
    let cause = match (lacking, wrong) {
        (Some(name), _) => format!("not known as {name} on network {network}"),
        (None, Some((name, owner))) => format!("known as {name} on network {network}, which is a name of {}", owner.name),
        (None, None) => return false,
    };
    pass.act(Action::Disconnect { key, container: id }, cause);
    true
}

/// Whose a name on the network is.
fn owner_of<'a>(inputs: &Inputs<'a>, name: &str) -> Option<&'a Workload> {
    inputs.stack.in_order().find(|workload| workload.network_names().contains(name))
}
