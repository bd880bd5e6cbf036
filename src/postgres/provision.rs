//! What must be in a server of ours: an idempotent step, done again whenever what is asked for
//! changed. When everything is there, it writes nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::connect::{Session, Trouble, trouble, within};
use super::error::PostgresError;
use super::marker::{self, Decision, Freshness};
use super::passwords::Passwords;
use super::{examine, init, objects};
use crate::engine::Engine;
use crate::host::{Clock, Disk};
use crate::model::family::Glibc;
use crate::model::name::{ContainerId, WorkloadName};
use crate::model::postgres::Postgres;
use crate::model::time::seconds;
use crate::model::workload::Workload;

/// How long everything but `init` may take.
const LIMIT: Duration = Duration::from_secs(600);

/// What is to be provisioned.
#[derive(Debug, Clone)]
pub struct ProvisionRequest<'a> {
    /// The workload; one that is no Postgres of ours needs nothing.
    pub postgres: &'a Workload,
    /// Its container, running.
    pub container: ContainerId,
    /// What is known of its data directory.
    pub freshness: Freshness,
    /// Since when a data directory must have been made to be of this run; `None`: not to be asked.
    pub run_began: Option<Timestamp>,
}

/// What provisioning did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provisioned {
    /// Whether `init` was run.
    pub init_ran: bool,
    /// What was made or set, for people: `role app`, `database app`, `extension postgis in app`.
    pub created: Vec<String>,
    /// The version of glibc that texts in its databases are sorted by; `None` where none are.
    pub glibc: Option<Glibc>,
}

/// Takes care of servers of ours.
pub struct Caretaker {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    passwords: Arc<Passwords>,
}

impl fmt::Debug for Caretaker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Caretaker").field("passwords", &self.passwords).finish_non_exhaustive()
    }
}

impl Caretaker {
    /// A caretaker who reaches servers through `engine` and reads `init` files from `disk`.
    pub fn new(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>, disk: Arc<dyn Disk>, passwords: Arc<Passwords>) -> Self {
        Self { engine, clock, disk, passwords }
    }

    /// Makes roles, databases and extensions that are missing, sets passwords that do not fit, and
    /// runs `init` where the data directory is new. Waits a little for a server that is starting.
    pub async fn provision(&self, request: ProvisionRequest<'_>) -> Result<Provisioned, PostgresError> {
        let Some(postgres) = request.postgres.postgres().filter(|postgres| !postgres.is_external()) else {
            return Ok(Provisioned::default());
        };
        let mut work = Work {
            engine: self.engine.as_ref(),
            clock: self.clock.as_ref(),
            disk: self.disk.as_ref(),
            passwords: self.passwords.as_ref(),
            name: &request.postgres.name,
            container: &request.container,
            postgres,
            done: Provisioned::default(),
        };
        work.run(request.freshness, request.run_began).await?;
        Ok(work.done)
    }
}

/// One run of provisioning.
pub(super) struct Work<'a> {
    pub engine: &'a dyn Engine,
    pub clock: &'a dyn Clock,
    pub disk: &'a dyn Disk,
    pub passwords: &'a Passwords,
    pub name: &'a WorkloadName,
    pub container: &'a ContainerId,
    pub postgres: &'a Postgres,
    pub done: Provisioned,
}

impl Work<'_> {
    async fn run(&mut self, freshness: Freshness, run_began: Option<Timestamp>) -> Result<(), PostgresError> {
        let clock = self.clock;
        let prepared = within(clock, LIMIT, self.prepare(freshness, run_began)).await;
        let (mut session, decision) = prepared.unwrap_or_else(|| Err(self.stuck()))?;
        if decision == Decision::Initialise && !self.postgres.init.is_empty() {
            // It may rename databases, and use them as templates.
            session.close(clock).await;
            init::run(self).await?;
            self.done.init_ran = true;
            session = self.superuser().await?;
        }
        if decision != Decision::Nothing {
            within(clock, LIMIT, self.mark(&session, decision)).await.unwrap_or_else(|| Err(self.stuck()))?;
        }
        session.close(clock).await;
        Ok(())
    }

    /// Everything that comes before `init`.
    async fn prepare(
        &mut self,
        freshness: Freshness,
        run_began: Option<Timestamp>,
    ) -> Result<(Session, Decision), PostgresError> {
        let session = self.superuser().await?;
        self.check_major(&session).await?;
        let comment = self.comment(&session).await?;
        let fresh = self.made_since(&session, run_began).await?;
        let decision = marker::decide(comment.as_deref(), if fresh { Freshness::Fresh } else { freshness });
        match decision {
            Decision::Refuse => return Err(PostgresError::Interrupted(self.name.clone())),
            Decision::Initialise => self.execute(&session, "note that it is whole", &marker::made_statement()).await?,
            Decision::Nothing | Decision::Adopt => {}
        }
        objects::make(self, &session).await?;
        self.done.glibc = self.sorted_by(&session).await?;
        Ok((session, decision))
    }

    /// Sets the marker; after `init`, which sets it itself, looks that it is there.
    async fn mark(&self, session: &Session, decision: Decision) -> Result<(), PostgresError> {
        if !self.done.init_ran {
            self.execute(session, "set the marker", &marker::statement(decision)).await?;
        } else if !self.comment(session).await?.is_some_and(|comment| comment.starts_with(marker::PREFIX)) {
            return Err(PostgresError::InitEscaped(self.name.clone()));
        }
        Ok(())
    }

    fn stuck(&self) -> PostgresError {
        PostgresError::Silent(self.name.clone(), format!("it was not done within {}", seconds(LIMIT)))
    }

    async fn check_major(&self, session: &Session) -> Result<(), PostgresError> {
        let row = session.query_one("SELECT pg_catalog.current_setting('server_version_num')::int4 / 10000", &[]).await;
        let running: i32 = row.and_then(|row| row.try_get(0)).map_err(|error| self.failed("ask for the version", &error))?;
        let running = running.unsigned_abs();
        match self.postgres.major {
            Some(wanted) if wanted != running => Err(PostgresError::Major { postgres: self.name.clone(), running, wanted }),
            _ => Ok(()),
        }
    }

    async fn made_since(&self, session: &Session, began: Option<Timestamp>) -> Result<bool, PostgresError> {
        let Some(began) = began else { return Ok(false) };
        let row = session.query_one(marker::MADE_SINCE, &[&began.to_string()]).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| self.failed("look at the data directory", &error))
    }

    async fn sorted_by(&self, session: &Session) -> Result<Option<Glibc>, PostgresError> {
        let row = session.query_one(examine::SORTED_BY, &[]).await;
        let version: Option<String> =
            row.and_then(|row| row.try_get(0)).map_err(|error| self.failed("ask what text is sorted by", &error))?;
        Ok(version.as_deref().and_then(Glibc::parse))
    }

    async fn comment(&self, session: &Session) -> Result<Option<String>, PostgresError> {
        let row = session.query_one(marker::QUERY, &[]).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| self.failed("look for the marker", &error))
    }

    /// Runs a statement.
    pub async fn execute(&self, session: &Session, what: &str, statement: &str) -> Result<(), PostgresError> {
        session.batch_execute(statement).await.map_err(|error| self.failed(what, &error))
    }

    /// The error of a statement.
    pub fn failed(&self, what: &str, error: &tokio_postgres::Error) -> PostgresError {
        let (Trouble::Answered(words) | Trouble::Silent(words)) = trouble(error);
        PostgresError::Statement { what: what.to_owned(), postgres: self.name.clone(), words }
    }
}
