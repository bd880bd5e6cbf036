//! Data directories of Postgres servers: which image may run on one, when one may be made empty, and
//! that no two servers ever run on one.

use std::collections::{BTreeMap, BTreeSet};

use super::inputs::Inputs;
use crate::model::family::{DataFound, Family};
use crate::model::history::PostgresHistory;
use crate::model::name::{VolumeName, WorkloadName};
use crate::model::observed::{Container, ContainerState};
use crate::model::workload::{KindName, MountSource, Workload, major_of};

/// The engine's name of the volume that a postgres of ours keeps its data in.
pub fn data_volume(inputs: &Inputs<'_>, workload: &Workload) -> Option<String> {
    let postgres = workload.postgres().filter(|postgres| !postgres.is_external())?;
    Some(inputs.stack.engine_volume(&postgres.volume))
}

/// Whether a container of a postgres runs on another volume than the file means now. An engine that
/// does not tell what a container mounts is believed.
pub fn is_elsewhere(inputs: &Inputs<'_>, workload: &Workload, container: &Container) -> bool {
    let volume = data_volume(inputs, workload).filter(|_| !container.volumes.is_empty());
    volume.is_some_and(|volume| !mounts(container, &volume))
}

/// Why `image` may not run on the data of a postgres, where it may not. `None` for the image: it is
/// not here yet, and only what its tag says is known.
pub fn misfit(inputs: &Inputs<'_>, workload: &Workload, image: Option<&str>) -> Option<String> {
    let volume = data_volume(inputs, workload)?;
    let noted = inputs.history.postgres.get(&workload.name).map(|known| known.family_of(&volume)).unwrap_or_default();
    let refusal = noted.or(seen_with(inputs, &volume)).fits(wanted_family(inputs, workload, image)?, &workload.name).err()?;
    Some(format!("{} does not fit the data of {}: {refusal}", workload.image.reference, workload.name))
}

fn wanted_family(inputs: &Inputs<'_>, workload: &Workload, image: Option<&str>) -> Option<Family> {
    let facts = image.and_then(|image| inputs.observed.images.get(image)).and_then(|id| inputs.families.get(id));
    let tagged = Family { major: workload.postgres()?.major, ..Family::default() };
    Some(facts.copied().unwrap_or_default().or(tagged))
}

/// What containers that ran on a volume were made from: the oldest. One that never ran says nothing of
/// the data: it may have been refused.
fn seen_with(inputs: &Inputs<'_>, volume: &str) -> Family {
    let ran = |container: &&Container| is_server(container) && container.run().is_some() && mounts(container, volume);
    let seen = inputs.ours().filter(ran).min_by_key(|container| container.created_at);
    seen.map(|container| family_of(inputs, container)).unwrap_or_default()
}

/// Whether a container that was made may be started on its data.
pub enum Fitness {
    /// It may.
    Fits,
    /// It must be looked into first, for this reason.
    Unknown(&'static str),
    /// It may not, for this reason.
    Refused(String),
}

/// Whether a container of a postgres that never ran may be started. What is known of its data, and
/// what a tag says of an image, was compared before it was made; what is left is to be seen in it.
pub fn fitness(inputs: &Inputs<'_>, workload: &Workload, container: &Container) -> Fitness {
    let volume = data_volume(inputs, workload).filter(|volume| mounts(container, volume));
    let (Some(volume), ContainerState::Created) = (volume, &container.state) else { return Fitness::Fits };
    let known = inputs.history.postgres.get(&workload.name);
    let noted = known.map(|known| known.family_of(&volume)).unwrap_or_default();
    let is_ours_to_make = known.is_some_and(|known| known.made_empty.as_ref() == Some(&volume));
    let has_run = |other: &&Container| is_server(other) && other.run().is_some() && mounts(other, &volume);
    let is_strange = noted.major.is_none() && !is_ours_to_make && !inputs.ours().any(|other| has_run(&other));
    let cause = match (is_strange, noted.glibc) {
        (true, _) => "what is in its volume is not known",
        (false, Some(_)) => "what its image sorts text by is not known",
        (false, None) => return Fitness::Fits,
    };
    let Some(found) = inputs.history.examined.get(&container.id) else { return Fitness::Unknown(cause) };
    let made = match found.data {
        DataFound::Other if is_strange => {
            return Fitness::Refused(format!(
                "the volume {volume} of {} is not empty and holds no data directory of a Postgres (no PG_VERSION): empty it, or \
                 give {} another `volume`",
                workload.name, workload.name
            ));
        }
        DataFound::Made(family) => noted.or(family),
        DataFound::Other | DataFound::Empty => noted,
    };
    let image = Family { glibc: found.glibc, ..family_of(inputs, container) };
    match made.fits(image, &workload.name) {
        Ok(()) => Fitness::Fits,
        Err(refusal) => Fitness::Refused(format!(
            "{} does not fit the data of {} in volume {volume}: {refusal}",
            container.image_reference, workload.name
        )),
    }
}

/// Why the data directory of a postgres must not be made empty yet: the data of an older name, or of
/// an older major version, lies unused, and it may be that one that is meant.
pub fn renamed(inputs: &Inputs<'_>, workload: &Workload, volume: &VolumeName) -> Option<String> {
    let name = &workload.name;
    let is_data = workload.postgres().is_some_and(|postgres| &postgres.volume == volume);
    if !is_data || inputs.history.fresh.contains(name) {
        return None;
    }
    // Its own first: that of an older major version.
    let (old, owner) = unused(inputs).into_iter().min_by_key(|(old, owner)| (owner != name, old.clone()))?;
    let noted = inputs.history.postgres.get(&owner).filter(|known| known.volume() == Some(&old));
    let made = noted.map(|known| known.family).unwrap_or_default().or(seen_with(inputs, &old));
    if let Err(refusal) = made.fits(wanted_family(inputs, workload, Some(&workload.image.reference))?, name) {
        return Some(format!("{} does not fit the data of {owner} in volume {old}: {refusal}", workload.image.reference));
    }
    let prefix = inputs.stack.name().volume(volume).len() - volume.to_string().len();
    let old_name = old.get(prefix..).unwrap_or(&old);
    Some(format!(
        "{name} would begin with an empty volume {}, while the data of {owner} lies unused in {old}: to go on with that, write \
         `{volume} = {{ renamed_from = \"{old_name}\" }}` below `[volumes]`; to begin anew, `witwd up --fresh {name}`",
        inputs.stack.engine_volume(volume)
    ))
}

/// Volumes of ours that hold the data of a postgres and that the file does not name, with whose
/// data it is.
fn unused(inputs: &Inputs<'_>) -> BTreeMap<String, WorkloadName> {
    let owner = Some((inputs.stack.name().clone(), inputs.instance.clone()));
    let declared: BTreeSet<String> = inputs.stack.volumes().keys().map(|volume| inputs.stack.engine_volume(volume)).collect();
    let mounted: BTreeSet<String> = inputs
        .stack
        .in_order()
        .flat_map(|workload| &workload.container.mounts)
        .filter_map(|mount| match &mount.source {
            MountSource::Volume(volume) => Some(inputs.stack.engine_volume(volume)),
            MountSource::Bind(_) => None,
        })
        .collect();
    let noted = |volume: &str| {
        let of = |(name, known): (&WorkloadName, &PostgresHistory)| (known.volume() == Some(volume)).then(|| name.clone());
        inputs.history.postgres.iter().find_map(of)
    };
    let ours = inputs.observed.volumes.iter().filter(|seen| seen.owner == owner);
    let free = ours.filter(|seen| !declared.contains(&seen.name) && !mounted.contains(&seen.name));
    free.filter_map(|seen| Some((seen.name.clone(), seen.data_of.clone().or_else(|| noted(&seen.name))?))).collect()
}

/// A server that is up on the data that `container` would run on: two would destroy it.
pub fn other_server<'a>(inputs: &Inputs<'a>, workload: &Workload, container: &Container) -> Option<&'a Container> {
    let volume = data_volume(inputs, workload).filter(|volume| mounts(container, volume))?;
    let up = inputs.containers().into_iter().filter(|other| other.state.is_up() && is_server(other));
    up.filter(|other| other.id != container.id).find(|other| mounts(other, &volume))
}

fn mounts(container: &Container, volume: &str) -> bool {
    container.volumes.iter().any(|mounted| mounted == volume)
}

fn is_server(container: &Container) -> bool {
    container.identity.as_ref().is_some_and(|identity| identity.kind == KindName::Postgres)
}

fn family_of(inputs: &Inputs<'_>, container: &Container) -> Family {
    let facts = inputs.families.get(&container.image).copied().unwrap_or_default();
    facts.or(Family { major: major_of(&container.image_reference), ..Family::default() })
}
