//! Network and volumes: made when missing, named and left alone when somebody else holds the name.

use super::action::Action;
use super::data;
use super::pass::Pass;
use crate::model::container::MountSource;
use crate::model::history::Target;
use crate::model::name::VolumeName;
use crate::model::workload::Workload;

/// Plans the stack's network; whether it is there.
pub fn ensure_network(pass: &mut Pass<'_>) -> bool {
    let inputs = pass.inputs;
    // A `down` that was taken back may still be removing it.
    if pass.is_busy(&Target::Network) {
        return false;
    }
    let name = inputs.stack.name().network();
    let mut same = inputs.observed.networks.iter().filter(|network| network.name == name).peekable();
    if same.peek().is_none() {
        pass.act(Action::CreateNetwork, "no network");
        return false;
    }
    let ours = |owner: &Option<_>| owner.as_ref() == Some(&(inputs.stack.name().clone(), inputs.instance.clone()));
    let foreign = same.find(|network| !ours(&network.owner));
    if let Some(foreign) = foreign {
        let id = foreign.id.get(..12).unwrap_or(&foreign.id);
        pass.needs_operator(
            Target::Network,
            format!("the name {name} is taken by network {id}, which is not ours: remove it, or give the stack another name"),
        );
    }
    foreign.is_none() && is_alone(pass)
}

/// Whether the stack has one network. A call of a daemon that died may be carried out after the next one has
/// looked, and engines make a second one of the same name: then neither can be joined by it, so nobody is on them.
fn is_alone(pass: &mut Pass<'_>) -> bool {
    let name = pass.inputs.stack.name().network();
    let same = pass.inputs.observed.networks.iter().filter(|network| network.name == name);
    let Some(surplus) = same.map(|network| network.id.clone()).skip(1).max() else { return true };
    pass.act(Action::RemoveNetwork { id: surplus }, "another one has its name");
    false
}

/// Plans the volumes of a workload; whether all are there.
pub fn ensure_volumes(pass: &mut Pass<'_>, workload: &Workload) -> bool {
    let volumes = workload.container.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume(volume) => Some(volume),
        MountSource::Bind(_) => None,
    });
    // Collected first: every missing volume is planned in one pass.
    let there: Vec<bool> = volumes.map(|volume| ensure_volume(pass, workload, volume)).collect();
    there.into_iter().all(|there| there)
}

fn ensure_volume(pass: &mut Pass<'_>, workload: &Workload, volume: &VolumeName) -> bool {
    let inputs = pass.inputs;
    let external = inputs.stack.volumes().get(volume).is_some_and(|declared| declared.external);
    let name = inputs.stack.engine_volume(volume);
    let target = Target::Volume(volume.clone());
    let Some(seen) = inputs.observed.volumes.iter().find(|seen| seen.name == name) else {
        if external {
            pass.needs_operator(target, format!("volume {name} is external and does not exist: make it, or leave out external"));
        } else if let Some(lost) = lost_data(pass, workload, volume) {
            pass.protect_data(target, lost);
        } else if let Some(refusal) = data::renamed(inputs, workload, volume) {
            pass.protect_data(target, refusal);
        } else {
            pass.act(Action::CreateVolume { volume: volume.clone() }, "no volume");
        }
        return false;
    };
    let ours = seen.owner == Some(inputs.stack.volume_owner(inputs.instance));
    if !ours && !external {
        pass.needs_operator(
            target,
            format!("volume {name} exists and is not ours: to use it, say external = true under its own name; else rename yours"),
        );
    }
    ours || external
}

/// Why a missing data directory must not be made anew: there was data in it.
fn lost_data(pass: &Pass<'_>, workload: &Workload, volume: &VolumeName) -> Option<String> {
    let postgres = workload.postgres().filter(|postgres| &postgres.volume == volume)?;
    let known = pass.inputs.history.postgres.get(&workload.name)?;
    if !known.has_data() || pass.inputs.history.fresh.volumes.contains(volume) {
        return None;
    }
    let engine_name = pass.inputs.stack.engine_volume(volume);
    let same = known.volume().is_none_or(|known| known == engine_name);
    same.then(|| {
        format!(
            "the volume {engine_name} with the data of {} (database {}) is gone: an empty one is not put in its place. \
             Bring it back, or begin anew with `witwd up --fresh {}`",
            workload.name, postgres.database, workload.name
        )
    })
}
