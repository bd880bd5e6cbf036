//! What a one-off container needs of the stack: brought up before it, and what was started for it is
//! stopped again. A daemon that runs is asked; where none does, one is started in the background.

use std::collections::BTreeSet;
use std::time::Duration;

use super::background;
use super::by_hand::{did_not_look, ended};
use super::context::Context;
use super::daemon::up_request;
use super::down::until_ended;
use super::exit_code::{Exit, Failure};
use super::follow::{Follower, Waited};
use super::place::Place;
use super::progress::Progress;
use super::up::not_ready;
use crate::control::protocol::{Down, Request, Up};
use crate::control::{Client, Lines, Outcome};
use crate::engine::Engine;
use crate::engine::docker::DockerEngine;
use crate::engine::request::Scope;
use crate::model::name::WorkloadName;
use crate::model::observed::{Container, Owner};
use crate::model::stack::Stack;
use crate::model::status::{ItemStatus, State};
use crate::model::wish::{Chosen, Wish, is_about};
use crate::model::workload::{Kind, KindName, Workload};

/// How long what is needed may take to be ready.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a workload needs, and what was started of it.
pub(super) struct Needs {
    stack: Stack,
    who: WorkloadName,
    names: BTreeSet<WorkloadName>,
    started: Started,
}

/// What is to be stopped again.
enum Started {
    /// Nothing.
    Nothing,
    /// These, by a daemon that runs anyway.
    These(Client, BTreeSet<Chosen>),
    /// A daemon, and with it the stack as far as it was needed.
    Daemon(Client),
}

impl Needs {
    /// What `workload` depends on, directly or not.
    pub(super) fn of(stack: &Stack, workload: &Workload) -> Self {
        let mut names = stack.with_dependencies(&BTreeSet::from([workload.name.clone()]));
        names.remove(&workload.name);
        Self { stack: stack.clone(), who: workload.name.clone(), names, started: Started::Nothing }
    }

    /// Has all of them ready.
    pub(super) async fn bring_up(&mut self, context: &Context, place: &Place, engine: &DockerEngine) -> Result<(), Failure> {
        self.refuse_jobs()?;
        if self.names.is_empty() {
            return Ok(());
        }
        match context.daemon(place).await? {
            Some(client) => self.ask(context, client).await,
            None => self.start_daemon(context, place, engine).await,
        }
    }

    fn refuse_jobs(&self) -> Result<(), Failure> {
        let is_job = |name: &&WorkloadName| self.stack.workload(name).is_some_and(|other| matches!(other.kind, Kind::Job(_)));
        match self.names.iter().find(is_job) {
            None => Ok(()),
            Some(job) => {
                let words = format!("{} needs {job}: {}", self.who, crate::supervisor::JOBS_ARE_NOT_RUN);
                Err(Failure::new(Exit::NotRun, words).hint(format!("`witwd run --no-deps {}` runs it without", self.who)))
            }
        }
    }

    /// Asks a daemon for what is not ready; its file and what else it keeps stay as they are.
    async fn ask(&mut self, context: &Context, client: Client) -> Result<(), Failure> {
        let status = client.status().await?;
        let unknown = self.names.iter().find(|name| !status.items.iter().any(|item| item.name == name.as_str()));
        if let Some(name) = unknown {
            let failure = Failure::new(Exit::NotRun, format!("{} needs {name}, which the daemon does not keep yet", self.who));
            return Err(failure.hint("`witwd up -d` applies stack.toml"));
        }
        let items: Vec<&ItemStatus> = status.items.iter().filter(|item| self.is_needed(item)).collect();
        let lacking: BTreeSet<Chosen> = items.iter().filter(|item| is_lacking(item)).filter_map(|item| replica(item)).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let lines = client.lines(&Request::Hand(Wish::Start { of: lacking.clone() })).await?;
        self.started = Started::These(client, resting(&items));
        wait(context, Follower::about(lines, lacking.clone()), &lacking).await
    }

    fn is_needed(&self, item: &ItemStatus) -> bool {
        self.names.iter().any(|name| name.as_str() == item.name)
    }

    async fn start_daemon(&mut self, context: &Context, place: &Place, engine: &DockerEngine) -> Result<(), Failure> {
        let (asked, _) = up_request(context, place)?;
        let was_up = self.is_up(place, engine).await?;
        let (client, is_new) = background::daemon(context, place).await?;
        if is_new && !was_up {
            self.started = Started::Daemon(client.clone());
        }
        let only = self.names.iter().map(ToString::to_string).collect();
        let lines: Lines = client.lines(&Request::Up(Box::new(Up { only, ..asked }))).await?;
        wait(context, Follower::new(lines), &self.names.iter().map(Chosen::all).collect()).await
    }

    /// Whether anything of the stack is up on the engine: then it is not ours to take down.
    async fn is_up(&self, place: &Place, engine: &DockerEngine) -> Result<bool, Failure> {
        let (name, instance) = (self.stack.name(), place.instance()?);
        let observed = engine.observe(&Scope::of(name)).await?;
        let ours = |container: &&Container| container.owner(name, &instance) == Owner::Ours;
        Ok(observed.containers.iter().filter(ours).any(|container| container.state.is_up()))
    }

    /// Stops what was started, unless somebody else came to rely on it meanwhile.
    pub(super) async fn let_go(self, context: &Context, place: &Place, engine: &DockerEngine) {
        let outcome = match &self.started {
            Started::Nothing => return,
            _ if self.is_shared(place, engine).await => {
                context.output.note("what was started stays: another one-off container runs");
                return;
            }
            Started::These(_, resting) if resting.is_empty() => return,
            Started::These(client, resting) => stop(context, client, resting).await,
            Started::Daemon(client) => self.take_down(context, client).await,
        };
        if let Err(failure) = outcome {
            context.output.error(&format!("what was started could not be stopped again: {}", failure.message));
        }
    }

    async fn is_shared(&self, place: &Place, engine: &DockerEngine) -> bool {
        let Ok(instance) = place.instance() else { return false };
        let observed = engine.observe(&Scope::of(self.stack.name())).await.unwrap_or_default();
        let is_run = |container: &&Container| {
            let kind = container.identity.as_ref().map(|identity| identity.kind);
            kind == Some(KindName::Run) && container.owner(self.stack.name(), &instance) == Owner::Ours
        };
        observed.containers.iter().filter(is_run).any(|container| container.state.is_up())
    }

    async fn take_down(&self, context: &Context, client: &Client) -> Result<(), Failure> {
        let status = client.status().await?;
        if status.items.iter().any(|item| item.meant && !self.is_needed(item)) {
            context.output.note("what was started stays: somebody asked for more of the stack");
            return Ok(());
        }
        let mut follower = Follower::new(client.lines(&Request::Down(Down::default())).await?);
        let mut progress = Progress::plain(context.output.silent());
        if !until_ended(&mut follower, &mut progress, context.clock.as_ref(), PATIENCE).await? {
            return Err(Failure::new(Exit::TimedOut, "it is not down yet; the daemon goes on with it"));
        }
        if follower.is_down { Ok(()) } else { Err(Failure::new(Exit::Failed, "the daemon ended before all was removed")) }
    }
}

fn replica(item: &ItemStatus) -> Option<Chosen> {
    Some(Chosen { name: item.name.parse().ok()?, replica: Some(item.replica) })
}

/// Whether this replica is to be brought up. One above the wanted number is only on its way out.
fn is_lacking(item: &ItemStatus) -> bool {
    let is_surplus = item.state == State::Stopping && item.replica > 1 && item.stopped_as.is_none();
    !item.ready && !is_surplus
}

/// What is to be stopped again, in the words that it was stopped with: what nobody wants to run, and
/// not what is only on its way.
pub(super) fn resting(items: &[&ItemStatus]) -> BTreeSet<Chosen> {
    let rests = |item: &ItemStatus| matches!(item.state, State::Pending | State::Stopped | State::Blocked);
    let is_whole = |name: &str| items.iter().filter(|item| item.name == name).all(|item| !item.ready);
    let unasked = |item: &ItemStatus| {
        let one = replica(item).filter(|_| !item.meant && rests(item))?;
        Some(if is_whole(&item.name) { Chosen::all(&one.name) } else { one })
    };
    let lacking = items.iter().filter(|item| is_lacking(item));
    lacking.filter_map(|item| item.stopped_as.clone().or_else(|| unasked(item))).collect()
}

async fn stop(context: &Context, client: &Client, of: &BTreeSet<Chosen>) -> Result<(), Failure> {
    let lines = client.lines(&Request::Hand(Wish::Stop { of: of.clone() })).await?;
    wait(context, Follower::about(lines, of.clone()), of).await
}

/// Waits until these are as they were asked for.
async fn wait(context: &Context, follower: Follower, about: &BTreeSet<Chosen>) -> Result<(), Failure> {
    // Standard output is the command's own, also for programs.
    let mut progress = Progress::plain(context.output.silent());
    let waited = follower.until_settled(&mut progress, context.clock.as_ref(), PATIENCE).await;
    progress.finish();
    let mut status = match waited? {
        Waited::Settled(Outcome::Ready, _) => return Ok(()),
        Waited::Settled(_, status) | Waited::TimedOut(Some(status)) => status,
        Waited::TimedOut(None) => return Err(did_not_look(Exit::NotRun)),
        Waited::Ended => return Err(ended(Exit::NotRun)),
    };
    status.items.retain(|item| is_about(about, &item.name, item.replica));
    let aside = Context { output: context.output.silent(), ..context.clone() };
    let failure = not_ready(&aside, &status, Exit::NotRun).await;
    Err(failure.hint("what was started for it is stopped again; `witwd up -d` keeps it for a look"))
}
