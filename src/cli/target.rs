//! Which running container a NAME on the command line means; where there is none, what is the
//! matter with it and how to go on.

use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::logs::whole_name;
use super::place::Place;
use super::words::{nearest, shown};
use crate::engine::Engine as _;
use crate::engine::docker::DockerEngine;
use crate::engine::request::Scope;
use crate::model::name::{InstanceId, StackName, WorkloadName};
use crate::model::observed::{Container, ContainerState, Observed, Owner};
use crate::model::stack::Stack;
use crate::model::workload::{Kind, KindName, Workload};
use crate::supervisor::JOBS_ARE_NOT_RUN;

/// The running container of this name.
pub(super) async fn running(context: &Context, place: &Place, engine: &DockerEngine, name: &str) -> Result<Container, Failure> {
    let (stack, instance) = context.identity(place).await?;
    let observed = engine.observe(&Scope::of(&stack)).await?;
    let declared = context.look(place).ok().map(|loaded| loaded.stack);
    Target { stack: &stack, instance: &instance, declared: declared.as_ref() }.find(&observed, name)
}

/// Where a name is looked for.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// The stack on the engine.
    pub stack: &'a StackName,
    /// Whose containers count.
    pub instance: &'a InstanceId,
    /// What the file names, where it can be read.
    pub declared: Option<&'a Stack>,
}

impl Target<'_> {
    /// The container that `NAME` or `NAME.2` means: of several replicas the first that runs.
    pub(super) fn find(self, observed: &Observed, name: &str) -> Result<Container, Failure> {
        let is_named = |container: &&Container| {
            // A one-off container, and one of a dump or a trial restore, has the name of what it is of.
            let one_off = [KindName::Run, KindName::Dump, KindName::Verify];
            let kept = container.identity.as_ref().filter(|identity| !one_off.contains(&identity.kind));
            kept.map(|identity| &identity.key)
                .is_some_and(|key| name == key.name.as_str() || name == format!("{}.{}", key.name, key.replica))
        };
        let replica = |container: &Container| container.identity.as_ref().map(|identity| identity.key.replica);
        let is_running = |container: &Container| matches!(container.state, ContainerState::Running { .. });
        let mut meant: Vec<&Container> = self.ours(observed).filter(is_named).collect();
        meant.sort_by_key(|container| (!is_running(container), !container.state.is_up(), replica(container)));
        match meant.first() {
            Some(container) if is_running(container) => Ok((*container).clone()),
            Some(container) => Err(self.not_running(name, container)),
            None => Err(self.not_there(observed, name)),
        }
    }

    fn ours(self, observed: &Observed) -> impl Iterator<Item = &Container> {
        observed.containers.iter().filter(move |container| container.owner(self.stack, self.instance) == Owner::Ours)
    }

    fn not_running(self, name: &str, container: &Container) -> Failure {
        let whole = whole_name(name);
        let (what, hint) = match &container.state {
            ContainerState::Paused { .. } => {
                ("paused by hand".to_owned(), format!("`docker unpause {}` lets it go on", container.name))
            }
            ContainerState::Created => ("never started".to_owned(), "`witwd ps` shows what it waits for".to_owned()),
            ContainerState::Exited { exit, .. } => {
                (exit.to_string(), format!("`witwd logs {whole}` shows what it wrote, `witwd up -d {whole}` starts it"))
            }
            other => (other.word().to_owned(), "`witwd ps` shows how it goes on".to_owned()),
        };
        Failure::new(Exit::NotRun, format!("{name} of stack {} does not run: {what}", self.stack)).hint(hint)
    }

    fn not_there(self, observed: &Observed, name: &str) -> Failure {
        let whole = whole_name(name);
        let declared = whole.parse::<WorkloadName>().ok().and_then(|whole| self.declared?.workload(&whole));
        match declared {
            Some(workload) => self.without_container(name, workload),
            None => self.unknown(observed, name),
        }
    }

    /// The file has it, the engine has not.
    fn without_container(self, name: &str, workload: &Workload) -> Failure {
        let whole = &workload.name;
        let stack = self.stack;
        let (message, hint) = match &workload.kind {
            Kind::Postgres(postgres) if postgres.is_external() => (
                format!("{whole} of stack {stack} is a server elsewhere (`url`): there is no container of it"),
                "use a program of this machine with that address".to_owned(),
            ),
            Kind::Job(_) => (
                format!("{whole} of stack {stack} is a job and has no container: {JOBS_ARE_NOT_RUN}"),
                "`witwd ps` shows what runs".to_owned(),
            ),
            _ if name != whole.as_str() && workload.replicas() > 0 && !has(name, workload) => (
                format!("stack {stack} has no {name}: {whole} has {}", replicas(workload.replicas())),
                format!("`{whole}` means the first that runs; replicas count from 1"),
            ),
            _ => (format!("{name} of stack {stack} has no container"), format!("`witwd up -d {whole}` makes and starts it")),
        };
        Failure::new(Exit::NotRun, message).hint(hint)
    }

    fn unknown(self, observed: &Observed, name: &str) -> Failure {
        let declared = self.declared.into_iter().flat_map(Stack::in_order).map(|workload| workload.name.as_str());
        let mut names: Vec<&str> = declared.chain(self.ours(observed).filter_map(|one| Some(one.workload()?.as_str()))).collect();
        names.sort_unstable();
        names.dedup();
        let hint = match nearest(whole_name(name), names.iter().copied()) {
            Some(other) => format!("did you mean {other}?"),
            None if names.is_empty() => "it has nothing to run yet".to_owned(),
            None => format!("it has {}", names.join(", ")),
        };
        Failure::new(Exit::NotRun, format!("stack {} has no {}", self.stack, shown(name))).hint(hint)
    }
}

fn replicas(count: u32) -> String {
    if count == 1 { "one replica".to_owned() } else { format!("{count} replicas") }
}

/// Whether the file asks for this replica.
fn has(name: &str, workload: &Workload) -> bool {
    let number = name.rsplit_once('.').and_then(|(_, number)| number.parse::<u32>().ok());
    number.is_some_and(|number| (1..=workload.replicas()).contains(&number))
}
