//! `renamed_from` of a postgres: its volume, whose name goes by its own, has the data of the old one.

use std::collections::BTreeMap;

use crate::model::name::{VolumeName, WorkloadName};
use crate::model::postgres::Postgres;
use crate::model::stack::Volume;

use super::diagnostics::{Diagnostics, Place};
use super::draft::{Draft, Owner};
use super::reader::Reader;
use super::top::parsed;

/// The volume that the data lies in under the server's old name. A volume that was given a name keeps
/// it, whatever its server is called.
pub(super) fn old_volume(reader: &Reader<'_>, owner: &Owner<'_>, postgres: Option<&Postgres>) -> Option<(VolumeName, Place)> {
    let old: WorkloadName = parsed(reader, "renamed_from")?;
    let place = reader.value_place("renamed_from");
    if old == owner.name {
        reader.error(place, format!("`{old}` is the name that this postgres has"), "leave `renamed_from` out");
        return None;
    }
    let goes_by_name = !reader.has("volume") && postgres.is_some_and(|postgres| !postgres.is_external());
    let major = postgres.and_then(|postgres| postgres.major).filter(|_| goes_by_name)?;
    Some((format!("{old}-{major}").parse().ok()?, place))
}

/// Declares the volumes of servers that were renamed.
pub(super) fn declare(volumes: &mut BTreeMap<VolumeName, Volume>, drafts: &[Draft], diagnostics: &Diagnostics) {
    for draft in drafts.iter().filter(|draft| draft.active) {
        let (Some((old, place)), Some(postgres)) = (&draft.old_volume, draft.workload.postgres()) else { continue };
        let declared = volumes.entry(postgres.volume.clone()).or_default();
        match &declared.renamed_from {
            None => declared.renamed_from = Some(old.clone()),
            Some(other) if other == old => {}
            Some(other) => {
                let message = format!("the data of volume `{}` can't come both from `{old}` and from `{other}`", postgres.volume);
                diagnostics.error(*place, message, "keep one `renamed_from`: here, or that of the volume below `[volumes]`");
            }
        }
    }
}
