//! Waits for a daemon to carry out what it was asked for, showing what it does meanwhile.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use super::exit_code::Failure;
use super::progress::Progress;
use crate::control::protocol::Line;
use crate::control::{Lines, Outcome, Restarts, outcome, outcome_of, restarts};
use crate::host::Clock;
use crate::model::status::Status;
use crate::model::wish::{Chosen, is_about};

/// How a wait ended, with the last status that spoke of the request.
#[derive(Debug)]
pub(super) enum Waited {
    /// All is ready, or nothing more can become ready.
    Settled(Outcome, Box<Status>),
    /// Not in time.
    TimedOut(Option<Box<Status>>),
    /// The daemon ended.
    Ended,
}

/// Follows `lines` and remembers what they said.
pub(super) struct Follower {
    lines: Lines,
    generation: u64,
    /// The last status that speaks of the request.
    pub last: Option<Box<Status>>,
    /// Whether the daemon ended because the stack is down.
    pub is_down: bool,
    /// Restarts of each replica when the wait began: what looped before is no verdict on this request.
    restarts: Option<Restarts>,
    /// Whom the request is about; empty: the whole stack.
    about: BTreeSet<Chosen>,
    /// Whether the whole stack must be converged.
    is_up: bool,
}

impl Follower {
    /// Follows the answer to a request.
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, generation: 0, last: None, is_down: false, restarts: None, about: BTreeSet::new(), is_up: true }
    }

    /// Follows the answer to a request about these; about all where it names none.
    pub(super) fn about(lines: Lines, about: BTreeSet<Chosen>) -> Self {
        Self { about, is_up: false, ..Self::new(lines) }
    }

    /// Shows the next line; `false` where the daemon ended. Safe to drop before it returned.
    pub(super) async fn next(&mut self, progress: &mut Progress) -> Result<bool, Failure> {
        // A daemon that dies breaks the stream off: that is an end too.
        let Ok(Some(line)) = self.lines.next().await else { return Ok(false) };
        match line {
            Line::Accepted { generation, warnings } => {
                self.generation = generation;
                for warning in &warnings {
                    progress.say(warning.trim_end());
                }
            }
            Line::Event(record) => progress.event(&record)?,
            Line::Status { generation, looked, status } if looked && generation >= self.generation && self.generation > 0 => {
                progress.status(&only(&status, &self.about));
                self.restarts.get_or_insert_with(|| restarts(&status));
                self.last = Some(status);
            }
            Line::Status { status, .. } => progress.engine(status.engine),
            Line::Missed { count } => tracing::debug!(count, "events were missed"),
            Line::Ended { down } => {
                self.is_down = down > 0 && down >= self.generation;
                return Ok(false);
            }
            // Of an errand, which is not followed here.
            Line::Errand { .. } | Line::Alive | Line::Unknown => {}
        }
        Ok(true)
    }

    /// What the last status says of the request.
    pub(super) fn outcome(&self) -> Outcome {
        match (&self.last, &self.restarts) {
            (Some(status), Some(before)) if self.is_up => outcome(status, before),
            (Some(status), Some(before)) => outcome_of(status, before, &self.about),
            _ => Outcome::Working,
        }
    }

    /// Waits until all is ready, or nothing more can become ready, or `limit` is over.
    pub(super) async fn until_settled(
        mut self,
        progress: &mut Progress,
        clock: &dyn Clock,
        limit: Duration,
    ) -> Result<Waited, Failure> {
        let mut over = std::pin::pin!(clock.sleep(limit));
        let mut goes_on = true;
        loop {
            // Also by what was told before: nothing more may come of what is settled.
            match (self.outcome(), self.last.take()) {
                (found @ (Outcome::Ready | Outcome::Failed), Some(status)) => return Ok(Waited::Settled(found, status)),
                _ if !goes_on => return Ok(Waited::Ended),
                (_, last) => self.last = last,
            }
            goes_on = tokio::select! {
                biased;
                goes_on = self.next(progress) => goes_on?,
                () = &mut over => return Ok(Waited::TimedOut(self.last)),
            };
        }
    }
}

/// What a status says of those that a request is about.
fn only<'s>(status: &'s Status, about: &BTreeSet<Chosen>) -> Cow<'s, Status> {
    if about.is_empty() {
        return Cow::Borrowed(status);
    }
    let mut own = status.clone();
    own.items.retain(|item| is_about(about, &item.name, item.replica));
    Cow::Owned(own)
}
