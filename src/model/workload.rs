//! One service, postgres or job of a stack, validated and with every default filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::hash::SpecHash;
use super::name::{SecretName, SqlName, VolumeName, WorkloadName};
use super::probe::Probes;
use super::template::Template;

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

/// What a postgres alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// An external server in place of a container: its address, perhaps with a password in it.
    pub url: Option<Template>,
    /// The app's database.
    pub database: SqlName,
    /// The app's role, owner of `database`; no superuser unless it is `postgres`.
    pub user: SqlName,
    /// The password of `user` where the file gives one; else generated once.
    pub password: Option<Template>,
    /// More databases of `user`.
    pub databases: Vec<SqlName>,
    /// More roles.
    pub roles: BTreeMap<SqlName, Role>,
    /// The volume of the data directory.
    pub volume: VolumeName,
    /// The major version that the image's tag says, where it says one.
    pub major: Option<u32>,
    /// Extensions made in each database before `init`.
    pub extensions: Vec<String>,
    /// SQL files run once on an empty data directory, in order.
    pub init: Vec<PathBuf>,
    /// Server settings, in order of name.
    pub settings: BTreeMap<String, String>,
    /// Readiness and liveness.
    pub probes: Probes,
    /// Hourly backups.
    pub backup: Backup,
}

impl Postgres {
    /// Whether it is a server elsewhere, for which nothing is started.
    pub fn is_external(&self) -> bool {
        self.url.is_some()
    }
}

/// The major version that a reference names: `postgres:17`, `postgis/postgis:17-3.5`,
/// `supabase/postgres:15.8.1.085`, `pgvector/pgvector:pg17`, `timescale/timescaledb:2.17-pg16`.
pub fn major_of(reference: &str) -> Option<u32> {
    let name = reference.split('@').next()?.rsplit('/').next()?;
    let tag = name.split_once(':')?.1;
    let after_pg = tag.find("pg").map(|at| &tag[at + 2..]);
    let digits =
        |text: &str| text.split(|part: char| !part.is_ascii_digit()).next().and_then(|digits| digits.parse::<u32>().ok());
    let major = after_pg.and_then(digits).or_else(|| digits(tag))?;
    (9..=99).contains(&major).then_some(major)
}

/// A role beside the app's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Role {
    /// Its password where the file gives one; else generated once.
    pub password: Option<Template>,
    /// Whether it is a superuser.
    pub superuser: bool,
    /// Whether it may create databases.
    pub createdb: bool,
    /// Roles it is a member of.
    pub grant: Vec<String>,
}

/// `[postgres.NAME.backup]`, carried out by the caretaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Whether sets are taken.
    pub enabled: bool,
    /// When.
    pub schedule: BackupSchedule,
    /// How many are kept, by rule name (`last`, `hourly`, `daily`, `weekly`, `monthly`).
    pub keep: BTreeMap<&'static str, u32>,
    /// Where the sets lie.
    pub directory: PathBuf,
    /// Whether each set is tried by a restore (`restore`) or decoded whole (`read`).
    pub trial_restore: bool,
    /// Free bytes below which a set is not begun; `None`: from the last set's size.
    pub min_free: Option<u64>,
    /// An address for copies, as written.
    pub offsite: Option<Template>,
}

/// When backup sets are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupSchedule {
    /// UTC slots of this length.
    Every(Duration),
    /// A cron expression in UTC.
    Cron(String),
}

/// What a job alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// When it runs.
    pub run: JobRun,
    /// After how long a run is ended; `None`: never.
    pub timeout: Option<Duration>,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// How many runs are kept in the history.
    pub history: u32,
}

/// When a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRun {
    /// Once for each content.
    Changed,
    /// At every start of the stack.
    Always,
    /// Only by hand.
    Manual,
    /// By a cron expression in a time zone.
    Schedule {
        /// Five fields.
        cron: String,
        /// An IANA name; UTC unless given.
        timezone: String,
        /// What happens when the last run is not over.
        overlap: Overlap,
        /// Whether a missed run is made up once.
        catch_up: bool,
    },
    /// In fixed intervals.
    Every {
        /// The interval.
        interval: Duration,
        /// What happens when the last run is not over.
        overlap: Overlap,
        /// Whether a missed run is made up once.
        catch_up: bool,
    },
}

/// What happens when a job is due while its last run is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// The new run is left out.
    Forbid,
    /// Both run.
    Allow,
    /// The old run is ended.
    Replace,
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

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    /// The reference; of a build, the tag of the result.
    pub reference: String,
    /// How it gets to the engine.
    pub origin: ImageOrigin,
    /// `linux/arm64` and the like.
    pub platform: Option<String>,
}

/// How an image gets to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageOrigin {
    /// From a registry.
    Pull {
        /// When it is asked.
        policy: PullPolicy,
        /// A build for when no registry answers.
        fallback: Option<Fallback>,
    },
    /// From a build; never pulled.
    Build(Build),
}

/// A build for an image that no registry answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// How it is built.
    pub build: Build,
    /// The tag of the result: the same for all who share the build by `extends`.
    pub tag: String,
}

impl ImageSource {
    /// The build for when no registry answers.
    pub fn fallback(&self) -> Option<&Fallback> {
        match &self.origin {
            ImageOrigin::Pull { fallback, .. } => fallback.as_ref(),
            ImageOrigin::Build(_) => None,
        }
    }

    /// Whether `reference` is its own, or that of its fallback.
    pub fn is_named(&self, reference: &str) -> bool {
        self.reference == reference || self.fallback().is_some_and(|fallback| fallback.tag == reference)
    }
}

/// When a registry is asked for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// When it is not here.
    Missing,
    /// At every `up`.
    Always,
    /// Never.
    Never,
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// A Docker build.
    Docker {
        /// The directory that is sent.
        context: PathBuf,
        /// The Dockerfile, absolute or below `context`.
        dockerfile: PathBuf,
        /// The stage.
        target: Option<String>,
        /// Build arguments.
        args: BTreeMap<String, Template>,
        /// Secrets of the build.
        secrets: Vec<SecretName>,
    },
    /// A command that must leave the image `WITWD_IMAGE` in the engine.
    Command(Vec<String>),
}

/// What a container looks like. Everything here is part of the definition's hash, but for
/// `stop_grace`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSettings {
    /// Arguments; `None`: of the image.
    pub command: Option<Vec<String>>,
    /// `None`: of the image.
    pub entrypoint: Option<Vec<String>>,
    /// Working directory; `None`: of the image.
    pub workdir: Option<String>,
    /// User; `None`: of the image.
    pub user: Option<String>,
    /// Host name; `None`: the workload's name.
    pub hostname: Option<String>,
    /// More names on the network.
    pub aliases: Vec<String>,
    /// More lines of `/etc/hosts`, as `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// Environment: `env_files`, then `env`.
    pub env: BTreeMap<String, Template>,
    /// Labels of the user's own.
    pub labels: BTreeMap<String, String>,
    /// Published ports.
    pub ports: Vec<PublishedPort>,
    /// Volumes and binds.
    pub mounts: Vec<Mount>,
    /// Paths in memory.
    pub tmpfs: Vec<String>,
    /// Secrets as files below `/run/secrets`.
    pub secrets: Vec<SecretName>,
    /// Bytes of `/dev/shm`; `None`: of the engine.
    pub shm_size: Option<u64>,
    /// Limits by name: soft, hard.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Bytes of memory; `None`: no limit.
    pub memory: Option<u64>,
    /// Thousandths of a processor; `None`: no limit.
    pub milli_cpus: Option<u64>,
    /// Signal that asks it to stop; `None`: of the image.
    pub stop_signal: Option<String>,
    /// How long it may take to stop before it is killed.
    pub stop_grace: Duration,
    /// Bounds of its log.
    pub logs: LogBounds,
    /// What it may not do.
    pub hardening: Hardening,
}

/// A port published on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishedPort {
    /// Address on the host; `127.0.0.1` unless the file says otherwise.
    pub address: std::net::IpAddr,
    /// Port on the host; `None`: a free one (`auto`).
    pub host: Option<u16>,
    /// Port in the container.
    pub container: u16,
    /// `tcp` or `udp`.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
}

impl Protocol {
    /// The word in JSON and port syntax.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Where, absolute.
    pub target: String,
    /// Whether it can't be written.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MountSource {
    /// A volume of the stack.
    Volume(VolumeName),
    /// A path of the host, absolute.
    Bind(PathBuf),
}

/// Bounds of a container's log on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// Bytes of one file.
    pub max_size: u64,
    /// How many files.
    pub max_files: u32,
}

impl Default for LogBounds {
    fn default() -> Self {
        Self { max_size: 10 << 20, max_files: 5 }
    }
}

/// What a container may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "five independent switches of the file, each with its own meaning")]
pub struct Hardening {
    /// No process gains privileges.
    pub no_new_privileges: bool,
    /// An init reaps zombies; `None`: yes, but for images whose entrypoint is `/init`.
    pub init: Option<bool>,
    /// Most processes at once.
    pub pids: u32,
    /// The root file system can't be written.
    pub read_only: bool,
    /// Capabilities taken.
    pub cap_drop: Vec<String>,
    /// Capabilities given.
    pub cap_add: Vec<String>,
    /// All of them.
    pub privileged: bool,
    /// Whether the engine's socket may be bound.
    pub docker_socket: bool,
}

impl Default for Hardening {
    fn default() -> Self {
        Self {
            no_new_privileges: true,
            init: None,
            pids: 4096,
            read_only: false,
            cap_drop: Vec::new(),
            cap_add: Vec::new(),
            privileged: false,
            docker_socket: false,
        }
    }
}
