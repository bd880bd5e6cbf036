//! Carries out one action: one `match`, no decisions. What to do, and whether, is the planner's.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::engine::Engine;
use crate::engine::request::{CreateNetwork, RememberedPort};
use crate::host::{Clock, Disk};
use crate::model::history::Target;
use crate::model::name::{ContainerId, InstanceId, ReplicaKey, WorkloadName};
use crate::model::stack::Stack;
use crate::model::workload::Workload;
use crate::plan::Action;
use crate::postgres::backup::ProgressSink;

use super::caretaker::{BackupTask, Backups};
use super::commands::Commands;
use super::event::{ActionError, Effect, Event, Latest};
use super::keeper::{DataDirectory, Keeper};
use super::kept_logs::{KeptLogs, Leaving};
use super::{create, images};

/// What actions are carried out with.
pub struct Context {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Small files.
    pub disk: Arc<dyn Disk>,
    /// Passwords and provisioning.
    pub keeper: Arc<dyn Keeper>,
    /// Backup sets.
    pub backups: Arc<dyn Backups>,
    /// Builds by a command.
    pub commands: Arc<dyn Commands>,
    /// Who we are.
    pub instance: InstanceId,
    /// The last lines of containers that are gone.
    pub kept_logs: KeptLogs,
    /// Directory of the host, in memory where it can be, for the secrets of containers.
    pub secrets_directory: PathBuf,
    /// Where outcomes and progress go.
    pub events: mpsc::UnboundedSender<Event>,
    /// Most primitives under way at once: beyond 16 an engine gets no faster (`engine-facts.md`).
    pub primitives: Semaphore,
    /// Most pulls and builds under way at once.
    pub transfers: Semaphore,
}

/// How many primitives may be under way at once.
pub const PRIMITIVES: usize = 16;
/// How many pulls and builds may be under way at once.
pub const TRANSFERS: usize = 8;

/// An action with what it needs to know beyond itself.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is to be done.
    pub action: Action,
    /// What is known of the data directory, for `provision`.
    pub data_directory: DataDirectory,
    /// Whose log is kept, for `remove`.
    pub leaving: Option<Leaving>,
    /// The ports that the replica had, for `create`.
    pub ports: Vec<RememberedPort>,
    /// Why, for people.
    pub cause: String,
}

/// Carries out one action.
#[expect(clippy::cognitive_complexity, reason = "one flat match: a primitive for each action")]
pub async fn apply(context: &Context, stack: &Stack, order: &Order) -> Result<Effect, ActionError> {
    let engine = &context.engine;
    let slots = if is_transfer(&order.action) { &context.transfers } else { &context.primitives };
    // A stop may take its whole grace, and a set an hour: they take no slot from others.
    let _slot = match &order.action {
        Action::Stop { .. } | Action::Backup { .. } => None,
        _ => slots.acquire().await.ok(),
    };
    match &order.action {
        Action::Pull { workload, reference } => return images::pull(context, find(stack, workload)?, reference).await,
        Action::Build { workload, reference } | Action::BuildFallback { workload, reference } => {
            return images::build(context, stack, find(stack, workload)?, reference).await;
        }
        Action::CreateNetwork => engine.create_network(&network_request(context, stack)).await?,
        Action::RemoveNetwork { id } => engine.remove_network(id).await?,
        Action::CreateVolume { volume } => engine.create_volume(&create::volume_request(context, stack, volume)).await?,
        Action::RemoveVolume { name } => engine.remove_volume(name).await?,
        Action::Create { key, name, image } => {
            let place = (key.clone(), name.clone(), image.clone());
            create_container(context, stack, find(stack, &key.name)?, place, order.ports.clone()).await?;
        }
        Action::Examine { key, container } => {
            let found = crate::postgres::examine(engine.as_ref(), find(stack, &key.name)?, container).await?;
            return Ok(Effect::Examined(found));
        }
        Action::Start { key, container, ended } => {
            must_have_ended(context, ended).await?;
            start(context, stack.workload(&key.name), key, container).await?;
        }
        Action::Stop { container, grace, .. } => engine.stop(container, *grace).await?,
        Action::Remove { container, .. } => {
            if let Some(leaving) = &order.leaving {
                context.kept_logs.keep(engine.as_ref(), context.clock.as_ref(), leaving).await;
            }
            engine.remove(container).await?;
        }
        Action::Rename { container, name, .. } => engine.rename(container, name).await?,
        Action::Connect { key, container } => {
            let names: Vec<String> = find(stack, &key.name)?.network_names().into_iter().collect();
            engine.connect(container, &stack.name().network(), &names).await?;
        }
        Action::Disconnect { container, .. } => engine.disconnect(container, &stack.name().network()).await?,
        Action::Provision { key, container } => {
            let provisioned = context.keeper.provision(find(stack, &key.name)?, container, order.data_directory).await?;
            return Ok(Effect::Provisioned(provisioned));
        }
        Action::Backup { name, container, image, work } => {
            let (workload, work, cause) = (find(stack, name)?, work.clone(), order.cause.clone());
            let task = BackupTask { stack, workload, container: container.clone(), image: image.clone(), work, cause };
            return Ok(Effect::Worked(Box::new(context.backups.carry_out(task, tell(context, order.action.target())).await)));
        }
    }
    Ok(Effect::Seen)
}

/// Where the words about an action under way go: the last ones, whoever reads them.
pub(super) fn tell(context: &Context, target: Target) -> ProgressSink {
    let (latest, events) = (Latest::default(), context.events.clone());
    Arc::new(move |words| {
        if latest.put(words) {
            let _ = events.send(Event::Progress { target: target.clone(), latest: latest.clone() });
        }
    })
}

/// Whether an action fetches or makes an image: it may take long, and leaves nothing half-done.
pub(super) fn is_transfer(action: &Action) -> bool {
    matches!(action, Action::Pull { .. } | Action::Build { .. } | Action::BuildFallback { .. })
}

fn find<'a>(stack: &'a Stack, name: &WorkloadName) -> Result<&'a Workload, ActionError> {
    stack.workload(name).ok_or_else(|| ActionError::transient(format!("{name} is not in the stack any more")))
}

fn network_request(context: &Context, stack: &Stack) -> CreateNetwork {
    CreateNetwork {
        name: stack.name().network(),
        stack: stack.name().clone(),
        instance: context.instance.clone(),
        directory: stack.directory().display().to_string(),
    }
}

async fn create_container(
    context: &Context,
    stack: &Stack,
    workload: &Workload,
    place: (ReplicaKey, String, String),
    ports: Vec<RememberedPort>,
) -> Result<(), ActionError> {
    make_secrets_directory(context, workload, &place.0)?;
    let request = create::container_request(context, stack, workload, place, ports)?;
    context.engine.create(&request).await?;
    Ok(())
}

/// What was seen of these was that they are not up: each is asked, for a list may be older than a start.
async fn must_have_ended(context: &Context, ended: &BTreeSet<ContainerId>) -> Result<(), ActionError> {
    for container in ended {
        if context.engine.is_up(container).await? {
            let why = "may not run beside it, was seen as ended and is up";
            return Err(ActionError::transient(format!("container {container} {why}: it is looked at again")));
        }
    }
    Ok(())
}

/// Puts the secret files in place, then starts: after a reboot the directory in memory is empty, so
/// this is done at every start, and twice does no harm.
async fn start(
    context: &Context,
    workload: Option<&Workload>,
    key: &ReplicaKey,
    container: &ContainerId,
) -> Result<(), ActionError> {
    if let Some(workload) = workload {
        make_secrets_directory(context, workload, key)?;
        let files = context.keeper.files(workload);
        if !files.is_empty() {
            context.engine.put_files(container, create::SECRETS, &files).await?;
        }
    }
    context.engine.start(container).await.map_err(ActionError::of_call)
}

/// Inside a container everybody may pass through it, to the files that are his; on the host the
/// directories above it keep everybody out.
const SECRETS_MODE: u32 = 0o711;

/// Makes the directory that a container's secrets lie in, where it has any.
pub(super) fn make_secrets_directory(context: &Context, workload: &Workload, key: &ReplicaKey) -> Result<(), ActionError> {
    if context.keeper.files(workload).is_empty() {
        return Ok(());
    }
    let directory = create::secrets_directory(context, key);
    context
        .disk
        .make_directory(&directory, SECRETS_MODE)
        .map_err(|error| ActionError::transient(format!("{error}: {}", error.source)))
}
