//! `down`: stop and remove the stack. With no daemon the supervisor runs in this process.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;

use super::Done;
use super::background::{self, Own};
use super::confirm::agree;
use super::context::Context;
use super::daemon::{Daemon, Signals};
use super::exit_code::{Exit, Failure};
use super::file;
use super::follow::Follower;
use super::last_set;
use super::paint::printable;
use super::place::Place;
use super::progress::Progress;
use super::ps::item_name;
use crate::control::Client;
use crate::control::protocol::{Down, Request};
use crate::engine::request::Scope;
use crate::host::Clock;
use crate::model::name::{InstanceId, StackName};
use crate::model::observed::{Observed, Owner, VolumeSeen};
use crate::model::stack::Stack;
use crate::model::status::Status;

/// Flags of `down`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd down && witwd up -d    everything anew; the data stays")]
pub struct DownArgs {
    /// Remove the stack's volumes too: its data is lost
    #[arg(long)]
    volumes: bool,
    /// With `--volumes`: take no set of the databases before
    #[arg(long)]
    without_last_set: bool,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// How long to wait until all is gone; what is left is said then
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

pub(super) async fn run(context: &Context, args: DownArgs) -> Done {
    let place = context.place()?;
    let running = context.daemon(&place).await?;
    if let (None, Err(invalid)) = (&running, file::load(&context.request_to_look(&place)?)) {
        context.output.note(&file::unusable(&file::status(&place, Some(&invalid))));
    }
    let (stack, instance) = context.identity(&place).await?;
    let engine = context.engine().await?;
    let scope = Scope { instance: Some(instance.clone()), ..Scope::of(&stack) };
    let observed = engine.observe(&scope).await?;
    let data = Data::of(context, &place, &stack)?;
    let lost = if args.volumes { volumes(&observed, (&stack, &instance), &data) } else { BTreeSet::new() };
    confirm_loss(context, &args, &lost)?;
    if !args.without_last_set {
        last_set::refuse_unknown(data.loaded.as_ref(), &lost, &observed.volumes)?;
        let cared = data.loaded.as_ref().map_or_else(Vec::new, |loaded| last_set::of(loaded, &lost));
        last_set::take(context, running.as_ref(), cared).await?;
    }
    if running.is_none() && lost.is_empty() && is_gone(&observed, &stack, &instance) {
        context.output.note(&format!("nothing of stack {stack} is there"));
        return Ok(Exit::Done);
    }
    let (request, mut running) = (Request::Down(Down { volumes: lost }), running);
    let (_, own, lines) = background::ask(&request, async || daemon_for(context, &place, running.take()).await).await?;
    let mut follower = Follower::new(lines?);
    let mut progress = Progress::new(context.output);
    let in_time = until_ended(&mut follower, &mut progress, context.clock.as_ref(), args.timeout).await?;
    progress.finish();
    if !in_time {
        return Err(not_down(follower.last.as_deref(), &stack, own.is_none()));
    }
    if let Some(own) = own {
        own.await.map_err(|error| Failure::of(Exit::Failed, "the daemon broke", &error))?;
    }
    over(context, &follower, &stack)
}

/// Follows until the daemon ends; whether it did before `limit` was over.
pub(super) async fn until_ended(
    follower: &mut Follower,
    progress: &mut Progress,
    clock: &dyn Clock,
    limit: Duration,
) -> Result<bool, Failure> {
    let mut over = std::pin::pin!(clock.sleep(limit));
    loop {
        tokio::select! {
            biased;
            goes_on = follower.next(progress) => if !goes_on? { return Ok(true) },
            () = &mut over => return Ok(false),
        }
    }
}

/// What is left, and why.
fn not_down(last: Option<&Status>, stack: &StackName, goes_on: bool) -> Failure {
    let items = last.into_iter().flat_map(|status| &status.items).filter(|item| item.container.is_some());
    let items = items.map(|item| (item_name(item), item.cause.clone()));
    let others = last.into_iter().flat_map(|status| &status.others).map(|other| (other.target.clone(), other.cause.clone()));
    let words = |(name, cause): (String, String)| if cause.is_empty() { name } else { format!("{name}: {}", printable(&cause)) };
    let left: Vec<String> = items.chain(others).map(words).collect();
    let why = if left.is_empty() { "the engine does not say what is left".to_owned() } else { left.join("; ") };
    Failure::new(Exit::TimedOut, format!("stack {stack} is not down yet: {why}")).hint(if goes_on {
        "the daemon goes on with it; `witwd down` again waits for that"
    } else {
        "that it is to be down is remembered; `witwd down` again goes on where it stands"
    })
}

/// The daemon's last words say whether it was done: it may also have died of something else.
fn over(context: &Context, follower: &Follower, stack: &StackName) -> Done {
    if follower.is_down {
        context.output.note(&format!("stack {stack} is down"));
        return Ok(Exit::Done);
    }
    let failure = Failure::new(Exit::Failed, "the daemon ended before all was removed");
    Err(failure.hint("`witwd down` again goes on where it ended"))
}

/// The daemon that runs, else this process as one.
async fn daemon_for(context: &Context, place: &Place, running: Option<Client>) -> Result<(Client, Option<Own>), Failure> {
    if let Some(client) = running {
        return Ok((client, None));
    }
    loop {
        let started = Daemon::start_here(context, place, Signals::Both);
        if let Some(found) = background::own_or_holder(context, place, started).await? {
            return Ok(found);
        }
    }
}

/// Volumes that go with the stack: those made under the name of its data, and those that its containers
/// have, whatever the name was when they were made. What is declared external never goes.
fn volumes(observed: &Observed, (stack, instance): (&StackName, &InstanceId), data: &Data) -> BTreeSet<String> {
    let containers = observed.containers.iter().filter(|container| container.owner(stack, instance) == Owner::Ours);
    let mounted: BTreeSet<&String> = containers.flat_map(|container| &container.volumes).collect();
    let goes = |volume: &&VolumeSeen| {
        let Some((name, by)) = &volume.owner else { return false };
        by == instance && (*name == data.name || mounted.contains(&volume.name)) && !data.external.contains(&volume.name)
    };
    observed.volumes.iter().filter(goes).map(|volume| volume.name.clone()).collect()
}

/// What the data of a stack is called, as it was accepted last, for that is what a daemon runs.
struct Data {
    /// The name that its volumes carry.
    name: StackName,
    /// Volumes on the engine that are somebody else's, whoever made them.
    external: BTreeSet<String>,
    /// The stack, where it can be read.
    loaded: Option<Stack>,
}

impl Data {
    fn of(context: &Context, place: &Place, stack: &StackName) -> Result<Self, Failure> {
        let now = context.request_to_look(place)?;
        let reading = match context.kept(place) {
            Some(kept) => file::resume(now, &kept).ok(),
            None => file::read(now, None).ok(),
        };
        let loaded = reading.map(|reading| reading.loaded.stack).filter(|loaded| loaded.name() == stack);
        Ok(loaded.map_or_else(
            || Self { name: stack.clone(), external: BTreeSet::new(), loaded: None },
            |loaded| Self {
                name: loaded.data_name().clone(),
                external: loaded.external_volumes().collect(),
                loaded: Some(loaded),
            },
        ))
    }
}

fn is_gone(observed: &Observed, stack: &StackName, instance: &InstanceId) -> bool {
    let containers = observed.containers.iter().any(|container| container.owner(stack, instance) == Owner::Ours);
    let network =
        |owner: &Option<(StackName, InstanceId)>| owner.as_ref().is_some_and(|(name, by)| name == stack && by == instance);
    let networks = observed.networks.iter().any(|seen| network(&seen.owner));
    !(containers || networks)
}

/// Names what will be lost and asks, unless `--yes` said so already.
fn confirm_loss(context: &Context, args: &DownArgs, volumes: &BTreeSet<String>) -> Result<(), Failure> {
    if volumes.is_empty() {
        return Ok(());
    }
    let loss = format!("the data in {} will be lost", volumes.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
    context.output.error(&loss);
    let unasked = Failure::new(Exit::Refused, loss).hint("`witwd down --volumes --yes` says yes without a terminal");
    agree(context, args.yes, unasked, Failure::new(Exit::Refused, "nothing was removed"))
}
