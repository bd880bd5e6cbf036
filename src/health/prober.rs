//! The seam between us and what is probed.

use async_trait::async_trait;

use crate::model::name::WorkloadName;
use crate::model::observed::RunId;
use crate::model::probe::Probe;

/// Whom a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A container of a workload.
    Container {
        /// The workload: a Postgres probe needs its user, database and password.
        workload: WorkloadName,
        /// The run of its container: an address may be that of another one in the next.
        run: RunId,
    },
    /// A Postgres that runs elsewhere.
    External {
        /// The postgres.
        workload: WorkloadName,
    },
}

/// What came of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Success,
    /// There was an answer, but not the wanted one: alive, not ready (a Postgres with an SQLSTATE).
    Refused(String),
    /// It answered, and can't be used as the file says until a person has changed one of the two.
    Unfit(String),
    /// It failed; the words are for people.
    Failure(String),
    /// It could not be made (the engine does not answer): no verdict.
    NotMade(String),
}

/// Makes one probe and returns within its time-out.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Asks once.
    async fn probe(&self, asked: &Asked, probe: &Probe) -> Outcome;
}
