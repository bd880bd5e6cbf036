//! What the supervisor needs of the caretaker of Postgres servers: passwords and provisioning.

use async_trait::async_trait;

use crate::engine::request::FileToPut;
use crate::model::hash::Fingerprint;
use crate::model::name::ContainerId;
use crate::model::stack::Stack;
use crate::model::template::Part;
use crate::model::workload::Workload;

/// Passwords and provisioning. The real one is in [`crate::postgres`].
#[async_trait]
pub trait Keeper: Send + Sync {
    /// Makes what the stack needs and does not have yet: passwords are generated and kept.
    fn prepare(&self, stack: &Stack) -> Result<(), KeeperError>;

    /// The value of a hole; `None` where it can't be had by this version.
    fn fill(&self, hole: &Part) -> Option<String>;

    /// A keyed hash of the values that a workload's environment uses; `None` where it uses none.
    fn fingerprint(&self, workload: &Workload) -> Option<Fingerprint>;

    /// Files for a container, put below `/run/secrets` before each start.
    fn files(&self, workload: &Workload) -> Vec<FileToPut>;

    /// A digest of the databases, roles and extensions that are wanted; `None` where there are none.
    fn wanted(&self, workload: &Workload) -> Option<String>;

    /// Makes databases, roles and extensions, and runs `init` on a fresh data directory. Idempotent.
    async fn provision(
        &self,
        workload: &Workload,
        container: &ContainerId,
        freshness: Freshness,
    ) -> Result<Provisioned, KeeperError>;
}

/// What is known of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Made empty for this very run: it may be initialised.
    Fresh,
    /// Made empty for another run, which ended: whether that came to its end, the marker tells.
    Interrupted,
    /// It was there before.
    Existing,
}

/// What provisioning did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provisioned {
    /// The major version of the server.
    pub major: Option<u32>,
    /// What was made, for people: `role app`, `database app`, `extension postgis`.
    pub made: Vec<String>,
}

/// A failed step of the caretaker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KeeperError {
    /// The whole chain, for people.
    pub message: String,
    /// Whether only a person can mend it.
    pub needs_operator: bool,
}
