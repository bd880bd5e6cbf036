//! What the disk said while a stack was read: enough to read the same stack again when a file of it
//! is broken or gone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An answer of the disk, or the words why there was none.
pub type Answer<T> = Result<T, String>;

/// Every answer of the disk to one reading. Paths below the directory of the stack are relative, so
/// that a renamed directory means the same. Holds what environment files say, which may be secret:
/// `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Texts: the file itself, includes, profiles, environment files.
    pub texts: BTreeMap<PathBuf, Answer<String>>,
    /// Whether there was something.
    pub exists: BTreeMap<PathBuf, bool>,
    /// SHA-256 of content that belongs to a definition, as hexadecimal digits.
    pub digests: BTreeMap<PathBuf, Answer<String>>,
    /// The files that a pattern meant.
    pub matches: BTreeMap<PathBuf, Answer<Vec<PathBuf>>>,
}

impl Snapshot {
    /// Whether nothing was ever read.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&PathBuf> = self.texts.keys().collect();
        formatter.debug_struct("Snapshot").field("texts", &names).finish_non_exhaustive()
    }
}
