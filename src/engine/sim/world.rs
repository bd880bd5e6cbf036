//! The state of the simulated engine: plain data, changed only by synchronous functions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::events::Bus;
use super::faults::FaultKind;
use super::images::Images;
use super::mutation::Mutation;
use super::script::{Script, Scripts};
use super::trace::Operation;
use crate::engine::answer::{ExecOutput, FileContent, FileSeen, LogLine};
use crate::engine::request::{Exec, FileToPut, MountFrom, MountRequest};
use crate::engine::{EngineError, ErrorKind, labels};
use crate::model::container::{Protocol, PublishedPort};
use crate::model::hash::hex;
use crate::model::name::{ContainerId, ImageId, InstanceId, StackName, WorkloadName};
use crate::model::observed::{Attachments, ContainerState, Identity, Observed, PublishedSeen};
use crate::model::time::Moment;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock.
    pub moment: Moment,
    /// The wall clock.
    pub wall: Timestamp,
}

impl Now {
    /// An earlier moment, with the wall clock as it would have been.
    #[must_use]
    pub fn back_at(self, moment: Moment) -> Self {
        let ago = SignedDuration::try_from(self.moment.since(moment)).unwrap_or_default();
        Self { moment, wall: self.wall.checked_sub(ago).unwrap_or(self.wall) }
    }
}

/// A simulated container.
#[derive(Debug, Clone)]
pub struct SimContainer {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// Its image.
    pub image: ImageId,
    /// The reference it was made with.
    pub image_reference: String,
    /// Its command; the words after the entrypoint of the image.
    pub command: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Volumes and binds.
    pub mounts: Vec<MountRequest>,
    /// Ports it asks for.
    pub ports: Vec<PublishedPort>,
    /// Ports it has while it runs.
    pub published: Vec<PublishedSeen>,
    /// Its networks by name, with its names there.
    pub networks: Attachments,
    /// Whether its root can't be written.
    pub read_only: bool,
    /// Whether a log is kept.
    pub keeps_log: bool,
    /// What it is doing.
    pub state: ContainerState,
    /// When it was made.
    pub created_at: Timestamp,
    /// The run under way.
    pub run: Option<Run>,
    /// Codes of the runs that are over.
    pub ended: Vec<i64>,
    /// When a removal under way is over.
    pub gone_at: Option<Moment>,
    /// What it wrote.
    pub log: Vec<LogLine>,
    /// Files that were put into it, by absolute path.
    pub files: BTreeMap<String, FileToPut>,
    /// A number for its address.
    pub number: u64,
}

/// A run under way.
#[derive(Debug, Clone)]
pub struct Run {
    /// When it began.
    pub began: Moment,
    /// What it does.
    pub script: Script,
    /// How it is going to end, as far as is known.
    pub end: Option<End>,
    /// Whether somebody made it hang.
    pub hung: bool,
}

/// An end to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Moment,
    /// Exit code.
    pub code: i64,
    /// Whether for want of memory.
    pub oom: bool,
}

impl Run {
    /// Whether it answers nothing.
    pub fn hangs(&self, now: Moment) -> bool {
        self.hung || self.script.hang_at.is_some_and(|after| now >= self.began + after)
    }
}

impl SimContainer {
    /// What our labels say.
    pub fn identity(&self) -> Option<Identity> {
        labels::identity(&self.labels)
    }

    /// The stack whose label it carries.
    pub fn stack(&self) -> Option<StackName> {
        labels::owner(&self.labels).map(|(stack, _)| stack)
    }

    /// Names of its volumes.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountFrom::Volume(name) => Some(name.as_str()),
            MountFrom::Bind(_) => None,
        })
    }
}

/// A simulated network.
#[derive(Debug, Clone)]
pub struct SimNetwork {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: Option<(StackName, InstanceId)>,
}

/// A simulated volume.
#[derive(Debug, Clone)]
pub struct SimVolume {
    /// Whose it is.
    pub owner: Option<(StackName, InstanceId)>,
    /// Whether it was made for a path that an image declares a volume.
    pub of_image: bool,
    /// The postgres whose data directory it was made for.
    pub data_of: Option<WorkloadName>,
    /// The postgres of which a set is tried in it.
    pub trial_of: Option<WorkloadName>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its driver.
    pub driver: String,
    /// What apps wrote: entries that must never be lost.
    pub ledger: Vec<String>,
    /// Files by their path below the volume.
    pub files: BTreeMap<String, FileToPut>,
}

/// The engine itself.
#[derive(Debug, Clone)]
pub struct EngineState {
    /// Whether it answers.
    pub up: bool,
    /// When it answers again by itself.
    pub up_at: Option<Moment>,
    /// Whether it takes calls and never answers.
    pub hung: bool,
    /// When it answers again by itself.
    pub goes_on_at: Option<Moment>,
    /// Counts its starts.
    pub epoch: u64,
    /// Whether containers outlive it.
    pub live_restore: bool,
}

/// Answers a command in a container; `None` leaves it to the script.
pub type ExecHook = Box<dyn Fn(&SimContainer, &Exec) -> Option<ExecOutput> + Send + Sync>;

/// Everything there is.
pub struct World {
    /// Containers.
    pub containers: BTreeMap<ContainerId, SimContainer>,
    /// Networks by id.
    pub networks: BTreeMap<String, SimNetwork>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, SimVolume>,
    /// Images and registries.
    pub images: Images,
    /// Ports of the host that other processes hold.
    pub taken_ports: BTreeSet<(u16, Protocol)>,
    /// The engine itself.
    pub engine: EngineState,
    /// What apps do.
    pub scripts: Scripts,
    /// The event stream.
    pub bus: Bus,
    /// How long a removal takes, by name of the container, where not as usual.
    pub slow_removals: BTreeMap<String, Duration>,
    /// Who must be the only one whose objects are changed.
    pub guard: Option<(StackName, InstanceId)>,
    /// Volumes that a command of the user allows to be removed.
    pub permitted_volumes: BTreeSet<String>,
    /// What should never have happened, and did.
    pub breaches: Vec<String>,
    /// What was told by the last few looks, the last one last.
    pub told: VecDeque<Observed>,
    /// How often faults of each kind had an effect: a lost answer of a change that happened, a stale read that
    /// differs, an event that somebody listened for.
    pub effects: BTreeMap<FaultKind, u64>,
    pub(super) deferred: Vec<(Moment, Mutation)>,
    pub(super) seen: Vec<(Moment, Observed)>,
    pub(super) stale_by: Option<Duration>,
    pub(super) exec_hook: Option<ExecHook>,
    next: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            containers: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            images: Images::default(),
            taken_ports: BTreeSet::new(),
            engine: EngineState { up: true, up_at: None, hung: false, goes_on_at: None, epoch: 1, live_restore: false },
            scripts: Scripts::default(),
            bus: Bus::default(),
            slow_removals: BTreeMap::new(),
            guard: None,
            permitted_volumes: BTreeSet::new(),
            breaches: Vec::new(),
            told: VecDeque::new(),
            effects: BTreeMap::new(),
            deferred: Vec::new(),
            seen: Vec::new(),
            stale_by: None,
            exec_hook: None,
            next: 0,
        }
    }
}

impl World {
    /// The next number: ids, addresses and free ports come from it.
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A fault of this kind had an effect.
    pub(super) fn note_effect(&mut self, kind: FaultKind) {
        *self.effects.entry(kind).or_default() += 1;
    }

    /// The numbers to come begin here.
    pub(super) fn count_from(&mut self, first: u64) {
        self.next = first;
    }

    /// An id as the engine would give it.
    pub(super) fn new_id(&mut self, object: &str) -> String {
        let number = self.number();
        hex(&Sha256::digest(format!("{object} {number}").as_bytes()))
    }

    /// The container of this name.
    pub fn by_name(&self, name: &str) -> Option<&SimContainer> {
        self.containers.values().find(|container| container.name == name)
    }

    /// The container of this name, id or short id, as the engine's own tools find it.
    pub fn by_handle(&self, handle: &str) -> Option<&SimContainer> {
        let by_id = || self.containers.values().find(|container| handle.len() >= 12 && container.id.0.starts_with(handle));
        self.by_name(handle).or_else(by_id)
    }

    /// Containers of a workload, by id.
    pub fn of_workload(&self, name: &str) -> Vec<&SimContainer> {
        let wanted = |container: &&SimContainer| container.identity().is_some_and(|identity| identity.key.name.as_str() == name);
        self.containers.values().filter(wanted).collect()
    }

    /// The network of this name.
    pub fn network(&self, name: &str) -> Option<(&String, &SimNetwork)> {
        self.networks.iter().find(|(_, network)| network.name == name)
    }

    /// The container, or the error that it is not there.
    pub(super) fn find(&self, operation: Operation, id: &ContainerId) -> Result<&SimContainer, EngineError> {
        self.containers.get(id).ok_or_else(|| no_such_container(operation, id))
    }

    pub(super) fn find_mut(&mut self, operation: Operation, id: &ContainerId) -> Result<&mut SimContainer, EngineError> {
        self.containers.get_mut(id).ok_or_else(|| no_such_container(operation, id))
    }

    /// A file as a container sees it.
    pub fn file(&self, container: &SimContainer, path: &str) -> Option<Vec<u8>> {
        let in_volume = volume_path(container, path)
            .and_then(|(volume, below)| self.volumes.get(volume)?.files.get(&below).map(|file| file.content.clone()));
        in_volume.or_else(|| container.files.get(path).map(|file| file.content.clone()))
    }

    /// What lies at a path of a container: a file, or a directory where files lie below it.
    pub fn lies_at(&self, container: &SimContainer, path: &str, most: usize) -> Option<FileSeen> {
        if let Some(mut content) = self.file(container, path) {
            content.truncate(most);
            return Some(FileSeen { uid: 0, content: FileContent::File(content) });
        }
        let below = format!("{path}/");
        let (volume, inner) = volume_path(container, &below)?;
        let files = &self.volumes.get(volume)?.files;
        let empty = !files.keys().any(|file| file.starts_with(&inner));
        let there = inner.is_empty() || !empty;
        there.then_some(FileSeen { uid: 0, content: FileContent::Directory { empty } })
    }
}

/// The volume and the path below it that an absolute path of a container means.
pub(super) fn volume_path<'a>(container: &'a SimContainer, path: &str) -> Option<(&'a str, String)> {
    container.mounts.iter().find_map(|mount| match &mount.source {
        MountFrom::Volume(name) => {
            let below = path.strip_prefix(mount.target.as_str())?.strip_prefix('/')?;
            Some((name.as_str(), below.to_owned()))
        }
        MountFrom::Bind(_) => None,
    })
}

fn no_such_container(operation: Operation, id: &ContainerId) -> EngineError {
    EngineError::new(operation.words(), format!("container {id}"), ErrorKind::NotFound, format!("No such container: {}", id.0))
}
