//! What a plan is made of, and how it prints: one line per action with its cause.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::model::backup::Work;
use crate::model::health::Subject;
use crate::model::history::Target;
use crate::model::name::{ContainerId, ImageId, ReplicaKey, VolumeName, WorkloadName};
use crate::model::restore::Restore;
use crate::model::time::{Moment, seconds};

/// One primitive of the engine, or one idempotent step of the caretaker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Get an image from its registry.
    Pull {
        /// For whom.
        workload: WorkloadName,
        /// The reference.
        reference: String,
    },
    /// Make an image by its `build`.
    Build {
        /// For whom.
        workload: WorkloadName,
        /// The tag of the result.
        reference: String,
    },
    /// Make an image by its `fallback`.
    BuildFallback {
        /// For whom.
        workload: WorkloadName,
        /// The tag of the result.
        reference: String,
    },
    /// Make the stack's network.
    CreateNetwork,
    /// Remove the stack's network.
    RemoveNetwork {
        /// The engine's id of it.
        id: String,
    },
    /// Make a volume.
    CreateVolume {
        /// Its name in the file.
        volume: VolumeName,
    },
    /// Remove a volume: only where an explicit command of the user carries it.
    RemoveVolume {
        /// Its name on the engine.
        name: String,
    },
    /// Make a container.
    Create {
        /// Which replica.
        key: ReplicaKey,
        /// Its name on the engine: the final one, or one with a suffix while an old container holds that.
        name: String,
        /// The image it is made from.
        image: String,
    },
    /// Look into a postgres' container that was not started yet: what its volume holds, and what its
    /// image sorts text by.
    Examine {
        /// Which postgres, as a replica.
        key: ReplicaKey,
        /// Its container.
        container: ContainerId,
    },
    /// Start a container.
    Start {
        /// Which replica.
        key: ReplicaKey,
        /// The container.
        container: ContainerId,
        /// Those that must have ended: what was seen of them may be old, so the engine is asked for each.
        ended: BTreeSet<ContainerId>,
    },
    /// Stop a container.
    Stop {
        /// Which replica.
        key: ReplicaKey,
        /// The container.
        container: ContainerId,
        /// How long it may take.
        grace: Duration,
        /// Whether it is stopped because it failed: then it is restarted like what crashed, whatever
        /// code it ends with.
        failed: bool,
    },
    /// Remove a stopped container.
    Remove {
        /// Which replica.
        key: ReplicaKey,
        /// The container.
        container: ContainerId,
    },
    /// Give a container its final name.
    Rename {
        /// Which replica.
        key: ReplicaKey,
        /// The container.
        container: ContainerId,
        /// The name.
        name: String,
    },
    /// Put a container on the stack's network, under its names.
    Connect {
        /// Which replica.
        key: ReplicaKey,
        /// The container.
        container: ContainerId,
    },
    /// Take a container from the stack's network, to be put there anew.
    Disconnect {
        /// Which replica.
        key: ReplicaKey,
        /// The container.
        container: ContainerId,
    },
    /// Make databases, roles and extensions, and run `init` where the data directory is new.
    Provision {
        /// Which postgres, as a replica: one action a target.
        key: ReplicaKey,
        /// Its container.
        container: ContainerId,
    },
    /// Take a set of a postgres, or look at one again.
    Backup {
        /// Which postgres.
        name: WorkloadName,
        /// Its container, running.
        container: ContainerId,
        /// The image of that container: its programs are used.
        image: ImageId,
        /// What is to be done.
        work: Work,
    },
}

impl Action {
    /// The verb of [`Action::Remove`]: a failure keeps the verb of what failed.
    pub const REMOVE: &str = "remove";

    /// The verb, as the plan prints it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Pull { .. } => "pull",
            Self::Build { .. } => "build",
            Self::BuildFallback { .. } => "build-fallback",
            Self::CreateNetwork => "create-network",
            Self::RemoveNetwork { .. } => "remove-network",
            Self::CreateVolume { .. } => "create-volume",
            Self::RemoveVolume { .. } => "remove-volume",
            Self::Create { .. } => "create",
            Self::Examine { .. } => "examine",
            Self::Start { .. } => "start",
            Self::Stop { .. } => "stop",
            Self::Remove { .. } => Self::REMOVE,
            Self::Rename { .. } => "rename",
            Self::Connect { .. } => "connect",
            Self::Disconnect { .. } => "disconnect",
            Self::Provision { .. } => "provision",
            Self::Backup { work, .. } => work.verb(),
        }
    }

    /// Whom it is about. Two actions of one plan never have the same target.
    pub fn target(&self) -> Target {
        match self {
            Self::Pull { workload, .. } | Self::Build { workload, .. } | Self::BuildFallback { workload, .. } => {
                Target::Workload(workload.clone())
            }
            Self::CreateNetwork | Self::RemoveNetwork { .. } => Target::Network,
            Self::Backup { name, .. } => Target::Backup(name.clone()),
            Self::CreateVolume { volume } => Target::Volume(volume.clone()),
            Self::RemoveVolume { name } => Target::EngineVolume(name.clone()),
            Self::Create { key, .. }
            | Self::Examine { key, .. }
            | Self::Start { key, .. }
            | Self::Stop { key, .. }
            | Self::Remove { key, .. }
            | Self::Rename { key, .. }
            | Self::Connect { key, .. }
            | Self::Disconnect { key, .. }
            | Self::Provision { key, .. } => Target::Replica(key.clone()),
        }
    }
}

/// An action with its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What is to be done.
    pub action: Action,
    /// Why, for people.
    pub cause: String,
}

/// Something that can't be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Whom it is about.
    pub target: Target,
    /// Why, for people.
    pub cause: String,
    /// Whether only a person can mend it.
    pub needs_operator: bool,
    /// Whether it is refused so that no data is lost or misread.
    pub protects_data: bool,
    /// When it is tried again, where that is known.
    pub until: Option<Moment>,
}

/// What is safe to do now, what is blocked and why, and when to look again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// To be done now, at most one for each target, in a stable order.
    pub actions: Vec<Planned>,
    /// What waits.
    pub blocked: Vec<Blocked>,
    /// When to look again even if nothing happens.
    pub wake_at: Option<Moment>,
    /// Whom to probe at once: somebody is stopped or not by what they answer.
    pub asked: BTreeSet<Subject>,
}

impl Plan {
    /// Whether there is nothing to do and nothing waits.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.blocked.is_empty()
    }

    /// The plan as text, with the wake-up relative to `now`: the dry run, the log and the format of
    /// the planner's tests.
    pub fn text(&self, now: Moment) -> String {
        let wake = self.wake_at.map(|at| format!("wake +{}\n", seconds(at.since(now))));
        format!("{self}{}", wake.unwrap_or_default())
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.action.verb(), self.action.target())?;
        match &self.action {
            Action::Pull { reference, .. } | Action::Build { reference, .. } | Action::BuildFallback { reference, .. } => {
                write!(formatter, " {reference}")?;
            }
            Action::Create { name, .. } | Action::Rename { name, .. } => write!(formatter, " as {name}")?,
            Action::Examine { container, .. }
            | Action::Start { container, .. }
            | Action::Stop { container, .. }
            | Action::Remove { container, .. }
            | Action::Connect { container, .. }
            | Action::Disconnect { container, .. } => {
                write!(formatter, " {container}")?;
            }
            Action::Backup { work: Work::Verify { set, .. }, .. } => write!(formatter, " {set}")?,
            Action::Backup { work: Work::Restore(Restore { source, .. }), .. } => write!(formatter, " {source}")?,
            _ => {}
        }
        write!(formatter, " | {}", self.cause)
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "blocked {} | {}", self.target, self.cause)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.actions.iter().try_for_each(|planned| writeln!(formatter, "{planned}"))?;
        self.blocked.iter().try_for_each(|blocked| writeln!(formatter, "{blocked}"))
    }
}
