//! What a stack that is to be up needs now.

use super::action::Plan;
use super::inputs::Inputs;
use super::pass::Pass;
use super::{backups, data, images, objects, orphans, replica};
use crate::model::history::Target;
use crate::model::name::ReplicaKey;
use crate::model::observed::Owner;
use crate::model::workload::{Kind, Workload};

/// The plan of a stack that is to be up.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let mut pass = Pass::new(inputs);
    if let Some(cause) = held_by_another(inputs) {
        pass.needs_operator(Target::Network, cause);
        return pass.finish();
    }
    if let Some(cause) = data::of_another_name(inputs) {
        pass.protect_data(Target::Network, cause);
        return pass.finish();
    }
    let network = objects::ensure_network(&mut pass);
    for workload in inputs.stack.in_order() {
        if inputs.replicas(workload) > 0 {
            plan_workload(&mut pass, workload, network);
        } else if matches!(workload.kind, Kind::Postgres(_)) && inputs.is_meant(&workload.name) {
            wait_for_external(&mut pass, workload);
        }
    }
    orphans::remove_orphans(&mut pass);
    orphans::remove_leftovers(&mut pass);
    orphans::remove_throw_away(&mut pass);
    backups::plan(&mut pass);
    pass.finish()
}

/// Containers of this stack's name that another directory or machine made.
fn held_by_another(inputs: &Inputs<'_>) -> Option<String> {
    inputs.containers.all().iter().find_map(|container| match container.owner(inputs.stack.name(), inputs.instance) {
        Owner::OtherInstance { directory } => Some(format!(
            "a stack named {} of {directory} has containers here ({}): give one of the two another name",
            inputs.stack.name(),
            container.name
        )),
        _ => None,
    })
}

fn plan_workload(pass: &mut Pass<'_>, workload: &Workload, network: bool) {
    let inputs = pass.inputs;
    // Nothing is fetched or made for what is not to run.
    let needed = inputs.is_meant(&workload.name) && !inputs.history.by_hand.is_all_stopped(workload);
    let image = needed.then(|| images::ensure_image(pass, workload)).flatten();
    let volumes = needed && objects::ensure_volumes(pass, workload);
    for number in 1..=inputs.replicas(workload) {
        let key = ReplicaKey { name: workload.name.clone(), replica: number };
        replica::plan_replica(pass, workload, key, &replica::Ready { image: image.clone(), network, volumes });
    }
}

fn wait_for_external(pass: &mut Pass<'_>, workload: &Workload) {
    let subject = crate::model::health::Subject::External(workload.name.clone());
    let verdict = pass.inputs.verdicts.get(&subject).cloned().unwrap_or_default();
    if verdict.ready != Some(true) {
        let words = verdict.words.unwrap_or_else(|| "no answer yet".to_owned());
        let (target, cause) = (Target::Workload(workload.name.clone()), format!("external server: {words}"));
        if verdict.needs_operator { pass.needs_operator(target, cause) } else { pass.block(target, cause) }
    }
}
