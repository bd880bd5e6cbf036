//! One service, postgres or job of a stack, validated and with every default filled in.

use std::collections::BTreeSet;
use std::time::Duration;

use super::container::ContainerSettings;
use super::hash::SpecHash;
use super::image::ImageSource;
use super::job::Job;
use super::name::WorkloadName;
use super::postgres::Postgres;
use super::probe::Probes;

/// A service, postgres or job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its name, host name and network alias.
    pub name: WorkloadName,
    /// What kind it is, with what only that kind has.
    pub kind: Kind,
    /// Where its image comes from.
    pub image: ImageSource,
    /// What its containers look like.
    pub container: ContainerSettings,
    /// What must be there before it starts: `depends_on` and references to a postgres.
    pub dependencies: Vec<Dependency>,
    /// The hash of its definition as written.
    pub spec: SpecHash,
}

/// The kinds, with what only they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A container that keeps running.
    Service(Box<Service>),
    /// A Postgres that witwd takes care of.
    Postgres(Box<Postgres>),
    /// A container that runs to an end.
    Job(Job),
}

/// The kind alone, as labels and JSON spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindName {
    /// `service`
    Service,
    /// `postgres`
    Postgres,
    /// `job`
    Job,
    /// A one-off container of `witwd run`.
    Run,
    /// A container that dumps a database.
    Dump,
    /// A container of a trial restore.
    Verify,
}

impl KindName {
    /// The word in labels and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Postgres => "postgres",
            Self::Job => "job",
            Self::Run => "run",
            Self::Dump => "dump",
            Self::Verify => "verify",
        }
    }

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Service, Self::Postgres, Self::Job, Self::Run, Self::Dump, Self::Verify]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

impl Workload {
    /// The names that its containers have on the stack's network.
    pub fn network_names(&self) -> BTreeSet<String> {
        std::iter::once(self.name.to_string()).chain(self.container.aliases.iter().cloned()).collect()
    }

    /// The kind alone.
    pub fn kind_name(&self) -> KindName {
        match self.kind {
            Kind::Service(_) => KindName::Service,
            Kind::Postgres(_) => KindName::Postgres,
            Kind::Job(_) => KindName::Job,
        }
    }

    /// How many containers of it are to run at once.
    pub fn replicas(&self) -> u32 {
        match &self.kind {
            Kind::Service(service) => service.replicas,
            Kind::Postgres(postgres) if postgres.is_external() => 0,
            Kind::Postgres(_) => 1,
            Kind::Job(_) => 0,
        }
    }

    /// Its probes.
    pub fn probes(&self) -> &Probes {
        match &self.kind {
            Kind::Service(service) => &service.probes,
            Kind::Postgres(postgres) => &postgres.probes,
            Kind::Job(_) => const { &Probes { startup: None, readiness: None, liveness: None } },
        }
    }

    /// Whether and how fast it is started again.
    pub fn restart(&self) -> (Restart, Backoff) {
        match &self.kind {
            Kind::Service(service) => (service.restart, service.backoff),
            Kind::Postgres(_) => (Restart::Always, Backoff::default()),
            Kind::Job(_) => (Restart::Never, Backoff::default()),
        }
    }

    /// Its Postgres part, where it is one.
    pub fn postgres(&self) -> Option<&Postgres> {
        match &self.kind {
            Kind::Postgres(postgres) => Some(postgres),
            _ => None,
        }
    }
}

/// What a service alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What the process listens on inside.
    pub port: Option<u16>,
    /// How many run.
    pub replicas: u32,
    /// When it is started again.
    pub restart: Restart,
    /// How fast it is started again.
    pub backoff: Backoff,
    /// Its probes.
    pub probes: Probes,
}

/// When a container that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always.
    Always,
    /// When its exit code was not 0.
    OnFailure,
    /// Never.
    Never,
}

/// How the delay between restarts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The delay before the second restart; the first is immediate.
    pub min: Duration,
    /// The longest delay.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

/// What must hold of another workload before this one starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// The other workload.
    pub on: WorkloadName,
    /// What must hold.
    pub condition: Condition,
}

/// What must hold of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// A service or postgres is ready, a job completed.
    Ready,
    /// It was started.
    Started,
}
