//! What must outlive the daemon: a small file beside the stack, old or new, never half. One that
//! can't be read is moved aside and rebuilt from labels; what runs is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::definitions::Definitions;
use crate::host::sealed::{self, Copy};
use crate::host::{Disk, DiskError};
use crate::model::backup::BackupHistory;
use crate::model::by_hand::ByHand;
use crate::model::history::{AcceptedImage, Fresh, Goal, History, LastExit, Pace, PostgresHistory, ReplicaHistory};
use crate::model::name::{ReplicaKey, WorkloadName};
use crate::model::observed::PublishedSeen;

/// The state file below the stack's `.witwd`.
pub const STATE_FILE: &str = "state.json";
/// The version this file is written in.
const VERSION: u32 = 2;
/// The last version without a checksum.
const UNSEALED: u32 = 1;

/// Why the state could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is of a later witwd: this one would begin anew without it.
    #[error("the state was written by a later witwd (version {0} of it)")]
    Newer(u32),
    /// It could not be written.
    #[error("failed to keep state")]
    Disk(#[source] DiskError),
}

/// Whether the state in `directory` is there to be understood by this version, or not there at all. It
/// is not changed.
pub fn is_readable(disk: &dyn Disk, directory: &std::path::Path) -> Result<(), StateError> {
    // What nobody can read is moved aside at the start.
    let version = sealed::read(disk, &directory.join(STATE_FILE), |content| {
        serde_json::from_slice::<Version>(content).map(|found| found.v).map_err(|error| error.to_string())
    });
    match version.content {
        Some(version) if version > VERSION => Err(StateError::Newer(version)),
        _ => Ok(()),
    }
}

/// What every version of the file has.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    v: u32,
    goal: Goal,
    #[serde(default)]
    is_down: bool,
    #[serde(default)]
    drop_volumes: BTreeSet<String>,
    #[serde(default)]
    replicas: Vec<(ReplicaKey, ReplicaHistory)>,
    #[serde(default)]
    images: BTreeMap<WorkloadName, AcceptedImage>,
    #[serde(default)]
    postgres: BTreeMap<WorkloadName, PostgresHistory>,
    #[serde(default)]
    backups: BTreeMap<WorkloadName, BackupHistory>,
    #[serde(default)]
    builds: BTreeMap<WorkloadName, String>,
    #[serde(default)]
    begin_fresh: Fresh,
    #[serde(default)]
    left: BTreeSet<String>,
    #[serde(default)]
    by_hand: ByHand,
    #[serde(default)]
    ports: Vec<(ReplicaKey, Vec<PublishedSeen>)>,
    #[serde(default)]
    paces: BTreeMap<WorkloadName, Pace>,
    #[serde(default)]
    only: BTreeSet<WorkloadName>,
    #[serde(default)]
    refresh: BTreeSet<WorkloadName>,
}

/// How the last run of each replica that is over ended, for who only looks: nothing where the state
/// below `directory` can't be understood.
pub fn last_exits(disk: &dyn Disk, directory: &Path) -> Result<BTreeMap<ReplicaKey, LastExit>, DiskError> {
    let path = directory.join(STATE_FILE);
    // One that this user may not read is told: it is no damage.
    disk.read(&path)?;
    let kept = sealed::read(disk, &path, Kept::parse).content;
    let replicas = kept.map(|kept| kept.replicas).unwrap_or_default();
    Ok(replicas.into_iter().filter_map(|(key, replica)| Some((key, replica.last_exit?))).collect())
}

/// The file, and what was last written to it.
pub struct StateFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    last: Option<Kept>,
}

impl StateFile {
    /// The state file at `path`.
    pub fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path, last: None }
    }

    /// The definitions, in a file beside this one.
    pub fn definitions(&self) -> Definitions {
        Definitions::open(self.disk.clone(), self.path.with_file_name("definitions.json"))
    }

    /// What is kept; `None` where nothing is. A file that can't be used is moved aside, and what it was
    /// before it was written last is taken where that can be; the words say so.
    pub fn load(&mut self) -> (Option<History>, Option<String>) {
        let words = sealed::Words {
            what: "the state file",
            restored: "the one before it is used",
            lost: "nothing is known of what it held",
        };
        let (kept, damage) = sealed::load(self.disk.as_ref(), &self.path, &words, Kept::parse);
        // What was restored is not what the file holds.
        self.last = kept.clone().filter(|_| damage.is_none()).map(Kept::worth);
        (kept.map(Kept::into_history), damage)
    }

    /// What is kept, for who only looks: a file that can't be used is left as it is.
    pub fn look(&self) -> History {
        sealed::read(self.disk.as_ref(), &self.path, Kept::parse).content.map(Kept::into_history).unwrap_or_default()
    }

    /// Writes what changed; nothing where nothing did.
    pub fn save(&mut self, history: &History) -> Result<(), StateError> {
        let mut kept = Kept::of(history);
        if self.last.as_ref() == Some(&kept) {
            return Ok(());
        }
        kept.paces.clone_from(&history.paces);
        let content = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        sealed::write(self.disk.as_ref(), &self.path, &content, Copy::Former).map_err(StateError::Disk)?;
        self.last = Some(kept.worth());
        Ok(())
    }
}

impl Kept {
    fn parse(content: &[u8]) -> Result<Self, String> {
        let kept: Self = serde_json::from_slice(content).map_err(|error| format!("can't be understood ({error})"))?;
        match kept.v {
            VERSION if sealed::is_sealed(content) => Ok(kept),
            VERSION => Err("is damaged (it has no checksum)".to_owned()),
            UNSEALED => Ok(kept),
            other => Err(format!("is of version {other}, which this witwd does not know")),
        }
    }

    /// What is worth a write: how long something took is written along with it.
    fn worth(self) -> Self {
        Self { paces: BTreeMap::new(), ..self }
    }

    /// All but how long things took.
    fn of(history: &History) -> Self {
        Self {
            v: VERSION,
            goal: history.goal.clone(),
            is_down: history.is_down,
            drop_volumes: history.drop_volumes.clone(),
            replicas: history.replicas.iter().map(|(key, replica)| (key.clone(), replica.kept())).collect(),
            images: history.images.clone(),
            postgres: history.postgres.clone(),
            backups: history.backups.clone(),
            builds: history.builds.clone(),
            begin_fresh: history.fresh.clone(),
            left: history.left.clone(),
            by_hand: history.by_hand.clone(),
            ports: history.ports.iter().map(|(key, ports)| (key.clone(), ports.clone())).collect(),
            paces: BTreeMap::new(),
            only: history.only.clone(),
            refresh: history.refresh.clone(),
        }
    }

    fn into_history(self) -> History {
        History {
            goal: self.goal,
            is_down: self.is_down,
            drop_volumes: self.drop_volumes,
            replicas: self.replicas.into_iter().collect(),
            images: self.images,
            postgres: self.postgres,
            backups: self.backups,
            builds: self.builds,
            fresh: self.begin_fresh,
            left: self.left,
            by_hand: self.by_hand,
            ports: self.ports.into_iter().collect(),
            paces: self.paces,
            only: self.only,
            refresh: self.refresh,
            ..History::default()
        }
    }
}
