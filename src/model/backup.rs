//! Backup sets in words: which one, how well it is proven, what is known of the taking of sets.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::database_snapshot::{DatabaseSnapshot, SnapshotWork};
use super::name::ContainerId;
use super::restore::{Exchange, Restore, Restoring, Undoable};

/// The name of a backup set: the second that it stands for, in UTC, and a number where there is more
/// than one of that second. `20261120T210000Z`, `20261120T210000Z-2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId {
    slot: Timestamp,
    sequence: u32,
}

/// How the second is written in a name.
const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A text that is no name of a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a backup set: one looks like 20261120T210000Z")]
pub struct SetIdError(pub String);

impl SetId {
    /// The set of a second; of a second one the `sequence` is 2.
    pub fn new(slot: Timestamp, sequence: u32) -> Self {
        Self { slot: Timestamp::from_second(slot.as_second()).unwrap_or(slot), sequence: sequence.max(1) }
    }

    /// The second that it stands for: of a scheduled set the slot, else when it was begun.
    pub fn slot(self) -> Timestamp {
        self.slot
    }

    /// Its number among those of that second, from 1.
    pub fn sequence(self) -> u32 {
        self.sequence
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.slot.to_zoned(TimeZone::UTC).strftime(FORMAT).to_string();
        match self.sequence {
            1 => formatter.pad(&time),
            more => formatter.pad(&format!("{time}-{more}")),
        }
    }
}

impl FromStr for SetId {
    type Err = SetIdError;
    fn from_str(text: &str) -> Result<Self, SetIdError> {
        let no_name = || SetIdError(text.to_owned());
        let (time, sequence) = match text.split_once('-') {
            None => (text, 1),
            Some((time, number)) => (time, number.parse().ok().filter(|number| *number > 1).ok_or_else(no_name)?),
        };
        let slot = jiff::civil::DateTime::strptime(FORMAT, time).and_then(|time| time.to_zoned(TimeZone::UTC));
        let id = Self::new(slot.map_err(|_| no_name())?.timestamp(), sequence);
        // One spelling a set: `+2` and a year of five digits are none.
        if id.to_string() == text { Ok(id) } else { Err(no_name()) }
    }
}

impl serde::Serialize for SetId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for SetId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How well a set is known to be good: each level holds what those before it hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// Nothing is known.
    #[default]
    None,
    /// Its bytes are those that were written (L1).
    Stored,
    /// It was decoded whole, and holds what the database held (L2).
    Read,
    /// It was restored in a trial, and the rows were counted (L3).
    Restored,
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::None => "none",
            Self::Stored => "stored",
            Self::Read => "read",
            Self::Restored => "restored",
        })
    }
}

/// What is known of the sets of one Postgres.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// How many sets are there.
    pub sets: usize,
    /// Of them: those that can't be used, with why.
    pub unusable: std::collections::BTreeMap<SetId, String>,
    /// The newest one that could be restored.
    pub last_good: Option<Known>,
    /// The one that was tried by a restore last.
    pub proven: Option<Known>,
    /// The newest slot of the timetable that a good set was taken for.
    pub last_slot: Option<Timestamp>,
    /// The newest set has less than half of what the sets before it had: told, for something may be gone.
    pub shrunk: Option<String>,
    /// Their names.
    pub present: std::collections::BTreeSet<SetId>,
}

impl Summary {
    /// Those of these sets that are there.
    pub fn of_these(&self, sets: &[SetId]) -> Vec<SetId> {
        sets.iter().copied().filter(|id| self.present.contains(id)).collect()
    }
}

/// A set, as far as it is told of.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Known {
    /// Its name.
    pub id: SetId,
    /// When the last byte of it was read.
    pub finished: Timestamp,
    /// How well it is proven.
    pub proof: Proof,
    /// When that was.
    pub proven_at: Option<Timestamp>,
    /// How many rows it holds.
    pub rows: u64,
    /// What it takes on the disk.
    pub bytes: u64,
    /// How long its trial restore took, in seconds.
    pub restore_seconds: Option<f64>,
    /// How many rows were equal in it.
    pub rows_equal: Option<u64>,
    /// Why it is not proven better, where that was tried.
    pub error: Option<String>,
}

/// Something to be done with the sets of one Postgres.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum Work {
    /// Take a set.
    Take {
        /// The slot of the timetable that it is for.
        slot: Option<Timestamp>,
        /// How many slots passed without a set since the last one.
        missed: u64,
        /// What it is taken before, for people: then it is kept for a week whatever the rules say.
        before: Option<String>,
    },
    /// Look at a set again.
    Verify {
        /// Which.
        set: SetId,
        /// Whether also by a trial restore.
        by_restore: bool,
    },
    /// Make databases like those of a set beside what is used.
    Restore(Restore),
    /// Save a snapshot of databases, tell of them, or remove one.
    Snapshot(SnapshotWork),
    /// Undo the last restore: it becomes an exchange the other way round.
    Undo,
    /// Give names to other databases.
    Exchange {
        /// The data directory that the object ids are of.
        line: String,
        /// Which.
        databases: Vec<Exchange>,
        /// Whether `init` is to run in the new ones.
        initialise: bool,
    },
    /// Remove what a restore made and did not end, and databases that it put aside.
    Clear {
        /// The data directory that the object ids are of.
        line: String,
        /// Those that were put aside.
        databases: Vec<u32>,
    },
}

impl Work {
    /// Whether databases are made for it that nothing needs where it is not ended.
    pub fn makes_databases(&self) -> bool {
        matches!(self, Self::Restore(_) | Self::Snapshot(SnapshotWork::Save { .. }))
    }

    /// The verb, as the plan prints it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Take { .. } => "backup",
            Self::Verify { .. } => "verify",
            Self::Restore(_) => "restore",
            Self::Snapshot(_) => "snapshot",
            Self::Undo => "undo",
            Self::Exchange { .. } => "exchange",
            Self::Clear { .. } => "clear",
        }
    }
}

/// When something is to be done with the sets of one Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Now, as soon as the server is ready.
    Now {
        /// What.
        work: Work,
        /// Why, for people.
        cause: String,
    },
    /// Not before then.
    Later(Timestamp),
}

/// What is remembered of the taking of sets beside what lies in their directory.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct BackupHistory {
    /// What failed last, until the next set.
    #[serde(default)]
    pub failed: Option<BackupFailure>,
    /// The newest slot that a set was taken for: the set itself may have gone by the rules since.
    #[serde(default)]
    pub last_slot: Option<Timestamp>,
    /// The last set that was taken before something: of which container, and before what.
    #[serde(default)]
    pub taken_before: Option<(ContainerId, String)>,
    /// How many slots passed without a set, in all; only grows.
    #[serde(default)]
    pub missed: u64,
    /// Old sets that would go by the rules, and are held back for they are more than half.
    #[serde(default)]
    pub held: Vec<SetId>,
    /// A restore that is under way.
    #[serde(default)]
    pub restoring: Option<Restoring>,
    /// The last restore, while it can be undone.
    #[serde(default)]
    pub undoable: Option<Undoable>,
}

/// A set that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BackupFailure {
    /// The slot that it was for; of one that somebody asked for, when that was.
    pub slot: Timestamp,
    /// How often in a row, for that slot.
    pub times: u32,
    /// When the last time.
    pub at: Timestamp,
    /// The word for programs: `disk_low`, `db_unavailable`, `dump_failed`, ...
    pub reason: String,
    /// Why, for people.
    pub words: String,
}

/// What came of a piece of work.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct WorkDone {
    /// The set that it was about, where it was about one.
    pub set: Option<SetId>,
    /// Of a restore: the data directory and the names that change hands.
    #[serde(default)]
    pub made: Option<(String, Vec<Exchange>)>,
    /// Of a restore: the set that was taken before.
    #[serde(default)]
    pub safety: Option<SetId>,
    /// Snapshots: the one that was saved, or all that there are.
    #[serde(default)]
    pub snapshots: Vec<DatabaseSnapshot>,
    /// Old sets that went.
    pub gone: Vec<SetId>,
    /// Old sets that would have gone, and are held back.
    pub held: Vec<SetId>,
    /// Why the set is not proven as it should be, for people: a trial restore that was due and failed, or what
    /// was found when it was looked at again.
    pub unproven: Option<String>,
    /// What went wrong after the set was good, for people.
    #[serde(default)]
    pub troubles: Vec<String>,
    /// What is there now; `None`: nobody looked, or that failed.
    pub summary: Option<Summary>,
}

impl WorkDone {
    /// It is done, and there is nothing to tell of it.
    pub fn of_none() -> Self {
        Self {
            set: None,
            made: None,
            safety: None,
            snapshots: Vec::new(),
            gone: Vec::new(),
            held: Vec::new(),
            unproven: None,
            troubles: Vec::new(),
            summary: None,
        }
    }
}

/// Work that failed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[error("{words}")]
pub struct WorkFailed {
    /// The word for programs.
    pub reason: String,
    /// Why, the whole chain.
    pub words: String,
}

/// Work that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Errand {
    /// The Postgres.
    pub of: super::name::WorkloadName,
    /// What.
    pub work: Work,
}
