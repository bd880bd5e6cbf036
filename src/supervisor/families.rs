//! What the images of Postgres servers say of themselves: asked once for each image.

use crate::engine::{Engine, EngineError, ErrorKind};
use crate::model::family::{Families, Family};
use crate::model::name::ImageId;
use crate::model::observed::Observed;
use crate::model::stack::Stack;
use crate::model::workload::{KindName, Workload};

/// The families of images that are wanted for a postgres or that one was made from, less those that
/// are `known`. An image that is gone stays unknown.
pub async fn learn(engine: &dyn Engine, stack: &Stack, observed: &Observed, known: &Families) -> Result<Families, EngineError> {
    let mut learnt = Families::new();
    for (id, reference) in asked_for(stack, observed) {
        if known.contains_key(&id) || learnt.contains_key(&id) {
            continue;
        }
        match engine.image(&id.0).await {
            Ok(facts) => {
                learnt.insert(id, Family::of(&facts, &reference));
            }
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(learnt)
}

fn asked_for(stack: &Stack, observed: &Observed) -> Vec<(ImageId, String)> {
    let servers = stack.in_order().filter(|workload| is_server(workload));
    let references = servers.flat_map(|workload| {
        let tag = workload.image.fallback().map(|fallback| fallback.tag.clone());
        std::iter::once(workload.image.reference.clone()).chain(tag)
    });
    let wanted = references.filter_map(|reference| Some((observed.images.get(&reference)?.clone(), reference)));
    let made = observed.containers.iter().filter(|container| {
        let identity = container.identity.as_ref();
        identity.is_some_and(|identity| identity.kind == KindName::Postgres && &identity.stack == stack.name())
    });
    wanted.chain(made.map(|container| (container.image.clone(), container.image_reference.clone()))).collect()
}

fn is_server(workload: &Workload) -> bool {
    workload.postgres().is_some_and(|postgres| !postgres.is_external())
}
