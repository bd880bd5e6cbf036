//! Building images: through `docker buildx` where the command line of this machine has it, else
//! through the engine's classic builder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::models::BuildInfo;
use bollard::query_parameters::BuildImageOptions;
use futures_util::StreamExt;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::archive::{Context, OUTSIDE};
use super::ignore::Ignore;
use super::reference::{Reference, server};
use super::{DockerEngine, buildx, credentials, error, images};
use crate::engine::answer::Progress;
use crate::engine::request::BuildImage;
use crate::engine::{EngineError, ErrorKind, ProgressSink};
use crate::model::hash::hex;
use crate::model::name::ImageId;

pub(super) const OPERATION: &str = "build image";
/// A build that says nothing for this long is given up: a step may compile for long in silence.
pub(super) const SILENCE: Duration = Duration::from_secs(30 * 60);

/// Builds an image. Dropping the future ends the build.
pub(super) async fn build(engine: &DockerEngine, request: &BuildImage, progress: ProgressSink) -> Result<ImageId, EngineError> {
    let sources = Sources::read(request).map_err(|message| invalid(request, message))?;
    if buildx::is_here(engine).await {
        buildx::build(engine, request, &sources, progress).await?;
    } else if request.secrets.is_empty() {
        classic(engine, request, sources, progress).await?;
    } else {
        let message = "build secrets need `docker buildx`, which the docker command of this machine has not: install its plugin";
        return Err(invalid(request, message.to_owned()));
    }
    engine.cache().forget_images();
    images::id(engine, &request.tag).await
}

pub(super) fn invalid(request: &BuildImage, message: String) -> EngineError {
    EngineError::new(OPERATION, &request.tag, ErrorKind::Invalid, message)
}

/// A digest of all that a build depends on, as far as it is on this machine: context less what is
/// ignored, Dockerfile, stage, arguments. Reads every file; blocks.
pub fn build_digest(request: &BuildImage) -> Result<String, EngineError> {
    let sources = Sources::read(request).map_err(|message| invalid(request, message))?;
    let dockerfile = sources.dockerfile.clone();
    let context = sources.context(request).map_err(|message| invalid(request, message))?;
    let mut archive = tar::Builder::new(Hashing(Sha256::new()));
    archive.follow_symlinks(false);
    let written = context.write(&mut archive).and_then(|()| archive.into_inner());
    let Hashing(mut hash) = written.map_err(|error| invalid(request, format!("failed to read the context: {error}")))?;
    hash.update(format!("{dockerfile}\n{:?}{:?}{:?}", request.target, request.args, request.platform));
    Ok(hex(&hash.finalize()[..16]))
}

/// Hashes what is written to it.
struct Hashing(Sha256);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The files that steer a build.
pub(super) struct Sources {
    /// Text of the Dockerfile.
    pub dockerfile: String,
    /// Its path below the context, where it lies there.
    pub inside: Option<String>,
    /// Text of the `.dockerignore`, the Dockerfile's own one first; `None`: there is none.
    pub ignore: Option<String>,
    /// Whether that is the Dockerfile's own.
    own_ignore: bool,
}

impl Sources {
    fn read(request: &BuildImage) -> Result<Self, String> {
        let text =
            |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{} can't be read: {error}", path.display()));
        if !request.context.is_dir() {
            return Err(format!("the context {} is no directory", request.context.display()));
        }
        let dockerfile = text(&request.dockerfile)?;
        let mut own = request.dockerfile.clone().into_os_string();
        own.push(".dockerignore");
        let own = PathBuf::from(own);
        let own_ignore = own.is_file();
        let general = request.context.join(".dockerignore");
        let ignore = match (own_ignore, general.is_file()) {
            (true, _) => Some(text(&own)?),
            (_, true) => Some(text(&general)?),
            _ => None,
        };
        let inside = request.dockerfile.strip_prefix(&request.context).ok().and_then(Path::to_str).map(str::to_owned);
        Ok(Self { dockerfile, inside, ignore, own_ignore })
    }

    fn context(self, request: &BuildImage) -> Result<Context, String> {
        let ignore = Ignore::parse(self.ignore.as_deref().unwrap_or_default())?;
        let outside = self.inside.is_none();
        let ignore_text = match (self.ignore, outside) {
            (Some(text), true) => Some(format!("{text}\n{OUTSIDE}\n")),
            (None, true) => Some(format!("{OUTSIDE}\n.dockerignore\n")),
            (Some(text), false) if self.own_ignore => Some(text),
            _ => None,
        };
        Ok(Context {
            root: request.context.clone(),
            exclude: request.exclude.clone(),
            ignore,
            ignore_text,
            dockerfile: self.inside.unwrap_or_else(|| OUTSIDE.to_owned()),
            outside: outside.then_some(self.dockerfile.into_bytes()),
        })
    }
}

async fn classic(
    engine: &DockerEngine,
    request: &BuildImage,
    sources: Sources,
    progress: ProgressSink,
) -> Result<(), EngineError> {
    let credentials = credentials_of(engine, &sources.dockerfile).await;
    let context = sources.context(request).map_err(|message| invalid(request, message))?;
    let options = BuildImageOptions {
        dockerfile: context.dockerfile.clone(),
        t: Some(request.tag.clone()),
        rm: true,
        forcerm: true,
        buildargs: Some(request.args.clone().into_iter().collect()),
        labels: Some(request.labels.clone().into_iter().collect()),
        platform: request.platform.clone().unwrap_or_default(),
        target: request.target.clone().unwrap_or_default(),
        ..Default::default()
    };
    let (sender, receiver) = mpsc::channel(8);
    tokio::task::spawn_blocking(move || context.send(&sender));
    let body = bollard::body_try_stream(ReceiverStream::new(receiver));
    let client = engine.client(SILENCE).map_err(|error| error::classify(OPERATION, &request.tag, &error))?;
    let mut messages = Box::pin(client.build_image(options, Some(credentials), Some(body)));
    loop {
        let message = tokio::time::timeout(SILENCE, messages.next()).await;
        let Some(message) = message.map_err(|_| error::timeout(OPERATION, &request.tag, SILENCE))? else { return Ok(()) };
        let info = message.map_err(|error| failed(error::classify(OPERATION, &request.tag, &error)))?;
        if let Some(detail) = info.error_detail {
            let message = detail.message.unwrap_or_default();
            return Err(failed(EngineError::new(OPERATION, &request.tag, ErrorKind::Other, message)));
        }
        if let Some(step) = report(info) {
            progress(step);
        }
    }
}

/// A build pulls what it begins from: that no registry answers is worth telling apart. What a
/// command of the build complains about is not.
pub(super) fn failed(mut error: EngineError) -> EngineError {
    // The classic builder's words, BuildKit's, and those of the BuildKit in engines before 23.
    let of_commands = ["returned a non-zero code", "did not complete successfully", "executor failed running"];
    let of_a_command = of_commands.iter().any(|words| error.message.contains(words));
    if error.kind == ErrorKind::Other && !of_a_command {
        let kind = images::of_pull_text(&error.message);
        if matches!(kind, ErrorKind::RegistryUnreachable | ErrorKind::ImageDenied) {
            error.kind = kind;
        }
    }
    error
}

fn report(info: BuildInfo) -> Option<Progress> {
    let line = |text: String| Some(text.trim_end().to_owned()).filter(|text| !text.is_empty()).map(Progress::Line);
    match (info.stream, info.status, info.id) {
        (Some(stream), _, _) => line(stream),
        (None, Some(status), Some(layer)) => Some(Progress::Layer { layer, status, bytes: None }),
        (None, Some(status), None) => line(status),
        _ => None,
    }
}

/// Credentials of the registries that the Dockerfile's stages begin from.
async fn credentials_of(engine: &DockerEngine, dockerfile: &str) -> HashMap<String, DockerCredentials> {
    let mut found = HashMap::new();
    for image in bases(dockerfile) {
        let reference = Reference::parse(image);
        let registry = reference.registry();
        match credentials::of_registry(&engine.inner.surroundings, registry).await {
            Ok(Some(credentials)) => {
                found.insert(server(registry).to_owned(), credentials);
            }
            Ok(None) => {}
            Err(reason) => tracing::warn!(registry, reason, "building without credentials"),
        }
    }
    found
}

/// Images that the stages of a Dockerfile begin from. One written with a build argument is not
/// found.
pub(super) fn bases(dockerfile: &str) -> impl Iterator<Item = &str> {
    dockerfile.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let from = words.next().is_some_and(|word| word.eq_ignore_ascii_case("FROM"));
        let image = words.find(|word| !word.starts_with("--"))?;
        (from && image != "scratch" && !image.contains('$')).then_some(image)
    })
}
