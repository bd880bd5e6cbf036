//! `up`: make the stack run as its file says. In the foreground this process is the daemon, unless
//! one runs already; `-d` leaves one in the background.

use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::background::{self, Own};
use super::boot::unit_of;
use super::by_hand::did_not_look;
use super::context::Context;
use super::daemon::{Daemon, Signals, up_request};
use super::exit_code::{Exit, Failure};
use super::follow::{Follower, Waited};
use super::handover::{Keeper, keeper};
use super::logs;
use super::output::Output;
use super::paint::printable;
use super::place::Place;
use super::ports::{addresses, to_open};
use super::progress::Progress;
use super::ps::state_text;
use super::{Done, claim, loader};
use crate::control::protocol::{Down, Request, Up};
use crate::control::{Client, Outcome, has_failed_or_ended, unready};
use crate::model::name::ContainerId;
use crate::model::status::{ItemStatus, State, Status};

/// Lines of log that are shown of each that failed.
const LOG_TAIL: u32 = 20;

/// A look that takes longer is one at an engine that may not answer at all.
const LOOK: Duration = Duration::from_secs(3);

/// Flags of `up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  witwd up                    run the stack and show its logs; Ctrl-C stops it\n  \
                        witwd up -d --timeout 2m    return when all is ready\n  \
                        witwd up -d web             web and what it needs; the rest stays as it is")]
pub struct UpArgs {
    /// Leave it running in the background; return when all is ready
    #[arg(short, long)]
    detach: bool,
    /// How long -d waits
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration, value_name = "TIME")]
    timeout: Duration,
    /// Go on with what another directory made under this name, where that one is gone or lost it
    #[arg(long)]
    take_over: bool,
    #[command(flatten)]
    wants: Wants,
}

impl UpArgs {
    /// Whether the daemon is another process.
    pub(super) fn is_detached(&self) -> bool {
        self.detach
    }
}

/// What is asked of an `up`, and by `plan` of one that is not made.
#[derive(Debug, Args)]
pub struct Wants {
    /// Build images again
    #[arg(long)]
    build: bool,
    /// Pull images again, and leave fallbacks
    #[arg(long)]
    pull: bool,
    /// Let this postgres, volume or stack begin empty although data of an older name lies unused
    #[arg(long, value_name = "NAME")]
    fresh: Vec<String>,
    /// Only these and what they need
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(super) async fn run(context: &Context, args: UpArgs) -> Done {
    let place = context.place()?;
    let request = request(context, &place, &args.wants)?;
    if args.take_over {
        take_over(context, &place).await?;
    }
    if args.detach { detached(context, &place, request, args.timeout).await } else { foreground(context, &place, request).await }
}

/// Takes over what is there, unless a daemon keeps it here already: then nothing was lost.
async fn take_over(context: &Context, place: &Place) -> Result<(), Failure> {
    match context.daemon(place).await? {
        Some(_) => Ok(()),
        None => claim::take(context, place, &context.look(place)?.stack).await,
    }
}

/// Reads the file first: what is wrong with it is said before anything is started.
pub(super) fn request(context: &Context, place: &Place, args: &Wants) -> Result<Up, Failure> {
    let (up, loaded) = up_request(context, place)?;
    loader::workloads(&loaded.stack, &args.names)?;
    loader::fresh(&loaded.stack, &args.fresh)?;
    for part in &loaded.not_carried_out {
        context.output.note(&format!("note: {part}"));
    }
    Ok(Up { only: args.names.clone(), build: args.build, pull: args.pull, fresh: args.fresh.clone(), ..up })
}

async fn detached(context: &Context, place: &Place, up: Up, limit: Duration) -> Done {
    let request = Request::Up(Box::new(up));
    let (client, is_new, lines) = background::ask(&request, async || background::daemon(context, place).await).await?;
    let lines = match lines {
        Ok(lines) => lines,
        Err(refused) => {
            if is_new {
                // It was started for this request alone; one that ended already is fine.
                let _ = client.end().await;
            }
            return Err(refused.into());
        }
    };
    let mut progress = Progress::new(context.output);
    let mut follower = Follower::new(lines);
    is_looked_at(context, &mut follower, &mut progress).await?;
    let waited = follower.until_settled(&mut progress, context.clock.as_ref(), limit).await;
    progress.finish();
    match waited? {
        Waited::Settled(Outcome::Ready, status) => {
            ready(context, &status, Some(&lasting(place)))?;
            Ok(Exit::Done)
        }
        Waited::Settled(_, status) => Err(not_ready(context, &status, Exit::Failed).await),
        Waited::TimedOut(Some(status)) => Err(not_ready(context, &status, Exit::TimedOut).await),
        Waited::TimedOut(None) => Err(did_not_look(Exit::TimedOut)),
        Waited::Ended => {
            Err(Failure::new(Exit::Failed, "the daemon ended before all was ready").hint("`witwd logs witwd` shows why"))
        }
    }
}

/// Waits until the daemon has looked at the engine, or is not the one who can say why it can't: an engine that
/// hangs was there when it was looked at last.
async fn is_looked_at(context: &Context, follower: &mut Follower, progress: &mut Progress) -> Result<(), Failure> {
    let mut over = std::pin::pin!(context.clock.sleep(LOOK));
    while follower.last.is_none() {
        let goes_on = tokio::select! {
            biased;
            goes_on = follower.next(progress) => goes_on?,
            () = &mut over => return context.engine().await.map(drop),
        };
        if !goes_on {
            break;
        }
    }
    Ok(())
}

/// How long a stack in the background runs on.
pub(super) enum Lasting {
    /// Until the machine is switched off.
    UntilReboot,
    /// Beyond that: this unit starts it.
    Boots(String),
}

fn lasting(place: &Place) -> Lasting {
    let unit = unit_of(place).filter(|unit| unit.is_enabled);
    unit.map_or(Lasting::UntilReboot, |unit| Lasting::Boots(unit.name))
}

/// What is said of a stack that is ready.
fn ready(context: &Context, status: &Status, lasting: Option<&Lasting>) -> Result<(), Failure> {
    if context.output.json {
        return context.output.document(status);
    }
    context.output.note(&ready_text(status, lasting, Output::note_width()));
    Ok(())
}

/// Where to find what is published, and how long it lasts, on a terminal of this width.
pub(super) fn ready_text(status: &Status, lasting: Option<&Lasting>, width: usize) -> String {
    let mut lines = vec![format!("stack {} is ready", status.stack)];
    lines.extend(addresses(status, width));
    if let Some(address) = to_open(status, None) {
        lines.push(format!("open {address}"));
    }
    lines.extend(lasting.map(|lasting| match lasting {
        Lasting::UntilReboot => "a reboot stops the stack: `witwd enable` has it started at boot".to_owned(),
        Lasting::Boots(unit) => format!("{unit} starts it again at boot"),
    }));
    lines.join("\n")
}

/// Says once why what is not ready is not, with the last lines of its log; the rest keeps running.
pub(super) async fn not_ready(context: &Context, status: &Status, exit: Exit) -> Failure {
    let items = unready(status);
    let failed: Vec<&ItemStatus> = items.iter().copied().filter(|item| has_failed_or_ended(item)).collect();
    let exit = match failed.as_slice() {
        [] => exit,
        failed if failed.iter().any(|item| item.protects_data) => Exit::Refused,
        _ => Exit::Failed,
    };
    if context.output.json {
        // The reader is gone where this fails, and the failure below says the same.
        let _ = context.output.document(status);
    } else {
        // What waits for a hand did nothing wrong that its log could tell.
        for item in failed.iter().filter(|item| !item.waits_for_hand) {
            show_tail(context, item).await;
        }
    }
    Failure::new(exit, not_ready_text(status, &told(items, failed)))
        .hint("the rest keeps running; `witwd ps` shows it, `witwd down` stops it")
}

/// Of whom it is told: those that failed, else those that are not ready themselves. A block only
/// repeats the cause of another.
pub(super) fn told<'a>(items: Vec<&'a ItemStatus>, failed: Vec<&'a ItemStatus>) -> Vec<&'a ItemStatus> {
    let own: Vec<&ItemStatus> = items.iter().copied().filter(|item| item.state != State::Blocked).collect();
    [failed, own, items].into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}

/// Who is not ready, and why.
pub(super) fn not_ready_text(status: &Status, items: &[&ItemStatus]) -> String {
    let of_item = |item: &&ItemStatus| {
        let ended = || item.last_exit.as_ref().map(|exit| format!("ended with code {} and was started again", exit.code));
        let cause = if item.cause.is_empty() { ended() } else { Some(printable(&item.cause)) };
        format!("{} {}{}", item.name, state_text(item), cause.map(|cause| format!(": {cause}")).unwrap_or_default())
    };
    let items: Vec<String> = items.iter().map(of_item).collect();
    if items.is_empty() {
        // All that is to run is ready, and something else is not as the file says.
        let waiting = status.items.iter().filter(|item| !item.cause.is_empty()).map(|item| of_item(&item));
        let others = status.others.iter().map(|other| printable(&format!("{}: {}", other.target, other.cause)));
        let waiting: Vec<String> = waiting.chain(others).collect();
        return format!("stack {} runs, but not as stack.toml says: {}", status.stack, waiting.join("; "));
    }
    format!("stack {} is not ready: {}", status.stack, items.join("; "))
}

async fn show_tail(context: &Context, item: &ItemStatus) {
    let Some(container) = &item.container else { return };
    match logs::tail(context, container, LOG_TAIL).await {
        Ok(lines) if lines.is_empty() => {}
        Ok(lines) => {
            let lines: Vec<String> = lines.iter().map(|line| format!("  {}", printable(line))).collect();
            context.output.error(&format!("the last lines of {}:\n{}\n", item.name, lines.join("\n")));
        }
        Err(failure) => context.output.error(&format!("the log of {} can't be read: {}", item.name, failure.message)),
    }
}

async fn foreground(context: &Context, place: &Place, up: Up) -> Done {
    // From the first moment: what is pressed while the daemon begins is meant for the stack too.
    let interrupts =
        signal(SignalKind::interrupt()).map_err(|error| Failure::of(Exit::Failed, "failed to listen for Ctrl-C", &error))?;
    let request = Request::Up(Box::new(up));
    let (client, own, lines) = background::ask(&request, async || daemon_here(context, place).await).await?;
    let lines = lines?;
    if own.is_none() {
        context.output.note(&format!("joined the daemon (process {}); Ctrl-C only leaves it", client.hello().pid));
    }
    let logs = (!context.output.json).then(|| tokio::spawn(logs::follow_from_now(context.clone(), place.clone())));
    let done = attend(context, (&client, own.is_some()), Follower::new(lines), interrupts).await;
    if let Some(logs) = logs {
        logs.abort();
    }
    match own {
        Some(own) if done.is_ok() => own.await.map_err(|error| Failure::of(Exit::Failed, "the daemon broke", &error)),
        _ => done,
    }
}

/// The daemon that runs, or this process as one. Who loses the race for the lock joins the winner.
async fn daemon_here(context: &Context, place: &Place) -> Result<(Client, Option<Own>), Failure> {
    loop {
        context.engine().await?;
        let keeper = keeper(context, place).await?;
        if unit_of(place).is_some_and(|unit| unit.is_enabled) {
            // It would be back at once beside this process: what runs at boot is joined.
            return Ok((background::daemon(context, place).await?.0, None));
        }
        let started = match keeper {
            Keeper::Same(client) => return Ok((client, None)),
            Keeper::Other(former) => former.hand_over_here(context, place).await,
            Keeper::Nobody => Daemon::start_here(context, place, Signals::Terminate),
        };
        if let Some(found) = background::own_or_holder(context, place, started).await? {
            return Ok(found);
        }
    }
}

/// Shows what happens until the daemon ends. Ctrl-C leaves a daemon that was joined; of an own one
/// it stops the stack, and the second one kills it.
async fn attend(context: &Context, (client, own): (&Client, bool), mut follower: Follower, mut pressed: Signal) -> Done {
    let mut progress = Progress::plain(context.output);
    let mut announced = false;
    let mut interrupts = 0;
    loop {
        let goes_on = tokio::select! {
            biased;
            _ = pressed.recv() => {
                interrupts += 1;
                if !own {
                    context.output.note("left the daemon; the stack goes on. `witwd down` stops it");
                    return Ok(Exit::Done);
                }
                interrupted(context, client, &mut follower, interrupts).await?;
                true
            }
            goes_on = follower.next(&mut progress) => goes_on?,
        };
        if !goes_on {
            return Ok(Exit::Done);
        }
        if interrupts == 0 && !announced && follower.outcome() == Outcome::Ready {
            announced = true;
            follower.last.as_ref().map_or(Ok(()), |status| ready(context, status, None))?;
        }
    }
}

async fn interrupted(context: &Context, client: &Client, follower: &mut Follower, count: u32) -> Result<(), Failure> {
    if count == 1 {
        context.output.note("stopping the stack; Ctrl-C again kills it");
        *follower = Follower::new(client.lines(&Request::Down(Down::default())).await?);
        return Ok(());
    }
    context.output.note("killing");
    // A daemon that ended by now has done what it was to do.
    let Ok(status) = client.status().await else { return Ok(()) };
    let engine = context.engine().await?;
    let containers = status.items.iter().filter_map(|item| item.container.clone());
    let kill = |id: String| {
        let engine = engine.clone();
        async move { engine.stop(&ContainerId(id), Duration::ZERO).await }
    };
    for outcome in futures_util::future::join_all(containers.map(kill)).await {
        // The stack goes on being stopped: one that is not killed ends in its own time.
        if let Err(error) = outcome {
            context.output.error(&error.to_string());
        }
    }
    Ok(())
}
