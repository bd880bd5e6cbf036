//! What of the engine is looked at for a stack.

use std::collections::BTreeSet;

use crate::engine::request::Scope;
use crate::model::history::History;
use crate::model::stack::Stack;
use crate::model::workload::{ImageOrigin, MountSource, Workload};

/// The images and volumes that a stack names, and the images that were accepted for it.
pub fn scope(stack: &Stack, history: &History) -> Scope {
    let workloads: Vec<&Workload> = stack.in_order().collect();
    let images = workloads.iter().flat_map(|workload| {
        let fallback = matches!(workload.image.origin, ImageOrigin::Pull { fallback: Some(_), .. });
        let tag = fallback.then(|| stack.name().fallback_image(&workload.name));
        let accepted = history.images.get(&workload.name).map(|accepted| accepted.id.0.clone());
        std::iter::once(workload.image.reference.clone()).chain(tag).chain(accepted)
    });
    let mounts = workloads.iter().flat_map(|workload| &workload.container.mounts);
    let volumes = mounts.filter_map(|mount| match &mount.source {
        MountSource::Volume(volume) => Some(stack.engine_volume(volume)),
        MountSource::Bind(_) => None,
    });
    let unique = |names: BTreeSet<String>| names.into_iter().filter(|name| !name.is_empty()).collect();
    Scope { stack: stack.name().clone(), images: unique(images.collect()), volumes: unique(volumes.collect()) }
}
