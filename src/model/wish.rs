//! What a person can ask for beside the file, in the words of the command line, and what of it makes
//! no sense. What is held from then on is in [`super::by_hand`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name::{NameError, ReplicaKey, WorkloadName};
use super::stack::Stack;
use super::workload::{Kind, Workload};

/// The most replicas of a service, in the file or by hand.
pub const MOST_REPLICAS: u32 = 1000;

/// What a word of the command line names: `web` is all of it, `web.2` one replica.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chosen {
    /// The workload.
    pub name: WorkloadName,
    /// Which replica, from 1; `None`: all.
    pub replica: Option<u32>,
}

impl Chosen {
    /// All replicas of a workload.
    pub fn all(name: &WorkloadName) -> Self {
        Self { name: name.clone(), replica: None }
    }

    /// One replica.
    pub fn one(key: &ReplicaKey) -> Self {
        Self { name: key.name.clone(), replica: Some(key.replica) }
    }

    /// Whether it names this replica.
    pub fn covers(&self, name: &str, replica: u32) -> bool {
        self.name.as_str() == name && self.replica.is_none_or(|own| own == replica)
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.replica {
            Some(replica) => write!(formatter, "{}.{replica}", self.name),
            None => write!(formatter, "{}", self.name),
        }
    }
}

impl FromStr for Chosen {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let numbered = text.rsplit_once('.').and_then(|(name, number)| Some((name, number.parse::<u32>().ok()?)));
        match numbered.filter(|(_, number)| *number > 0) {
            Some((name, number)) => Ok(Self { name: name.parse()?, replica: Some(number) }),
            None => Ok(Self { name: text.parse()?, replica: None }),
        }
    }
}

impl Serialize for Chosen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Chosen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether a replica is among those that were named; where none was, all are meant.
pub fn is_about(chosen: &BTreeSet<Chosen>, name: &str, replica: u32) -> bool {
    chosen.is_empty() || chosen.iter().any(|chosen| chosen.covers(name, replica))
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Wish {
    /// A new run of each of these; none named: of all that is not stopped by hand.
    Restart {
        /// Whom.
        of: BTreeSet<Chosen>,
    },
    /// Have none of these running.
    Stop {
        /// Whom.
        of: BTreeSet<Chosen>,
    },
    /// Run these as the file says: what is held by hand ends, what ended is started again.
    Start {
        /// Whom.
        of: BTreeSet<Chosen>,
    },
    /// Run so many of each.
    Scale {
        /// How many of whom.
        to: BTreeMap<WorkloadName, u32>,
    },
}

impl Wish {
    /// The verb, as the command line spells it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Restart { .. } => "restart",
            Self::Stop { .. } => "stop",
            Self::Start { .. } => "start",
            Self::Scale { .. } => "scale",
        }
    }

    /// Whom it is about; empty: the whole stack.
    pub fn chosen(&self) -> BTreeSet<Chosen> {
        match self {
            Self::Restart { of } | Self::Stop { of } | Self::Start { of } => of.clone(),
            Self::Scale { to } => to.keys().map(Chosen::all).collect(),
        }
    }
}

/// Why a wish makes no sense; nothing of it is accepted then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What to do instead.
    pub hint: Option<String>,
    /// Whether the same words could make sense in another state of the stack.
    pub depends_on_state: bool,
}

impl Refusal {
    /// Words that never make sense for this file.
    pub fn usage(message: String, hint: impl Into<String>) -> Self {
        Self { message, hint: Some(hint.into()), depends_on_state: false }
    }

    /// Words that make no sense as things are.
    pub fn state(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()), depends_on_state: true }
    }
}

/// What came of a wish.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Replicas that are started anew: what their earlier runs did is forgiven.
    pub renewed: Vec<ReplicaKey>,
    /// Worth a word to whoever asked.
    pub notes: Vec<String>,
}

/// The workload of this name, where witwd keeps it running.
pub(super) fn known<'a>(stack: &'a Stack, name: &WorkloadName) -> Result<&'a Workload, Refusal> {
    let Some(workload) = stack.workload(name) else {
        let names: Vec<&str> = stack.in_order().map(|workload| workload.name.as_str()).collect();
        return Err(Refusal::usage(format!("stack {} has no {name}", stack.name()), format!("it has {}", names.join(", "))));
    };
    match &workload.kind {
        Kind::Job(_) => {
            let message = format!("{name} is a job, which does not keep running; this version does not run jobs");
            Err(Refusal::usage(message, "services and postgres servers are restarted, stopped and started"))
        }
        Kind::Postgres(postgres) if postgres.is_external() => {
            let message = format!("{name} is an external server: witwd does not run it");
            Err(Refusal::usage(message, "restart, stop or start it where it runs"))
        }
        _ => Ok(workload),
    }
}

/// Why there can't be so many of a workload.
pub(super) fn scaling_refusal(workload: &Workload, count: u32) -> Option<Refusal> {
    let name = &workload.name;
    if !matches!(workload.kind, Kind::Service(_)) {
        let message = format!("{name} is a {}: only services are scaled", workload.kind_name().as_str());
        return Some(Refusal::usage(message, "one server runs on one data directory, and a job has one run at a time"));
    }
    if count == 0 {
        return Some(Refusal::usage(format!("0 replicas of {name} are none"), format!("`witwd stop {name}` stops it")));
    }
    if count > MOST_REPLICAS {
        return Some(Refusal::usage(format!("{count} replicas of {name} are too many"), format!("at most {MOST_REPLICAS}")));
    }
    let fixed = workload.container.ports.iter().find(|port| port.host.is_some()).filter(|_| count > 1)?;
    let message = format!("{count} replicas of {name} can't share port {} of the host", fixed.host.unwrap_or_default());
    let hint = format!("write \"auto:{}\" in its `ports`: each replica gets a free port", fixed.container);
    Some(Refusal::usage(message, hint))
}
