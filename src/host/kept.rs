//! What `witwd up` was last run with and what it read: kept beside the stack, so that a save, a crash
//! of the daemon and a reboot mean the same stack, also where a file of it is broken or gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Disk, DiskError};
use crate::model::snapshot::Snapshot;

/// The surroundings of the last `up` that was accepted, and the files that it read, as one. Holds values that may be secret: `Debug` shows names only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Version of the file.
    pub v: u32,
    /// When an `up` first meant this.
    pub at: Timestamp,
    /// The user who ran it.
    pub uid: u32,
    /// The variables that the stack mentions, and no others.
    pub environment: BTreeMap<String, String>,
    /// The name of the stack, for when its file can't be read any more.
    pub stack: String,
    /// Its profiles.
    pub profiles: Vec<String>,
    /// `--name`.
    pub name: Option<String>,
    /// `--env-file`; they are read anew each time.
    pub env_files: Vec<PathBuf>,
    /// The name of the stack's file in its directory.
    #[serde(default = "usual_file")]
    pub file: String,
    /// What the disk said when the stack was read; nothing where an older witwd kept this.
    #[serde(default)]
    pub snapshot: Snapshot,
}

fn usual_file() -> String {
    "stack.toml".to_owned()
}

impl Kept {
    /// Whether both say the same but for the time.
    pub fn means_the_same(&self, other: &Self) -> bool {
        *self == Self { at: self.at, ..other.clone() }
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.environment.keys().collect();
        formatter.debug_struct("Kept").field("at", &self.at).field("environment", &names).finish_non_exhaustive()
    }
}

fn file(state: &Path) -> PathBuf {
    state.join("environment.json")
}

/// Keeps it, readable by this user alone.
pub fn keep(disk: &dyn Disk, state: &Path, kept: &Kept) -> Result<(), DiskError> {
    let text = serde_json::to_vec_pretty(kept).unwrap_or_default();
    disk.write_atomic(&file(state), &text)
}

/// What was kept; `None` where nothing was, or nothing that can be read: the next `up` brings it anew.
pub fn recall(disk: &dyn Disk, state: &Path) -> Result<Option<Kept>, DiskError> {
    let bytes = match disk.read(&file(state)) {
        // What another user keeps is between that user and the daemon.
        Err(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => None,
        bytes => bytes?,
    };
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
