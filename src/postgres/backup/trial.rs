//! A trial restore (L3): a throw-away Postgres of the same image, without a network, in a volume of its own. What
//! is restored in it is counted and compared with what was dumped.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::Sets;
use super::catalog::Catalog;
use super::check::Feeding;
use super::dump::ended_well;
use super::error::BackupError;
use super::facts;
use super::globals;
use super::helper::Helper;
use super::manifest::{Database, Manifest, Table, TableKind};
use super::pipeline::Reading;
use super::progress::Meter;
use super::statements;
use super::take::Order;
use crate::engine::answer::ExecOutput;
use crate::engine::request::{CreateVolume, Exec, LogQuery, MountFrom, MountRequest, Streams};
use crate::model::container::MountSource;
use crate::model::name::ContainerId;
use crate::model::workload::KindName;
use crate::postgres::SUPERUSER;
use crate::postgres::connect::within;

/// How long a new data directory and its server may take.
const COMING_UP: Duration = Duration::from_secs(120);
/// Between two questions whether it is there.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one question or statement may take.
const STATEMENT: Duration = Duration::from_secs(3600);
/// How long the restore of one database may take.
const LIMIT: Duration = Duration::from_secs(6 * 3600);
/// A restored database takes about so many times what its dump has: indexes.
const GROWTH: u64 = 2;
/// What is left to others, in bytes.
const RESERVE: u64 = 1 << 30;

/// What a trial restore showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// How long it took from the first byte to the last comparison, in which the server was up.
    pub took: Duration,
    /// How many rows were counted and equal.
    pub rows: u64,
}

impl Sets {
    /// Restores a set in a throw-away server and compares. Nothing of it is left.
    pub(super) async fn trial(&self, order: &Order<'_>, set: &Path, manifest: &Manifest) -> Result<Trial, BackupError> {
        self.has_room("a trial restore", manifest.bytes_plain()).await?;
        let volume = self.trial_volume(order).await?;
        let outcome = self.in_volume(order, set, manifest, &volume).await;
        if let Err(error) = self.engine.remove_volume(&volume).await {
            tracing::warn!(%error, "the volume of a trial restore is left for later");
        }
        outcome
    }

    /// The volume's room can't be limited: what the disk has is looked at before. On an engine that keeps its data
    /// elsewhere this says nothing, and the restore fails there if it must.
    pub(super) async fn has_room(&self, what: &'static str, bytes_plain: u64) -> Result<(), BackupError> {
        let wanted = bytes_plain * GROWTH + RESERVE;
        let info = self.engine.info().await.map_err(|error| BackupError::Engine("ask the engine where its data lies", error))?;
        let free = info.data_root.and_then(|root| Catalog::at(root).free_bytes().ok()).unwrap_or(u64::MAX);
        if free >= wanted {
            return Ok(());
        }
        Err(BackupError::NoRoom { what, free: bytesize::ByteSize(free), wanted: bytesize::ByteSize(wanted) })
    }

    async fn trial_volume(&self, order: &Order<'_>) -> Result<String, BackupError> {
        let volume =
            format!("{}-trial-{}-{}", order.workload.name, std::process::id(), self.clock.moment().since_start().as_nanos());
        let name = format!("{}_{volume}", order.stack.data_name());
        let request = CreateVolume {
            name: name.clone(),
            volume,
            stack: order.stack.data_name().clone(),
            instance: self.instance.clone(),
            directory: order.stack.directory().display().to_string(),
            of_image: false,
            data_of: None,
            trial_of: Some(order.workload.name.clone()),
            driver: None,
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        };
        let made = self.engine.create_volume(&request).await;
        made.map_err(|error| BackupError::Engine("make the volume of a trial restore", error))?;
        Ok(name)
    }

    async fn in_volume(&self, order: &Order<'_>, set: &Path, manifest: &Manifest, volume: &str) -> Result<Trial, BackupError> {
        (order.progress)("trial restore: a server is made".to_owned());
        let container = self.make(order, server(order, manifest, volume)).await?;
        let outcome = self.in_server(order, &container, set, manifest).await;
        self.end(&container).await;
        outcome
    }

    async fn in_server(
        &self,
        order: &Order<'_>,
        container: &ContainerId,
        set: &Path,
        manifest: &Manifest,
    ) -> Result<Trial, BackupError> {
        self.engine.start(container).await.map_err(|error| BackupError::Engine("start a trial restore", error))?;
        self.comes_up(container, &manifest.bootstrap_role).await?;
        let began = self.clock.moment();
        let globals = text(&set.join(&manifest.globals.file)).await?;
        let roles = globals::for_trial(&globals, &manifest.bootstrap_role);
        let server = &Server { container, manifest };
        self.psql(server, "template1", "make the roles of the set", roles).await?;
        let mut rows = 0;
        for database in &manifest.databases {
            self.restore_one(order, server, set, database).await?;
            rows += self.compare(server, database).await?;
        }
        Ok(Trial { took: self.clock.moment().since(began), rows })
    }

    /// Returns when the server answers on its port.
    async fn comes_up(&self, container: &ContainerId, role: &str) -> Result<(), BackupError> {
        let until = self.clock.moment() + COMING_UP;
        let words = [["pg_isready", "-q"].as_slice(), &address(role)].concat();
        loop {
            let output = self.tool(container, &words, Vec::new()).await;
            let said = match output {
                Ok(output) if output.code == 0 => return Ok(()),
                Ok(output) => output.stderr,
                Err(error) => error.to_string(),
            };
            let is_up = self.engine.is_up(container).await.unwrap_or(true);
            if !is_up || self.clock.moment() >= until {
                let last = self.last_lines(container).await;
                return Err(BackupError::TrialServer([last, vec![said.trim().to_owned()]].concat().join(" / ")));
            }
            self.clock.sleep(PAUSE).await;
        }
    }

    async fn last_lines(&self, container: &ContainerId) -> Vec<String> {
        let query = LogQuery { follow: false, tail: Some(5), since: None };
        let Ok(mut lines) = self.engine.logs(container, &query).await else { return Vec::new() };
        let mut last = Vec::new();
        while let Some(Ok(line)) = lines.next().await {
            last.push(line.line);
        }
        last
    }

    async fn restore_one(
        &self,
        order: &Order<'_>,
        server: &Server<'_>,
        set: &Path,
        database: &Database,
    ) -> Result<(), BackupError> {
        let make = statements::create_for_trial(&database.name, &database.properties, server.manifest.major());
        self.psql(server, "template1", "make a database like that of the set", make).await?;
        let what = format!("trial restore of {}", database.name);
        let mut meter = Meter::begin(self.clock.as_ref(), &order.progress, what, Some(database.stored.bytes_plain));
        let into = statements::connection(&database.name);
        let fixed = ["pg_restore", "--exit-on-error", "--no-password", "--no-tablespaces", "-d", into.as_str()];
        let words = [fixed.as_slice(), &server.address()].concat();
        let command = words.into_iter().map(str::to_owned).collect();
        let path = set.join(&database.stored.file);
        let feeding = Feeding { container: server.container, command, user: Some(SUPERUSER), path: &path };
        let fed = self.feed(feeding, |_| (), |bytes| meter.add(bytes));
        let late = BackupError::Slow { what: format!("the trial restore of {}", database.name), limit: LIMIT, silent: false };
        let fed = within(self.clock.as_ref(), LIMIT, fed).await.ok_or(late)??;
        ended_well("pg_restore", fed.code, &fed.said)
    }

    /// Counts what was restored; returns how many rows were equal.
    async fn compare(&self, server: &Server<'_>, database: &Database) -> Result<u64, BackupError> {
        let differs = |words: String| BackupError::Differs { database: database.name.clone(), words };
        let questions: String = questions(database).iter().flat_map(|question| [question, ";\n"]).collect();
        let counted = self.psql(server, &statements::connection(&database.name), "count what was restored", questions).await;
        let answer = counted.map_err(|error| match error {
            // A table that is not there is no accident of the server.
            BackupError::Statement { words, .. } if words.contains("does not exist") => {
                let first = words.lines().next().unwrap_or_default();
                differs(first.split_once("ERROR:").map_or(first, |(_, missing)| missing.trim()).to_owned())
            }
            error => error,
        })?;
        let numbers: Option<Vec<u64>> = answer.lines().map(|line| line.trim().parse().ok()).collect();
        let numbers = numbers.ok_or_else(|| differs(format!("it answered {answer:?}")))?;
        let equal = compare(database, &numbers).map_err(differs)?;
        let extensions =
            self.psql(server, &statements::connection(&database.name), "list extensions", facts::EXTENSIONS.to_owned()).await?;
        let restored: Vec<&str> = extensions.lines().filter_map(|line| line.split('|').next()).collect();
        has_extensions(database, &restored).map(|()| equal).map_err(differs)
    }

    /// Runs statements in a database of the trial; returns what they bring, without heads.
    async fn psql(
        &self,
        server: &Server<'_>,
        database: &str,
        what: &'static str,
        statements: String,
    ) -> Result<String, BackupError> {
        let fixed = ["psql", "-X", "-q", "-w", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"];
        let output =
            self.tool(server.container, &[fixed.as_slice(), &server.address()].concat(), statements.into_bytes()).await?;
        if output.code == 0 {
            return Ok(output.stdout);
        }
        Err(BackupError::Statement { what, words: output.stderr.trim().to_owned() })
    }

    async fn tool(&self, container: &ContainerId, words: &[&str], input: Vec<u8>) -> Result<ExecOutput, BackupError> {
        let exec = Exec {
            command: words.iter().map(|word| (*word).to_owned()).collect(),
            user: Some(SUPERUSER.to_owned()),
            stdin: Some(input),
            // Names are spelled in UTF-8 whatever the database holds, and no limit of a role counts here.
            env: [
                "LC_ALL=C",
                "PGCLIENTENCODING=UTF8",
                "PGOPTIONS=-c statement_timeout=0 -c lock_timeout=0 -c search_path=pg_catalog",
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        let output = self.engine.exec(container, &exec, STATEMENT).await;
        output.map_err(|error| BackupError::Engine("run a command in the trial restore", error))
    }
}

/// Nothing of it outlives the trial, and little of its log is kept meanwhile.
const QUICK: [&str; 8] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "log_checkpoints=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=256MB",
];

/// A server that runs for a trial.
struct Server<'a> {
    container: &'a ContainerId,
    manifest: &'a Manifest,
}

impl Server<'_> {
    fn address(&self) -> [&str; 4] {
        address(&self.manifest.bootstrap_role)
    }
}

/// How the server is reached: the one that makes its data directory listens on no port.
fn address(role: &str) -> [&str; 4] {
    ["-h", "127.0.0.1", "-U", role]
}

/// The server: as the real one where that decides what can be restored, and quick where it does not.
fn server(order: &Order<'_>, manifest: &Manifest, volume: &str) -> Helper {
    let workload = order.workload;
    let own = workload.postgres().map(|postgres| &postgres.volume);
    let is_data = |mount: &&crate::model::container::Mount| match &mount.source {
        MountSource::Volume(name) => Some(name) == own,
        MountSource::Bind(_) => false,
    };
    let mounts = workload.container.mounts.iter().filter(is_data).map(|mount| MountRequest {
        source: MountFrom::Volume(volume.to_owned()),
        target: mount.target.clone(),
        read_only: false,
    });
    let of_servers = |name: &str| name.starts_with("POSTGRES_") && name != "POSTGRES_INITDB_ARGS";
    let plain = workload.container.env.iter().filter(|(name, _)| !of_servers(name));
    let env = plain.filter_map(|(name, value)| Some((name.clone(), value.resolve(|_| None).ok()?)));
    let trust = [
        ("POSTGRES_USER", manifest.bootstrap_role.as_str()),
        ("POSTGRES_DB", "postgres"),
        ("POSTGRES_HOST_AUTH_METHOD", "trust"),
        ("LC_MESSAGES", "C"),
    ];
    let trust = trust.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let kept = manifest.server_settings.iter().map(|(name, value)| format!("{name}={value}"));
    let has_cron = manifest.server_settings.get("shared_preload_libraries").is_some_and(|names| names.contains("pg_cron"));
    // What it holds is restored, not carried out.
    let still = has_cron.then(|| "cron.launch_active_jobs=off".to_owned());
    let settings = QUICK.into_iter().map(str::to_owned).chain(kept).chain(still).flat_map(|setting| ["-c".to_owned(), setting]);
    Helper {
        kind: KindName::Verify,
        entrypoint: None,
        command: std::iter::once("postgres".to_owned()).chain(settings).collect(),
        env: env.chain(trust).collect(),
        mounts: mounts.collect(),
        on_network: false,
        streams: Streams::Log,
        has_log: true,
    }
}

/// What is asked of a restored database, a number each, in the order of [`compare`].
pub(super) fn questions(database: &Database) -> Vec<String> {
    let tables = database.content.tables.iter().filter(|table| table.kind != TableKind::EmptyView);
    let counts = tables.map(facts::count_statement);
    [facts::LARGE_OBJECTS, facts::INDEXES].into_iter().map(str::to_owned).chain(counts).collect()
}

/// Whether the numbers are those of the manifest; returns how many rows were counted on both sides.
pub(super) fn compare(database: &Database, numbers: &[u64]) -> Result<u64, String> {
    let content = &database.content;
    let tables: Vec<&Table> = content.tables.iter().filter(|table| table.kind != TableKind::EmptyView).collect();
    let [large_objects, indexes, counted @ ..] = numbers else { return Err("it answered too little".to_owned()) };
    if counted.len() != tables.len() {
        return Err(format!("{} tables were counted of {}", counted.len(), tables.len()));
    }
    if *large_objects != content.large_objects {
        return Err(format!("{} large objects were dumped, {large_objects} are there", content.large_objects));
    }
    if *indexes != content.indexes {
        return Err(format!("it had {} indexes that can be used, {indexes} are there", content.indexes));
    }
    let mut equal = 0;
    for (table, found) in tables.into_iter().zip(counted) {
        let is_equal = match table.kind {
            // It is filled anew by a restore, from tables that may have gone on since.
            TableKind::MaterializedView => continue,
            // The image may bring another version of the extension, with more rows of its own.
            TableKind::Configuration => *found >= table.rows || !table.exact,
            _ if table.exact => table.rows == *found,
            _ => table.rows == 0 || *found > 0,
        };
        if !is_equal {
            let about = if table.exact { "" } else { "about " };
            return Err(format!("{}.{} had {about}{} rows, {found} are there", table.schema, table.name, table.rows));
        }
        equal += if table.exact { *found } else { 0 };
    }
    Ok(equal)
}

/// Whether every extension of a database was restored.
pub(super) fn has_extensions(database: &Database, restored: &[impl AsRef<str>]) -> Result<(), String> {
    let is_there = |name: &String| restored.iter().any(|found| found.as_ref() == name);
    let lacks = database.extensions.keys().find(|name| !is_there(name));
    lacks.map_or(Ok(()), |name| Err(format!("it has no extension {name}")))
}

/// The text that a small file of a set holds.
pub(super) async fn text(path: &Path) -> Result<String, BackupError> {
    let failed = |error| BackupError::file("read", path, error);
    let mut reading = Reading::begin(path).map_err(failed)?;
    let mut content = Vec::new();
    while let Some(piece) = reading.pieces.recv().await {
        content.extend_from_slice(&piece);
    }
    reading.finish().await.map_err(failed)?;
    String::from_utf8(content).map_err(|error| failed(std::io::Error::other(error)))
}
