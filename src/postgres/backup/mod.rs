//! Backup sets: taken, proven, kept, removed.
//!
//! A set is one moment of every database of a server, dumped by the programs of the server's own image. It is
//! written where nobody looks, read back whole, described, and only then given its name. [`Sets::take`] is the
//! whole way; [`schedule`] says when, [`retention`] which old ones go, both without a clock. Nothing here removes
//! a set to make room, and no password is ever in an argument, a log or an error.

mod catalog;
mod check;
mod dump;
mod error;
mod facts;
mod globals;
mod helper;
mod keep;
mod listing;
pub mod manifest;
mod names;
mod pipeline;
mod progress;
mod restore;
pub mod retention;
pub mod schedule;
mod statements;
mod summary;
mod take;
mod trial;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use catalog::{Catalog, CatalogError, Entry, Lock};
pub use error::BackupError;
pub use keep::{Pruned, Scope, is_good, judged, prune};
pub use progress::ProgressSink;
pub use restore::Made;
pub use summary::{last_slot, summary};
pub use take::{Order, SAFE, Taken, Wanted};
pub use verify::Checked;

use super::connect::{Session, Trouble, config, trouble, within};
use super::{PORT, Passwords, SUPERUSER};
use crate::engine::Engine;
use crate::engine::answer::Reach;
use crate::host::{Clock, Disk};
use crate::model::name::InstanceId;
use crate::model::workload::Workload;

/// How long a server may take to let us in.
const PATIENCE: Duration = Duration::from_secs(15);

/// Takes and tries sets, through the engine.
pub struct Sets {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Small files.
    pub disk: Arc<dyn Disk>,
    /// The superuser's passwords.
    pub passwords: Arc<Passwords>,
    /// Who we are.
    pub instance: InstanceId,
    /// Where the secrets of containers lie, in memory where it can be.
    pub secrets_directory: PathBuf,
}

impl Sets {
    /// The sets of a Postgres.
    pub fn catalog(&self, workload: &Workload) -> Catalog {
        Catalog::at(workload.postgres().map(|postgres| postgres.backup.directory.clone()).unwrap_or_default())
    }

    async fn try_open(&self, order: &Order<'_>, database: &str) -> Result<Session, BackupError> {
        let name = &order.workload.name;
        let unavailable = |words: String| BackupError::Unavailable(name.clone(), words);
        let password = self.passwords.superuser(name).ok_or_else(|| BackupError::NoPassword(name.clone()))?;
        let reach = self.engine.reach(&order.container, PORT).await;
        let (Reach::Direct(address) | Reach::Published(address)) =
            reach.map_err(|error| BackupError::Engine("ask how the server is reached", error))?;
        let mut config = config(address, database, SUPERUSER, &password);
        // What others made in a database must not be found where the server's own is meant.
        config.options("-c search_path=pg_catalog");
        let opened = within(self.clock.as_ref(), PATIENCE, Session::open(&config)).await;
        let opened = opened.ok_or_else(|| unavailable("no answer to an attempt to connect".to_owned()))?;
        opened.map_err(|error| {
            if error.code() == Some(&tokio_postgres::error::SqlState::INVALID_CATALOG_NAME) {
                return BackupError::Gone(database.to_owned());
            }
            let (Trouble::Answered(words) | Trouble::Silent(words)) = trouble(&error);
            unavailable(words)
        })
    }
}

#[cfg(test)]
mod tests;
