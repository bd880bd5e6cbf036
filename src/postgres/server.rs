//! How provisioning gets into a server: over TCP by password, and through the image's local socket.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::error::SqlState;

use super::connect::{Session, Trouble, config, trouble, within};
use super::error::PostgresError;
use super::provision::Work;
use super::sql::{identifier, literal};
use super::{PORT, SUPERUSER, init};
use crate::engine::answer::{ExecOutput, Reach};
use crate::engine::request::Exec;

/// How long a server that is starting may keep us. The caller need not wait for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one attempt to connect may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long the repair of a password may take.
const REPAIR: Duration = Duration::from_secs(30);

impl Work<'_> {
    /// A connection of the superuser to the database `postgres`, once the server answers. A password
    /// that does not fit is set anew.
    pub async fn superuser(&self) -> Result<Session, PostgresError> {
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
                other => return Err(self.no_entry(SUPERUSER, SUPERUSER, other.words())),
            }
        }
    }

    /// A connection of the superuser to a database.
    pub async fn open(&self, database: &str) -> Result<Session, PostgresError> {
        let refused = |refusal: Refusal| match refusal {
            Refusal::NotYet(words) => PostgresError::Silent(self.name.clone(), words),
            other => self.no_entry(database, SUPERUSER, other.words()),
        };
        self.try_open(database, SUPERUSER).await?.map_err(refused)
    }

    /// Whether the password that we know of a role is known to be the server's. Only what is asked after
    /// it says so: one that is refused for want of a database or of a right to it has the right password.
    /// Another refusal says nothing of it, and setting it again does no harm.
    pub async fn password_fits(&self, role: &str) -> Result<bool, PostgresError> {
        match self.try_open(self.postgres.database.as_str(), role).await? {
            Ok(session) => {
                session.close(self.clock).await;
                Ok(true)
            }
            Err(Refusal::NotYet(words)) => Err(PostgresError::Silent(self.name.clone(), words)),
            Err(Refusal::BehindTheDoor(_)) => Ok(true),
            Err(Refusal::WrongPassword(_) | Refusal::Other(_)) => Ok(false),
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
    /// Its password fits, and then the database is not there, or it has no right to connect to it.
    BehindTheDoor(String),
    /// Anything else.
    Other(String),
}

impl Refusal {
    fn words(self) -> String {
        match self {
            Self::NotYet(words) | Self::WrongPassword(words) | Self::BehindTheDoor(words) | Self::Other(words) => words,
        }
    }

    fn of(error: &tokio_postgres::Error) -> Self {
        let code = error.code();
        match trouble(error) {
            Trouble::Silent(words) => Self::NotYet(words),
            Trouble::Answered(words) if code == Some(&SqlState::CANNOT_CONNECT_NOW) => Self::NotYet(words),
            Trouble::Answered(words) if code == Some(&SqlState::INVALID_PASSWORD) => Self::WrongPassword(words),
            Trouble::Answered(words) if code.is_some_and(is_asked_later) => Self::BehindTheDoor(words),
            Trouble::Answered(words) => Self::Other(words),
        }
    }
}

/// What a server asks only once it knows who comes (`InitPostgres` after `PerformAuthentication`).
fn is_asked_later(code: &SqlState) -> bool {
    [SqlState::INVALID_CATALOG_NAME, SqlState::UNDEFINED_DATABASE, SqlState::INSUFFICIENT_PRIVILEGE].contains(code)
}
