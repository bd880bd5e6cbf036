//! Work with backup sets that the daemon is asked for: how far it is, and what came of it.

use indicatif::{ProgressBar, ProgressStyle};

use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::output::Output;
use super::paint::printable;
use crate::control::protocol::{Fault, Line, Request};
use crate::control::{ClientError, ConnectError};
use crate::model::backup::{Errand, Work, WorkDone};
use crate::model::database_snapshot::SnapshotWork;
use crate::model::restore::{Restore, Source};
use crate::model::status::Status;

/// Asks the daemon, and waits until it is done.
pub(super) async fn carry_out(context: &Context, errand: Errand) -> Result<WorkDone, Failure> {
    let client = context.daemon(&context.place()?).await?.ok_or(ConnectError::NoDaemon)?;
    let work = errand.work.clone();
    let mut shown = Shown::new(context.output, errand.of.to_string());
    let mut lines = client.lines(&Request::Errand(errand)).await?;
    let outcome = loop {
        match lines.next().await {
            Ok(Some(Line::Status { status, .. })) => shown.status(&status),
            Ok(Some(Line::Errand { done: Some(done), .. })) => break Ok(*done),
            Ok(Some(Line::Errand { fault: Some(fault), reason, .. })) => break Err(refused(fault, reason.as_deref(), &work)),
            Ok(None | Some(Line::Ended { .. })) | Err(ClientError::Connection(_) | ClientError::Http(_)) => {
                break Err(super::by_hand::ended(Exit::Failed));
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
        Work::Snapshot(_) => Failure::new(exit, format!("failed to ask for snapshots: {}", fault.message)),
        _ => Failure::new(exit, format!("failed to restore: {}", fault.message)),
    };
    failure.hint(hint)
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
