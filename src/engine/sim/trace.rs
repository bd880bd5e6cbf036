//! What was asked of the simulated engine, and when.

use sha2::{Digest, Sha256};

use crate::engine::ErrorKind;
use crate::model::hash::hex;
use crate::model::time::Moment;

/// The primitives, as faults and the trace name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the method of `Engine` of that name")]
pub enum Operation {
    Info,
    Observe,
    Events,
    Pull,
    Build,
    Image,
    CreateNetwork,
    RemoveNetwork,
    CreateVolume,
    RemoveVolume,
    Create,
    Start,
    IsUp,
    Stop,
    Remove,
    Rename,
    Connect,
    Disconnect,
    PutFiles,
    ReadFile,
    Exec,
    Wait,
    Logs,
    Reach,
}

impl Operation {
    /// The words of its errors.
    pub fn words(self) -> &'static str {
        match self {
            Self::Info => "ask engine",
            Self::Observe => "observe",
            Self::Events => "follow events",
            Self::Pull => "pull image",
            Self::Build => "build image",
            Self::Image => "inspect image",
            Self::CreateNetwork => "create network",
            Self::RemoveNetwork => "remove network",
            Self::CreateVolume => "create volume",
            Self::RemoveVolume => "remove volume",
            Self::Create => "create container",
            Self::Start => "start container",
            Self::IsUp => "inspect",
            Self::Stop => "stop container",
            Self::Remove => "remove container",
            Self::Rename => "rename container",
            Self::Connect => "connect container",
            Self::Disconnect => "disconnect container",
            Self::PutFiles => "put files",
            Self::ReadFile => "read a file of",
            Self::Exec => "run command",
            Self::Wait => "wait for container",
            Self::Logs => "read log",
            Self::Reach => "reach container",
        }
    }

    /// Whether it changes an object of the engine. A command in a container does not count: probes
    /// are made of them.
    pub fn mutating(self) -> bool {
        let reads = [
            Self::Info,
            Self::Observe,
            Self::Events,
            Self::Image,
            Self::IsUp,
            Self::ReadFile,
            Self::Exec,
            Self::Wait,
            Self::Logs,
            Self::Reach,
        ];
        !reads.contains(&self)
    }
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When it was made.
    pub at: Moment,
    /// What was asked.
    pub operation: Operation,
    /// Of what.
    pub target: String,
    /// Whether it changes an object of the engine.
    pub mutating: bool,
    /// When it was answered, or given up by its caller.
    pub finished_at: Option<Moment>,
    /// The answer; `None` while there is none.
    pub outcome: Option<Result<(), ErrorKind>>,
}

/// Every call, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The calls.
    pub calls: Vec<Call>,
}

impl Trace {
    /// Those that change an object of the engine.
    pub fn mutating_calls(&self) -> Vec<&Call> {
        self.calls.iter().filter(|call| call.mutating).collect()
    }

    /// Those of one operation.
    pub fn of(&self, operation: Operation) -> Vec<&Call> {
        self.calls.iter().filter(|call| call.operation == operation).collect()
    }

    /// The most mutating calls that were under way at one moment.
    pub fn max_in_flight(&self) -> usize {
        let under_way = |moment: Moment, call: &Call| call.at <= moment && call.finished_at.is_none_or(|end| end > moment);
        let mutating = self.mutating_calls();
        let at_start = |first: &&Call| mutating.iter().filter(|call| under_way(first.at, call)).count();
        mutating.iter().map(at_start).max().unwrap_or_default()
    }

    /// Lines for people: when, what, of what, how it ended.
    pub fn lines(&self) -> Vec<String> {
        let line = |call: &Call| {
            let outcome = match &call.outcome {
                None => "no answer".to_owned(),
                Some(Ok(())) => "ok".to_owned(),
                Some(Err(kind)) => format!("{kind:?}"),
            };
            let at = call.at.since_start().as_micros();
            format!("{at} {} {} | {outcome} {:?}", call.operation.words(), call.target, call.finished_at)
        };
        self.calls.iter().map(line).collect()
    }

    /// A digest of the trace: equal runs have equal ones.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.lines().join("\n").as_bytes())[..16])
    }
}
