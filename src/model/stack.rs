//! The validated stack: what `stack.toml` means, once every problem in it was reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::container::MountSource;
use super::name::{InstanceId, SecretName, StackName, VolumeName, WorkloadName};
use super::workload::Workload;

/// What a stack is made of, before it is checked as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackParts {
    /// Its name.
    pub name: StackName,
    /// The name its data lies under until now.
    pub renamed_from: Option<StackName>,
    /// The directory of its `stack.toml`, absolute.
    pub directory: PathBuf,
    /// The profiles that were asked for.
    pub profiles: Vec<String>,
    /// The workloads that these profiles turn on.
    pub workloads: Vec<Workload>,
    /// Its volumes.
    pub volumes: BTreeMap<VolumeName, Volume>,
    /// Its secrets.
    pub secrets: BTreeMap<SecretName, Secret>,
    /// `[daemon]`.
    pub daemon: DaemonSettings,
}

/// A stack that holds together: names are unique, dependencies exist and have no cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    parts: StackParts,
    workloads: BTreeMap<WorkloadName, Workload>,
    order: Vec<WorkloadName>,
}

/// Why parts do not make a stack. `config` reports the same with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// Two workloads of one name.
    #[error("two workloads are named {0}")]
    Duplicate(WorkloadName),
    /// A dependency that is not there.
    #[error("{dependent} depends on {missing}, which is not in this stack")]
    Dangling {
        /// Who depends.
        dependent: WorkloadName,
        /// On what.
        missing: WorkloadName,
    },
    /// Dependencies in a circle.
    #[error("dependencies go in a circle: {}", .0.iter().map(WorkloadName::as_str).collect::<Vec<_>>().join(" -> "))]
    Cycle(Vec<WorkloadName>),
}

impl Stack {
    /// The stack of these parts.
    pub fn new(mut parts: StackParts) -> Result<Self, StackError> {
        let mut workloads = BTreeMap::new();
        for workload in std::mem::take(&mut parts.workloads) {
            let name = workload.name.clone();
            if workloads.insert(name.clone(), workload).is_some() {
                return Err(StackError::Duplicate(name));
            }
        }
        for workload in workloads.values() {
            if let Some(gone) = workload.dependencies.iter().find(|dependency| !workloads.contains_key(&dependency.on)) {
                return Err(StackError::Dangling { dependent: workload.name.clone(), missing: gone.on.clone() });
            }
        }
        let order = dependency_order(&workloads)?;
        Ok(Self { parts, workloads, order })
    }

    /// A stack that declares nothing: all that carries its name is an orphan.
    pub fn empty(name: StackName, directory: PathBuf) -> Self {
        let parts = StackParts {
            name,
            renamed_from: None,
            directory,
            profiles: Vec::new(),
            workloads: Vec::new(),
            volumes: BTreeMap::new(),
            secrets: BTreeMap::new(),
            daemon: DaemonSettings::default(),
        };
        Self { parts, workloads: BTreeMap::new(), order: Vec::new() }
    }

    /// Its name.
    pub fn name(&self) -> &StackName {
        &self.parts.name
    }

    /// The name that its volumes carry: its own, or the one that it had when they were made. Engines
    /// can't rename volumes, and labels can't be changed.
    pub fn data_name(&self) -> &StackName {
        self.parts.renamed_from.as_ref().unwrap_or(&self.parts.name)
    }

    /// What the labels of its volumes say, where this instance made them.
    pub fn volume_owner(&self, instance: &InstanceId) -> (StackName, InstanceId) {
        (self.data_name().clone(), instance.clone())
    }

    /// The directory of its `stack.toml`.
    pub fn directory(&self) -> &std::path::Path {
        &self.parts.directory
    }

    /// The profiles that were asked for.
    pub fn profiles(&self) -> &[String] {
        &self.parts.profiles
    }

    /// Its volumes.
    pub fn volumes(&self) -> &BTreeMap<VolumeName, Volume> {
        &self.parts.volumes
    }

    /// The engine's name of a volume. One that was renamed keeps the engine volume of its old name:
    /// engines can't rename, and its data is there.
    pub fn engine_volume(&self, volume: &VolumeName) -> String {
        match self.volumes().get(volume) {
            Some(declared) if declared.external => volume.to_string(),
            declared => self.data_name().volume(declared.and_then(|declared| declared.renamed_from.as_ref()).unwrap_or(volume)),
        }
    }

    /// The engine's names of the volumes that are declared external.
    pub fn external_volumes(&self) -> impl Iterator<Item = String> {
        let external = self.volumes().iter().filter(|(_, declared)| declared.external);
        external.map(|(volume, _)| self.engine_volume(volume))
    }

    /// The volumes that the file names: those it lists, and those that its workloads mount.
    pub fn named_volumes(&self) -> impl Iterator<Item = &VolumeName> {
        let mounts = self.workloads.values().flat_map(|workload| &workload.container.mounts);
        let mounted = mounts.filter_map(|mount| match &mount.source {
            MountSource::Volume(volume) => Some(volume),
            MountSource::Bind(_) => None,
        });
        self.volumes().keys().chain(mounted)
    }

    /// The postgres whose data directory a volume holds.
    pub fn data_of(&self, volume: &VolumeName) -> Option<&Workload> {
        let holds = |workload: &&Workload| {
            workload.postgres().is_some_and(|postgres| !postgres.is_external() && &postgres.volume == volume)
        };
        self.workloads.values().find(holds)
    }

    /// Its secrets.
    pub fn secrets(&self) -> &BTreeMap<SecretName, Secret> {
        &self.parts.secrets
    }

    /// `[daemon]`.
    pub fn daemon(&self) -> &DaemonSettings {
        &self.parts.daemon
    }

    /// The workload of this name.
    pub fn workload(&self, name: &WorkloadName) -> Option<&Workload> {
        self.workloads.get(name)
    }

    /// All workloads, dependencies before their dependents, equal ones by name.
    pub fn in_order(&self) -> impl DoubleEndedIterator<Item = &Workload> {
        self.order.iter().filter_map(|name| self.workloads.get(name))
    }

    /// Those that name `name` as a dependency, by name.
    pub fn dependents<'a>(&'a self, name: &'a WorkloadName) -> impl Iterator<Item = &'a Workload> {
        self.workloads.values().filter(move |workload| workload.dependencies.iter().any(|dependency| &dependency.on == name))
    }

    /// `names` and all that they need.
    pub fn with_dependencies(&self, names: &BTreeSet<WorkloadName>) -> BTreeSet<WorkloadName> {
        let mut wanted = BTreeSet::new();
        let mut open: Vec<WorkloadName> = names.iter().cloned().collect();
        while let Some(name) = open.pop() {
            if let Some(workload) = self.workloads.get(&name)
                && wanted.insert(name)
            {
                open.extend(workload.dependencies.iter().map(|dependency| dependency.on.clone()));
            }
        }
        wanted
    }
}

/// Kahn's order, smallest name first, so that equal inputs have one order.
fn dependency_order(workloads: &BTreeMap<WorkloadName, Workload>) -> Result<Vec<WorkloadName>, StackError> {
    let mut open: BTreeMap<&WorkloadName, BTreeSet<&WorkloadName>> = workloads
        .values()
        .map(|workload| (&workload.name, workload.dependencies.iter().map(|dependency| &dependency.on).collect()))
        .collect();
    let mut order = Vec::new();
    while let Some(name) = open.iter().find(|(_, needs)| needs.is_empty()).map(|(name, _)| *name) {
        open.remove(name);
        for needs in open.values_mut() {
            needs.remove(name);
        }
        order.push(name.clone());
    }
    if open.is_empty() { Ok(order) } else { Err(StackError::Cycle(a_cycle(&open))) }
}

/// One circle among workloads that all wait for another of them, first name repeated at the end.
fn a_cycle(open: &BTreeMap<&WorkloadName, BTreeSet<&WorkloadName>>) -> Vec<WorkloadName> {
    let mut path: Vec<&WorkloadName> = open.keys().take(1).copied().collect();
    while let Some(next) = path.last().and_then(|last| open.get(last)).and_then(|needs| needs.first()) {
        if let Some(start) = path.iter().position(|name| name == next) {
            path.push(next);
            return path[start..].iter().map(|name| (*name).clone()).collect();
        }
        path.push(next);
    }
    Vec::new()
}

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volume {
    /// A directory of the host that holds it; `None`: the engine's own place.
    pub path: Option<PathBuf>,
    /// It is made and named by somebody else, and never removed.
    pub external: bool,
    /// Driver; `None`: the engine's default.
    pub driver: Option<String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Labels of the user's own.
    pub labels: BTreeMap<String, String>,
    /// The name its data lies under until now.
    pub renamed_from: Option<VolumeName>,
}

/// A secret: where it comes from and who may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Where it comes from.
    pub source: SecretSource,
    /// Owner of its file; `None`: the user the container starts as.
    pub uid: Option<u32>,
    /// Group of its file.
    pub gid: Option<u32>,
    /// Mode of its file; `None`: 0400.
    pub mode: Option<u32>,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the environment.
    Env(String),
    /// A file.
    File(PathBuf),
    /// The output of a command.
    Command(Vec<String>),
    /// Made once by witwd.
    Generate {
        /// How many letters and digits, or bytes where an encoding is given.
        length: u32,
        /// `hex`, `base64`, `base64url`; `None`: letters and digits.
        encoding: Option<String>,
        /// Text before it.
        prefix: String,
    },
    /// Kept by witwd, asked for at a terminal.
    Kept,
}

/// `[daemon]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DaemonSettings {
    /// Whether a save waits for `witwd up` (`"up"`), is applied (`"save"`), or as the verb says.
    pub reload: Option<Reload>,
    /// Group that may use the control socket.
    pub group: Option<String>,
    /// Key file of the secret store.
    pub key_file: Option<PathBuf>,
}

/// What a save does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// It is applied.
    Save,
    /// It waits for `witwd up`.
    Up,
}
