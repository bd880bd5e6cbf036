//! What can go wrong with a set, and the word that programs know it by.

use std::io;
use std::time::Duration;

use super::catalog::CatalogError;
use crate::engine::EngineError;
use crate::model::name::{SnapshotLabel, WorkloadName};
use crate::model::restore::Source;
use crate::model::time::seconds;
use crate::postgres::connect::{Trouble, trouble};

/// A failed step. No password is in any of them.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The engine did not do what was asked.
    #[error("failed to {0}")]
    Engine(&'static str, #[source] EngineError),
    /// The directory of the sets can't be used.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Another process takes or removes sets there.
    #[error("another witwd takes or removes sets in {0} just now")]
    Locked(String),
    /// Too little room to begin.
    #[error(
        "{free} are free in {directory}, and {wanted} are wanted (`min_free`): the set was not begun, and no old set is \
         removed to make room"
    )]
    DiskLow {
        /// Where.
        directory: String,
        /// What is free.
        free: bytesize::ByteSize,
        /// What is wanted.
        wanted: bytesize::ByteSize,
    },
    /// The server does not answer.
    #[error("{0} does not answer: {1}")]
    Unavailable(WorkloadName, String),
    /// A database that was listed is not there any more.
    #[error("database {0} is not there any more")]
    Gone(String),
    /// No password is known for the superuser.
    #[error("no password is known for the superuser of {0}")]
    NoPassword(WorkloadName),
    /// A statement failed.
    #[error("failed to {what}: {words}")]
    Statement {
        /// What was tried.
        what: &'static str,
        /// The server's words.
        words: String,
    },
    /// A program of the image failed.
    #[error("{program} ended with {code}{}", said(.words))]
    Program {
        /// Which.
        program: String,
        /// Its exit code.
        code: i64,
        /// The last that it said.
        words: String,
    },
    /// What a program wrote was not read to its end.
    #[error("what {0} wrote could not be read to its end")]
    Cut(String, #[source] EngineError),
    /// Something takes too long.
    #[error("{what} {}", limit_words(*.limit, *.silent))]
    Slow {
        /// What.
        what: String,
        /// How long it may take.
        limit: Duration,
        /// Whether it is silence that is limited.
        silent: bool,
    },
    /// A file could not be written or read.
    #[error("failed to {operation} {path}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A set, or a part of it, is not what it should be.
    #[error("{file}: {words}")]
    Damaged {
        /// Which file.
        file: String,
        /// What is wrong.
        words: String,
    },
    /// A trial restore did not bring what was dumped.
    #[error("a trial restore of {database} differs: {words}")]
    Differs {
        /// Which database.
        database: String,
        /// What is different.
        words: String,
    },
    /// There is no room for what is restored.
    #[error("not enough room for {what}: {free} are free, and {wanted} are wanted")]
    NoRoom {
        /// For what.
        what: &'static str,
        /// What is free.
        free: bytesize::ByteSize,
        /// What is wanted.
        wanted: bytesize::ByteSize,
    },
    /// Something can't be restored in this server.
    #[error("{source_of} can't be restored here: {words}")]
    Unfit {
        /// What.
        source_of: Source,
        /// Why.
        words: String,
    },
    /// There is a snapshot of that name.
    #[error("there is a snapshot {0} already")]
    SnapshotExists(SnapshotLabel),
    /// There is none of that name, but these.
    #[error("there is no snapshot {0}{others}", others = others(.1))]
    NoSnapshot(SnapshotLabel, Vec<String>),
    /// The set that was to be taken before could not be taken.
    #[error("no set of what is there could be taken before: {0}")]
    NoSafetySet(Box<BackupError>),
    /// The data directory is not the one that was spoken of.
    #[error("the server runs on another data directory than before")]
    AnotherServer,
    /// The server of a trial restore did not come up.
    #[error("the server of a trial restore did not come up: {0}")]
    TrialServer(String),
}

fn others(labels: &[String]) -> String {
    let labels: std::collections::BTreeSet<&str> = labels.iter().map(String::as_str).collect();
    if labels.is_empty() {
        return ", nor any other".to_owned();
    }
    format!("; there is {}", labels.into_iter().collect::<Vec<_>>().join(", "))
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

fn limit_words(limit: Duration, silent: bool) -> String {
    let limit = seconds(limit);
    if silent { format!("said nothing for {limit}") } else { format!("did not end within {limit}") }
}

impl BackupError {
    /// The failure of a statement.
    pub(super) fn statement(what: &'static str, error: &tokio_postgres::Error) -> Self {
        let (Trouble::Answered(words) | Trouble::Silent(words)) = trouble(error);
        Self::Statement { what, words }
    }

    /// The failure of a file.
    pub(super) fn file(operation: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::File { operation, path: path.display().to_string(), source }
    }

    /// The word for programs (`reason` in JSON).
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Engine(..) => "engine",
            Self::Catalog(_) | Self::File { .. } => "disk",
            Self::Locked(_) => "locked",
            Self::DiskLow { .. } => "disk_low",
            Self::Unavailable(..) | Self::NoPassword(_) | Self::Gone(_) => "db_unavailable",
            Self::Statement { .. } | Self::Program { .. } | Self::Cut(..) | Self::Slow { .. } => "dump_failed",
            Self::Damaged { .. } => "damaged",
            Self::Differs { .. } | Self::TrialServer(_) => "trial_failed",
            Self::NoRoom { .. } => "not_enough_space",
            Self::Unfit { .. } | Self::AnotherServer => "unfit",
            Self::SnapshotExists(_) => "exists",
            Self::NoSnapshot(..) => "no_snapshot",
            Self::NoSafetySet(_) => "no_safety_set",
        }
    }
}
