//! Getting images: pulls, Docker builds and builds by command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::answer::Progress;
use crate::engine::request::{BuildImage, PullImage};
use crate::engine::{EngineError, ErrorKind, ProgressSink, labels};
use crate::model::history::Target;
use crate::model::image::{Build, Fallback, ImageOrigin};
use crate::model::stack::Stack;
use crate::model::workload::Workload;

use super::apply::{Context, tell};
use super::commands::BuildCommand;
use super::event::{ActionError, Effect};

/// Without any progress for this long a pull is given up and tried again.
const PULL_INACTIVITY: Duration = Duration::from_secs(60);

/// Pulls an image.
pub async fn pull(context: &Context, workload: &Workload, reference: &str) -> Result<Effect, ActionError> {
    let request =
        PullImage { reference: reference.to_owned(), platform: workload.image.platform.clone(), inactivity: PULL_INACTIVITY };
    let id = context.engine.pull(&request, progress_sink(context, workload)).await?;
    Ok(Effect::Image { reference: reference.to_owned(), id })
}

/// Builds the image of a workload, by its `build` or its `fallback`.
pub async fn build(context: &Context, stack: &Stack, workload: &Workload, reference: &str) -> Result<Effect, ActionError> {
    let build = match &workload.image.origin {
        ImageOrigin::Build(build) | ImageOrigin::Pull { fallback: Some(Fallback { build, .. }), .. } => build,
        ImageOrigin::Pull { fallback: None, .. } => {
            return Err(ActionError::transient(format!("{} has no build", workload.name)));
        }
    };
    let id = match build {
        Build::Command(words) => {
            let docker_host = context.engine.docker_host();
            let command = BuildCommand { words, directory: stack.directory(), image: reference, docker_host };
            let made = context.commands.run(&command, progress_sink(context, workload)).await;
            made.map_err(|what| {
                ActionError::transient(format!("failed to build {reference} with `{}`: {what}", words.join(" ")))
            })?;
            context.engine.image(reference).await.map_err(|error| unmade(error, words, reference))?.id
        }
        Build::Docker { .. } => {
            let request = BuildImage { exclude: backup_directories(stack), ..docker_build(context, workload, build, reference)? };
            context.engine.build(&request, progress_sink(context, workload)).await?
        }
    };
    Ok(Effect::Image { reference: reference.to_owned(), id })
}

/// Why there is no image after a command that ended well.
fn unmade(error: EngineError, words: &[String], reference: &str) -> ActionError {
    if error.kind != ErrorKind::NotFound {
        return error.into();
    }
    ActionError::transient(format!(
        "`{}` ended well but left no image {reference}: it must make the one in WITWD_IMAGE",
        words.join(" ")
    ))
}

fn docker_build(context: &Context, workload: &Workload, build: &Build, reference: &str) -> Result<BuildImage, ActionError> {
    let Build::Docker { context: directory, dockerfile, target, args, secrets } = build else {
        return Err(ActionError::transient("not a Docker build"));
    };
    if let Some(secret) = secrets.first() {
        return Err(ActionError::transient(format!("build secret {secret}: secrets are not carried out by this version")));
    }
    let fill =
        |value: &crate::model::template::Template| value.resolve(|hole| context.keeper.fill(hole)).map_err(ToString::to_string);
    let args: Result<BTreeMap<String, String>, String> =
        args.iter().map(|(name, value)| Ok((name.clone(), fill(value)?))).collect();
    Ok(BuildImage {
        tag: reference.to_owned(),
        context: directory.clone(),
        exclude: Vec::new(),
        dockerfile: directory.join(dockerfile),
        target: target.clone(),
        args: args.map_err(|hole| ActionError::transient(format!("failed to fill {hole} in build.args of {}", workload.name)))?,
        secrets: BTreeMap::new(),
        platform: workload.image.platform.clone(),
        labels: labels::of_build(&context.instance),
    })
}

fn backup_directories(stack: &Stack) -> Vec<std::path::PathBuf> {
    stack.in_order().filter_map(|workload| workload.postgres()).map(|postgres| postgres.backup.directory.clone()).collect()
}

fn progress_sink(context: &Context, workload: &Workload) -> ProgressSink {
    let tell = tell(context, Target::Workload(workload.name.clone()));
    Arc::new(move |progress| {
        tell(match progress {
            Progress::Layer { layer, status, bytes: Some((done, all)) } => {
                format!("{layer} {status} {} of {}", bytesize::ByteSize(done), bytesize::ByteSize(all))
            }
            Progress::Layer { layer, status, bytes: None } => format!("{layer} {status}"),
            Progress::Line(line) => line,
        });
    })
}

#[cfg(test)]
mod tests {
    use crate::supervisor::event::Latest;

    #[test]
    fn words_that_nobody_has_read_are_replaced() {
        let latest = Latest::default();
        let told: Vec<bool> = ["one", "two", "three"].map(|words| latest.put(words.to_owned())).into();
        assert_eq!((told, latest.take()), (vec![true, false, false], Some("three".to_owned())));
        assert_eq!((latest.take(), latest.put("four".to_owned())), (None, true));
    }
}
