//! What can go wrong with a server of ours, and whether trying again may help.

use crate::engine::EngineError;
use crate::host::DiskError;
use crate::model::name::WorkloadName;

/// A failed step of provisioning. No password is in any of them.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The engine did not say how the server is reached, or did not run a command in it.
    #[error("failed to reach {0}")]
    Engine(WorkloadName, #[source] EngineError),
    /// The server does not answer yet, or not any more.
    #[error("{0} does not answer: {1}")]
    Silent(WorkloadName, String),
    /// A role could not connect.
    #[error("failed to connect to database {database} of {postgres} as {role}: {words}")]
    Connect {
        /// Which postgres.
        postgres: WorkloadName,
        /// To which database.
        database: String,
        /// As whom.
        role: String,
        /// The server's words.
        words: String,
    },
    /// The superuser's password could not be set anew through the local socket.
    #[error("failed to set the password of the superuser postgres of {0} anew through its local socket: {1}")]
    Repair(WorkloadName, String),
    /// No password is known for a role.
    #[error("no password is known for role {1} of {0}: the one in the file can't be filled in")]
    NoPassword(WorkloadName, String),
    /// A statement failed.
    #[error("failed to {what} in {postgres}: {words}")]
    Statement {
        /// What was tried.
        what: String,
        /// Which postgres.
        postgres: WorkloadName,
        /// The server's words.
        words: String,
    },
    /// The server is of another major version than the file says.
    #[error("{postgres} runs PostgreSQL {running}, and the file asks for {wanted}")]
    Major {
        /// Which postgres.
        postgres: WorkloadName,
        /// What runs.
        running: u32,
        /// What the file says.
        wanted: u32,
    },
    /// An earlier container was stopped in the middle of initialisation.
    #[error(
        "the initialisation of {0} was interrupted, and its data directory is half made: nothing that was \
         asked for is known to be in it. `witwd down --volumes` removes it (and every other volume of the stack), \
         and `witwd up` begins anew"
    )]
    Interrupted(WorkloadName),
    /// A file of `init` could not be read.
    #[error("failed to read {file} of postgres.{postgres}.init")]
    InitFile {
        /// Which postgres.
        postgres: WorkloadName,
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: DiskError,
    },
    /// A file of `init` is not there.
    #[error("{1} of postgres.{0}.init is not there")]
    InitFileMissing(WorkloadName, String),
    /// `init` failed, and nothing of it is left.
    #[error("failed to initialise {0}: {1}. Nothing of it is left: mend the file, and it is tried again")]
    Init(WorkloadName, String),
    /// A file of `init` would end the transaction; it was not run.
    #[error("postgres.{0}.init can't be run all or nothing: {1}")]
    InitNotWhole(WorkloadName, String),
    /// `init` ended its own transaction, and what it did so far stays.
    #[error(
        "the files of postgres.{0}.init ended their transaction or left psql early, so part of them may be in the \
         database. Take that out of them; `witwd down --volumes` removes the data directory (and every other volume \
         of the stack), and `witwd up` begins anew"
    )]
    InitEscaped(WorkloadName),
}

impl PostgresError {
    /// Whether trying again can't help before a person has done something.
    pub fn needs_operator(&self) -> bool {
        matches!(self, Self::Major { .. } | Self::Interrupted(_) | Self::InitEscaped(_) | Self::NoPassword(..) | Self::Repair(..))
    }
}
