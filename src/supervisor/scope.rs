//! What of the engine is looked at for a stack.

use std::collections::BTreeSet;

use crate::engine::request::Scope;
use crate::model::history::History;
use crate::model::name::InstanceId;
use crate::model::stack::Stack;
use crate::model::workload::Workload;

/// The images and volumes that a stack names, the images that were accepted for it, and the volumes
/// that this instance made under another name of the stack.
pub fn scope(stack: &Stack, instance: &InstanceId, history: &History) -> Scope {
    let workloads: Vec<&Workload> = stack.in_order().collect();
    let images = workloads.iter().flat_map(|workload| {
        let tag = workload.image.fallback().map(|fallback| fallback.tag.clone());
        let accepted = history.images.get(&workload.name).map(|accepted| accepted.id.0.clone());
        std::iter::once(workload.image.reference.clone()).chain(tag).chain(accepted)
    });
    let volumes = stack.named_volumes().map(|volume| stack.engine_volume(volume));
    let unique = |names: BTreeSet<String>| names.into_iter().filter(|name| !name.is_empty()).collect();
    let (images, volumes) = (unique(images.collect()), unique(volumes.collect()));
    Scope { images, volumes, instance: Some(instance.clone()), ..Scope::of(stack.name()) }
}
