//! What the supervisor needs of the caretaker of Postgres servers: passwords and provisioning.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::ExposeSecret as _;

use crate::engine::request::FileToPut;
use crate::model::chain::chain;
use crate::model::hash::Fingerprint;
use crate::model::name::ContainerId;
use crate::model::stack::Stack;
use crate::model::template::{Part, Template};
use crate::model::workload::Workload;
use crate::postgres::{Caretaker, Freshness, Passwords, ProvisionRequest, Provisioned, SUPERUSER};

/// Raised when provisioning learns to note more of a server, so that it is done once again.
const NOTED: &str = "3";

/// Passwords and provisioning. The real one is [`PostgresKeeper`].
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
        data: DataDirectory,
    ) -> Result<Provisioned, KeeperError>;
}

/// What is known of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataDirectory {
    /// What the history says.
    pub freshness: Freshness,
    /// When its container's run began: one that was made since is whole.
    pub run_began: Option<jiff::Timestamp>,
}

impl Default for DataDirectory {
    fn default() -> Self {
        Self { freshness: Freshness::Settled, run_began: None }
    }
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

impl KeeperError {
    fn of(error: &dyn std::error::Error, needs_operator: bool) -> Self {
        Self { message: chain(error), needs_operator }
    }
}

/// Passwords and provisioning of real servers.
#[derive(Debug)]
pub struct PostgresKeeper {
    passwords: Arc<Passwords>,
    caretaker: Caretaker,
}

impl PostgresKeeper {
    /// A keeper of these passwords, whose caretaker reaches the servers.
    pub fn new(passwords: Arc<Passwords>, caretaker: Caretaker) -> Self {
        Self { passwords, caretaker }
    }
}

#[async_trait]
impl Keeper for PostgresKeeper {
    fn prepare(&self, stack: &Stack) -> Result<(), KeeperError> {
        self.passwords.ensure(stack).map_err(|error| KeeperError::of(&error, true))
    }

    fn fill(&self, hole: &Part) -> Option<String> {
        self.passwords.fill(&Template::new([hole.clone()])).ok()
    }

    fn fingerprint(&self, workload: &Workload) -> Option<Fingerprint> {
        self.passwords.fingerprint(workload)
    }

    fn files(&self, workload: &Workload) -> Vec<FileToPut> {
        self.passwords.files_for(workload)
    }

    fn wanted(&self, workload: &Workload) -> Option<String> {
        let postgres = workload.postgres().filter(|postgres| !postgres.is_external())?;
        let shape = (&postgres.database, &postgres.user, &postgres.databases, &postgres.roles, &postgres.extensions);
        let superuser = SUPERUSER.parse().ok();
        let roles = postgres.roles.keys().chain([&postgres.user]).chain(superuser.as_ref());
        let password = |role| self.passwords.get(&workload.name, role);
        let passwords = roles.map(|role| password(role).map(|password| password.expose_secret().to_owned()).unwrap_or_default());
        let texts: Vec<String> = [NOTED.to_owned(), format!("{shape:?}")].into_iter().chain(passwords).collect();
        self.passwords.keyed_digest(&texts)
    }

    async fn provision(
        &self,
        workload: &Workload,
        container: &ContainerId,
        data: DataDirectory,
    ) -> Result<Provisioned, KeeperError> {
        let request = ProvisionRequest {
            postgres: workload,
            container: container.clone(),
            freshness: data.freshness,
            run_began: data.run_began,
        };
        self.caretaker.provision(request).await.map_err(|error| KeeperError::of(&error, error.needs_operator()))
    }
}
