//! Probes: what is asked of a container from outside, and how often.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// A GET over HTTP to the container's port.
    Http {
        /// The path, with a leading slash.
        path: String,
        /// Headers; `Host` is `localhost` unless given.
        headers: BTreeMap<String, String>,
        /// Status codes that pass, both ends included.
        status: (u16, u16),
    },
    /// A connection to the container's port.
    Tcp,
    /// A command in the container; exit code 0 passes.
    Exec(Vec<String>),
    /// A query over TCP as the app's user on its database.
    Postgres,
    /// The verdict of the image's own HEALTHCHECK, as the engine reports it.
    Image,
}

/// One probe and its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub check: Check,
    /// The port asked; `None` where the check needs none.
    pub port: Option<u16>,
    /// Time between two results once there was a success.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Consecutive failures that turn the verdict.
    pub retries: u32,
    /// Consecutive successes that turn it back.
    pub successes: u32,
    /// While it lasts, failures do not count and probing is quick.
    pub start_period: Duration,
}

impl Probe {
    /// The TCP port that it asks; a query goes to the server's own.
    fn asked_port(&self) -> Option<u16> {
        match self.check {
            Check::Http { .. } | Check::Tcp => self.port,
            Check::Postgres => Some(5432),
            Check::Exec(_) | Check::Image => None,
        }
    }

    /// A probe with the numbers of `stack-reference.md`: every 10 s, 5 s, 3 failures, 1 success, 60 s.
    pub fn new(check: Check, port: Option<u16>) -> Self {
        Self {
            check,
            port,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            retries: 3,
            successes: 1,
            start_period: Duration::from_secs(60),
        }
    }
}

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Holds the other two back until its first success.
    Startup,
    /// Whether it is in rotation and its dependents may start.
    Readiness,
    /// Whether it must be restarted.
    Liveness,
}

/// The probes of a workload. With none, ready means: has run for [`SETTLED`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Probes {
    /// The startup probe.
    pub startup: Option<Probe>,
    /// The readiness probe.
    pub readiness: Option<Probe>,
    /// The liveness probe.
    pub liveness: Option<Probe>,
}

/// How long a container without a probe must have run to be called ready (`stack-reference.md`).
pub const SETTLED: Duration = Duration::from_millis(300);

impl Probes {
    /// The ports that they ask.
    pub fn ports(&self) -> std::collections::BTreeSet<u16> {
        [&self.startup, &self.readiness, &self.liveness].into_iter().flatten().filter_map(Probe::asked_port).collect()
    }

    /// One probe that serves as readiness and liveness.
    pub fn both(probe: Probe) -> Self {
        Self { startup: None, readiness: Some(probe.clone()), liveness: Some(probe) }
    }

    /// The probes that are there, with their purposes.
    pub fn iter(&self) -> impl Iterator<Item = (Purpose, &Probe)> {
        let all = [(Purpose::Startup, &self.startup), (Purpose::Readiness, &self.readiness), (Purpose::Liveness, &self.liveness)];
        all.into_iter().filter_map(|(purpose, probe)| probe.as_ref().map(|probe| (purpose, probe)))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}
