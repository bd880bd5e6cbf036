//! What primitives are asked with, in words of our own: no type of bollard leaves the adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::container::{Hardening, LogBounds, PublishedPort};
use crate::model::name::{ContainerId, InstanceId, StackName, WorkloadName};
use crate::model::observed::{Identity, PublishedSeen};

/// What an observation is to contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The stack whose networks and volumes are wanted.
    pub stack: StackName,
    /// Images whose presence is asked for.
    pub images: Vec<String>,
    /// Volumes by their engine names, beside those with our label.
    pub volumes: Vec<String>,
    /// Also volumes that this instance made under another name of the stack.
    pub instance: Option<InstanceId>,
}

impl Scope {
    /// A stack, no images and no volumes of others.
    pub fn of(stack: &StackName) -> Self {
        Self { stack: stack.clone(), images: Vec::new(), volumes: Vec::new(), instance: None }
    }

    /// Whether a volume with these labels belongs to the observation.
    pub fn owns(&self, owner: Option<&(StackName, InstanceId)>) -> bool {
        owner.is_some_and(|(stack, instance)| *stack == self.stack || Some(instance) == self.instance.as_ref())
    }
}

/// A container to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateContainer {
    /// Its name on the engine.
    pub name: String,
    /// The image: a reference or an id.
    pub image: String,
    /// Platform; `None`: the engine's.
    pub platform: Option<String>,
    /// Our labels, as data.
    pub identity: Identity,
    /// Labels of the user's own.
    pub labels: BTreeMap<String, String>,
    /// The stack's name that volumes of its own carry, for paths that the image declares volumes.
    pub data_name: StackName,
    /// Environment with every hole filled. Never logged.
    pub env: BTreeMap<String, String>,
    /// `None`: of the image.
    pub command: Option<Vec<String>>,
    /// `None`: of the image.
    pub entrypoint: Option<Vec<String>>,
    /// `None`: of the image.
    pub workdir: Option<String>,
    /// `None`: of the image.
    pub user: Option<String>,
    /// Host name inside.
    pub hostname: String,
    /// The network; `None`: none at all.
    pub network: Option<String>,
    /// Names on that network.
    pub aliases: Vec<String>,
    /// `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// Published ports. A free one is chosen when the container is made, and is then its own.
    pub ports: Vec<PublishedPort>,
    /// What was meant by a free port before: it is meant again where it can be had.
    pub remembered: Vec<RememberedPort>,
    /// TCP ports that are asked from here: published on 127.0.0.1 where the engine hides addresses.
    pub asked: BTreeSet<u16>,
    /// Volumes by engine name and binds by absolute path.
    pub mounts: Vec<MountRequest>,
    /// Paths in memory.
    pub tmpfs: Vec<String>,
    /// Bytes.
    pub shm_size: Option<u64>,
    /// Soft and hard limit by name.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    pub milli_cpus: Option<u64>,
    /// `None`: of the image.
    pub stop_signal: Option<String>,
    /// Given to the engine for a stop by foreign hands.
    pub stop_grace: Duration,
    /// Bounds of its log; `None`: no log is kept.
    pub logs: Option<LogBounds>,
    /// What it may not do.
    pub hardening: Hardening,
    /// Who reads its output and writes its input.
    pub streams: Streams,
}

/// The port of this machine that an earlier container of the same replica had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedPort {
    /// What was published.
    pub seen: PublishedSeen,
    /// Whether it is bound now by a container that ends before this one starts.
    pub is_held: bool,
}

impl CreateContainer {
    /// The port that was meant by a free one before, where it was `is_free` or can be had soon.
    pub fn remembered_port(&self, port: &PublishedPort, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        let is_same =
            |seen: &PublishedSeen| (seen.address, seen.container, seen.protocol) == (port.address, port.container, port.protocol);
        let known = self.remembered.iter().find(|known| is_same(&known.seen))?;
        (known.is_held || is_free(known.seen.host)).then_some(known.seen.host)
    }
}

/// Who reads the output of a container and writes its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Streams {
    /// Nobody but its log.
    #[default]
    Log,
    /// Whoever attaches first; its input ends with them.
    Attached,
    /// The same, at a terminal.
    Terminal,
}

/// A mount of a container to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountRequest {
    /// A volume's engine name, or an absolute path of the host.
    pub source: MountFrom,
    /// Path inside.
    pub target: String,
    /// Whether it can't be written.
    pub read_only: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountFrom {
    /// A volume that exists: a container is never made with one that does not.
    Volume(String),
    /// A path of the host that exists.
    Bind(PathBuf),
}

/// A network to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateNetwork {
    /// Its name.
    pub name: String,
    /// The stack.
    pub stack: StackName,
    /// Who makes it.
    pub instance: InstanceId,
    /// Directory of the stack.
    pub directory: String,
}

/// A volume to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateVolume {
    /// Its name on the engine.
    pub name: String,
    /// Its name in the file.
    pub volume: String,
    /// The stack.
    pub stack: StackName,
    /// Who makes it.
    pub instance: InstanceId,
    /// Directory of the stack.
    pub directory: String,
    /// Whether it is for a path that an image declares a volume.
    pub of_image: bool,
    /// The postgres whose data directory it is to hold.
    pub data_of: Option<WorkloadName>,
    /// The postgres of which a set is restored in it for a trial: it is thrown away when that is over.
    pub trial_of: Option<WorkloadName>,
    /// `None`: the engine's default.
    pub driver: Option<String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Labels of the user's own.
    pub labels: BTreeMap<String, String>,
}

/// An image to be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullImage {
    /// The reference.
    pub reference: String,
    /// `None`: the engine's.
    pub platform: Option<String>,
    /// Without progress for this long it counts as failed.
    pub inactivity: Duration,
}

/// An image to be built with a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildImage {
    /// The tag of the result.
    pub tag: String,
    /// The directory that is sent, less what `.dockerignore` names.
    pub context: PathBuf,
    /// Directories below `context` that are never sent, whatever `.dockerignore` says: backups.
    /// The daemon's own state is never sent anyway.
    pub exclude: Vec<PathBuf>,
    /// Absolute path of the Dockerfile.
    pub dockerfile: PathBuf,
    /// The stage.
    pub target: Option<String>,
    /// Build arguments, filled in.
    pub args: BTreeMap<String, String>,
    /// Secrets of the build: id to value. Never logged.
    pub secrets: BTreeMap<String, String>,
    /// `None`: the engine's.
    pub platform: Option<String>,
    /// Labels of the result.
    pub labels: BTreeMap<String, String>,
}

/// A file put into a container that exists and may be stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileToPut {
    /// Path below the directory that the files are put into.
    pub path: String,
    /// Content. Never logged.
    pub content: Vec<u8>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Mode.
    pub mode: u32,
}

/// A command in a running container. Its words are published in the engine's event stream: no
/// secret may be in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exec {
    /// The words.
    pub command: Vec<String>,
    /// `None`: the container's.
    pub user: Option<String>,
    /// What it reads; `None`: nothing.
    pub stdin: Option<Vec<u8>>,
    /// More environment.
    pub env: Vec<String>,
}

/// Which part of a container's log is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// Stay and send what comes.
    pub follow: bool,
    /// Last lines; `None`: all.
    pub tail: Option<u32>,
    /// Not older than this.
    pub since: Option<Timestamp>,
}

/// A container addressed by its id, for messages.
pub fn describe(id: &ContainerId) -> String {
    format!("container {}", id.short())
}
