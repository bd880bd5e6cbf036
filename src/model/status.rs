//! What a user is shown: the document of `ps --json` (`cli.md`). Fields are added, never renamed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backup::{BackupFailure, Known, SetId};
use super::container::Protocol;
use super::wish::Chosen;
use super::workload::KindName;

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the document.
    pub v: u32,
    /// The stack.
    pub stack: String,
    /// Its profiles.
    pub profiles: Vec<String>,
    /// Its file.
    pub file: FileStatus,
    /// Who keeps it; `None` where no daemon runs.
    pub daemon: Option<DaemonStatus>,
    /// Whether the engine answers.
    pub engine: EngineStatus,
    /// Whether nothing is left to do.
    pub converged: bool,
    /// Whether what was asked for last is so: of an `up` with names only what is meant by it counts.
    #[serde(default)]
    pub reached: bool,
    /// A replica each, postgres and services by name.
    pub items: Vec<ItemStatus>,
    /// Parts of the file that this version reads but does not carry out, one sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What is in the way and belongs to no item: a volume or network that can't be removed, a container
    /// that the file does not name any more.
    #[serde(default)]
    pub others: Vec<OtherStatus>,
}

/// Something that is in the way of the stack as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherStatus {
    /// What it is about: `network`, `volume demo_media`.
    pub target: String,
    /// Why.
    pub cause: String,
}

impl Status {
    /// What is said before anything is known.
    pub fn unknown(path: String, daemon: Option<DaemonStatus>) -> Self {
        Self {
            v: 1,
            stack: String::new(),
            profiles: Vec::new(),
            file: FileStatus::applied(path),
            daemon,
            engine: EngineStatus::Up,
            converged: false,
            reached: false,
            items: Vec::new(),
            notes: Vec::new(),
            others: Vec::new(),
        }
    }
}

/// The file behind the stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileStatus {
    /// Its path.
    pub path: String,
    /// Whether it is valid.
    pub ok: bool,
    /// Whether a saved change waits for `witwd up`.
    pub pending: bool,
    /// Why it waits.
    pub reasons: Vec<String>,
    /// What is wrong with it, as `check --json` says it.
    pub errors: Vec<serde_json::Value>,
}

impl FileStatus {
    /// A file that is valid and applied.
    pub fn applied(path: String) -> Self {
        Self { path, ok: true, pending: false, reasons: Vec::new(), errors: Vec::new() }
    }
}

/// The daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Since when.
    pub since: Timestamp,
}

/// Whether the engine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineStatus {
    /// It does.
    Up,
    /// It does not: nothing is known of the containers.
    Down,
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each a field of the contract with its own meaning")]
pub struct ItemStatus {
    /// The workload.
    pub name: String,
    /// Its kind.
    pub kind: KindName,
    /// Which replica, from 1.
    pub replica: u32,
    /// What it is doing.
    pub state: State,
    /// Whether it is part of what was asked for last: named by that `up`, or needed by what was.
    #[serde(default = "yes")]
    pub meant: bool,
    /// Whether it waits for a person so that no data is lost or misread.
    #[serde(default)]
    pub protects_data: bool,
    /// Whether it is held by hand (`stop`, `scale`).
    pub held: bool,
    /// As what it was stopped by hand: `web`, with what of it is still to come, or `web.2`.
    #[serde(default)]
    pub stopped_as: Option<Chosen>,
    /// Whether a restart that was asked for is still to come.
    #[serde(default)]
    pub restart_asked: bool,
    /// Whether it waits for another that is stopped by hand.
    #[serde(default)]
    pub waits_for_hand: bool,
    /// What its probes say.
    pub health: Health,
    /// Whether dependents may start and requests may come.
    pub ready: bool,
    /// How often it was started again after it ended by itself; only grows.
    pub restarts: u64,
    /// Starts since it was last healthy for long enough.
    pub attempt: u32,
    /// Why it is as it is, for people; empty where all is well.
    pub cause: String,
    /// The container's id.
    pub container: Option<String>,
    /// The reference of its image.
    pub image: String,
    /// The id of its image.
    pub digest: Option<String>,
    /// What it listens on inside.
    pub port: Option<u16>,
    /// What is published.
    pub ports: Vec<PortStatus>,
    /// Since when its state is what it is.
    pub since: Option<Timestamp>,
    /// When witwd acts next, where it waits.
    pub next: Option<Timestamp>,
    /// How its last run ended.
    pub last_exit: Option<ExitStatus>,
    /// Backups of a postgres.
    pub backup: Option<BackupStatus>,
}

fn yes() -> bool {
    true
}

/// What a replica is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing of it is there yet.
    Pending,
    /// Its image is on the way.
    Pulling,
    /// Its image is built.
    Building,
    /// Something must hold first; the cause says what.
    Blocked,
    /// It runs and is not ready yet.
    Starting,
    /// It runs and is ready.
    Running,
    /// It is asked to stop.
    Stopping,
    /// It does not run and is not to.
    Stopped,
    /// Somebody paused it.
    Paused,
    /// It ended and waits to be started again.
    Backoff,
    /// It ended ten times in half an hour.
    CrashLoop,
    /// It ran to its end.
    Completed,
    /// It ended and is not started again, or could not be made.
    Failed,
    /// Only a person can mend it; the cause says how.
    NeedsOperator,
}

impl State {
    /// The word for people and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Pulling => "pulling",
            Self::Building => "building",
            Self::Blocked => "blocked",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::Backoff => "backoff",
            Self::CrashLoop => "crash_loop",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::NeedsOperator => "needs_operator",
        }
    }
}

/// What the probes of a replica say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It has no probe.
    None,
    /// It has not been asked, or could not be.
    Unknown,
    /// No success yet, within its start period.
    Starting,
    /// They pass.
    Healthy,
    /// One fails; the cause has its words.
    Unhealthy,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// Address on the host.
    pub address: String,
    /// Port on the host.
    pub host: u16,
    /// Port in the container.
    pub container: u16,
    /// Transport.
    pub protocol: Protocol,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// Exit code.
    pub code: i64,
    /// The signal that ended it.
    pub signal: Option<i64>,
    /// Out of memory.
    pub oom: bool,
    /// When.
    pub at: Timestamp,
}

/// Backups of a postgres.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BackupStatus {
    /// When the last good set was taken.
    pub last_good: Option<Timestamp>,
    /// When a set was last proven by a restore.
    pub proven: Option<Timestamp>,
    /// State of the copies elsewhere.
    pub offsite: Option<String>,
    /// Whether sets are taken by the timetable.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How many sets are there.
    #[serde(default)]
    pub sets: usize,
    /// The last good set.
    #[serde(default)]
    pub set: Option<Known>,
    /// What is done with sets just now, and how far it is.
    #[serde(default)]
    pub under_way: Option<String>,
    /// What failed last, until the next set.
    #[serde(default)]
    pub failed: Option<BackupFailure>,
    /// When the next set is begun, where nothing else happens.
    #[serde(default)]
    pub next: Option<Timestamp>,
    /// How many slots of the timetable passed without a set, in all.
    #[serde(default)]
    pub missed: u64,
    /// Sets that can't be used, with why.
    #[serde(default)]
    pub unusable: BTreeMap<SetId, String>,
    /// Sets that would go by `keep`, and are held back.
    #[serde(default)]
    pub held: Vec<SetId>,
    /// The newest set is far smaller than those before it: something may be gone.
    #[serde(default)]
    pub shrunk: Option<String>,
    /// Why the directory of the sets can't be read.
    #[serde(default)]
    pub unread: Option<String>,
    /// Until when the last restore can be undone.
    #[serde(default)]
    pub undo_until: Option<Timestamp>,
}

/// One line of `events --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When.
    pub at: Timestamp,
    /// What: `create`, `start`, `stop`, `pull`, `ready`, `exit`, `failed`, `blocked`, ...
    pub kind: String,
    /// Whom it is about.
    pub target: String,
    /// Why.
    pub cause: String,
    /// More, where there is more: exit code, error, progress.
    pub detail: serde_json::Value,
}
