//! What happened: kept by the supervisor over passes, and what of it must outlive the daemon in a
//! small file. The planner reads it and never writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::backup::BackupHistory;
use super::by_hand::ByHand;
use super::family::{Examined, Family};
use super::name::{ContainerId, ImageId, ReplicaKey, VolumeName, WorkloadName};
use super::observed::{Exit, PublishedSeen, RunId};
use super::time::Moment;

/// What the user asked for last.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Run the stack.
    #[default]
    Up,
    /// Have nothing of it running; volumes stay. Remembered over reboots.
    Down,
}

/// Whom an action, a failure or a block is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One replica: its container.
    Replica(ReplicaKey),
    /// A workload as a whole: its image, its databases.
    Workload(WorkloadName),
    /// The stack's network.
    Network,
    /// A volume of the file.
    Volume(VolumeName),
    /// A volume by its name on the engine.
    EngineVolume(String),
    /// The sets of a postgres: one thing is done with them at a time, and nothing else waits for it.
    Backup(WorkloadName),
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replica(key) => write!(formatter, "{key}"),
            Self::Workload(name) | Self::Backup(name) => write!(formatter, "{name}"),
            Self::Network => write!(formatter, "network"),
            Self::Volume(name) => write!(formatter, "volume {name}"),
            Self::EngineVolume(name) => write!(formatter, "volume {name}"),
        }
    }
}

/// Restarts of one replica, over all its containers.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct ReplicaHistory {
    /// How often it was started again after it ended by itself; only grows.
    pub restarts: u64,
    /// Starts since it was last healthy for long enough; 0: the next start is immediate.
    pub attempt: u32,
    /// When restarts happened, the last ten: ten in half an hour are a crash loop.
    pub recent: Vec<Timestamp>,
    /// How its last run ended.
    pub last_exit: Option<LastExit>,
    /// The run whose end was answered with a start: one end is one restart, however often that start fails.
    #[serde(default)]
    pub answered: Option<RunId>,
    /// The run that is stopped because it lost its liveness.
    #[serde(default)]
    pub failed: Option<RunId>,
    /// The container that was asked to start last, while nobody knows whether it did: an engine that hung, or a
    /// daemon that died meanwhile, leaves a start that may still come.
    #[serde(default)]
    pub asked: Option<ContainerId>,
}

impl ReplicaHistory {
    /// What a later daemon can use of it: when this one saw something is of its own clock.
    #[must_use]
    pub fn kept(&self) -> Self {
        let last_exit = self.last_exit.clone().map(|last| LastExit { seen: Moment::default(), waited: Duration::ZERO, ..last });
        Self { last_exit, ..self.clone() }
    }

    /// Forgets what makes the next start wait: whoever asks wants it tried now.
    pub fn forgive(&mut self) {
        self.attempt = 0;
        self.recent.clear();
    }
}

impl LastExit {
    /// The same as a daemon finds it that begins at `now`, when the wall clock shows `wall`. One that jumped
    /// back makes it new.
    pub fn found(&mut self, now: Moment, wall: Timestamp) {
        self.seen = now;
        self.waited = Duration::try_from(wall.duration_since(self.exit.at)).unwrap_or_default();
    }
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LastExit {
    /// Which run.
    pub run: RunId,
    /// How it ended.
    pub exit: Exit,
    /// When the run before it ended, in the same container.
    #[serde(default)]
    pub ended_before: Option<Timestamp>,
    /// When this daemon knew of it first.
    #[serde(skip)]
    pub seen: Moment,
    /// How long it was over by then: a daemon that begins counts what passed before it.
    #[serde(skip)]
    pub waited: Duration,
}

/// The image that a workload's containers are to run. Written when witwd itself pulled or built it;
/// a tag that somebody else moved changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AcceptedImage {
    /// The tag: the workload's own, or that of its fallback.
    pub reference: String,
    /// What it meant.
    pub id: ImageId,
}

/// The last failed action of a target. Cleared by the next success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was tried, as the plan prints it: `pull`, `start`.
    pub operation: &'static str,
    /// What went wrong, the whole chain.
    pub error: String,
    /// What kind of failure, for rules that depend on it.
    pub kind: FailureKind,
    /// How often in a row.
    pub attempts: u32,
    /// When it is tried again.
    pub not_before: Moment,
}

/// Kinds of failure that the planner tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Tried again with growing delays.
    Transient,
    /// No registry answered: a `fallback` is built instead.
    RegistryUnreachable,
    /// A port of the machine is taken: tried again, by another container where any port will do.
    PortTaken,
    /// Only a person can mend it; tried again when the file or the request changes.
    NeedsOperator,
}

/// The delay before attempt `attempts + 1` of a failed action: 1 s doubling to 60 s.
pub fn retry_delay(attempts: u32) -> Duration {
    Duration::from_secs(1 << attempts.saturating_sub(1).min(6)).min(Duration::from_secs(60))
}

/// What is known of a postgres beyond its container.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct PostgresHistory {
    /// The volume, by its engine name, that was made empty for its data directory. Written before
    /// the volume is made.
    pub made_empty: Option<String>,
    /// Whether there was data although nothing else is known of it: its passwords outlived the rest.
    #[serde(default)]
    pub had_data: bool,
    /// The run whose databases, roles and extensions are known to be there, with a digest of what
    /// was asked for.
    pub provisioned: Option<(RunId, String)>,
    /// The volume, by its engine name, that was provisioned last: what follows is known of it.
    #[serde(default)]
    pub data: Option<String>,
    /// The major version and the C library of the server that was provisioned last.
    #[serde(flatten)]
    pub family: Family,
}

impl PostgresHistory {
    /// The volume that all of this is known of, by its engine name.
    pub fn volume(&self) -> Option<&str> {
        self.data.as_deref().or(self.made_empty.as_deref())
    }

    /// Whether data was ever made for it.
    pub fn has_data(&self) -> bool {
        self.had_data || self.provisioned.is_some()
    }

    /// What its data in this volume was last run with; nothing of what is known of another volume.
    pub fn family_of(&self, volume: &str) -> Family {
        if self.volume().is_none_or(|known| known == volume) { self.family } else { Family::default() }
    }
}

/// What was asked for by `up --fresh`.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Fresh {
    /// The whole stack, until that was noted.
    pub stack: bool,
    /// These volumes of the file, until they are there.
    pub volumes: BTreeSet<VolumeName>,
}

/// How quickly a workload stopped and became ready when that was seen last: for estimates, never for
/// decisions. To the tenth of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Pace {
    /// From the call that stops it until it has ended.
    pub stop: Option<Duration>,
    /// From the call that starts it until it is ready.
    pub ready: Option<Duration>,
}

/// Everything the planner knows of the past.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// What the user asked for last.
    pub goal: Goal,
    /// Whether the last `down` is done: nothing was left of the stack.
    pub is_down: bool,
    /// The volumes, by their engine names, that a user of `down --volumes` saw named as lost, and said yes.
    pub drop_volumes: BTreeSet<String>,
    /// Only these are to be changed (`up NAME...`), with what they need; empty: all.
    pub only: BTreeSet<WorkloadName>,
    /// What may begin without data although older data lies unused.
    pub fresh: Fresh,
    /// Volumes by their engine names that the file left behind, not for others in the same breath:
    /// nothing was renamed.
    pub left: BTreeSet<String>,
    /// What a person asked for beside the file: it holds until `start` or `up`.
    pub by_hand: ByHand,
    /// Restarts.
    pub replicas: BTreeMap<ReplicaKey, ReplicaHistory>,
    /// Images that were accepted.
    pub images: BTreeMap<WorkloadName, AcceptedImage>,
    /// Digests of definition and context that images were built from.
    pub builds: BTreeMap<WorkloadName, String>,
    /// Workloads whose image is to be pulled or built again although one is here (`up --pull`,
    /// `up --build`, `pull = "always"`, a changed context).
    pub refresh: BTreeSet<WorkloadName>,
    /// Postgres servers.
    pub postgres: BTreeMap<WorkloadName, PostgresHistory>,
    /// The taking of sets.
    pub backups: BTreeMap<WorkloadName, BackupHistory>,
    /// What looks into containers that were not started yet have shown; asked again after a restart.
    pub examined: BTreeMap<ContainerId, Examined>,
    /// What `auto` meant of the ports of each replica: kept for the life of the stack.
    pub ports: BTreeMap<ReplicaKey, Vec<PublishedSeen>>,
    /// The container of each replica that could not be started, for a port of it was somebody else's; until
    /// one of that replica is started.
    pub port_taken: BTreeMap<ReplicaKey, ContainerId>,
    /// How quickly workloads stop and become ready.
    pub paces: BTreeMap<WorkloadName, Pace>,
    /// Failed actions that wait to be tried again.
    pub failures: BTreeMap<Target, Failure>,
    /// Since when each subject is ready without a break, for the reset of back-off.
    pub ready_since: BTreeMap<ReplicaKey, Moment>,
}
