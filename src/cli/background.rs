//! Gets a daemon into the background: a guardian that starts it, and the wait for its socket.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::boot::unit_of;
use super::context::Context;
use super::daemon::Daemon;
use super::exit_code::{Exit, Failure};
use super::handover::{Keeper, hand_to_unit, keeper};
use super::place::Place;
use crate::control::protocol::Request;
use crate::control::{Client, ClientError, Lines};
use crate::host::lock::{LockError, holder, is_held};
use crate::host::process;
use crate::model::status::EngineStatus;

/// How long a daemon may take to open its socket.
const TO_OPEN: Duration = Duration::from_secs(20);
/// How long the winner of a race for the lock may take to answer.
const TO_JOIN: Duration = Duration::from_secs(10);
const BETWEEN: Duration = Duration::from_millis(5);
/// How many daemons may end in a row just when they are asked.
const ASKED: usize = 3;
/// The verb of a guardian.
pub(super) const GUARDIAN: &str = "__guardian";
/// For a daemon whose first start waits for an `up`.
pub(super) const FIRST: &str = "--first=--wait";

/// The daemon of the stack: the one that runs, or one that is started now for the `up` that follows,
/// and whether it was. One of another version makes room for one of ours.
pub(super) async fn daemon(context: &Context, place: &Place) -> Result<(Client, bool), Failure> {
    let keeper = keeper_with_engine(context, place).await?;
    if let Some(unit) = unit_of(place).filter(|unit| unit.is_enabled)
        && !matches!(keeper, Keeper::Same(_))
    {
        return Ok((hand_to_unit(context, place, &unit, false).await?, false));
    }
    match keeper {
        Keeper::Same(client) => Ok((client, false)),
        Keeper::Other(former) => Ok((former.hand_over(context, place).await?, false)),
        Keeper::Nobody => Ok((start(context, place, &[FIRST]).await?, true)),
    }
}

/// Who keeps the stack. Without an engine nothing can be done, and this process can say why; a daemon that
/// has it is believed.
async fn keeper_with_engine(context: &Context, place: &Place) -> Result<Keeper, Failure> {
    let keeper = keeper(context, place).await?;
    let has_engine = matches!(&keeper, Keeper::Same(client) if client.hello().engine == Some(EngineStatus::Up));
    if !has_engine {
        context.engine().await?;
    }
    Ok(keeper)
}

/// Asks the daemon that `find` finds. One that ended between its greeting and the request, for a `down`
/// was just done, has taken nothing on: the next one is asked.
pub(super) async fn ask<T>(
    request: &Request,
    mut find: impl AsyncFnMut() -> Result<(Client, T), Failure>,
) -> Result<(Client, T, Result<Lines, ClientError>), Failure> {
    let mut asked = 0;
    loop {
        let (client, found) = find().await?;
        let lines = client.lines(request).await;
        asked += 1;
        let has_answered = matches!(lines, Ok(_) | Err(ClientError::Fault(_)));
        if has_answered || asked == ASKED || !client.is_gone().await {
            return Ok((client, found, lines));
        }
    }
}

/// Starts a guardian and its daemon, which goes on by itself unless `first` says otherwise.
pub(super) async fn start(context: &Context, place: &Place, first: &[&str]) -> Result<Client, Failure> {
    loop {
        if let Some(client) = started(context, place, first).await? {
            return Ok(client);
        }
    }
}

/// The daemon, or another one that won the race; `None` where that one let go of the stack.
async fn started(context: &Context, place: &Place, first: &[&str]) -> Result<Option<Client>, Failure> {
    let log_before = log_length(place);
    let mut guardian = start_guardian(context, place, first)?;
    let begun = context.clock.moment();
    while context.clock.moment().since(begun) < TO_OPEN {
        if let Some(client) = context.daemon(place).await? {
            return Ok(Some(client));
        }
        if let Some(code) = ended(&mut guardian) {
            return gave_up(context, place, code, log_before).await;
        }
        context.clock.sleep(BETWEEN).await;
    }
    Err(Failure::new(Exit::Failed, "the daemon did not open its socket in time")
        .hint(format!("see {}", place.log_path().display())))
}

/// Waits for a daemon that is about to answer.
pub(super) async fn join(context: &Context, place: &Place) -> Result<Client, Failure> {
    joined(context, place, || true).await?.ok_or_else(|| held(place))
}

/// Waits for the daemon that holds the lock to answer: it may have won the race by a moment. `None` where
/// it let go of the lock instead: it was about to end.
pub(super) async fn join_holder(context: &Context, place: &Place) -> Result<Option<Client>, Failure> {
    joined(context, place, || is_held(&place.state).unwrap_or(true)).await
}

async fn joined(context: &Context, place: &Place, goes_on: impl Fn() -> bool) -> Result<Option<Client>, Failure> {
    let begun = context.clock.moment();
    while context.clock.moment().since(begun) < TO_JOIN {
        if let Some(client) = context.daemon(place).await? {
            return Ok(Some(client));
        }
        if !goes_on() {
            return Ok(None);
        }
        context.clock.sleep(BETWEEN).await;
    }
    Err(held(place))
}

/// A daemon in the process of a verb.
pub(super) type Own = JoinHandle<Exit>;

/// The daemon that this process `started`, at work, or the one that holds the lock; `None` where that one
/// let go of it.
pub(super) async fn own_or_holder(
    context: &Context,
    place: &Place,
    started: Result<Daemon, Failure>,
) -> Result<Option<(Client, Option<Own>)>, Failure> {
    match started {
        Ok(daemon) => {
            let own = tokio::spawn(daemon.run());
            Ok(Some((join(context, place).await?, Some(own))))
        }
        Err(failure) if failure.exit == Exit::Held => Ok(join_holder(context, place).await?.map(|client| (client, None))),
        Err(failure) => Err(failure),
    }
}

fn held(place: &Place) -> Failure {
    LockError::Held { directory: place.directory.clone(), holder: holder(&place.state) }.into()
}

fn start_guardian(context: &Context, place: &Place, first: &[&str]) -> Result<Child, Failure> {
    let program = own_path()?;
    let mut arguments: Vec<OsString> = vec![GUARDIAN.into(), "--log".into(), place.log_path().into()];
    arguments.extend(first.iter().map(OsString::from));
    arguments.extend(["--".into(), program.clone().into()]);
    arguments.extend(["--file".into(), place.file.clone().into()]);
    if let Some(name) = &context.globals.name {
        arguments.extend(["--name".into(), name.into()]);
    }
    arguments.extend(["daemon".into(), "--live".into()]);
    process::start_in_background(&program, &arguments, &place.directory, &place.log_path())
        .map_err(|error| Failure::of(Exit::Failed, "failed to start the daemon", &error))
}

/// The path of this program. After an upgrade in place the kernel names the removed file: the path
/// is what counts.
pub(super) fn own_path() -> Result<PathBuf, Failure> {
    let path = std::env::current_exe().map_err(|error| Failure::of(Exit::Failed, "failed to find this program", &error))?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), PathBuf::from))
}

fn ended(guardian: &mut Child) -> Option<i32> {
    guardian.try_wait().ok().flatten().map(|status| status.code().unwrap_or(1))
}

/// The guardian ended before its daemon answered: another one won the race, or it can't be.
async fn gave_up(context: &Context, place: &Place, code: i32, log_before: u64) -> Result<Option<Client>, Failure> {
    let exit = Exit::of_code(u8::try_from(code).unwrap_or(1));
    if exit == Exit::Held {
        return join_holder(context, place).await;
    }
    let said = said_since(place, log_before);
    // The code of a crash is none of ours.
    let exit = if matches!(exit, Exit::Done | Exit::Of(_)) { Exit::Failed } else { exit };
    Err(if said.is_empty() {
        Failure::new(exit, "the daemon ended at once").hint("`witwd logs witwd` shows what the daemon said last")
    } else {
        Failure::new(exit, format!("the daemon ended at once:\n{said}"))
    })
}

fn log_length(place: &Place) -> u64 {
    std::fs::metadata(place.log_path()).map_or(0, |facts| facts.len())
}

fn said_since(place: &Place, before: u64) -> String {
    let log = std::fs::read_to_string(place.log_path()).unwrap_or_default();
    let new = usize::try_from(before).ok().and_then(|before| log.get(before..)).unwrap_or(&log);
    let lines: Vec<&str> = new.lines().filter(|line| !line.starts_with("guardian: ")).collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
