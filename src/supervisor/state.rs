//! What must outlive the daemon: a small file beside the stack, old or new, never half. One that
//! can't be read is moved aside and rebuilt from labels; what runs is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::definitions::Definitions;
use crate::host::{Disk, DiskError};
use crate::model::by_hand::ByHand;
use crate::model::history::{AcceptedImage, Fresh, Goal, History, LastExit, Pace, PostgresHistory, ReplicaHistory};
use crate::model::name::{ReplicaKey, WorkloadName};
use crate::model::observed::PublishedSeen;

/// The state file below the stack's `.witwd`.
pub const STATE_FILE: &str = "state.json";
/// The version this file is written in.
const VERSION: u32 = 1;

/// Why the state could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is of a later witwd: this one would begin anew without it.
    #[error("the state was written by a later witwd (version {0} of it)")]
    Newer(u32),
    /// It could not be read or written at all.
    #[error("failed to keep state")]
    Disk(#[source] DiskError),
}

/// Whether the state in `directory` is there to be understood by this version, or not there at all. It
/// is not changed.
pub fn is_readable(disk: &dyn Disk, directory: &std::path::Path) -> Result<(), StateError> {
    let Some(content) = disk.read(&directory.join(STATE_FILE)).map_err(StateError::Disk)? else { return Ok(()) };
    match serde_json::from_slice::<Kept>(&content) {
        Ok(kept) if kept.v <= VERSION => Ok(()),
        Ok(kept) => Err(StateError::Newer(kept.v)),
        // What nobody can read is moved aside at the start.
        Err(_) => Ok(()),
    }
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    v: u32,
    goal: Goal,
    #[serde(default)]
    drop_volumes: BTreeSet<String>,
    #[serde(default)]
    replicas: Vec<(ReplicaKey, ReplicaHistory)>,
    #[serde(default)]
    images: BTreeMap<WorkloadName, AcceptedImage>,
    #[serde(default)]
    postgres: BTreeMap<WorkloadName, PostgresHistory>,
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
}

/// How the last run of each replica that is over ended, for who only looks: nothing where the state
/// below `directory` can't be understood.
pub fn last_exits(disk: &dyn Disk, directory: &Path) -> Result<BTreeMap<ReplicaKey, LastExit>, DiskError> {
    let content = disk.read(&directory.join(STATE_FILE))?.unwrap_or_default();
    let kept = serde_json::from_slice::<Kept>(&content).ok().filter(|kept| kept.v == VERSION);
    let replicas = kept.map(|kept| kept.replicas).unwrap_or_default();
    Ok(replicas.into_iter().filter_map(|(key, replica)| Some((key, replica.last_exit?))).collect())
}

/// The file, and what was last written to it.
pub struct StateFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    last: Option<Vec<u8>>,
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

    /// What is kept. A file that can't be understood is moved aside; the words say so.
    pub fn load(&mut self) -> Result<(History, Option<String>), StateError> {
        let Some(content) = self.disk.read(&self.path).map_err(StateError::Disk)? else {
            return Ok((History::default(), None));
        };
        match serde_json::from_slice::<Kept>(&content) {
            Ok(kept) if kept.v == VERSION => {
                self.last = Some(kept.worth());
                Ok((kept.into_history(), None))
            }
            unusable => {
                let reason = unusable.map_or_else(|error| error.to_string(), |kept| format!("version {}", kept.v));
                let aside = self.path.with_added_extension("unreadable");
                self.disk.rename(&self.path, &aside).map_err(StateError::Disk)?;
                Ok((History::default(), Some(format!("state file unusable ({reason}): moved to {}", aside.display()))))
            }
        }
    }

    /// What is kept, for who only looks: nothing where it can't be understood, which is left as it is.
    pub fn look(&self) -> History {
        let content = self.disk.read(&self.path).ok().flatten().unwrap_or_default();
        serde_json::from_slice::<Kept>(&content).map(Kept::into_history).unwrap_or_default()
    }

    /// Writes what changed; nothing where nothing did.
    pub fn save(&mut self, history: &History) -> Result<(), StateError> {
        let mut kept = Kept::of(history);
        let worth = kept.worth();
        if self.last.as_ref() == Some(&worth) {
            return Ok(());
        }
        kept.paces.clone_from(&history.paces);
        let content = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        self.disk.write_atomic(&self.path, &content).map_err(StateError::Disk)?;
        self.last = Some(worth);
        Ok(())
    }
}

impl Kept {
    /// What is worth a write: how long something took is written along with it.
    fn worth(&self) -> Vec<u8> {
        serde_json::to_vec(&Self { paces: BTreeMap::new(), ..self.clone() }).unwrap_or_default()
    }

    /// All but how long things took.
    fn of(history: &History) -> Self {
        Self {
            v: VERSION,
            goal: history.goal.clone(),
            drop_volumes: history.drop_volumes.clone(),
            replicas: history.replicas.iter().map(|(key, replica)| (key.clone(), replica.clone())).collect(),
            images: history.images.clone(),
            postgres: history.postgres.clone(),
            builds: history.builds.clone(),
            begin_fresh: history.fresh.clone(),
            left: history.left.clone(),
            by_hand: history.by_hand.clone(),
            ports: history.ports.iter().map(|(key, ports)| (key.clone(), ports.clone())).collect(),
            paces: BTreeMap::new(),
        }
    }

    fn into_history(self) -> History {
        History {
            goal: self.goal,
            drop_volumes: self.drop_volumes,
            replicas: self.replicas.into_iter().collect(),
            images: self.images,
            postgres: self.postgres,
            builds: self.builds,
            fresh: self.begin_fresh,
            left: self.left,
            by_hand: self.by_hand,
            ports: self.ports.into_iter().collect(),
            paces: self.paces,
            ..History::default()
        }
    }
}
