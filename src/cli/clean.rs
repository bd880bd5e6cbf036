//! `clean`: removes what is ours and unused: images that a newer build took the tag of, and containers
//! of one-off commands, jobs, dumps and trial restores that are left. Never a volume, never what another
//! made; safe while a daemon runs, for nothing that it keeps is unused.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::Done;
use super::assembly;
use super::context::Context;
use super::exit_code::{Exit, Failure, chain};
use crate::engine::answer::BuiltImage;
use crate::engine::docker::DockerEngine;
use crate::engine::request::Scope;
use crate::engine::{Engine as _, EngineError, ErrorKind};
use crate::host::process::is_alive;
use crate::model::name::{ContainerId, ImageId, InstanceId, StackName};
use crate::model::observed::{Container, ContainerState, Observed, Owner};
use crate::model::workload::KindName;

/// Flags of `clean`.
#[derive(Debug, Args)]
#[command(after_help = "Volumes stay: `witwd down --volumes` is the one command that removes them, and it asks.\n\n\
                        Example:\n  witwd clean --dry-run    what it would remove")]
pub struct CleanArgs {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// Something of ours that nobody uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Unused {
    /// What it is.
    #[serde(flatten)]
    pub what: Thing,
    /// Why nobody uses it.
    pub cause: String,
    /// Bytes that its removal frees, where that is known.
    pub bytes: Option<u64>,
}

/// What can be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Thing {
    /// A container.
    Container {
        /// Its id.
        #[serde(serialize_with = "as_text")]
        id: ContainerId,
        /// Its name.
        name: String,
    },
    /// An image.
    Image {
        /// Its id.
        #[serde(serialize_with = "as_text")]
        id: ImageId,
    },
}

fn as_text<S: serde::Serializer>(id: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// How long the engine may take to remove what somebody else is removing.
const REMOVAL: Duration = Duration::from_secs(10);

pub(super) async fn run(context: &Context, args: CleanArgs) -> Done {
    let place = context.place()?;
    let (stack, instance) = context.identity(&place).await?;
    let engine = assembly::docker(context.clock.clone()).await?;
    let observed = engine.observe(&Scope::of(&stack)).await?;
    let built = engine.built_images(&instance).await?;
    let history = assembly::kept_history(context.disk.clone(), &place);
    // A tag may mean another image by now.
    let accepted = history.images.into_values().map(|accepted| accepted.id).collect();
    let mut items = containers(&observed, &stack, &instance, is_alive);
    items.extend(images(&observed, built, &accepted));
    let (mut removed, mut failed) = (Vec::new(), Vec::new());
    for item in items {
        let outcome = if args.dry_run { Ok(()) } else { remove(context, &engine, &item.what).await };
        match outcome {
            Ok(()) => removed.push(item),
            Err(error) => failed.push(chain(&error)),
        }
    }
    if context.output.json && failed.is_empty() {
        context.output.document(&serde_json::json!({ "v": 1, "dry_run": args.dry_run, "items": removed }))?;
    } else if !context.output.json {
        context.output.data(&text(&removed, args.dry_run))?;
    }
    if failed.is_empty() { Ok(Exit::Done) } else { Err(Failure::new(Exit::Failed, failed.join("; "))) }
}

/// Containers of ours that nobody waits for. `is_alive`: whether the process of a one-off container is
/// still there.
pub(super) fn containers(
    observed: &Observed,
    stack: &StackName,
    instance: &InstanceId,
    is_alive: impl Fn(u32) -> bool,
) -> Vec<Unused> {
    let cause = |container: &Container| {
        let identity = container.identity.as_ref()?;
        let ended = match &container.state {
            ContainerState::Exited { exit, .. } => Some(exit.code),
            ContainerState::Dead => Some(1),
            _ => None,
        };
        match (identity.kind, ended) {
            (KindName::Run, None) if !is_alive(identity.key.replica) => Some("whoever ran it is gone".to_owned()),
            (KindName::Run | KindName::Dump | KindName::Verify, Some(_)) => Some("its run is over".to_owned()),
            (KindName::Job, Some(code)) if code != 0 => Some("it failed".to_owned()),
            // A service or postgres is the daemon's, whatever became of it.
            _ => None,
        }
    };
    let ours = observed.containers.iter().filter(|container| container.owner(stack, instance) == Owner::Ours);
    let unused = ours.filter_map(|container| {
        let what = Thing::Container { id: container.id.clone(), name: container.name.clone() };
        Some(Unused { what, cause: cause(container)?, bytes: None })
    });
    unused.collect()
}

/// Images of ours that have no tag any more, and that nothing is or would be made from.
pub(super) fn images(observed: &Observed, built: Vec<BuiltImage>, accepted: &BTreeSet<ImageId>) -> Vec<Unused> {
    let is_used = |id: &ImageId| accepted.contains(id) || observed.containers.iter().any(|container| &container.image == id);
    let unused = built.into_iter().filter(|image| image.tags.is_empty() && !is_used(&image.id));
    let cause = "a newer build took its tag".to_owned();
    unused.map(|image| Unused { what: Thing::Image { id: image.id }, cause: cause.clone(), bytes: Some(image.bytes) }).collect()
}

async fn remove(context: &Context, engine: &DockerEngine, what: &Thing) -> Result<(), EngineError> {
    match what {
        Thing::Container { id, .. } => {
            engine.stop(id, Duration::ZERO).await?;
            let begun = context.clock.moment();
            loop {
                match engine.remove(id).await {
                    // The daemon saw its end too, and is about it.
                    Err(error) if error.kind == ErrorKind::RemovalInProgress && context.clock.moment().since(begun) < REMOVAL => {
                        context.clock.sleep(Duration::from_millis(50)).await;
                    }
                    outcome => return outcome,
                }
            }
        }
        Thing::Image { id } => engine.remove_image(id).await,
    }
}

/// A line for each, and what they free together.
pub(super) fn text(items: &[Unused], dry_run: bool) -> String {
    if items.is_empty() {
        return "there is nothing to clean\n".to_owned();
    }
    let verb = if dry_run { "would remove" } else { "removed" };
    let line = |item: &Unused| match &item.what {
        Thing::Container { name, .. } => format!("{verb} container {name}: {}\n", item.cause),
        Thing::Image { id } => {
            let size = item.bytes.map(|bytes| format!(" ({})", bytesize::ByteSize(bytes))).unwrap_or_default();
            let short: String = id.0.trim_start_matches("sha256:").chars().take(12).collect();
            format!("{verb} image {short}{size}: {}\n", item.cause)
        }
    };
    let bytes: u64 = items.iter().filter_map(|item| item.bytes).sum();
    let sum = if bytes == 0 { String::new() } else { format!("{} in all\n", bytesize::ByteSize(bytes)) };
    items.iter().map(line).collect::<String>() + &sum
}
