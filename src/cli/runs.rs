//! Which lines of a container's log are of its previous run. Pure.

use jiff::Timestamp;

use crate::model::history::LastExit;
use crate::model::observed::{Container, ContainerState};
use crate::supervisor::{border, last_run};

/// A part of a container's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Its beginning; `None`: that of the log.
    pub from: Option<Timestamp>,
    /// Its end; `None`: that of the log.
    pub until: Option<Timestamp>,
}

impl Run {
    /// Whether a line of this time is part of it.
    pub(super) fn has(&self, at: Option<Timestamp>) -> bool {
        at.is_none_or(|at| self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until))
    }
}

/// The last run of a container that is over, by what is remembered of its replica; `None` where it
/// has none: then that of an earlier container is meant.
pub(super) fn previous_run(container: &Container, last: Option<&LastExit>) -> Option<Run> {
    let known = last.filter(|last| last.run.container == container.id);
    match &container.state {
        // Nobody saw it end: what is remembered is the run before.
        ContainerState::Exited { started_at, .. } => match known.filter(|last| last.run.started_at < *started_at) {
            Some(before) => Some(Run { from: Some(border(before.exit.at, *started_at)), until: None }),
            None => Some(Run { from: last_run(last, &container.id), until: None }),
        },
        ContainerState::Running { started_at } | ContainerState::Paused { started_at } => {
            let ended = known?.exit.at;
            Some(Run { from: last_run(last, &container.id), until: Some(border(ended, *started_at)) })
        }
        _ => None,
    }
}
