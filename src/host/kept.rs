//! What `witwd up` was last run with and what it read: kept beside the stack, so that a save, a crash
//! of the daemon and a reboot mean the same stack, also where a file of it is broken or gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::sealed::{self, Copy};
use super::{Disk, DiskError};
use crate::model::snapshot::Snapshot;

/// The version that is written: the first with a checksum.
const VERSION: u32 = 2;

/// The surroundings of the last `up` that was accepted, and the files that it read, as one. Holds values that may be secret: `Debug` shows names only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
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

/// What stands in the file.
#[derive(Serialize, Deserialize)]
struct Stored<K> {
    v: u32,
    #[serde(flatten)]
    kept: K,
}

fn file(state: &Path) -> PathBuf {
    state.join("environment.json")
}

/// Keeps it, readable by this user alone.
pub fn keep(disk: &dyn Disk, state: &Path, kept: &Kept) -> Result<(), DiskError> {
    let (path, text) = (file(state), serde_json::to_vec_pretty(&Stored { v: VERSION, kept }).unwrap_or_default());
    if sealed::read(disk, &path, parse).damage.is_some() {
        sealed::set_aside(disk, &path);
    }
    sealed::write(disk, &path, &text, Copy::Same)
}

/// What was kept; `None` where nothing was, or nothing that can be read: the next `up` brings it anew. What
/// another user keeps is between that user and the daemon.
pub fn recall(disk: &dyn Disk, state: &Path) -> Option<Kept> {
    sealed::read(disk, &file(state), parse).content
}

/// Makes a damaged file anew from its copy, as far as that can be; what was wrong with it, for people.
pub fn mend(disk: &dyn Disk, state: &Path) -> Option<String> {
    let path = file(state);
    let reading = sealed::read(disk, &path, parse);
    let damage = reading.damage?;
    let rest = match reading.content.map(|kept| keep(disk, state, &kept)) {
        Some(Ok(())) => "it was made anew from its copy".to_owned(),
        Some(Err(error)) => format!("its copy is used ({error}: {})", error.source),
        None => "what the last `up` was run with is not known".to_owned(),
    };
    Some(format!("{} {damage}: {rest}", path.display()))
}

fn parse(content: &[u8]) -> Result<Kept, String> {
    // serde's message may quote content: it is left out.
    let stored: Stored<Kept> = serde_json::from_slice(content).map_err(|_| "can't be understood".to_owned())?;
    let is_sealed = sealed::is_sealed(content) || stored.v < VERSION;
    is_sealed.then_some(stored.kept).ok_or_else(|| "has no checksum".to_owned())
}
