//! Everything that can happen to the supervisor: a closed set.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::{EngineError, ErrorKind};
use crate::model::backup::{Summary, WorkDone, WorkFailed};
use crate::model::family::{Examined, Families};
use crate::model::health::{Subject, Verdict};
use crate::model::history::{FailureKind, Target};
use crate::model::name::{ContainerId, ImageId, ReplicaKey, WorkloadName};
use crate::model::observed::Observed;
use crate::plan::Action;

use super::keeper::KeeperError;
use crate::postgres::Provisioned;

/// Something happened in a task of the supervisor's own.
#[derive(Debug)]
pub enum Event {
    /// A look at the engine is over.
    Looked {
        /// Which look.
        number: u64,
        /// What was seen, and what was learnt of images of Postgres servers.
        result: Result<(Observed, Families), EngineError>,
    },
    /// An action is over.
    Done {
        /// Which.
        action: Action,
        /// What came of it.
        result: Result<Effect, ActionError>,
    },
    /// The verdict about a subject changed.
    Verdict {
        /// About whom.
        subject: Subject,
        /// What it is now.
        verdict: Verdict,
    },
    /// The last lines of a run that ended by itself were read.
    Said {
        /// Which replica.
        key: ReplicaKey,
        /// Its container.
        container: ContainerId,
        /// The lines, oldest first.
        lines: Vec<String>,
    },
    /// The directories of backup sets were read.
    SetsRead(BTreeMap<WorkloadName, Result<Summary, String>>),
    /// Something happened on the engine, or its event stream was opened anew: look.
    Wake,
    /// A pull or build went on.
    Progress {
        /// For whom.
        target: Target,
        /// How far it is.
        latest: Latest,
    },
}

/// The last words about a pull or build. What nobody has read yet is replaced: a build that prints a
/// gigabyte leaves one event in the queue, not millions.
#[derive(Debug, Clone, Default)]
pub struct Latest(Arc<Mutex<Option<String>>>);

impl Latest {
    /// Replaces the words; whether the former ones were read, so that they are to be told of anew.
    pub fn put(&self, words: String) -> bool {
        self.words().replace(words).is_none()
    }

    /// The words, once.
    pub fn take(&self) -> Option<String> {
        self.words().take()
    }

    fn words(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a successful action leaves to be remembered.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Nothing: the next look shows it.
    Seen,
    /// An image was pulled or built.
    Image {
        /// Its tag.
        reference: String,
        /// What it means now.
        id: ImageId,
    },
    /// A container was looked into.
    Examined(Examined),
    /// A Postgres has its databases and roles.
    Provisioned(Provisioned),
    /// Work with backup sets is over, well or not: when it is tried again is the timetable's.
    Worked(Box<Result<WorkDone, WorkFailed>>),
}

/// Why an action failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionError {
    /// The whole chain, for people.
    pub message: String,
    /// What the planner makes of it.
    pub kind: FailureKind,
    /// Whether what was tried may still happen: the engine was asked and did not answer.
    pub is_open: bool,
}

impl From<EngineError> for ActionError {
    fn from(error: EngineError) -> Self {
        let kind = match error.kind {
            ErrorKind::RegistryUnreachable => FailureKind::RegistryUnreachable,
            ErrorKind::PortInUse => FailureKind::PortTaken,
            _ => FailureKind::Transient,
        };
        Self { message: error.to_string(), kind, is_open: false }
    }
}

impl From<KeeperError> for ActionError {
    fn from(error: KeeperError) -> Self {
        let kind = if error.needs_operator { FailureKind::NeedsOperator } else { FailureKind::Transient };
        Self { message: error.message, kind, is_open: false }
    }
}

impl ActionError {
    /// A failure that is tried again.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: FailureKind::Transient, is_open: false }
    }

    /// The failure of a call that the engine may carry out later, where it did not answer.
    pub fn of_call(error: EngineError) -> Self {
        let is_open = matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Timeout);
        Self { is_open, ..error.into() }
    }
}
