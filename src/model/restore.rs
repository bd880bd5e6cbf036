//! A restore of databases of a running server: what is wanted, and how far one is that takes the place of what was
//! there. Pure.
//!
//! The new databases are made beside those that are used. Only when they are whole do the names change hands, while
//! nobody who needs the server runs; what was there before stays, closed, until the restore can't be undone any more.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backup::SetId;
use super::name::{SnapshotLabel, WorkloadName};

/// How long a restore can be undone.
pub const UNDO: Duration = Duration::from_secs(24 * 3600);
/// How long those who need the server may take to be ready again, beyond the time they may take to start.
pub const RISING: Duration = Duration::from_secs(60);

/// What takes the place of what is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What a set holds.
    Set(SetId),
    /// What a snapshot holds.
    Snapshot(SnapshotLabel),
    /// An archive that `pg_dump` made elsewhere, as it is or through gzip or zstd.
    File(PathBuf),
    /// Nothing: empty databases, in which `init` runs anew.
    Nothing,
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Set(id) => write!(formatter, "set {id}"),
            Self::Snapshot(label) => write!(formatter, "snapshot {label}"),
            Self::File(path) => write!(formatter, "file {}", path.display()),
            Self::Nothing => formatter.write_str("empty databases"),
        }
    }
}

/// What is to be restored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Restore {
    /// From what.
    pub source: Source,
    /// The one database that is wanted; `None`: all that the set has, or that the file names.
    pub database: Option<String>,
    /// The name of a new database beside the others; `None`: it takes the place of what is there.
    pub to: Option<String>,
    /// Whether a set of what is there is taken before.
    pub with_safety_set: bool,
}

/// The longest name of a database, in bytes: a server cuts longer ones.
const LONGEST: usize = 63;

impl Restore {
    /// A name that was asked for and can't be that of a database of users, with why, for people; `None`: there is none.
    pub fn misnamed(&self) -> Option<(&str, &'static str)> {
        // Of a set or a snapshot it names what is in it.
        let replaced = self.database.as_ref().filter(|_| matches!(self.source, Source::File(_)));
        self.to.iter().chain(replaced).find_map(|name| {
            let why = match name.as_str() {
                "" => "it is empty",
                "postgres" | "template0" | "template1" => "it is the server's own",
                ours if ours.starts_with("witwd_") => "such names are witwd's own",
                long if long.len() > LONGEST => "it has more than 63 bytes",
                nul if nul.contains('\0') => "it has a byte 0",
                _ => return None,
            };
            Some((name.as_str(), why))
        })
    }
}

/// A name that changes hands: databases are known by their object ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exchange {
    /// The name.
    pub name: String,
    /// The database that is to have it; `None`: there was none of that name.
    pub live: Option<u32>,
    /// The database that gives it up and stays, closed; `None`: there was none of that name.
    pub spare: Option<u32>,
}

impl Exchange {
    /// The way back.
    #[must_use]
    pub fn reverse(&self) -> Self {
        Self { name: self.name.clone(), live: self.spare, spare: self.live }
    }
}

/// A restore that takes the place of what was there. It outlives the daemon: the next one goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// What was restored, for people.
    pub of: String,
    /// The data directory that the object ids are of.
    #[serde(default)]
    pub line: String,
    /// The names that change hands.
    #[serde(default)]
    pub databases: Vec<Exchange>,
    /// Those who were ready before, the server itself among them: where they do not come up with what was restored, the names change back.
    #[serde(default)]
    pub waits_for: BTreeSet<WorkloadName>,
    /// Whether `init` is to run in the new databases.
    #[serde(default)]
    pub initialise: bool,
    /// Databases that nothing needs once it is over.
    #[serde(default)]
    pub retired: Vec<u32>,
    /// Whether it brings back what was there before another one: it made nothing, so nothing goes with it.
    #[serde(default)]
    pub is_undo: bool,
    /// How far it is.
    pub step: Step,
}

/// A restore that is over, and can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undoable {
    /// What was restored, for people.
    pub of: String,
    /// The data directory that the object ids are of.
    pub line: String,
    /// The names that changed hands.
    pub databases: Vec<Exchange>,
    /// When what was there before goes.
    pub until: Timestamp,
}

impl Undoable {
    /// The databases that go then.
    pub fn spares(&self) -> Vec<u32> {
        spares(&self.databases)
    }
}

fn spares(databases: &[Exchange]) -> Vec<u32> {
    databases.iter().filter_map(|exchange| exchange.spare).collect()
}

/// How far a restore is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Databases are copied for a snapshot, which has its name only when it is whole.
    Saving,
    /// Databases are made beside those that are used.
    Making,
    /// Those who need the server are stopped; then the names change hands.
    Changing,
    /// Those who need the server are started and waited for.
    Watching,
    /// They did not come up: the names change back.
    Returning {
        /// Why.
        why: String,
    },
    /// What is not used any more is removed.
    Clearing,
}

impl std::fmt::Display for Restoring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = &self.of;
        let all = || self.waits_for.iter().map(WorkloadName::as_str).collect::<Vec<_>>().join(", ");
        match &self.step {
            Step::Saving => write!(formatter, "saving {of}"),
            Step::Making => write!(formatter, "restoring {of}"),
            Step::Changing => write!(formatter, "restoring {of}, those who need the database are stopped"),
            Step::Watching if self.waits_for.is_empty() => write!(formatter, "restoring {of}, nearly done"),
            Step::Watching if self.waits_for.len() > 1 => write!(formatter, "restoring {of}, waiting until {} are ready", all()),
            Step::Watching => write!(formatter, "restoring {of}, waiting until {} is ready", all()),
            Step::Returning { .. } => write!(formatter, "restoring what was there before {of}"),
            Step::Clearing => write!(formatter, "restoring {of}, what is not used any more is removed"),
        }
    }
}

impl Restoring {
    /// One that begins.
    pub fn begun(of: String) -> Self {
        Self {
            of,
            line: String::new(),
            databases: Vec::new(),
            waits_for: BTreeSet::new(),
            initialise: false,
            retired: Vec::new(),
            is_undo: false,
            step: Step::Making,
        }
    }

    /// A snapshot that is begun to be saved: what of it is not whole goes as what a restore left does.
    pub fn saving(label: &SnapshotLabel) -> Self {
        Self { step: Step::Saving, ..Self::begun(format!("snapshot {label}")) }
    }

    /// The way back of one that is over.
    pub fn undoing(undoable: &Undoable) -> Self {
        let of = format!("what was there before {}", undoable.of);
        let databases = undoable.databases.iter().map(Exchange::reverse).collect();
        Self { line: undoable.line.clone(), databases, is_undo: true, step: Step::Changing, ..Self::begun(of) }
    }

    /// It is taken back, for this reason: what was made for it goes then.
    pub fn turn(&mut self, why: String) {
        self.databases.iter_mut().for_each(|exchange| *exchange = exchange.reverse());
        self.retired = if self.is_undo { Vec::new() } else { spares(&self.databases) };
        self.initialise = false;
        self.step = Step::Returning { why };
    }

    /// It is over, and what an earlier one kept goes unless it is used: what can be undone from now on.
    pub fn end(&mut self, earlier: Option<&Undoable>, until: Timestamp) -> Undoable {
        let is_used = |oid: &u32| self.databases.iter().any(|one| one.live == Some(*oid) || one.spare == Some(*oid));
        let earlier = earlier.filter(|earlier| earlier.line == self.line).map(Undoable::spares).unwrap_or_default();
        self.retired = earlier.into_iter().filter(|oid| !is_used(oid)).collect();
        self.step = Step::Clearing;
        Undoable { of: self.of.clone(), line: self.line.clone(), databases: self.databases.clone(), until }
    }

    /// The names, for people.
    pub fn names(&self) -> String {
        self.databases.iter().map(|exchange| exchange.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(live: u32, spare: u32) -> Restoring {
        let databases = vec![Exchange { name: "app".to_owned(), live: Some(live), spare: Some(spare) }];
        let line = "7000".to_owned();
        Restoring { line, databases, ..Restoring::begun("set 1".to_owned()) }
    }

    #[test]
    fn what_is_taken_back_removes_what_was_made_and_never_what_was_there() {
        let mut restoring = done(9, 5);
        restoring.turn("app is not ready".to_owned());
        assert_eq!(restoring.databases, done(5, 9).databases);
        assert_eq!(restoring.retired, [9]);
    }

    #[test]
    fn of_two_restores_the_last_can_be_undone_and_what_the_first_kept_goes() {
        let first = done(9, 5).end(None, Timestamp::MAX);
        assert_eq!(first.spares(), [5]);
        let mut second = done(12, 9);
        let undoable = second.end(Some(&first), Timestamp::MAX);
        assert_eq!((second.retired, undoable.spares()), (vec![5], vec![9]));
    }

    #[test]
    fn an_undo_can_be_undone_and_removes_nothing() {
        let first = done(9, 5).end(None, Timestamp::MAX);
        let mut undoing = Restoring::undoing(&first);
        assert_eq!(undoing.databases, done(5, 9).databases);
        let undoable = undoing.end(Some(&first), Timestamp::MAX);
        assert_eq!((undoing.retired, undoable.spares()), (Vec::new(), vec![9]));
    }

    #[test]
    fn an_undo_that_fails_keeps_what_it_was_to_bring_back() {
        let first = done(9, 5).end(None, Timestamp::MAX);
        let mut undoing = Restoring::undoing(&first);
        undoing.turn("db does not answer".to_owned());
        assert_eq!((undoing.databases, undoing.retired), (done(9, 5).databases, Vec::new()));
    }

    #[test]
    fn databases_of_another_data_directory_are_no_bodys_spares() {
        let first = Undoable { line: "6000".to_owned(), ..done(9, 5).end(None, Timestamp::MAX) };
        let mut second = done(12, 9);
        second.end(Some(&first), Timestamp::MAX);
        assert_eq!(second.retired, Vec::<u32>::new());
    }
}
