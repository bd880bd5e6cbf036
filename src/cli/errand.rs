//! Work with backup sets that the daemon is asked for: how far it is, and what came of it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::background::{self, Own};
use super::by_hand;
use super::context::Context;
use super::daemon::{Daemon, Signals, WhereDown};
use super::exit_code::{Exit, Failure};
use super::output::Output;
use super::paint::printable;
use super::place::Place;
use crate::control::protocol::{Fault, Line, Request};
use crate::control::{Client, ClientError, ConnectError};
use crate::model::backup::{Errand, Work, WorkDone};
use crate::model::database_snapshot::SnapshotWork;
use crate::model::restore::{Restore, Source};
use crate::model::status::Status;

/// How long a daemon that died may take to be back, and how often it is looked for.
const TO_RETURN: Duration = Duration::from_millis(1500);
/// How long what is left to do before and after is waited for.
const TO_REST: Duration = Duration::from_secs(120);
const BETWEEN: Duration = Duration::from_millis(50);

/// Asks the daemon, and waits until it is done. With none, this process is one until then.
pub(super) async fn carry_out(context: &Context, errand: Errand) -> Result<WorkDone, Failure> {
    let (client, own) = daemon_for(context, &context.place()?).await?;
    let of = errand.of.to_string();
    if own.is_some() {
        // What an earlier one left undone comes first.
        until_idle(context, &client, &of).await;
    }
    let outcome = asked(context, &client, errand).await;
    if let Some(own) = own {
        until_idle(context, &client, &of).await;
        // Where it ended by itself, that was told above.
        let _ = client.end().await;
        let _ = own.await;
    }
    outcome
}

/// Waits until nothing is done with the databases and sets of a Postgres, for a while.
async fn until_idle(context: &Context, client: &Client, of: &str) {
    let begun = context.clock.moment();
    while context.clock.moment().since(begun) < TO_REST {
        let Ok(status) = client.status().await else { return };
        let item = status.items.iter().find(|item| item.name == of);
        let is_idle = item.map(|item| item.backup.as_ref().is_none_or(|backup| backup.under_way.is_none()));
        // A stack that is down has none.
        let is_down = is_idle.is_none() && context.clock.moment().since(begun) >= TO_RETURN;
        if is_down || is_idle == Some(true) {
            return;
        }
        context.clock.sleep(BETWEEN).await;
    }
}

/// The daemon that runs, else this process as one that goes on with the stack.
async fn daemon_for(context: &Context, place: &Place) -> Result<(Client, Option<Own>), Failure> {
    loop {
        if let Some(client) = found(context, place).await? {
            return Ok((client, None));
        }
        context.output.note("no daemon runs: this command keeps the stack until it is done; `witwd up -d` has one keep it");
        let started = match Daemon::start_here(context, place, Signals::Both) {
            Ok(daemon) => Ok(daemon.resumed(context, WhereDown::Waits).await?.ok_or_else(|| by_hand::ended(Exit::Failed))?),
            Err(failure) => Err(failure),
        };
        if let Some(found) = background::own_or_holder(context, place, started).await? {
            return Ok(found);
        }
    }
}

/// The daemon that runs. One that died is back within a second, and would find its place taken.
async fn found(context: &Context, place: &Place) -> Result<Option<Client>, Failure> {
    let begun = context.clock.moment();
    loop {
        if let Some(client) = context.daemon(place).await? {
            return Ok(Some(client));
        }
        // There is nothing to go on with where nobody ever said `up`.
        context.kept(place).ok_or(ConnectError::NoDaemon)?;
        if context.clock.moment().since(begun) >= TO_RETURN {
            return Ok(None);
        }
        context.clock.sleep(BETWEEN).await;
    }
}

async fn asked(context: &Context, client: &Client, errand: Errand) -> Result<WorkDone, Failure> {
    let work = errand.work.clone();
    let mut shown = Shown::new(context.output, errand.of.to_string());
    let mut lines = client.lines(&Request::Errand(errand)).await?;
    let outcome = loop {
        match lines.next().await {
            Ok(Some(Line::Status { status, .. })) => shown.status(&status),
            Ok(Some(Line::Errand { done: Some(done), .. })) => break Ok(*done),
            Ok(Some(Line::Errand { fault: Some(fault), reason, .. })) => break Err(refused(fault, reason.as_deref(), &work)),
            Ok(None | Some(Line::Ended { .. })) | Err(ClientError::Connection(_) | ClientError::Http(_)) => {
                break Err(by_hand::ended(Exit::Failed));
            }
            Err(error) => break Err(error.into()),
            Ok(Some(_)) => {}
        }
    };
    shown.finish();
    outcome
}

/// Why it was not done; what was tried has a word for programs.
fn refused(fault: Fault, reason: Option<&str>, work: &Work) -> Failure {
    let Some(reason) = reason else { return ClientError::Fault(Box::new(fault)).into() };
    // What would have gone on with damaged or foreign data is refused.
    let exit = match (work, reason) {
        (Work::Restore(_), "damaged" | "unfit" | "no_safety_set") | (_, "exists") => Exit::Refused,
        (_, "no_snapshot") => Exit::Usage,
        _ => Exit::Failed,
    };
    let hint = match reason {
        "exists" => "`witwd snapshot rm` removes it; or choose another name",
        "no_snapshot" => "`witwd snapshot list` shows them",
        "no_safety_set" => "mend that, or say `--without-safety-set`: what is there is kept for 24 hours all the same",
        "damaged" | "unfit" if is_of_file(work) => {
            "nothing was changed; `pg_dump -Fc` makes what is taken, `witwd psql` runs a script"
        }
        "unfit" if is_of_snapshot(work) => "nothing was changed; `witwd snapshot list` shows what there is",
        "damaged" | "unfit" if exit == Exit::Refused => "nothing was changed; `witwd backup list` shows the other sets",
        "not_healthy" => "`witwd restore latest --to DATABASE` makes a copy to look at; `witwd logs` shows what they said",
        "disk_low" => "make room, or say with `min_free` of `[postgres.NAME.backup]` how much is to stay free",
        "db_unavailable" => "`witwd ps` shows how the server is",
        _ => "`witwd logs witwd` shows what was tried; `witwd ps` when it is tried again",
    };
    let failure = match work {
        Work::Take { .. } => Failure::new(Exit::Failed, format!("failed to take a set: {}", fault.message)),
        Work::Verify { .. } => Failure::new(Exit::Failed, format!("failed to look at the set again: {}", fault.message)),
        Work::Snapshot(SnapshotWork::Save { .. }) => {
            Failure::new(exit, format!("failed to save the snapshot: {}", fault.message))
        }
        Work::Snapshot(_) => Failure::new(exit, format!("failed to look after snapshots: {}", fault.message)),
        _ => Failure::new(exit, format!("failed to restore: {}", fault.message)),
    };
    failure.hint(hint)
}

fn is_of_snapshot(work: &Work) -> bool {
    matches!(work, Work::Restore(Restore { source: Source::Snapshot(_), .. }))
}

fn is_of_file(work: &Work) -> bool {
    matches!(work, Work::Restore(Restore { source: Source::File(_), .. }))
}

/// How far it is: a line that moves on a terminal, a line for each step elsewhere.
struct Shown {
    output: Output,
    of: String,
    moving: Option<ProgressBar>,
    step: String,
}

impl Shown {
    fn new(output: Output, of: String) -> Self {
        let moving = output.moves().then(|| {
            let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
            bar.enable_steady_tick(std::time::Duration::from_millis(100));
            bar
        });
        Self { output, of, moving, step: String::new() }
    }

    fn status(&mut self, status: &Status) {
        let Some(item) = status.items.iter().find(|item| item.name == self.of) else { return };
        let under_way = item.backup.as_ref().and_then(|backup| backup.under_way.clone());
        // It waits for its server, or for what is done with its sets just now.
        let words = under_way.or_else(|| (!item.ready).then(|| format!("waiting for {}: {}", self.of, item.cause)));
        let Some(words) = words.map(|words| printable(&words)) else { return };
        match &self.moving {
            Some(bar) => bar.set_message(words),
            None => self.tell(&words),
        }
    }

    /// Each step once, without how far it is.
    fn tell(&mut self, words: &str) {
        let step = words.split(": ").next().unwrap_or(words);
        if step != self.step && !self.output.json {
            step.clone_into(&mut self.step);
            self.output.note(step);
        }
    }

    fn finish(self) {
        if let Some(bar) = self.moving {
            bar.finish_and_clear();
        }
    }
}
