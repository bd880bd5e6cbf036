//! A restore: databases like those of a set, made beside those that are used. Nobody notices until the names change
//! hands ([`exchange`]).

mod archive;
mod empty;
mod exchange;
mod foreign;
mod like;
mod roles;
mod snapshot;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use foreign::Foreign;

use super::catalog::Catalog;
use super::check::Feeding;
use super::dump::ended_well;
use super::error::BackupError;
use super::facts::{self, Server, run};
use super::helper::{Helper, client_environment};
use super::manifest::{Database, Manifest};
use super::progress::Meter;
use super::take::{Order, SAFE, Wanted};
use super::{Sets, statements, trial};
use crate::model::backup::SetId;
use crate::model::name::{ContainerId, SnapshotLabel};
use crate::model::restore::{Exchange, Restore, Source};
use crate::postgres::SUPERUSER;
use crate::postgres::connect::{Session, within};
use crate::postgres::sql::identifier;

/// How long the restore of one database may take.
const LIMIT: Duration = Duration::from_secs(6 * 3600);
/// A database that every server has; where a set has nothing in it, it stays as it is.
const MAINTENANCE: &str = "postgres";

/// Databases that were made, and whose names are still others'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The data directory that they are in.
    pub line: String,
    /// Who is to get whose name; none where a copy was made beside.
    pub databases: Vec<Exchange>,
    /// The set that was taken before.
    pub safety: Option<SetId>,
}

/// A set that can be restored here.
struct Chosen {
    path: PathBuf,
    manifest: Manifest,
    major: u32,
}

/// What is restored, looked at.
enum Looked {
    Set(Box<Chosen>),
    File(Foreign),
    Snapshot(SnapshotLabel),
    Nothing,
}

impl Sets {
    /// Makes what is wanted beside what is used, and compares it with the set. What fails leaves nothing, and nothing
    /// of what is used is touched.
    pub async fn restore(&self, order: &Order<'_>, wanted: &Restore) -> Result<Made, BackupError> {
        let catalog = self.catalog(order.workload);
        let session = self.open(order, SUPERUSER).await?;
        let server = facts::server(&session).await?;
        session.close(self.clock.as_ref()).await;
        let line = server.system_identifier.clone();
        is_free(wanted, &server)?;
        let looked = self.look_at_source(order, &catalog, wanted, &server).await?;
        let replaces = wanted.to.is_none();
        let safety = if wanted.with_safety_set && replaces { Some(self.safety_set(order, &wanted.source).await?) } else { None };
        let _lock = self.lock(&catalog, order).await?;
        self.clear(order, &line, &[]).await?;
        let made = self.make_wanted(order, wanted, (&looked, &server)).await;
        if made.is_err() {
            self.clear_or_leave(order, &line).await;
        }
        Ok(Made { line, databases: made?, safety })
    }

    /// Whether what is wanted is whole, and this server can take it.
    async fn look_at_source(
        &self,
        order: &Order<'_>,
        catalog: &Catalog,
        wanted: &Restore,
        server: &Server,
    ) -> Result<Looked, BackupError> {
        Ok(match &wanted.source {
            Source::Set(set) => Looked::Set(Box::new(self.choose(order, catalog, (*set, wanted), server).await?)),
            Source::File(path) => Looked::File(self.read_foreign(order, path, server).await?),
            Source::Snapshot(label) => Looked::Snapshot(label.clone()),
            Source::Nothing => Looked::Nothing,
        })
    }

    async fn make_wanted(
        &self,
        order: &Order<'_>,
        wanted: &Restore,
        (looked, server): (&Looked, &Server),
    ) -> Result<Vec<Exchange>, BackupError> {
        match looked {
            Looked::Set(chosen) => self.make_all(order, wanted, chosen).await,
            Looked::File(foreign) => self.make_foreign(order, wanted, (foreign, server)).await,
            Looked::Snapshot(label) => self.make_from_snapshot(order, wanted, (label, server.major())).await,
            Looked::Nothing => self.make_empty(order, server.major()).await,
        }
    }

    /// What can't be removed now goes before the next one is made.
    async fn clear_or_leave(&self, order: &Order<'_>, line: &str) {
        if let Err(error) = self.clear(order, line, &[]).await {
            tracing::warn!(%error, "what was made for a restore is left for later");
        }
    }

    /// The set, if it is whole and this server can take it.
    async fn choose(
        &self,
        order: &Order<'_>,
        catalog: &Catalog,
        (set, wanted): (SetId, &Restore),
        server: &Server,
    ) -> Result<Chosen, BackupError> {
        let lock = self.lock(catalog, order).await?;
        let unfit = |words: String| BackupError::Unfit { source_of: Source::Set(set), words };
        let entry = catalog.read(set)?.ok_or_else(|| unfit("it is not there".to_owned()))?;
        let manifest = entry.manifest.map_err(|error| unfit(error.to_string()))?;
        let session = self.open(order, SUPERUSER).await?;
        let lacks = lacking(&session, wanted, &manifest, server).await;
        session.close(self.clock.as_ref()).await;
        if let Some(words) = lacks? {
            return Err(unfit(words));
        }
        self.has_room("a restore", manifest.bytes_plain()).await?;
        let (manifest, error) = self.look(order, &entry.path, manifest).await;
        match error {
            None => Ok(Chosen { path: entry.path, manifest, major: server.major() }),
            Some(error) => {
                catalog.rewrite(&lock, &manifest)?;
                Err(error)
            }
        }
    }

    /// A set of what is there now, kept for a week.
    async fn safety_set(&self, order: &Order<'_>, source: &Source) -> Result<SetId, BackupError> {
        let reason = match source {
            Source::Set(set) => format!("before a restore of {set}"),
            Source::Snapshot(_) | Source::File(_) => format!("before a restore of {source}"),
            Source::Nothing => "before `witwd db reset`".to_owned(),
        };
        let wanted = Wanted { slot: None, reason, safe_for: Some(SAFE) };
        let taken = self.take(order, &wanted).await;
        taken.map(|taken| taken.manifest.set_id).map_err(|error| BackupError::NoSafetySet(Box::new(error)))
    }

    async fn make_all(&self, order: &Order<'_>, wanted: &Restore, chosen: &Chosen) -> Result<Vec<Exchange>, BackupError> {
        let session = self.open(order, SUPERUSER).await?;
        roles::make_missing(&session, &trial::text(&chosen.path.join(&chosen.manifest.globals.file)).await?).await?;
        session.close(self.clock.as_ref()).await;
        let (directory, mount) = self.password_mount(order)?;
        let _directory = super::dump::Removed(directory);
        let container = self.make(order, Helper::idle(client_environment(order, SUPERUSER), vec![mount], true)).await?;
        let made = self.in_container(order, wanted, chosen, &container).await;
        self.end(&container).await;
        made
    }

    async fn in_container(
        &self,
        order: &Order<'_>,
        wanted: &Restore,
        chosen: &Chosen,
        container: &ContainerId,
    ) -> Result<Vec<Exchange>, BackupError> {
        self.put_password(order, container).await?;
        self.engine.start(container).await.map_err(|error| BackupError::Engine("start a restore", error))?;
        let mut exchanges = Vec::new();
        for (index, database) in meant(wanted, &chosen.manifest).enumerate() {
            let name = format!("witwd_new_{}", index + 1);
            self.make_one(order, chosen, (container, &name), database).await?;
            let session = self.open(order, SUPERUSER).await?;
            match &wanted.to {
                Some(to) => exchange::rename(&session, &name, to).await?,
                None => exchanges.push(exchange::between(&session, &name, &database.name).await?),
            }
            session.close(self.clock.as_ref()).await;
        }
        Ok(exchanges)
    }

    /// Makes one database under a name that nobody uses, fills it and compares it.
    async fn make_one(
        &self,
        order: &Order<'_>,
        chosen: &Chosen,
        (container, name): (&ContainerId, &str),
        database: &Database,
    ) -> Result<(), BackupError> {
        let session = self.open(order, SUPERUSER).await?;
        let make = statements::create(name, &database.properties, chosen.major);
        run(&session, "make a database like that of the set", &make).await?;
        // Nobody but a superuser gets in before it is whole.
        run(&session, "keep others out", &format!("ALTER DATABASE {} CONNECTION LIMIT 0", identifier(name))).await?;
        session.close(self.clock.as_ref()).await;
        self.fill_one(order, chosen, (container, name), database).await?;
        let session = self.open(order, name).await?;
        (order.progress)(format!("comparing {}", database.name));
        compare(&session, database).await?;
        run(&session, "collect statistics", "VACUUM (ANALYZE)").await?;
        like::give(&session, name, &database.properties, &database.settings).await?;
        session.close(self.clock.as_ref()).await;
        Ok(())
    }

    async fn fill_one(
        &self,
        order: &Order<'_>,
        chosen: &Chosen,
        (container, name): (&ContainerId, &str),
        database: &Database,
    ) -> Result<(), BackupError> {
        let what = format!("restoring {}", database.name);
        let mut meter = Meter::begin(self.clock.as_ref(), &order.progress, what, Some(database.stored.bytes_plain));
        let into = statements::connection(name);
        let words = ["pg_restore", "--exit-on-error", "--no-password", "--no-tablespaces", "-d", into.as_str()];
        let path = chosen.path.join(&database.stored.file);
        let feeding = Feeding { container, command: words.map(str::to_owned).to_vec(), user: None, path: &path };
        let fed = self.feed(feeding, |_| (), |bytes| meter.add(bytes));
        let late = BackupError::Slow { what: format!("the restore of {}", database.name), limit: LIMIT, silent: false };
        let fed = within(self.clock.as_ref(), LIMIT, fed).await.ok_or(late)??;
        ended_well("pg_restore", fed.code, &fed.said)
    }
}

/// Whether the name of a copy is nobody's.
fn is_free(wanted: &Restore, server: &Server) -> Result<(), BackupError> {
    let Some(to) = wanted.to.as_ref().filter(|to| server.databases.contains_key(*to)) else { return Ok(()) };
    let words = format!("there is a database {to} already");
    Err(BackupError::Unfit { source_of: wanted.source.clone(), words })
}

/// The databases of a set that are meant. The one that every server has is only where there is something in it.
fn meant<'a>(wanted: &'a Restore, manifest: &'a Manifest) -> impl Iterator<Item = &'a Database> {
    let alone = manifest.databases.len() == 1;
    manifest.databases.iter().filter(move |database| match &wanted.database {
        Some(name) => &database.name == name,
        None => alone || database.name != MAINTENANCE || database.holds_something(),
    })
}

/// What keeps a set from being restored in this server.
async fn lacking(
    session: &Session,
    wanted: &Restore,
    manifest: &Manifest,
    server: &Server,
) -> Result<Option<String>, BackupError> {
    if let Some(words) = &manifest.verify.damaged {
        return Ok(Some(format!("it is damaged: {words}")));
    }
    if manifest.major() > server.major() {
        let words = format!("it is of PostgreSQL {}, and the server is {}", manifest.server_version, server.version);
        return Ok(Some(words));
    }
    let meant: Vec<&Database> = meant(wanted, manifest).collect();
    if meant.is_empty() {
        return Ok(Some(format!("it has no database {}", wanted.database.as_deref().unwrap_or_default())));
    }
    lacking_extension(session, meant.iter().flat_map(|database| database.extensions.keys()).cloned().collect()).await
}

/// Which of these extensions the image has not, for people.
async fn lacking_extension(session: &Session, wanted: BTreeSet<String>) -> Result<Option<String>, BackupError> {
    const AVAILABLE: &str = "SELECT name::text FROM pg_catalog.pg_available_extensions";
    let available = facts::rows(session, "list extensions", AVAILABLE).await?;
    let available: Vec<String> = available.iter().map(|row| facts::get(row, 0)).collect::<Result<_, _>>()?;
    let lacks = wanted.into_iter().find(|name| !available.contains(name));
    Ok(lacks.map(|name| format!("the server's image has no extension {name}")))
}

/// Whether what was restored is what was dumped.
async fn compare(session: &Session, database: &Database) -> Result<u64, BackupError> {
    let differs = |words: String| BackupError::Differs { database: database.name.clone(), words };
    let mut numbers = Vec::new();
    for question in trial::questions(database) {
        numbers.push(facts::number(session, "count what was restored", &question).await?);
    }
    let equal = trial::compare(database, &numbers).map_err(differs)?;
    let restored = facts::rows(session, "list extensions", facts::EXTENSIONS).await?;
    let restored: Vec<String> = restored.iter().map(|row| facts::get(row, 0)).collect::<Result<_, _>>()?;
    trial::has_extensions(database, &restored).map(|()| equal).map_err(differs)
}
