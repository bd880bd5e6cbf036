//! A Postgres of the file: its server, databases, roles and backups.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::name::{SqlName, VolumeName};
use super::probe::Probes;
use super::template::Template;

/// What a postgres alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// An external server in place of a container: its address, perhaps with a password in it.
    pub url: Option<Template>,
    /// The app's database.
    pub database: SqlName,
    /// The app's role, owner of `database`; no superuser unless it is `postgres`.
    pub user: SqlName,
    /// The password of `user` where the file gives one; else generated once.
    pub password: Option<Template>,
    /// More databases of `user`.
    pub databases: Vec<SqlName>,
    /// More roles.
    pub roles: BTreeMap<SqlName, Role>,
    /// The volume of the data directory.
    pub volume: VolumeName,
    /// The major version that the image's tag says, where it says one.
    pub major: Option<u32>,
    /// Extensions made in each database before `init`.
    pub extensions: Vec<String>,
    /// SQL files run once on an empty data directory, in order.
    pub init: Vec<PathBuf>,
    /// Server settings, in order of name.
    pub settings: BTreeMap<String, String>,
    /// Readiness and liveness.
    pub probes: Probes,
    /// Hourly backups.
    pub backup: Backup,
}

impl Postgres {
    /// Whether it is a server elsewhere, for which nothing is started.
    pub fn is_external(&self) -> bool {
        self.url.is_some()
    }
}

/// The major version that a reference names: `postgres:17`, `postgis/postgis:17-3.5`,
/// `supabase/postgres:15.8.1.085`, `pgvector/pgvector:pg17`, `timescale/timescaledb:2.17-pg16`.
pub fn major_of(reference: &str) -> Option<u32> {
    let name = reference.split('@').next()?.rsplit('/').next()?;
    let tag = name.split_once(':')?.1;
    let after_pg = tag.find("pg").map(|at| &tag[at + 2..]);
    let digits =
        |text: &str| text.split(|part: char| !part.is_ascii_digit()).next().and_then(|digits| digits.parse::<u32>().ok());
    let major = after_pg.and_then(digits).or_else(|| digits(tag))?;
    (9..=99).contains(&major).then_some(major)
}

/// A role beside the app's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Role {
    /// Its password where the file gives one; else generated once.
    pub password: Option<Template>,
    /// Whether it is a superuser.
    pub superuser: bool,
    /// Whether it may create databases.
    pub createdb: bool,
    /// Roles it is a member of.
    pub grant: Vec<String>,
}

/// `[postgres.NAME.backup]`, carried out by the caretaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Whether sets are taken.
    pub enabled: bool,
    /// When.
    pub schedule: BackupSchedule,
    /// How many are kept, by rule name (`last`, `hourly`, `daily`, `weekly`, `monthly`).
    pub keep: BTreeMap<&'static str, u32>,
    /// Where the sets lie.
    pub directory: PathBuf,
    /// Whether each set is tried by a restore (`restore`) or decoded whole (`read`).
    pub trial_restore: bool,
    /// Free bytes below which a set is not begun; `None`: from the last set's size.
    pub min_free: Option<u64>,
    /// An address for copies, as written.
    pub offsite: Option<Template>,
}

/// When backup sets are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupSchedule {
    /// UTC slots of this length.
    Every(Duration),
    /// A cron expression in UTC.
    Cron(String),
}
