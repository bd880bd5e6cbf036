//! Images: what is here, what is fetched, what is built.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bench::{Bench, Claim, ensure, refused, same};
use crate::engine::request::{BuildImage, PullImage, Scope};
use crate::engine::{ErrorKind, ProgressSink};

fn nobody_listens() -> ProgressSink {
    Arc::new(|_| ())
}

pub(super) async fn images_that_are_asked_for_are_seen(bench: &Bench) -> Claim {
    let images = vec![bench.image.clone(), "localhost/witwd-contract-missing:1".to_owned()];
    let scope = Scope { images, ..Scope::of(&bench.stack) };
    let seen = bench.engine.observe(&scope).await?.images;
    let wanted = [(bench.image.clone(), bench.engine.image(&bench.image).await?.id)].into();
    same("images", &seen, &wanted)
}

pub(super) async fn an_image_says_what_it_is(bench: &Bench) -> Claim {
    let facts = bench.engine.image(&bench.image).await?;
    same("its entrypoint", &facts.entrypoint, &vec!["/tiny".to_owned()])?;
    ensure(facts.id.0.starts_with("sha256:"), || facts.id.0.clone())
}

pub(super) async fn a_missing_image_is_not_found(bench: &Bench) -> Claim {
    refused(bench.engine.image("localhost/witwd-contract-missing:1").await, ErrorKind::NotFound)
}

pub(super) async fn a_registry_that_does_not_answer_is_unreachable(bench: &Bench) -> Claim {
    let reference = "127.0.0.1:1/witwd-contract-missing:1";
    let request = PullImage { reference: reference.to_owned(), platform: None, inactivity: Duration::from_secs(20) };
    refused(bench.engine.pull(&request, nobody_listens()).await, ErrorKind::RegistryUnreachable)?;
    refused(bench.engine.image(reference).await, ErrorKind::NotFound)
}

pub(super) async fn a_built_image_is_here_under_its_tag_with_its_labels(bench: &Bench) -> Claim {
    let tag = format!("localhost/{}:built", bench.fresh("image"));
    bench.undo(["image", "rm", &tag]);
    let labels = BTreeMap::from([("witwd-contract".to_owned(), tag.clone())]);
    let request = BuildImage {
        tag: tag.clone(),
        context: bench.context.clone(),
        exclude: Vec::new(),
        dockerfile: bench.context.join("Dockerfile"),
        target: None,
        args: BTreeMap::new(),
        secrets: BTreeMap::new(),
        platform: None,
        labels: labels.clone(),
    };
    let id = bench.engine.build(&request, nobody_listens()).await?;
    let facts = bench.engine.image(&tag).await?;
    same("what its tag means", &facts.id, &id)?;
    ensure(labels.iter().all(|label| facts.labels.get(label.0) == Some(label.1)), || format!("labels: {:?}", facts.labels))?;
    let scope = Scope { images: vec![tag.clone()], ..Scope::of(&bench.stack) };
    same("what is seen", &bench.engine.observe(&scope).await?.images, &[(tag, id)].into())
}
