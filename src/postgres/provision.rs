//! What must be in a server of ours: an idempotent step, done again whenever what is asked for
//! changed. When everything is there, it writes nothing.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::error::SqlState;

use super::connect::{Session, Trouble, config, trouble, within};
use super::marker::{self, Decision, Freshness};
use super::sql::{identifier, literal};
use super::{PORT, SUPERUSER, init, objects};
use crate::engine::request::{Exec, ExecOutput, Reach};
use crate::engine::{Engine, EngineError};
use crate::host::{Clock, Disk, DiskError};
use crate::model::name::{ContainerId, WorkloadName};
use crate::model::workload::{Postgres, Workload};
use crate::postgres::Passwords;

/// How long a server that is starting may keep us. The caller need not wait for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one attempt to connect may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long the repair of a password may take.
const REPAIR: Duration = Duration::from_secs(30);

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

/// What is to be provisioned.
#[derive(Debug, Clone)]
pub struct ProvisionRequest<'a> {
    /// The workload; one that is no Postgres of ours needs nothing.
    pub postgres: &'a Workload,
    /// Its container, running.
    pub container: ContainerId,
    /// What is known of its data directory.
    pub freshness: Freshness,
}

/// What provisioning did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provisioned {
    /// Whether `init` was run.
    pub init_ran: bool,
    /// What was made or set, for people: `role app`, `database app`, `extension postgis in app`.
    pub created: Vec<String>,
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
        work.run(request.freshness).await?;
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
    async fn run(&mut self, freshness: Freshness) -> Result<(), PostgresError> {
        let session = self.superuser().await?;
        self.check_major(&session).await?;
        let decision = marker::decide(self.comment(&session).await?.as_deref(), freshness);
        if decision == Decision::Refuse {
            return Err(PostgresError::Interrupted(self.name.clone()));
        }
        objects::make(self, &session).await?;
        if decision == Decision::Initialise && !self.postgres.init.is_empty() {
            self.done.init_ran = init::run(self).await?;
            if !self.comment(&session).await?.is_some_and(|comment| comment.starts_with(marker::PREFIX)) {
                return Err(PostgresError::InitEscaped(self.name.clone()));
            }
        } else if decision != Decision::Nothing {
            self.execute(&session, "set the marker", &marker::statement(decision)).await?;
        }
        session.close(self.clock).await;
        Ok(())
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

    async fn comment(&self, session: &Session) -> Result<Option<String>, PostgresError> {
        let row = session.query_one(marker::QUERY, &[]).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| self.failed("look for the marker", &error))
    }

    /// A connection of the superuser to the database `postgres`, once the server answers. A password
    /// that does not fit is set anew.
    async fn superuser(&self) -> Result<Session, PostgresError> {
        let begin = self.clock.moment();
        let mut repaired = false;
        loop {
            let error = match self.try_open(SUPERUSER, SUPERUSER).await? {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            let late = self.clock.moment().since(begin) >= PATIENCE;
            match error {
                Refusal::WrongPassword(_) if !repaired => {
                    self.repair().await?;
                    repaired = true;
                }
                Refusal::NotYet(_) if !late => self.clock.sleep(PAUSE).await,
                Refusal::NotYet(words) => return Err(PostgresError::Silent(self.name.clone(), words)),
                Refusal::WrongPassword(words) | Refusal::Other(words) => return Err(self.no_entry(SUPERUSER, SUPERUSER, words)),
            }
        }
    }

    /// A connection of the superuser to a database.
    pub async fn open(&self, database: &str) -> Result<Session, PostgresError> {
        let refused = |refusal| match refusal {
            Refusal::NotYet(words) => PostgresError::Silent(self.name.clone(), words),
            Refusal::WrongPassword(words) | Refusal::Other(words) => self.no_entry(database, SUPERUSER, words),
        };
        self.try_open(database, SUPERUSER).await?.map_err(refused)
    }

    /// Whether the password that we know of a role is the server's. One that is let in no further
    /// for another reason has the right password.
    pub async fn password_fits(&self, role: &str) -> Result<bool, PostgresError> {
        match self.try_open(self.postgres.database.as_str(), role).await? {
            Ok(session) => {
                session.close(self.clock).await;
                Ok(true)
            }
            Err(Refusal::WrongPassword(_)) => Ok(false),
            Err(Refusal::NotYet(words)) => Err(PostgresError::Silent(self.name.clone(), words)),
            Err(Refusal::Other(_)) => Ok(true),
        }
    }

    async fn try_open(&self, database: &str, role: &str) -> Result<Result<Session, Refusal>, PostgresError> {
        let address = self.address().await?;
        let config = config(address, database, role, &self.password(role)?);
        let opened = within(self.clock, ATTEMPT, Session::open(&config)).await;
        Ok(match opened {
            None => Err(Refusal::NotYet("no answer to an attempt to connect".to_owned())),
            Some(opened) => opened.map_err(|error| Refusal::of(&error)),
        })
    }

    async fn address(&self) -> Result<SocketAddr, PostgresError> {
        let reach = self.engine.reach(self.container, PORT).await;
        match reach.map_err(|error| PostgresError::Engine(self.name.clone(), error))? {
            Reach::Direct(address) | Reach::Published(address) => Ok(address),
        }
    }

    /// The password of a role.
    pub fn password(&self, role: &str) -> Result<SecretString, PostgresError> {
        let role_name = role.parse().ok();
        let password = role_name.and_then(|role| self.passwords.get(self.name, &role));
        password.ok_or_else(|| PostgresError::NoPassword(self.name.clone(), role.to_owned()))
    }

    /// Sets the superuser's password anew through the local socket of the image, which lets its own
    /// user in without one. The statement travels on standard input and holds a verifier only.
    async fn repair(&self) -> Result<(), PostgresError> {
        let statement = self.password_statement(SUPERUSER)?;
        let output = self.psql(SUPERUSER, &["-f", "-"], statement.into_bytes(), REPAIR).await?;
        if output.code == 0 {
            return Ok(());
        }
        Err(PostgresError::Repair(self.name.clone(), init::first_error(&output.stderr)))
    }

    /// The statement that gives a role the password that we know, as a verifier: no log of the
    /// server can hold the password.
    pub fn password_statement(&self, role: &str) -> Result<String, PostgresError> {
        let verifier = self.verifier(role)?;
        Ok(format!("ALTER ROLE {} PASSWORD {};", identifier(role), literal(&verifier)))
    }

    /// What the server keeps of a role's password.
    pub fn verifier(&self, role: &str) -> Result<String, PostgresError> {
        let password = self.password(role)?;
        Ok(postgres_protocol::password::scram_sha_256(password.expose_secret().as_bytes()))
    }

    /// psql in the container, as the superuser over the local socket, stopping at the first error.
    pub async fn psql(
        &self,
        database: &str,
        more: &[&str],
        input: Vec<u8>,
        limit: Duration,
    ) -> Result<ExecOutput, PostgresError> {
        let fixed = ["psql", "-X", "-q", "-w", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "-U", SUPERUSER, "-d", database];
        let command = fixed.iter().chain(more).map(|word| (*word).to_owned()).collect();
        // What the container's environment says of servers is meant for others.
        let env = vec!["PGHOST=".to_owned(), "PGOPTIONS=".to_owned(), format!("PGPORT={PORT}"), "LC_MESSAGES=C".to_owned()];
        let exec = Exec { command, user: Some(SUPERUSER.to_owned()), stdin: Some(input), env };
        let output = self.engine.exec(self.container, &exec, limit).await;
        output.map_err(|error| PostgresError::Engine(self.name.clone(), error))
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

    fn no_entry(&self, database: &str, role: &str, words: String) -> PostgresError {
        let (database, role) = (database.to_owned(), role.to_owned());
        PostgresError::Connect { postgres: self.name.clone(), database, role, words }
    }
}

/// Why a role was not let in.
enum Refusal {
    /// The server is not there yet, or is starting.
    NotYet(String),
    /// Its password does not fit.
    WrongPassword(String),
    /// Anything else.
    Other(String),
}

impl Refusal {
    fn of(error: &tokio_postgres::Error) -> Self {
        let code = error.code();
        match trouble(error) {
            Trouble::Silent(words) => Self::NotYet(words),
            Trouble::Answered(words) if code == Some(&SqlState::CANNOT_CONNECT_NOW) => Self::NotYet(words),
            Trouble::Answered(words) if code == Some(&SqlState::INVALID_PASSWORD) => Self::WrongPassword(words),
            Trouble::Answered(words) => Self::Other(words),
        }
    }
}
