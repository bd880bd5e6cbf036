//! A set from beginning to end: room, dumps, proof, its name, and only then the end of old ones.

use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::{SignedDuration, Timestamp};

use super::catalog::{Catalog, Draft, Entry, Lock};
use super::dump::Program;
use super::error::BackupError;
use super::facts::{self, Server};
use super::keep::{self, Pruned, Scope};
use super::manifest::{self, Database, GLOBALS, Manifest, Verified};
use super::progress::{Meter, ProgressSink};
use super::{Sets, check, names};
use crate::model::backup::Proof;
use crate::model::chain::chain;
use crate::model::name::{ContainerId, ImageId};
use crate::model::postgres::Postgres;
use crate::model::stack::Stack;
use crate::model::workload::Workload;
use crate::postgres::SUPERUSER;
use crate::postgres::connect::{Session, within};

/// How long a set that was taken before something stays whatever the rules say.
pub const SAFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// What is free on the disk beside a set, in bytes.
const BESIDE: u64 = 1 << 30;
/// A trial restore that took so long last is not made after every dump.
const LONG_TRIAL: f64 = 60.0;
/// How long a server may take for an answer that costs it little.
const ANSWER: Duration = Duration::from_secs(60);
/// How long another who holds the lock is waited for, and how often it is tried.
const LOCKED: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);
/// Then it is made once in this time.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Whose set is taken, and with what.
pub struct Order<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// The Postgres.
    pub workload: &'a Workload,
    /// Its container, running.
    pub container: ContainerId,
    /// The image of that container: its programs are used.
    pub image: ImageId,
    /// Where is told how far it is.
    pub progress: ProgressSink,
}

/// What set is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The slot of the timetable that it is for.
    pub slot: Option<Timestamp>,
    /// Why, for people.
    pub reason: String,
    /// How long it is kept whatever the rules say.
    pub safe_for: Option<Duration>,
}

/// A set that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The set.
    pub manifest: Manifest,
    /// Whether a trial restore was due and failed: why.
    pub trial_failed: Option<String>,
    /// What became of old ones.
    pub pruned: Pruned,
    /// What went wrong after the set was published, for people.
    pub troubles: Vec<String>,
}

impl Order<'_> {
    /// The Postgres.
    pub(super) fn postgres(&self) -> Option<&Postgres> {
        self.workload.postgres()
    }
}

impl Sets {
    /// Takes a set. One that fails leaves nothing, and no old one goes.
    pub async fn take(&self, order: &Order<'_>, wanted: &Wanted) -> Result<Taken, BackupError> {
        let catalog = self.catalog(order.workload);
        let lock = self.lock(&catalog, order).await?;
        catalog.clear(&lock)?;
        let session = self.open(order, SUPERUSER).await?;
        let server = self.soon("asking the server what is in it", ANSWER, facts::server(&session)).await?;
        session.close(self.clock.as_ref()).await;
        let sets = catalog.list()?;
        let last = newest(&sets, &server.system_identifier);
        has_room(&catalog, order.postgres().and_then(|postgres| postgres.backup.min_free), last, &server)?;
        let draft = catalog.begin(&lock, wanted.slot.unwrap_or_else(|| self.clock.wall()))?;
        let path = draft.path.clone();
        let filled = self.fill(order, wanted, (&server, last), &draft).await;
        let manifest = match filled {
            Ok(manifest) => manifest,
            Err(error) => {
                // What can't be removed now goes before the next one is begun.
                let _ = std::fs::remove_dir_all(&path);
                return Err(error);
            }
        };
        catalog.publish(&lock, &draft, &manifest)?;
        let is_safety = wanted.safe_for.is_some();
        let wanted = order.postgres().is_some_and(|postgres| postgres.backup.trial_restore);
        let mut taken = Taken { manifest, trial_failed: None, pruned: Pruned::default(), troubles: Vec::new() };
        // From here on there is a good set, whatever else goes wrong.
        // What waits for this set waits for no trial, and what it restores must not go meanwhile.
        if is_safety {
            return Ok(taken);
        }
        let differs = wanted && trial_is_due(&sets, self.clock.wall()) && self.prove(order, (&catalog, &lock), &mut taken).await;
        if !differs {
            self.tidy(order, (&catalog, &lock), &mut taken).await;
        }
        Ok(taken)
    }

    /// What follows a good set: old ones go by the rules, and some of the others are read anew.
    async fn tidy(&self, order: &Order<'_>, (catalog, lock): (&Catalog, &Lock), taken: &mut Taken) {
        let now = self.clock.wall();
        let scope = Scope { workload: order.workload, line: &taken.manifest.system_identifier, now };
        match keep::prune(catalog, lock, scope, false) {
            Ok(pruned) => taken.pruned = pruned,
            Err(error) => taken.troubles.push(chain(&error)),
        }
        let scrubbed = keep::scrub(catalog, lock, order.workload, now).await;
        taken.troubles.extend(scrubbed.err().map(|error| chain(&error)));
    }

    /// The lock of the sets. A person's own command holds it for a moment.
    pub(super) async fn lock(&self, catalog: &Catalog, order: &Order<'_>) -> Result<Lock, BackupError> {
        let until = self.clock.moment() + LOCKED;
        loop {
            if let Some(lock) = catalog.lock(order.stack.directory())? {
                return Ok(lock);
            }
            if self.clock.moment() >= until {
                return Err(BackupError::Locked(catalog.directory().display().to_string()));
            }
            self.clock.sleep(PAUSE).await;
        }
    }

    /// What comes of something that takes no longer than this: a server that is paused answers nothing for ever.
    async fn soon<T>(
        &self,
        what: &str,
        limit: Duration,
        asked: impl Future<Output = Result<T, BackupError>>,
    ) -> Result<T, BackupError> {
        let late = || BackupError::Slow { what: what.to_owned(), limit, silent: false };
        within(self.clock.as_ref(), limit, asked).await.ok_or_else(late)?
    }

    /// Writes all that belongs to a set but its description, and reads it back.
    async fn fill(
        &self,
        order: &Order<'_>,
        wanted: &Wanted,
        (server, last): (&Server, Option<&Manifest>),
        draft: &Draft,
    ) -> Result<Manifest, BackupError> {
        let started = self.clock.wall();
        let closed = "it lets nobody connect (ALLOW_CONNECTIONS false), or its DROP DATABASE was interrupted";
        let closed =
            server.databases.iter().filter(|(_, connectable)| !**connectable).map(|(name, _)| (name.clone(), closed.to_owned()));
        let (mut databases, mut skipped) = (Vec::new(), closed.collect::<std::collections::BTreeMap<_, _>>());
        for name in server.databases.iter().filter(|(_, connectable)| **connectable).map(|(name, _)| name) {
            let before = last.and_then(|last| last.databases.iter().find(|database| &database.name == name));
            let expected = before.map(|database| database.stored.bytes_plain);
            match self.database(order, name, &draft.path, expected).await {
                Ok(database) => databases.push(database),
                Err(BackupError::Gone(name)) => drop(skipped.insert(name, "it was dropped meanwhile".to_owned())),
                Err(error) => return Err(error),
            }
        }
        let meter = Meter::begin(self.clock.as_ref(), &order.progress, "dumping roles", None);
        let globals = self.dump(order, &Program::of_globals(draft.path.join(GLOBALS)), meter).await?;
        let finished = self.clock.wall();
        let mut manifest = Manifest {
            format_version: manifest::FORMAT,
            set_id: draft.id,
            slot: wanted.slot,
            started,
            finished,
            reason: wanted.reason.clone(),
            safe_until: wanted.safe_for.and_then(|long| finished.checked_add(long).ok()),
            pinned: false,
            witwd_version: env!("CARGO_PKG_VERSION").to_owned(),
            stack: order.stack.name().to_string(),
            postgres: order.workload.name.to_string(),
            system_identifier: server.system_identifier.clone(),
            image: order.workload.image.reference.clone(),
            image_digest: order.image.0.clone(),
            server_version_num: server.version_num,
            server_version: server.version.clone(),
            server_settings: server.settings.clone(),
            bootstrap_role: server.bootstrap_role.clone(),
            databases,
            skipped,
            globals: globals.stored(GLOBALS.to_owned()),
            verify: Verified::default(),
        };
        self.read_back(order, &draft.path, &mut manifest).await?;
        Ok(manifest)
    }

    /// L1 and L2 of what was just written.
    async fn read_back(&self, order: &Order<'_>, set: &Path, manifest: &mut Manifest) -> Result<(), BackupError> {
        (order.progress)("reading the set back".to_owned());
        for stored in manifest.files() {
            check::stored(set, stored).await?;
        }
        let entries = self.read(order, set, manifest, false).await?;
        for (database, entries) in manifest.databases.iter_mut().zip(entries) {
            database.toc_entries = entries;
        }
        let now = self.clock.wall();
        manifest.verify = Verified { level: Proof::Read, at: Some(now), read_at: Some(now), ..Verified::default() };
        Ok(())
    }

    /// A dump of one database and what it holds, both of one moment.
    async fn database(&self, order: &Order<'_>, name: &str, set: &Path, expected: Option<u64>) -> Result<Database, BackupError> {
        let session = self.open(order, name).await?;
        let (snapshot, mut described) = self.soon("describing a database", ANSWER, facts::snapshot(&session)).await?;
        let file = names::dump_file(name);
        let meter = Meter::begin(self.clock.as_ref(), &order.progress, format!("dumping {name}"), expected);
        let program = Program::of_database(name, &snapshot, set.join(&file));
        let dumping = self.dump(order, &program, meter);
        let counting = facts::count(&session, self.clock.as_ref(), &mut described.content.tables);
        let counting = self.soon("counting rows", facts::COUNTING + ANSWER, counting);
        // Both to their end: a dump that is dropped would leave its container.
        let (dumped, counted) = tokio::join!(dumping, counting);
        session.close(self.clock.as_ref()).await;
        let sums = dumped?;
        counted?;
        Ok(Database {
            name: name.to_owned(),
            oid: described.oid,
            lsn: described.lsn,
            stored: sums.stored(file),
            toc_entries: 0,
            properties: described.properties,
            settings: described.settings,
            extensions: described.extensions,
            content: described.content,
        })
    }

    /// Tries the set by a restore, and notes what came of it. Whether it brought something else than was dumped:
    /// then no old set goes for it.
    async fn prove(&self, order: &Order<'_>, (catalog, lock): (&Catalog, &Lock), taken: &mut Taken) -> bool {
        let set = catalog.directory().join(taken.manifest.set_id.to_string());
        let (manifest, error) = self.try_out(order, &set, taken.manifest.clone()).await;
        let noted = catalog.rewrite(lock, &manifest);
        taken.troubles.extend(noted.err().map(|error| chain(&error)));
        taken.manifest = manifest;
        taken.trial_failed = error.as_ref().map(|error| chain(error));
        matches!(error, Some(BackupError::Differs { .. }))
    }

    /// A trial restore, and what is known of the set after it.
    pub(super) async fn try_out(&self, order: &Order<'_>, set: &Path, manifest: Manifest) -> (Manifest, Option<BackupError>) {
        let began = self.clock.moment();
        let tried = self.trial(order, set, &manifest).await;
        let (now, took) = (Some(self.clock.wall()), self.clock.moment().since(began));
        let before = Verified { tried_at: now, tried_seconds: Some(tenths(took)), ..manifest.verify.clone() };
        let verify = match &tried {
            Ok(trial) => Verified {
                level: Proof::Restored,
                at: now,
                error: None,
                restore_seconds: Some(tenths(trial.took)),
                rows_equal: Some(trial.rows),
                ..before
            },
            // What an earlier trial showed does not hold any more.
            Err(error @ BackupError::Differs { .. }) => {
                Verified { level: before.level.min(Proof::Read), error: Some(chain(error)), ..before }
            }
            Err(error) => Verified { error: Some(chain(error)), ..before },
        };
        (Manifest { verify, ..manifest }, tried.err())
    }

    /// A connection of the superuser to a database.
    pub(super) async fn open(&self, order: &Order<'_>, database: &str) -> Result<Session, BackupError> {
        // What the server says of sessions that take long is not meant for this one.
        const PATIENT: &str = "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN \
             ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')";
        let session = self.try_open(order, database).await?;
        session.query(PATIENT, &[]).await.map_err(|error| BackupError::statement("set the limits of a session", &error))?;
        Ok(session)
    }
}

/// Seconds, to the tenth.
fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

/// The newest good set of a data directory.
pub(super) fn newest<'a>(sets: &'a [Entry], line: &str) -> Option<&'a Manifest> {
    let known = sets.iter().filter_map(|set| set.manifest.as_ref().ok());
    known.into_iter().find(|manifest| manifest.system_identifier == line && keep::is_good(manifest))
}

/// Whether there is room for the next set. Old ones are never removed to make some.
fn has_room(catalog: &Catalog, min_free: Option<u64>, last: Option<&Manifest>, server: &Server) -> Result<(), BackupError> {
    let guess = last.map_or(server.bytes / 2, |last| (last.bytes() / 10).saturating_mul(13));
    let wanted = min_free.unwrap_or(guess.saturating_add(BESIDE));
    let free = catalog.free_bytes()?;
    if free >= wanted {
        return Ok(());
    }
    let (free, wanted) = (ByteSize(free), ByteSize(wanted));
    Err(BackupError::DiskLow { directory: catalog.directory().display().to_string(), free, wanted })
}

/// Whether a trial restore is due after this dump: after every one while it is short, else once a day.
fn trial_is_due(sets: &[Entry], now: Timestamp) -> bool {
    let known = sets.iter().filter_map(|set| set.manifest.as_ref().ok());
    let tried = known.filter_map(|manifest| Some((manifest.verify.tried_at?, manifest.verify.tried_seconds?)));
    let Some((at, seconds)) = tried.max_by_key(|(at, _)| *at) else { return true };
    let is_future = at > now;
    seconds < LONG_TRIAL || is_future || now.duration_since(at) >= A_DAY
}
