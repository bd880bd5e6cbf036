//! Data: when a volume may be made empty; which image may run on the data directory of a Postgres, and
//! that no two servers ever run on one.

use std::collections::{BTreeMap, BTreeSet};

use super::inputs::Inputs;
use crate::model::container::MountSource;
use crate::model::family::{DataFound, Family};
use crate::model::history::PostgresHistory;
use crate::model::name::{ContainerId, InstanceId, ReplicaKey, VolumeName, WorkloadName};
use crate::model::observed::{Container, ContainerState, Observed, VolumeSeen};
use crate::model::postgres::major_of;
use crate::model::stack::Stack;
use crate::model::workload::{KindName, Workload};

/// The engine's name of the volume that a postgres of ours keeps its data in.
pub fn data_volume(inputs: &Inputs<'_>, workload: &Workload) -> Option<String> {
    let postgres = workload.postgres().filter(|postgres| !postgres.is_external())?;
    Some(inputs.stack.engine_volume(&postgres.volume))
}

/// Whether a container runs on other volumes than the file means now. An engine that does not tell
/// what a container mounts is believed.
pub fn is_elsewhere(inputs: &Inputs<'_>, workload: &Workload, container: &Container) -> bool {
    let volumes = workload.container.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume(volume) => Some(inputs.stack.engine_volume(volume)),
        MountSource::Bind(_) => None,
    });
    let told = !container.volumes.is_empty();
    told && volumes.into_iter().any(|volume| !mounts(container, &volume))
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
    let is_new_here = !inputs.ours().any(|other| has_run(&other));
    let is_strange = noted.major.is_none() && !is_ours_to_make && is_new_here;
    // Nobody who ran on it holds its volume: it may have been taken away, and made anew by the engine.
    let is_unlike = is_new_here && known.is_some_and(|known| known.has_data() && known.volume() == Some(&volume));
    let cause = match (is_strange || is_unlike, noted.glibc) {
        (true, _) => "what is in its volume is not known",
        (false, Some(_)) => "what its image sorts text by is not known",
        (false, None) => return Fitness::Fits,
    };
    let Some(found) = inputs.history.examined.get(&container.id) else { return Fitness::Unknown(cause) };
    let made = match found.data {
        DataFound::Empty if is_unlike => {
            return Fitness::Refused(format!(
                "the volume {volume} is empty, but {} had data in it: an empty database is not put in its place. Remove that \
                 volume (`docker volume rm {volume}`), then bring the old one back, or begin anew with `witwd up --fresh {}`",
                workload.name, workload.name
            ));
        }
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

/// Why a volume must not be made empty yet: the data of an older name, or of an older major version,
/// lies unused, and it may be that one that is meant.
pub fn renamed(inputs: &Inputs<'_>, workload: &Workload, volume: &VolumeName) -> Option<String> {
    let declared = inputs.stack.volumes().get(volume).cloned().unwrap_or_default();
    // What lies in a directory of the host, or elsewhere by a driver, does not begin empty.
    let is_elsewhere = declared.path.is_some() || declared.driver.is_some() || !declared.options.is_empty();
    if is_elsewhere || inputs.history.fresh.volumes.contains(volume) {
        return None;
    }
    if workload.postgres().is_some_and(|postgres| &postgres.volume == volume) {
        return renamed_data(inputs, workload, volume);
    }
    let (was, mut left) = (in_use_by(inputs, workload), unused(inputs));
    left.retain(|old, owner| owner.is_none() && !inputs.history.left.contains(old));
    let old = left.into_keys().min_by_key(|old| (!was.contains(old), old.clone()))?;
    Some(way_out(inputs, volume, (volume.as_str(), volume.as_str()), (&old, spelled(inputs, &old))))
}

/// The volumes that containers of a workload mount now.
fn in_use_by(inputs: &Inputs<'_>, workload: &Workload) -> BTreeSet<String> {
    inputs.of_workload(&workload.name).iter().flat_map(|container| container.volumes.clone()).collect()
}

fn renamed_data(inputs: &Inputs<'_>, workload: &Workload, volume: &VolumeName) -> Option<String> {
    let name = &workload.name;
    // Its own first: that of an older major version.
    let data = unused(inputs).into_iter().filter_map(|(old, owner)| Some((old, owner?)));
    let (old, owner) = data.min_by_key(|(old, owner)| (owner != name, old.clone()))?;
    let noted = inputs.history.postgres.get(&owner).filter(|known| known.volume() == Some(&old));
    let made = noted.map(|known| known.family).unwrap_or_default().or(seen_with(inputs, &old));
    if let Err(refusal) = made.fits(wanted_family(inputs, workload, Some(&workload.image.reference))?, name) {
        return Some(format!("{} does not fit the data of {owner} in volume {old}: {refusal}", workload.image.reference));
    }
    Some(way_out(inputs, volume, (name.as_str(), name.as_str()), (&old, owner.as_str())))
}

/// That `who` would begin empty while the data of an older name lies unused, and how to go on.
/// `who` is what it is called and what `--fresh` takes; the old volume goes by its engine name and by
/// whose it was.
fn way_out(inputs: &Inputs<'_>, volume: &VolumeName, who: (&str, &str), (old, whose): (&str, &str)) -> String {
    let old_name = spelled(inputs, old);
    let way = if old_name == volume.as_str() {
        format!("take `renamed_from` of `{volume}` away")
    } else {
        format!("write `{volume} = {{ renamed_from = \"{old_name}\" }}` below `[volumes]`")
    };
    format!(
        "{} would begin with an empty volume {}, while the data of {whose} lies unused in {old}: to go on with that, {way}; \
         to begin anew, `witwd up --fresh {}`",
        who.0,
        inputs.stack.engine_volume(volume),
        who.1
    )
}

/// The name of a volume of this stack as the file spells it.
fn spelled<'a>(inputs: &Inputs<'_>, engine_name: &'a str) -> &'a str {
    let prefix = format!("{}_", inputs.stack.data_name());
    engine_name.strip_prefix(&prefix).unwrap_or(engine_name)
}

/// Why nothing may begin: the stack has no data under this name, and data that this directory's stack
/// made under another one lies unused.
pub fn of_another_name(inputs: &Inputs<'_>) -> Option<String> {
    let owner = Some(inputs.stack.volume_owner(inputs.instance));
    if inputs.observed.volumes.iter().any(|seen| seen.owner == owner) {
        return None;
    }
    let older = older_names(inputs.stack, inputs.instance, inputs.observed);
    let mut older: Vec<&VolumeSeen> = older.filter(|seen| !inputs.history.left.contains(&seen.name)).collect();
    let (old, _) = older.first()?.owner.clone()?;
    older.retain(|seen| seen.owner.as_ref().is_some_and(|(stack, _)| *stack == old));
    let volumes: Vec<&str> = older.iter().map(|seen| seen.name.as_str()).collect();
    let name = inputs.stack.name();
    let way = if &old == name {
        "take `renamed_from` at the top of stack.toml away".to_owned()
    } else {
        format!("write `renamed_from = \"{old}\"` at the top of stack.toml, or put the old name back")
    };
    Some(format!(
        "stack {name} would begin without data, while that of {old} lies unused in {}: to go on with that, {way}; \
         to begin anew, `witwd up --fresh {name}`",
        volumes.join(", ")
    ))
}

/// Volumes that this instance made under another name than the stack's data has, by name.
pub fn older_names<'a>(
    stack: &'a Stack,
    instance: &'a InstanceId,
    observed: &'a Observed,
) -> impl Iterator<Item = &'a VolumeSeen> {
    observed.volumes.iter().filter(move |seen| {
        let owner = seen.owner.as_ref();
        seen.trial_of.is_none() && owner.is_some_and(|(name, by)| by == instance && name != stack.data_name())
    })
}

/// Volumes of ours that the file does not name, with the postgres whose data they hold, where it is
/// one's.
fn unused(inputs: &Inputs<'_>) -> BTreeMap<String, Option<WorkloadName>> {
    let owner = Some(inputs.stack.volume_owner(inputs.instance));
    let named: BTreeSet<String> = inputs.stack.named_volumes().map(|volume| inputs.stack.engine_volume(volume)).collect();
    let noted = |volume: &str| {
        let of = |(name, known): (&WorkloadName, &PostgresHistory)| (known.volume() == Some(volume)).then(|| name.clone());
        inputs.history.postgres.iter().find_map(of)
    };
    let is_kept = |seen: &&VolumeSeen| !seen.of_image && seen.trial_of.is_none();
    let ours = inputs.observed.volumes.iter().filter(|seen| seen.owner == owner).filter(is_kept);
    let free = ours.filter(|seen| !named.contains(&seen.name));
    free.map(|seen| (seen.name.clone(), seen.data_of.clone().or_else(|| noted(&seen.name)))).collect()
}

/// A server that is up on the data that `container` would run on: two would destroy it.
pub fn other_server<'a>(inputs: &Inputs<'a>, workload: &Workload, container: &Container) -> Option<&'a Container> {
    other_servers(inputs, workload, container).find(|other| other.state.is_up())
}

/// All that may not run beside `container`: the others of its replica, and servers on its data.
pub fn rivals(inputs: &Inputs<'_>, workload: &Workload, key: &ReplicaKey, container: &Container) -> BTreeSet<ContainerId> {
    let replica = inputs.of_replica(key).iter().copied().filter(|other| other.id != container.id);
    replica.chain(other_servers(inputs, workload, container)).map(|other| other.id.clone()).collect()
}

fn other_servers<'a>(
    inputs: &Inputs<'a>,
    workload: &Workload,
    container: &Container,
) -> impl Iterator<Item = &'a Container> + use<'a> {
    let volume = data_volume(inputs, workload).filter(|volume| mounts(container, volume));
    let (id, all) = (container.id.clone(), inputs.containers.all().iter().copied());
    let servers = all.filter(move |other| other.id != id && is_server(other));
    volume.into_iter().flat_map(move |volume| servers.clone().filter(move |other| mounts(other, &volume)))
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
