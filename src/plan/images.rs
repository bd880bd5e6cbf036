//! Which image a workload's containers are made from, and how it gets here.

use super::action::Action;
use super::inputs::Inputs;
use super::pass::Pass;
use crate::model::history::{FailureKind, Target};
use crate::model::image::{Fallback, ImageOrigin, PullPolicy};
use crate::model::name::ImageId;
use crate::model::workload::Workload;

/// What the world says of a workload's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedImage {
    /// It is here, under this reference.
    Here(String),
    /// It must be fetched or made first.
    Get(Action, &'static str),
    /// It can't be had.
    Never(String),
}

/// The image a workload wants now.
pub fn wanted_image(inputs: &Inputs<'_>, workload: &Workload) -> WantedImage {
    let reference = &workload.image.reference;
    // Its tag may be gone: what containers are made from is the accepted image, by its id.
    let here = inputs.observed.images.contains_key(reference) || is_kept(inputs, workload, reference);
    let refresh = inputs.history.refresh.contains(&workload.name);
    let cause = if here { "asked to refresh" } else { "image not here" };
    match &workload.image.origin {
        _ if here && !refresh && !prefers_fallback(inputs, workload) => WantedImage::Here(reference.clone()),
        ImageOrigin::Build(_) => {
            WantedImage::Get(Action::Build { workload: workload.name.clone(), reference: reference.clone() }, cause)
        }
        ImageOrigin::Pull { policy: PullPolicy::Never, .. } => {
            WantedImage::Never(format!("image {reference} is not here, and pull is \"never\""))
        }
        ImageOrigin::Pull { fallback, .. } => pull_or_fallback(inputs, workload, fallback.as_ref(), refresh),
    }
}

/// Whether the fallback is in use: it was built, and the real image was not accepted since.
fn prefers_fallback(inputs: &Inputs<'_>, workload: &Workload) -> bool {
    let Some(Fallback { tag, .. }) = workload.image.fallback() else { return false };
    let accepted = inputs.history.images.get(&workload.name);
    inputs.observed.images.contains_key(tag) && accepted.is_none_or(|accepted| &accepted.reference == tag)
}

fn pull_or_fallback(inputs: &Inputs<'_>, workload: &Workload, fallback: Option<&Fallback>, refresh: bool) -> WantedImage {
    let unreachable = is_unreachable(inputs, workload);
    if let Some(Fallback { tag, .. }) = fallback {
        if prefers_fallback(inputs, workload) && (!refresh || unreachable) {
            return WantedImage::Here(tag.clone());
        }
        if unreachable {
            let action = Action::BuildFallback { workload: workload.name.clone(), reference: tag.clone() };
            return WantedImage::Get(action, "no registry answers");
        }
    }
    let cause = if refresh { "asked to refresh" } else { "image not here" };
    WantedImage::Get(Action::Pull { workload: workload.name.clone(), reference: workload.image.reference.clone() }, cause)
}

/// Whether no registry answered for its image: to it, or to another workload with the same one.
fn is_unreachable(inputs: &Inputs<'_>, workload: &Workload) -> bool {
    let same = inputs.stack.in_order().filter(|other| other.image.reference == workload.image.reference);
    let mut failures = same.filter_map(|other| inputs.history.failures.get(&Target::Workload(other.name.clone())));
    failures.any(|failure| failure.kind == FailureKind::RegistryUnreachable)
}

/// Whether the image that was accepted under `reference` is here, whatever the tag means now.
fn is_kept(inputs: &Inputs<'_>, workload: &Workload, reference: &str) -> bool {
    let accepted = inputs.accepted(workload).filter(|accepted| accepted.reference == reference);
    accepted.is_some_and(|accepted| is_here(inputs, &accepted.id))
}

/// Whether an image is here by its id: it was asked for, or a container of ours is made from it.
fn is_here(inputs: &Inputs<'_>, id: &ImageId) -> bool {
    inputs.observed.images.contains_key(&id.0) || inputs.ours().any(|container| &container.image == id)
}

/// What a container is made from where `reference` is the image that is wanted: normally that. Where
/// somebody moved the tag since it was accepted, the accepted image by its id, as long as it is here.
fn made_from(inputs: &Inputs<'_>, workload: &Workload, reference: String) -> String {
    let accepted = inputs.accepted(workload).filter(|accepted| accepted.reference == reference);
    let moved = accepted.filter(|accepted| inputs.observed.images.get(&reference) != Some(&accepted.id));
    let still_here = moved.filter(|accepted| is_here(inputs, &accepted.id));
    still_here.map_or(reference, |accepted| accepted.id.0.clone())
}

/// Plans what the image of a workload needs; returns what containers are made from once it is here. An image that
/// several workloads share is fetched once.
pub fn ensure_image(pass: &mut Pass<'_>, workload: &Workload) -> Option<String> {
    let target = Target::Workload(workload.name.clone());
    match wanted_image(pass.inputs, workload) {
        WantedImage::Here(reference) => Some(made_from(pass.inputs, workload, reference)),
        WantedImage::Never(cause) => {
            pass.needs_operator(target, cause);
            None
        }
        WantedImage::Get(action, cause) => {
            let is_fallback = matches!(action, Action::BuildFallback { .. });
            if !is_shared(pass, &action) {
                // The failure that brought the fallback is no reason to wait with it.
                if is_fallback { pass.act_despite_failure(action, cause) } else { pass.act(action, cause) }
            }
            None
        }
    }
}

/// Whether the same image is being fetched for another workload.
fn is_shared(pass: &Pass<'_>, action: &Action) -> bool {
    let reference = image_of(action);
    let same = |other: &Action| image_of(other) == reference;
    pass.plans(same) || pass.inputs.in_flight.values().any(same)
}

fn image_of(action: &Action) -> Option<&String> {
    match action {
        Action::Pull { reference, .. } | Action::Build { reference, .. } | Action::BuildFallback { reference, .. } => {
            Some(reference)
        }
        _ => None,
    }
}
