//! Snapshots: copies of databases that stay in the server. What a copy is of, and what a copy of a database lacks,
//! stands in its comment: the server alone knows its snapshots, and nothing else has to be kept in step with it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::Sets;
use super::super::error::BackupError;
use super::super::facts::{self, run};
use super::super::manifest::Properties;
use super::super::take::Order;
use super::like::{self, Settings};
use super::{MAINTENANCE, exchange};
use crate::model::database_snapshot::DatabaseSnapshot;
use crate::model::name::SnapshotLabel;
use crate::model::restore::{Exchange, Restore};
use crate::postgres::SUPERUSER;
use crate::postgres::connect::Session;
use crate::postgres::sql::{identifier, literal};

/// What the names of copies begin with.
const PREFIX: &str = "witwd_snapshot_";
/// Above this size, in bytes, files are copied as they are: below it the checkpoint that this takes is what it costs.
const BY_FILE: u64 = 64 << 20;
/// From here on a server can be told how it is to copy.
const HAS_STRATEGIES: u32 = 15;
/// How often sessions that hold up a copy are ended.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// The copies of a server: their names, what is said of them, their sizes.
const COPIES: &str = "SELECT datname::text, pg_catalog.shobj_description(oid, 'pg_database')::text, \
     pg_catalog.pg_database_size(oid)::int8 FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname, 'witwd_snapshot_') \
     ORDER BY datname COLLATE \"C\"";

/// What the comment of a copy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    snapshot: SnapshotLabel,
    saved: Timestamp,
    /// The name of the database that it is a copy of.
    of: String,
    properties: Properties,
    settings: Settings,
}

/// A copy in the server.
struct Copy {
    name: String,
    note: Note,
    bytes: u64,
}

impl Sets {
    /// Copies all databases of users but the one that every server has, under a label. Nothing of it is seen before it
    /// is whole. Sessions are ended for it; who connects meanwhile waits until the copy is made.
    pub async fn save_snapshot(&self, order: &Order<'_>, label: &SnapshotLabel) -> Result<DatabaseSnapshot, BackupError> {
        let (names, major) = self.copied(order).await?;
        let session = self.aside(order, names.keys()).await?;
        let there = copies(&session).await?;
        if there.iter().any(|copy| copy.note.snapshot == *label) {
            return Err(BackupError::SnapshotExists(label.clone()));
        }
        self.clear(order, "", &[]).await?;
        self.has_room("a snapshot", names.values().sum()).await?;
        let saved = self.copy_all(order, (&session, major), label, &names).await;
        session.close(self.clock.as_ref()).await;
        if saved.is_err() {
            self.clear_or_leave(order, "").await;
        }
        saved.map(|saved| DatabaseSnapshot { label: label.clone(), saved, databases: names })
    }

    /// The databases that a snapshot is of, with their sizes, and the major version of their server.
    async fn copied(&self, order: &Order<'_>) -> Result<(BTreeMap<String, u64>, u32), BackupError> {
        const SIZES: &str = "SELECT datname::text, pg_catalog.pg_database_size(oid)::int8 FROM pg_catalog.pg_database";
        let session = self.open(order, SUPERUSER).await?;
        let server = facts::server(&session).await?;
        let sizes = facts::rows(&session, "ask how large databases are", SIZES).await?;
        session.close(self.clock.as_ref()).await;
        let sizes = sizes.iter().map(|row| Ok((facts::get(row, 0)?, facts::get::<i64>(row, 1)?.unsigned_abs())));
        let sizes: BTreeMap<String, u64> = sizes.collect::<Result<_, BackupError>>()?;
        let is_of_file = order.postgres().is_some_and(|postgres| postgres.database.as_str() == MAINTENANCE);
        let is_meant = |name: &String| server.databases.get(name) == Some(&true) && (is_of_file || name != MAINTENANCE);
        Ok((sizes.into_iter().filter(|(name, _)| is_meant(name)).collect(), server.major()))
    }

    async fn copy_all(
        &self,
        order: &Order<'_>,
        (session, major): (&Session, u32),
        label: &SnapshotLabel,
        names: &BTreeMap<String, u64>,
    ) -> Result<Timestamp, BackupError> {
        let saved = self.clock.wall();
        let mut named = Vec::new();
        for (index, (name, bytes)) in names.iter().enumerate() {
            let own = self.open(order, name).await?;
            let described = facts::describe(&own).await?;
            own.close(self.clock.as_ref()).await;
            (order.progress)(format!("copying {name}"));
            let new = format!("witwd_new_{}", index + 1);
            self.copy(order, (session, name), &copy_statement(&new, name, None, (*bytes, major))).await?;
            let (properties, settings) = (described.properties, described.settings);
            let note = Note { snapshot: label.clone(), saved, of: name.clone(), properties, settings };
            named.push((new, format!("{PREFIX}{label}_{}", index + 1), note));
        }
        // All of them at once: a snapshot is whole, or there is none.
        let statements = named.iter().map(|(new, name, note)| {
            let note = serde_json::to_string(note).unwrap_or_default();
            let new = identifier(new);
            format!(
                "COMMENT ON DATABASE {new} IS {}; ALTER DATABASE {new} ALLOW_CONNECTIONS false; ALTER DATABASE {new} RENAME TO {}",
                literal(&note),
                identifier(name)
            )
        });
        let statements = format!("BEGIN; {}; COMMIT", statements.collect::<Vec<_>>().join("; "));
        run(session, "give the snapshot its name", &statements).await?;
        Ok(saved)
    }

    /// Copies a database. From the moment the server has begun, who wants to connect to it waits; who is connected has
    /// to go, and would be waited for.
    async fn copy(&self, order: &Order<'_>, (session, name): (&Session, &String), statement: &str) -> Result<(), BackupError> {
        let other = self.aside(order, std::iter::once(name)).await?;
        let end = exchange::end_sessions(name);
        let ending = async {
            loop {
                self.clock.sleep(PAUSE).await;
                if let Err(error) = run(&other, "end sessions", &end).await {
                    break error;
                }
            }
        };
        let copied = tokio::select! {
            biased;
            copied = run(session, "copy a database", statement) => copied,
            error = ending => Err(error),
        };
        other.close(self.clock.as_ref()).await;
        copied
    }

    /// All snapshots, oldest first.
    pub async fn snapshots(&self, order: &Order<'_>) -> Result<Vec<DatabaseSnapshot>, BackupError> {
        let session = self.open(order, SUPERUSER).await?;
        let copies = copies(&session).await;
        session.close(self.clock.as_ref()).await;
        let mut all: BTreeMap<(Timestamp, SnapshotLabel), BTreeMap<String, u64>> = BTreeMap::new();
        for Copy { note, bytes, .. } in copies? {
            all.entry((note.saved, note.snapshot)).or_default().insert(note.of, bytes);
        }
        Ok(all.into_iter().map(|((saved, label), databases)| DatabaseSnapshot { label, saved, databases }).collect())
    }

    /// Removes a snapshot.
    pub async fn remove_snapshot(&self, order: &Order<'_>, label: &SnapshotLabel) -> Result<(), BackupError> {
        self.clear(order, "", &[]).await?;
        let session = self.open(order, SUPERUSER).await?;
        let unnamed = unname(&session, label).await;
        session.close(self.clock.as_ref()).await;
        unnamed?;
        self.clear(order, "", &[]).await
    }

    /// Makes databases like those of a snapshot beside those that are used.
    pub(super) async fn make_from_snapshot(
        &self,
        order: &Order<'_>,
        wanted: &Restore,
        (label, major): (&SnapshotLabel, u32),
    ) -> Result<Vec<Exchange>, BackupError> {
        let session = self.open(order, SUPERUSER).await?;
        let made = self.make_copies(order, (&session, major), wanted, label).await;
        session.close(self.clock.as_ref()).await;
        made
    }

    async fn make_copies(
        &self,
        order: &Order<'_>,
        (session, major): (&Session, u32),
        wanted: &Restore,
        label: &SnapshotLabel,
    ) -> Result<Vec<Exchange>, BackupError> {
        let copies = meant(of(copies(session).await?, label)?, order, wanted)?;
        self.has_room("a restore", copies.iter().map(|copy| copy.bytes).sum()).await?;
        let mut exchanges = Vec::new();
        for (index, Copy { name, note, bytes }) in copies.into_iter().enumerate() {
            (order.progress)(format!("copying {}", note.of));
            let new = format!("witwd_new_{}", index + 1);
            let statement = copy_statement(&new, &name, Some(&note.properties.owner), (bytes, major));
            run(session, "copy a snapshot", &statement).await?;
            like::give(session, &new, &note.properties, &note.settings).await?;
            match &wanted.to {
                Some(to) => exchange::rename(session, &new, to).await?,
                None => exchanges.push(exchange::between(session, &new, &note.of).await?),
            }
        }
        Ok(exchanges)
    }
}

/// Takes their names from all copies of a snapshot at once: what has none goes, now or later.
async fn unname(session: &Session, label: &SnapshotLabel) -> Result<(), BackupError> {
    let copies = of(copies(session).await?, label)?;
    let renames = copies.iter().enumerate().map(|(index, copy)| {
        format!("ALTER DATABASE {} RENAME TO {}", identifier(&copy.name), identifier(&format!("witwd_new_{}", index + 1)))
    });
    let statements = format!("BEGIN; {}; COMMIT", renames.collect::<Vec<_>>().join("; "));
    run(session, "remove a snapshot", &statements).await
}

/// The databases of a snapshot that are wanted. A copy beside is of one: that of the file where nothing else is said.
fn meant(copies: Vec<Copy>, order: &Order<'_>, wanted: &Restore) -> Result<Vec<Copy>, BackupError> {
    let own = order.postgres().map(|postgres| postgres.database.to_string());
    let name = wanted.database.clone().or_else(|| wanted.to.as_ref().and(own));
    let Some(name) = name else { return Ok(copies) };
    let found: Vec<Copy> = copies.into_iter().filter(|copy| copy.note.of == name).collect();
    if found.is_empty() {
        let words = format!("it has no database {name}");
        return Err(BackupError::Unfit { source_of: wanted.source.clone(), words });
    }
    Ok(found)
}

/// The copies of one snapshot.
fn of(copies: Vec<Copy>, label: &SnapshotLabel) -> Result<Vec<Copy>, BackupError> {
    let all: Vec<String> = copies.iter().map(|copy| copy.note.snapshot.to_string()).collect();
    let found: Vec<Copy> = copies.into_iter().filter(|copy| copy.note.snapshot == *label).collect();
    if found.is_empty() { Err(BackupError::NoSnapshot(label.clone(), all)) } else { Ok(found) }
}

/// What is no copy of ours, whatever it is called, is left alone.
async fn copies(session: &Session) -> Result<Vec<Copy>, BackupError> {
    let rows = facts::rows(session, "list snapshots", COPIES).await?;
    let mut copies = Vec::new();
    for row in &rows {
        let note: Option<String> = facts::get(row, 1)?;
        let Some(note) = note.and_then(|note| serde_json::from_str(&note).ok()) else { continue };
        copies.push(Copy { name: facts::get(row, 0)?, note, bytes: facts::get::<i64>(row, 2)?.unsigned_abs() });
    }
    Ok(copies)
}

fn copy_statement(new: &str, of: &str, owner: Option<&str>, (bytes, major): (u64, u32)) -> String {
    let owner = owner.map(|owner| format!(" OWNER {}", identifier(owner))).unwrap_or_default();
    let strategy = if major >= HAS_STRATEGIES && bytes > BY_FILE { " STRATEGY file_copy" } else { "" };
    format!("CREATE DATABASE {} TEMPLATE {}{owner}{strategy}", identifier(new), identifier(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_databases_are_copied_without_a_checkpoint_and_large_ones_without_the_log() {
        let table = [
            ((BY_FILE, 17), None, "CREATE DATABASE \"n\" TEMPLATE \"a\"\"b\""),
            ((BY_FILE + 1, 17), Some("o"), "CREATE DATABASE \"n\" TEMPLATE \"a\"\"b\" OWNER \"o\" STRATEGY file_copy"),
            ((BY_FILE + 1, 14), None, "CREATE DATABASE \"n\" TEMPLATE \"a\"\"b\""),
        ];
        for (size, owner, want) in table {
            assert_eq!(copy_statement("n", "a\"b", owner, size), want);
        }
    }

    #[test]
    fn the_name_of_a_copy_fits() {
        let label = "l".repeat(40);
        assert!(label.parse::<SnapshotLabel>().is_ok() && format!("{PREFIX}{label}_9999").len() <= 63);
    }
}
