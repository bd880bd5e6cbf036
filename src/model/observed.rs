//! What the engine was seen to hold: lossless and sorted, duplicates kept. Choosing between
//! duplicates is the planner's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;

use super::container::Protocol;
use super::hash::{Fingerprint, SpecHash};
use super::name::{ContainerId, ImageId, InstanceId, ReplicaKey, StackName, WorkloadName};
use super::workload::KindName;

/// One look at the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Every container of the machine, foreign ones too, by id.
    pub containers: Vec<Container>,
    /// Networks that carry our label or our name, by name then id.
    pub networks: Vec<Network>,
    /// Volumes that carry our label or a name of ours, by name.
    pub volumes: Vec<VolumeSeen>,
    /// Of the references that were asked for: those that are here, with what they mean now.
    pub images: BTreeMap<String, ImageId>,
}

/// Networks by name, with the names that a container has on each beside its own.
pub type Attachments = BTreeMap<String, BTreeSet<String>>;

/// A container as the engine lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Its name, without the leading slash.
    pub name: String,
    /// The image it was made from.
    pub image: ImageId,
    /// The reference it was made with.
    pub image_reference: String,
    /// What it is doing.
    pub state: ContainerState,
    /// Our labels, where it carries them all.
    pub identity: Option<Identity>,
    /// Its ports as they are bound now.
    pub published: Vec<PublishedSeen>,
    /// Its networks by name, with the names that it has there; those are asked of ours only.
    pub networks: Attachments,
    /// Names of the volumes it mounts, sorted.
    pub volumes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The engine's verdict of the image's HEALTHCHECK, where it has one.
    pub image_health: Option<ImageHealth>,
}

/// What a container is doing, and what the next pass does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, never started: started when its gates are open, else left.
    Created,
    /// Runs: nothing to do while its definition holds.
    Running {
        /// When this run began.
        started_at: Timestamp,
    },
    /// Paused by somebody's hand: shown, left alone.
    Paused {
        /// When this run began.
        started_at: Timestamp,
    },
    /// The engine restarts it: somebody gave it a restart policy; waited for.
    Restarting,
    /// The engine removes it: waited for, never taken for gone.
    Removing,
    /// Ended: started again by the restart rule, or removed.
    Exited {
        /// How it ended.
        exit: Exit,
        /// When its last run began.
        started_at: Timestamp,
    },
    /// Half removed by a crash of the engine: removed again.
    Dead,
}

impl ContainerState {
    /// Whether its processes are there, even if they do nothing.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Running { .. } | Self::Paused { .. } | Self::Restarting)
    }

    /// The word for people.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running { .. } => "running",
            Self::Paused { .. } => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited { .. } => "exited",
            Self::Dead => "dead",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Exit {
    /// Exit code; 128 + n for signal n.
    pub code: i64,
    /// Whether the kernel killed it for want of memory. Believed with exit code 137 only, for the
    /// engine also sets it when a child was killed.
    pub oom: bool,
    /// When.
    pub at: Timestamp,
}

impl Exit {
    /// The signal that ended it, from the exit code.
    pub fn signal(&self) -> Option<i64> {
        (129..=192).contains(&self.code).then(|| self.code - 128)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.oom, self.signal()) {
            (true, _) => write!(formatter, "killed: out of memory"),
            (_, Some(9)) => write!(formatter, "killed (exit 137)"),
            (_, Some(11)) => write!(formatter, "segmentation fault (exit 139)"),
            (_, Some(15)) => write!(formatter, "terminated (exit 143)"),
            (_, Some(signal)) => write!(formatter, "ended by signal {signal}"),
            (_, None) => write!(formatter, "exited with code {}", self.code),
        }
    }
}

/// The engine's verdict of the image's own HEALTHCHECK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageHealth {
    /// No verdict yet.
    Starting,
    /// It passed.
    Healthy,
    /// It failed.
    Unhealthy,
}

/// What our labels on a container say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The stack.
    pub stack: StackName,
    /// The kind.
    pub kind: KindName,
    /// Which replica of which workload.
    pub key: ReplicaKey,
    /// The hash it was made from; `None` where the label can't be read.
    pub spec: Option<SpecHash>,
    /// The secrets it was made with; `None` where it uses none.
    pub secrets: Option<Fingerprint>,
    /// Who made it.
    pub instance: InstanceId,
    /// The directory of its stack.
    pub directory: String,
}

/// A bound port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct PublishedSeen {
    /// Address on the host.
    pub address: IpAddr,
    /// Port on the host.
    pub host: u16,
    /// Port in the container.
    pub container: u16,
    /// Transport.
    pub protocol: Protocol,
}

/// One run of a container: a restart of the same container is another run. Verdicts, counters and
/// history belong to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct RunId {
    /// The container.
    pub container: ContainerId,
    /// When the run began.
    pub started_at: Timestamp,
}

/// Whose a thing on the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This stack's, made by this instance: ours to change.
    Ours,
    /// A stack of this name of another directory or machine: never changed.
    OtherInstance {
        /// That directory.
        directory: String,
    },
    /// Somebody else's: never changed.
    Foreign,
}

impl Container {
    /// Whose it is.
    pub fn owner(&self, stack: &StackName, instance: &InstanceId) -> Owner {
        match &self.identity {
            Some(identity) if &identity.stack == stack && &identity.instance == instance => Owner::Ours,
            Some(identity) if &identity.stack == stack => Owner::OtherInstance { directory: identity.directory.clone() },
            _ => Owner::Foreign,
        }
    }

    /// Its run, where it is or was running.
    pub fn run(&self) -> Option<RunId> {
        match &self.state {
            ContainerState::Running { started_at }
            | ContainerState::Paused { started_at }
            | ContainerState::Exited { started_at, .. } => Some(RunId { container: self.id.clone(), started_at: *started_at }),
            _ => None,
        }
    }

    /// Whether this port of the machine, or that of every address, leads to it; `None`: by whatever
    /// transport.
    pub fn publishes(&self, address: SocketAddr, protocol: Option<Protocol>) -> bool {
        let overlap = |one: IpAddr| one == address.ip() || one.is_unspecified() || address.ip().is_unspecified();
        self.published.iter().any(|seen| {
            seen.host == address.port() && protocol.is_none_or(|protocol| seen.protocol == protocol) && overlap(seen.address)
        })
    }

    /// Which workload it belongs to by its labels.
    pub fn workload(&self) -> Option<&WorkloadName> {
        self.identity.as_ref().map(|identity| &identity.key.name)
    }
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Our labels: stack, instance.
    pub owner: Option<(StackName, InstanceId)>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSeen {
    /// Its name on the engine.
    pub name: String,
    /// Our labels: stack, instance.
    pub owner: Option<(StackName, InstanceId)>,
    /// The directory of the stack that made it, by our labels.
    pub directory: Option<String>,
    /// The postgres whose data directory it was made for, by our labels.
    pub data_of: Option<WorkloadName>,
    /// The postgres of which a set is restored in it for a trial, by our labels: thrown away afterwards.
    pub trial_of: Option<WorkloadName>,
    /// Whether it was made for a path that an image declares a volume: no file names it.
    pub of_image: bool,
    /// When it was made, where the engine says so.
    pub created_at: Option<Timestamp>,
    /// Its driver.
    pub driver: String,
}
