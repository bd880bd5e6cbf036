//! What a set says of itself: `manifest.json`, written last. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::backup::{Proof, SetId};

/// The version this is written in. A set of another one is left alone: not offered, not counted, not removed.
pub const FORMAT: u32 = 1;

/// The name of the file.
pub const FILE: &str = "manifest.json";

/// Roles and what else is of no database.
pub const GLOBALS: &str = "globals.sql.zst";

/// A set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this description.
    pub format_version: u32,
    /// Its name.
    pub set_id: SetId,
    /// The slot of the timetable that it is of; `None`: somebody asked for it, or it was taken before something.
    pub slot: Option<Timestamp>,
    /// When it was begun.
    pub started: Timestamp,
    /// When the last byte of it was read.
    pub finished: Timestamp,
    /// Why it was taken, for people.
    pub reason: String,
    /// It is kept until then whatever the rules say: it was taken before something that could lose data.
    #[serde(default)]
    pub safe_until: Option<Timestamp>,
    /// Whether a person wants it kept.
    #[serde(default)]
    pub pinned: bool,
    /// The witwd that took it.
    pub witwd_version: String,
    /// The stack.
    pub stack: String,
    /// The name of the Postgres in the file.
    pub postgres: String,
    /// The data directory it is of: one that was made anew has another.
    pub system_identifier: String,
    /// The image of the server, as the file names it.
    pub image: String,
    /// The image's id.
    pub image_digest: String,
    /// The server's version as a number: 150018.
    pub server_version_num: u32,
    /// The server's version as it says it.
    pub server_version: String,
    /// What a server needs to be started with so that the set can be restored in it.
    #[serde(default)]
    pub server_settings: BTreeMap<String, String>,
    /// The name of the superuser that the data directory was made with.
    pub bootstrap_role: String,
    /// Each database that could be connected to.
    pub databases: Vec<Database>,
    /// Databases that could not, with why: they are not in the set.
    #[serde(default)]
    pub skipped: BTreeMap<String, String>,
    /// Roles, memberships, settings of roles, tablespaces.
    pub globals: Stored,
    /// What is known of its being good.
    pub verify: Verified,
}

/// A database of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Its object id when it was dumped.
    pub oid: u32,
    /// The position in the server's log that its snapshot is not older than.
    pub lsn: String,
    /// Its file in the set's directory, with sizes and sums.
    #[serde(flatten)]
    pub stored: Stored,
    /// Entries of the archive's table of contents.
    pub toc_entries: u32,
    /// Its row of `pg_database`, with the names of roles for their ids: encoding, locale, owner, rights.
    pub properties: Properties,
    /// What `ALTER DATABASE ... SET` and `ALTER ROLE ... IN DATABASE ... SET` gave it, by role; `""`: for all.
    #[serde(default)]
    pub settings: BTreeMap<String, Vec<String>>,
    /// Extensions and their versions.
    pub extensions: BTreeMap<String, String>,
    /// What it holds.
    #[serde(flatten)]
    pub content: Content,
}

/// How a database was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Properties {
    /// Its owner.
    pub owner: String,
    /// `UTF8`, `SQL_ASCII`, ...
    pub encoding: String,
    /// `libc`, `icu` or `builtin`.
    pub locale_provider: String,
    /// The order of texts.
    pub collate: String,
    /// The classes of letters.
    pub ctype: String,
    /// The locale of `icu` or `builtin`.
    #[serde(default)]
    pub locale: Option<String>,
    /// Rules beside the locale of `icu`.
    #[serde(default)]
    pub icu_rules: Option<String>,
    /// The version of the library that texts are sorted by, where the server keeps it.
    #[serde(default)]
    pub collation_version: Option<String>,
    /// Rights, as the server writes them (`role=CTc/owner`); `None`: those that every new one has.
    #[serde(default)]
    pub rights: Option<Vec<String>>,
    /// How many may connect; -1: as many as the server lets in.
    pub connection_limit: i32,
    /// Whether it may be copied by whoever may make databases.
    #[serde(default)]
    pub is_template: bool,
    /// What is said of it.
    #[serde(default)]
    pub comment: Option<String>,
}

/// What a database holds, counted in the snapshot that was dumped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Content {
    /// Its tables and materialised views.
    pub tables: Vec<Table>,
    /// How many large objects.
    pub large_objects: u64,
    /// How many indexes that can be used.
    pub indexes: u64,
}

/// A table or materialised view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its object id when it was dumped: the archive names it by that.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// How many rows it had.
    pub rows: u64,
    /// Whether they were counted; else the server's estimate is taken.
    pub exact: bool,
}

/// What holds rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// A table, or a partition.
    Table,
    /// A table of an extension that users write to: rows that came with the extension are not dumped.
    Configuration,
    /// A materialised view that holds rows.
    MaterializedView,
    /// A materialised view that was never filled.
    EmptyView,
}

/// A file of a set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stored {
    /// Its name in the set's directory.
    pub file: String,
    /// The sum of what was dumped.
    pub sha256_plain: String,
    /// The sum of the file.
    pub sha256_file: String,
    /// How much was dumped.
    pub bytes_plain: u64,
    /// The size of the file.
    pub bytes_file: u64,
}

/// What is known of a set's being good.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Verified {
    /// The best level that it passed.
    pub level: Proof,
    /// When that was.
    pub at: Option<Timestamp>,
    /// When its files were read and compared last.
    #[serde(default)]
    pub read_at: Option<Timestamp>,
    /// What was found wrong with it, for people: it is offered to nobody, counted by no rule and removed by none.
    #[serde(default)]
    pub damaged: Option<String>,
    /// Why a higher level was not reached when it was tried last, for people.
    #[serde(default)]
    pub error: Option<String>,
    /// When a restore was tried last, well or not.
    #[serde(default)]
    pub tried_at: Option<Timestamp>,
    /// How long that took, in seconds.
    #[serde(default)]
    pub tried_seconds: Option<f64>,
    /// How long the trial restore took, in seconds.
    #[serde(default)]
    pub restore_seconds: Option<f64>,
    /// How many rows were equal in it.
    #[serde(default)]
    pub rows_equal: Option<u64>,
}

/// Why a manifest is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is of another version of witwd.
    #[error("its format is version {0}, which this witwd does not know")]
    Format(u32),
    /// It can't be read.
    #[error("its {FILE} can't be understood: {0}")]
    Nonsense(String),
    /// It is of another set.
    #[error("its {FILE} is that of {0}")]
    OfAnother(SetId),
}

/// What every version has.
#[derive(Deserialize)]
struct Version {
    format_version: u32,
}

impl Manifest {
    /// Reads the manifest of the set of this name.
    pub fn parse(id: SetId, content: &[u8]) -> Result<Self, ManifestError> {
        let nonsense = |error: serde_json::Error| ManifestError::Nonsense(error.to_string());
        let version: Version = serde_json::from_slice(content).map_err(nonsense)?;
        if version.format_version != FORMAT {
            return Err(ManifestError::Format(version.format_version));
        }
        let manifest: Self = serde_json::from_slice(content).map_err(nonsense)?;
        if manifest.set_id != id {
            return Err(ManifestError::OfAnother(manifest.set_id));
        }
        if let Some(stored) = manifest.files().find(|stored| !super::names::is_plain(&stored.file)) {
            return Err(ManifestError::Nonsense(format!("{:?} is no name of a file of a set", stored.file)));
        }
        Ok(manifest)
    }

    /// Its files but this one.
    pub fn files(&self) -> impl Iterator<Item = &Stored> {
        std::iter::once(&self.globals).chain(self.databases.iter().map(|database| &database.stored))
    }

    /// What it takes on the disk, in bytes, this description left out.
    pub fn bytes(&self) -> u64 {
        total(self.files().map(|stored| stored.bytes_file))
    }

    /// What was dumped, in bytes.
    pub fn bytes_plain(&self) -> u64 {
        total(self.files().map(|stored| stored.bytes_plain))
    }

    /// How many rows it holds, as far as they were counted or estimated.
    pub fn rows(&self) -> u64 {
        total(self.databases.iter().map(Database::rows))
    }

    /// The major version of the server.
    pub fn major(&self) -> u32 {
        self.server_version_num / 10_000
    }
}

impl Database {
    /// Whether there is anything in it that a new one has not.
    pub fn holds_something(&self) -> bool {
        let content = &self.content;
        let extensions = self.extensions.keys().filter(|name| *name != "plpgsql").count();
        !content.tables.is_empty() || content.large_objects > 0 || extensions > 0 || !self.settings.is_empty()
    }

    /// How many rows it holds.
    pub fn rows(&self) -> u64 {
        total(self.content.tables.iter().map(|table| table.rows))
    }
}

/// All together. A file that says nonsense is no reason to end.
fn total(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}
