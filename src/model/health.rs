//! Verdicts of probes. A verdict belongs to a run; what could not be asked is no verdict.

use std::collections::BTreeMap;

use super::name::WorkloadName;
use super::observed::RunId;
use super::time::Moment;

/// Whom a verdict is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// One run of one container.
    Run(RunId),
    /// A Postgres that runs elsewhere.
    External(WorkloadName),
}

/// What the probes of one subject say together. `None` is: no verdict yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Whether the startup probe has passed; `true` where there is none.
    pub started: bool,
    /// Readiness.
    pub ready: Option<bool>,
    /// Liveness.
    pub alive: Option<bool>,
    /// The failing probe's own words, for people.
    pub words: Option<String>,
    /// Whether only a person can mend it: it is not what the file says.
    pub needs_operator: bool,
    /// Whether its last result was not good, which alone turns nothing.
    pub shaken: bool,
    /// When it lost its liveness; `None` while it has not.
    pub lost_at: Option<Moment>,
    /// When the last good result that was asked for beside its schedule was begun.
    pub confirmed_at: Option<Moment>,
}

/// All verdicts.
pub type Verdicts = BTreeMap<Subject, Verdict>;
