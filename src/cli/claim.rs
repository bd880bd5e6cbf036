//! Whose the things are that carry a stack's name on the engine, asked before anything is done to them;
//! and `up --take-over`: what another instance made is taken only where its directory has lost it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::exit_code::{Exit, Failure, chain};
use super::place::Place;
use crate::control::{Client, ConnectError};
use crate::engine::Engine;
use crate::engine::request::Scope;
use crate::host::Disk;
use crate::host::instance::{has_taken_over, holds, is_of_this_machine, take_over};
use crate::host::kept::recall;
use crate::host::lock::{acquire, is_held};
use crate::host::runtime::{Runtime, Surroundings};
use crate::model::container::MountSource;
use crate::model::name::{InstanceId, StackName};
use crate::model::observed::{Container, Observed, Owner};
use crate::model::stack::Stack;

/// What a stack has on the engine that another instance could have made: its name and its volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Footprint {
    name: StackName,
    volumes: BTreeSet<String>,
}

impl Footprint {
    /// The footprint of this stack.
    pub(super) fn of(stack: &Stack) -> Self {
        Self { name: stack.name().clone(), volumes: needed_volumes(stack) }
    }

    /// Whether the other one lies within this one: whoever may run this may run that.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.name == other.name && self.volumes.is_superset(&other.volumes)
    }
}

/// What was found of a stack that this directory may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Containers or volumes of its own: they hold its name.
    Own,
    /// Nothing, or the engine did not answer.
    Nothing,
}

/// What speaks against running a stack.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing.
    Free,
    /// This directory runs it under another name.
    Renamed(StackName),
    /// These containers were made from this directory, which knows nothing of them any more.
    Lost(Vec<String>),
    /// Another instance made what carries the name.
    Other(Other),
}

/// What another instance made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Other {
    /// That instance.
    pub instance: InstanceId,
    /// Its directory, as its labels say.
    pub directory: PathBuf,
    /// Its containers.
    pub containers: Vec<String>,
    /// Its volumes.
    pub volumes: Vec<String>,
    /// Whether a third one has a part in the name, or this directory itself.
    pub is_shared: bool,
}

/// What an observation says about running `stack` as `instance`; `is_known`: whether this directory
/// remembers anything of it.
pub(super) fn claim(observed: &Observed, stack: &Stack, instance: &InstanceId, is_known: bool) -> Claim {
    let name = stack.name();
    if let Some(other) = other(observed, stack, instance) {
        return Claim::Other(other);
    }
    let identities = observed.containers.iter().filter_map(|container| container.identity.as_ref());
    let renamed = identities.filter(|identity| &identity.instance == instance).find(|identity| &identity.stack != name);
    if let Some(identity) = renamed {
        return Claim::Renamed(identity.stack.clone());
    }
    let ours = observed.containers.iter().filter(|container| container.owner(name, instance) == Owner::Ours);
    let ours: Vec<String> = ours.map(|container| container.name.clone()).collect();
    if is_known || ours.is_empty() { Claim::Free } else { Claim::Lost(ours) }
}

/// The first of the other instances that made a container of this name, or a volume that it needs.
fn other(observed: &Observed, stack: &Stack, own: &InstanceId) -> Option<Other> {
    let name = stack.name();
    let needed = needed_volumes(stack);
    let of_container = |container: &Container| {
        let identity = container.identity.as_ref().filter(|identity| &identity.stack == name)?;
        Some((identity.instance.clone(), identity.directory.clone()))
    };
    let of_volumes = observed.volumes.iter().filter(|volume| needed.contains(&volume.name)).filter_map(|volume| {
        let (_, instance) = volume.owner.as_ref().filter(|(stack, _)| stack == name)?;
        Some((instance.clone(), volume.directory.clone().unwrap_or_default()))
    });
    let makers: Vec<(InstanceId, String)> = observed.containers.iter().filter_map(of_container).chain(of_volumes).collect();
    let (instance, directory) = makers.iter().find(|(instance, _)| instance != own)?.clone();
    let is_its = |by: &InstanceId| by == &instance;
    let volumes =
        observed.volumes.iter().filter(|volume| volume.owner.as_ref().is_some_and(|(stack, by)| stack == name && is_its(by)));
    let containers = observed.containers.iter().filter(|container| of_container(container).is_some_and(|(by, _)| is_its(&by)));
    Some(Other {
        containers: containers.map(|container| container.name.clone()).collect(),
        volumes: volumes.map(|volume| volume.name.clone()).collect(),
        is_shared: makers.iter().any(|(by, _)| !is_its(by)),
        directory: directory.into(),
        instance,
    })
}

/// The engine's names of the volumes that a stack mounts, but for those that are nobody's.
fn needed_volumes(stack: &Stack) -> BTreeSet<String> {
    let mounts = stack.in_order().flat_map(|workload| &workload.container.mounts);
    let volumes = mounts.filter_map(|mount| match &mount.source {
        MountSource::Volume(volume) => Some(volume),
        MountSource::Bind(_) => None,
    });
    let ours = volumes.filter(|volume| !stack.volumes().get(*volume).is_some_and(|declared| declared.external));
    ours.map(|volume| stack.engine_volume(volume)).collect()
}

/// Refuses a stack that is not this directory's to run. An engine that does not answer is waited for
/// by the supervisor, which never touches what is not ours.
pub(super) async fn check(engine: &dyn Engine, place: &Place, stack: &Stack, is_known: bool) -> Result<Found, Failure> {
    let Ok(observed) = engine.observe(&scope(stack)).await else { return Ok(Found::Nothing) };
    let instance = place.instance()?;
    let claim = claim(&observed, stack, &instance, is_known);
    match claim {
        Claim::Free => Ok(found(&observed, stack.name(), &instance)),
        Claim::Renamed(old) => Err(renamed(&old, stack.name())),
        Claim::Lost(containers) => Err(lost(&containers, stack.name())),
        Claim::Other(other) => Err(held(&other, objection(&other, place).await.as_deref(), place, stack.name())),
    }
}

fn found(observed: &Observed, name: &StackName, instance: &InstanceId) -> Found {
    let container = observed.containers.iter().any(|container| container.owner(name, instance) == Owner::Ours);
    let is_own = |(stack, by): &(StackName, InstanceId)| stack == name && by == instance;
    let volume = observed.volumes.iter().any(|volume| volume.owner.as_ref().is_some_and(is_own));
    if container || volume { Found::Own } else { Found::Nothing }
}

fn scope(stack: &Stack) -> Scope {
    let volumes = needed_volumes(stack).into_iter().collect();
    Scope { volumes, ..Scope::of(stack.name()) }
}

/// Whether anything of an earlier `up` is remembered beside the file.
pub(super) fn is_known(disk: &dyn Disk, place: &Place) -> Result<bool, Failure> {
    let taken = || has_taken_over(&place.directory);
    let failed = |error| Failure::of(Exit::Failed, &format!("failed to look at {}", place.state.display()), &error);
    Ok(recall(disk, &place.state).is_some() || taken().map_err(failed)?)
}

/// Makes what carries the stack's name this directory's own, where nobody else has a claim on it.
/// Nothing on the engine is touched: the directory goes by the instance that the labels name.
pub(super) async fn take(context: &Context, place: &Place, stack: &Stack) -> Result<(), Failure> {
    let _lock = acquire(&place.state, context.clock.wall())?;
    let engine = context.engine().await?;
    let observed = engine.observe(&scope(stack)).await?;
    let own = place.instance()?;
    let (instance, what) = match claim(&observed, stack, &own, is_known(context.disk.as_ref(), place)?) {
        Claim::Free => {
            context.output.note("there is nothing to take over");
            return Ok(());
        }
        Claim::Renamed(old) => return Err(renamed(&old, stack.name())),
        Claim::Lost(containers) => (own, containers.join(", ")),
        Claim::Other(other) => match objection(&other, place).await {
            Some(why) => return Err(held(&other, Some(&why), place, stack.name())),
            None => (other.instance.clone(), other.things()),
        },
    };
    take_over(context.disk.as_ref(), &place.directory, instance)?;
    context.output.note(&format!("took over {what}"));
    Ok(())
}

impl Other {
    fn things(&self) -> String {
        let volumes = self.volumes.iter().map(|volume| format!("volume {volume}"));
        self.containers.iter().cloned().chain(volumes).collect::<Vec<_>>().join(", ")
    }
}

/// Why what another instance made may not be taken; `None`: its directory has lost it.
async fn objection(other: &Other, place: &Place) -> Option<String> {
    let directory = &other.directory;
    let shown = directory.display();
    if directory.as_os_str().is_empty() {
        return Some("its labels do not say from where".to_owned());
    }
    if other.is_shared {
        return Some("more than one directory has a part in that name".to_owned());
    }
    if !is_of_this_machine(&other.instance) {
        return Some("it was made on another machine, or in a container".to_owned());
    }
    if directory != &place.directory {
        if let Some(why) = still_there(directory, &other.instance) {
            return Some(why);
        }
        match is_held(&directory.join(".witwd")) {
            Ok(false) => {}
            Ok(true) => return Some(format!("a process holds {shown}")),
            Err(error) => return Some(format!("{shown} can't be looked at: {error}")),
        }
    }
    daemon_of(&other.instance).await
}

fn still_there(directory: &Path, instance: &InstanceId) -> Option<String> {
    match holds(directory, instance) {
        Ok(false) => None,
        Ok(true) => Some(format!("{} is still there", directory.display())),
        Err(error) => Some(format!("{} can't be looked at: {error}", directory.display())),
    }
}

/// A daemon outlives the directory that it was started in.
async fn daemon_of(instance: &InstanceId) -> Option<String> {
    let runtime = Runtime::open(&Surroundings::of_process()).ok()?;
    match Client::connect(&runtime.socket(instance)).await {
        Ok(client) => Some(format!("its daemon (process {}) runs", client.hello().pid)),
        Err(ConnectError::NoDaemon | ConnectError::Stale(_)) => None,
        Err(error) => Some(chain(&error)),
    }
}

fn renamed(old: &StackName, name: &StackName) -> Failure {
    let words =
        format!("the stack of this directory runs under the name {old}, and its data with it: {name} would begin with none");
    let hint = format!("put the old name back, or end that one first: `witwd --name {old} down`");
    Failure::new(Exit::Refused, words).hint(hint)
}

fn lost(containers: &[String], name: &StackName) -> Failure {
    let words = format!(
        "stack {name} runs already ({}), made from this directory, but what was known of it is gone: .witwd holds no earlier `up`",
        containers.join(", ")
    );
    let hint = "`witwd up --take-over` goes on with it: containers and data stay, passwords of databases are made anew";
    Failure::new(Exit::Held, words).hint(hint)
}

fn held(other: &Other, objection: Option<&str>, place: &Place, name: &StackName) -> Failure {
    let directory = other.directory.display();
    let whose = if other.directory == place.directory {
        format!("{directory} as it was before: it was made anew since, copied or restored")
    } else {
        directory.to_string()
    };
    let because = objection.map(|why| format!(" ({why})")).unwrap_or_default();
    let failure = Failure::new(Exit::Held, format!("a stack named {name} belongs to {whose}{because}: {}", other.things()));
    failure.hint(match objection {
        None => "that one is gone: `witwd up --take-over` takes over what it left; containers and data stay".to_owned(),
        Some(_) => "`witwd down` there frees the name; `witwd --name NAME up` takes another one here".to_owned(),
    })
}
