//! Images: what they say of themselves, and getting them from a registry.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{CreateImageInfo, ImageInspect, ImageSummary};
use bollard::query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions};
use futures_util::StreamExt;

use super::reference::Reference;
use super::{Call, DockerEngine, QUICK, SLOW, credentials, error, fine};
use crate::engine::answer::{BuiltImage, ImageFacts, Progress};
use crate::engine::request::PullImage;
use crate::engine::{EngineError, ErrorKind, ProgressSink, labels};
use crate::model::name::{ImageId, InstanceId};

const OPERATION: &str = "pull image";

/// What an image says of itself.
pub(super) async fn facts(engine: &DockerEngine, reference: &str) -> Result<ImageFacts, EngineError> {
    let image = inspect(engine, reference).await?;
    let config = image.config.unwrap_or_default();
    let env = config.env.unwrap_or_default();
    let env = env.iter().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut volumes = config.volumes.unwrap_or_default();
    volumes.sort();
    let has_healthcheck =
        config.healthcheck.and_then(|check| check.test).is_some_and(|test| test.first().is_some_and(|word| word != "NONE"));
    Ok(ImageFacts {
        id: ImageId(image.id.unwrap_or_default()),
        env: env.collect(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        volumes,
        stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
        has_healthcheck,
        labels: config.labels.unwrap_or_default().into_iter().collect(),
    })
}

/// What a reference means now.
pub(super) async fn id(engine: &DockerEngine, reference: &str) -> Result<ImageId, EngineError> {
    Ok(ImageId(inspect(engine, reference).await?.id.unwrap_or_default()))
}

/// The images that an instance built, by id.
pub(super) async fn built(engine: &DockerEngine, instance: &InstanceId) -> Result<Vec<BuiltImage>, EngineError> {
    let filters = HashMap::from([("label".to_owned(), vec![format!("{}={instance}", labels::BUILT_BY)])]);
    let options = ListImagesOptions { filters: Some(filters), shared_size: true, ..Default::default() };
    let call = Call::new("list", "images");
    let listed = engine.call(call, SLOW, |docker| async move { docker.list_images(Some(options)).await }).await?;
    let image = |summary: ImageSummary| BuiltImage {
        // An image that is shared in no part says so by nothing, or by less.
        bytes: u64::try_from(summary.size - summary.shared_size.max(0)).unwrap_or_default(),
        tags: summary.repo_tags.into_iter().filter(|tag| !tag.starts_with("<none>")).collect(),
        id: ImageId(summary.id),
    };
    let mut images: Vec<BuiltImage> = listed.into_iter().map(image).collect();
    images.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(images)
}

/// Removes an image that nothing is made from. One that is gone is fine; one that is used:
/// [`ErrorKind::Conflict`].
pub(super) async fn remove(engine: &DockerEngine, id: &ImageId) -> Result<(), EngineError> {
    let call = Call::new("remove image", &id.0);
    let options = None::<RemoveImageOptions>;
    let outcome = engine.call(call, SLOW, |docker| async move { docker.remove_image(&id.0, options, None).await }).await;
    engine.cache().forget_images();
    fine(outcome.map(drop), &[ErrorKind::NotFound])
}

async fn inspect(engine: &DockerEngine, reference: &str) -> Result<ImageInspect, EngineError> {
    engine.call(Call::new("inspect image", reference), QUICK, |docker| async move { docker.inspect_image(reference).await }).await
}

/// Pulls an image. Dropping the future ends the pull.
pub(super) async fn pull(engine: &DockerEngine, request: &PullImage, progress: ProgressSink) -> Result<ImageId, EngineError> {
    let reference = Reference::parse(&request.reference);
    let credentials = credentials::of_registry(&engine.inner.surroundings, reference.registry()).await;
    let credentials = credentials.unwrap_or_else(|reason| {
        tracing::warn!(registry = reference.registry(), reason, "pulling without credentials");
        progress(Progress::Line(format!("without credentials: {reason}")));
        None
    });
    let failed = |kind, message: String| EngineError::new(OPERATION, &request.reference, kind, message);
    let options = CreateImageOptions {
        from_image: Some(reference.repository),
        tag: Some(reference.version),
        platform: request.platform.clone().unwrap_or_default(),
        ..Default::default()
    };
    // The answer begins with the first progress, so the client's own limit is that of progress.
    let limit = request.inactivity + Duration::from_secs(1);
    let client = engine.client(limit).map_err(|error| error::classify(OPERATION, &request.reference, &error))?;
    let mut messages = Box::pin(client.create_image(Some(options), None, credentials));
    let mut watch = Watch::default();
    let mut deadline = engine.inner.clock.moment() + request.inactivity;
    loop {
        let left = deadline.since(engine.inner.clock.moment());
        let Ok(message) = tokio::time::timeout(left, messages.next()).await else {
            let seconds = request.inactivity.as_secs();
            // The engine tells of an image only once its registry has answered.
            if watch.layers.is_empty() {
                return Err(failed(ErrorKind::RegistryUnreachable, format!("no registry answered within {seconds} s")));
            }
            return Err(failed(ErrorKind::Timeout, format!("no progress for {seconds} s")));
        };
        match message {
            None => break,
            Some(Err(error)) => return Err(of_pull(error::classify(OPERATION, &request.reference, &error))),
            Some(Ok(CreateImageInfo { error_detail: Some(detail), .. })) => {
                return Err(of_pull(failed(ErrorKind::Other, detail.message.unwrap_or_default())));
            }
            Some(Ok(info)) => {
                if watch.advanced(&info) {
                    deadline = engine.inner.clock.moment() + request.inactivity;
                }
                progress(report(info));
            }
        }
    }
    engine.cache().forget_images();
    id(engine, &request.reference).await
}

/// Tells progress from signs of life.
#[derive(Default)]
struct Watch {
    layers: std::collections::BTreeMap<String, (String, Option<i64>)>,
}

impl Watch {
    /// Whether more is done than before. An engine that waits to try again makes no progress.
    fn advanced(&mut self, info: &CreateImageInfo) -> bool {
        let status = info.status.clone().unwrap_or_default();
        if status.starts_with("Retrying") {
            return false;
        }
        let now = (status, info.progress_detail.as_ref().and_then(|detail| detail.current));
        self.layers.insert(info.id.clone().unwrap_or_default(), now.clone()) != Some(now)
    }
}

fn report(info: CreateImageInfo) -> Progress {
    let status = info.status.unwrap_or_default();
    let Some(layer) = info.id else { return Progress::Line(status) };
    let amount = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0);
    let bytes = info.progress_detail.and_then(|detail| Some((amount(detail.current)?, amount(detail.total)?)));
    Progress::Layer { layer, status, bytes }
}

/// A pull's failure: the engine tells it in words only, with codes that vary.
pub(super) fn of_pull(mut error: EngineError) -> EngineError {
    if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Timeout) {
        return error;
    }
    error.kind = of_pull_text(&error.message);
    error
}

/// What a registry that does not answer reads like.
const UNREACHABLE: [&str; 11] = [
    "context deadline exceeded",
    "no such host",
    "connection refused",
    "network is unreachable",
    "no route to host",
    "i/o timeout",
    "tls handshake timeout",
    "temporary failure in name resolution",
    "server misbehaving",
    "client.timeout exceeded",
    "proxyconnect",
];

/// What a registry's answer without the image reads like.
const DENIED: [&str; 8] = [
    "denied",
    "unauthorized",
    "authentication required",
    "no basic auth credentials",
    "manifest unknown",
    "not found",
    "does not exist",
    "name unknown",
];

/// What kind of failure the engine's words about a registry are.
pub(super) fn of_pull_text(message: &str) -> ErrorKind {
    let text = message.to_lowercase();
    let any = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    // The first question of all is `/v2/`: who hangs up on that has answered nothing.
    let hung_up = text.contains("/v2/\": ") && ["eof", "connection reset by peer"].iter().any(|end| text.ends_with(end));
    if hung_up || any(&UNREACHABLE) {
        ErrorKind::RegistryUnreachable
    } else if any(&DENIED) {
        ErrorKind::ImageDenied
    } else if any(&["invalid reference format", "no matching manifest"]) {
        ErrorKind::Invalid
    } else {
        ErrorKind::Other
    }
}
