//! Data directories of Postgres servers: which image may run on one.

use super::inputs::Inputs;
use crate::model::family::Family;
use crate::model::observed::Container;
use crate::model::workload::{KindName, Workload, major_of};

/// The engine's name of the volume that a postgres of ours keeps its data in.
pub fn data_volume(inputs: &Inputs<'_>, workload: &Workload) -> Option<String> {
    let postgres = workload.postgres().filter(|postgres| !postgres.is_external())?;
    Some(inputs.stack.engine_volume(&postgres.volume))
}

/// Why `image` may not run on the data of a postgres, where it may not. `None` for the image: it is
/// not here yet, and only what its tag says is known.
pub fn misfit(inputs: &Inputs<'_>, workload: &Workload, image: Option<&str>) -> Option<String> {
    let made = made_with(inputs, workload)?;
    let facts = image.and_then(|image| inputs.observed.images.get(image)).and_then(|id| inputs.families.get(id));
    let tagged = Family { major: workload.postgres()?.major, library: None };
    let refusal = made.fits(facts.copied().unwrap_or_default().or(tagged), &workload.name).err()?;
    Some(format!("{} does not fit the data of {}: {refusal}", workload.image.reference, workload.name))
}

/// What the data of a postgres was made with: as it was noted when it was last provisioned; where
/// that was lost, the image of a container that uses the data.
fn made_with(inputs: &Inputs<'_>, workload: &Workload) -> Option<Family> {
    let volume = data_volume(inputs, workload)?;
    let noted = inputs.history.postgres.get(&workload.name).map(|known| known.family_of(&volume)).unwrap_or_default();
    // The oldest: a newer one may be what never took its place.
    let users = inputs.ours().filter(|container| is_server(container) && container.volumes.contains(&volume));
    let seen = users.min_by_key(|container| (!has_run(container), container.created_at));
    Some(noted.or(seen.map(|container| family_of(inputs, container)).unwrap_or_default()))
}

fn is_server(container: &Container) -> bool {
    container.identity.as_ref().is_some_and(|identity| identity.kind == KindName::Postgres)
}

fn has_run(container: &Container) -> bool {
    container.run().is_some()
}

fn family_of(inputs: &Inputs<'_>, container: &Container) -> Family {
    let facts = inputs.families.get(&container.image).copied().unwrap_or_default();
    facts.or(Family { major: major_of(&container.image_reference), library: None })
}
