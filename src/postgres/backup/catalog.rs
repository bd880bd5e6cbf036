//! The directory that sets lie in: what is in it, a new one made visible as a whole, an old one taken away.
//!
//! ```text
//! volumes/backups/db/
//!     20261120T200000Z/            a set: manifest.json, globals.sql.zst, app.dump.zst
//!     .partial/20261120T210000Z/   being written: no list, no restore and no rule sees it
//!     .trash/                      renamed here before it is removed
//!     LOCK                         held by who takes or removes sets
//! ```

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::manifest::{self, Manifest, ManifestError};
use crate::host::git::keep_from_git;
use crate::model::backup::SetId;

const PARTIAL: &str = ".partial";
const TRASH: &str = ".trash";
const LOCK: &str = "LOCK";

/// A failed operation on the directory.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} {}", .path.display())]
pub struct CatalogError {
    /// What was tried.
    pub operation: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// The sets of one Postgres.
#[derive(Debug, Clone)]
pub struct Catalog {
    directory: PathBuf,
}

/// A set as it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name.
    pub id: SetId,
    /// Where it lies.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Result<Manifest, ManifestError>,
}

/// Whoever has it takes and removes sets; given back when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Catalog {
    /// The sets in a directory, which need not be there.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Every set, newest first; one that can't be understood says why.
    pub fn list(&self) -> Result<Vec<Entry>, CatalogError> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| failed("list", &self.directory, error))?,
        };
        let mut sets = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| failed("list", &self.directory, error))?.file_name();
            // What is not called as a set is, is none: somebody's own files.
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            sets.extend(self.read(id)?);
        }
        sets.sort_by_key(|set| std::cmp::Reverse(set.id));
        Ok(sets)
    }

    /// One set; `None` where there is none of that name.
    pub fn read(&self, id: SetId) -> Result<Option<Entry>, CatalogError> {
        let path = self.directory.join(id.to_string());
        let manifest = match fs::read(path.join(manifest::FILE)) {
            Ok(content) => Manifest::parse(id, &content),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_dir() => return Ok(None),
            Err(error) => Err(ManifestError::Nonsense(error.to_string())),
        };
        Ok(Some(Entry { id, path, manifest }))
    }

    /// Makes the directory where it is missing, out of git's way, and takes its lock; `None` where another has it.
    pub fn lock(&self, stack_directory: &Path) -> Result<Option<Lock>, CatalogError> {
        let is_new = !self.directory.is_dir();
        make_directory(&self.directory)?;
        if is_new && let Err(error) = keep_from_git(stack_directory, std::slice::from_ref(&self.directory)) {
            tracing::warn!(%error, "failed to keep backups from git");
        }
        let path = self.directory.join(LOCK);
        let open = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open.map_err(|error| failed("open", &path, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(failed("lock", &path, error.into())),
        }
    }

    /// Removes what was being written or removed when somebody died; only under the lock.
    pub fn clear(&self, _lock: &Lock) -> Result<(), CatalogError> {
        [PARTIAL, TRASH].iter().try_for_each(|name| remove_directory(&self.directory.join(name)))
    }

    /// Begins a new set of this second, under a name that no set has.
    pub fn begin(&self, _lock: &Lock, slot: Timestamp) -> Result<Draft, CatalogError> {
        let is_free = |id: &SetId| !self.directory.join(id.to_string()).exists();
        let id = (1..u32::MAX).map(|sequence| SetId::new(slot, sequence)).find(is_free).unwrap_or(SetId::new(slot, u32::MAX));
        let path = self.directory.join(PARTIAL).join(id.to_string());
        make_directory(&path)?;
        Ok(Draft { id, path })
    }

    /// Makes a whole set visible: its description, everything on the disk, and then its name.
    pub fn publish(&self, _lock: &Lock, draft: &Draft, manifest: &Manifest) -> Result<(), CatalogError> {
        write_manifest(&draft.path, manifest)?;
        sync_directory(&draft.path)?;
        let path = self.directory.join(draft.id.to_string());
        fs::rename(&draft.path, &path).map_err(|error| failed("publish", &path, error))?;
        sync_directory(&self.directory)
    }

    /// Replaces the description of a set: what is known of it changed.
    pub fn rewrite(&self, _lock: &Lock, manifest: &Manifest) -> Result<(), CatalogError> {
        write_manifest(&self.directory.join(manifest.set_id.to_string()), manifest)
    }

    /// Removes a set. One that is gone is told by `false`.
    pub fn remove(&self, _lock: &Lock, id: SetId) -> Result<bool, CatalogError> {
        let (path, trash) = (self.directory.join(id.to_string()), self.directory.join(TRASH));
        make_directory(&trash)?;
        let aside = trash.join(id.to_string());
        remove_directory(&aside)?;
        match fs::rename(&path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|error| failed("remove", &path, error))?,
        }
        // From here on it is no set any more, whoever dies.
        sync_directory(&self.directory)?;
        remove_directory(&aside)?;
        Ok(true)
    }

    /// Free bytes where sets lie, for who is no superuser; of the nearest directory that is there.
    pub fn free_bytes(&self) -> Result<u64, CatalogError> {
        let there = self.directory.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
        let seen = rustix::fs::statvfs(there).map_err(|error| failed("look for room in", there, error.into()))?;
        Ok(seen.f_bavail.saturating_mul(seen.f_frsize))
    }
}

/// A set that is being written.
#[derive(Debug)]
pub struct Draft {
    /// The name that it will have.
    pub id: SetId,
    /// Where it is written.
    pub path: PathBuf,
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> CatalogError {
    CatalogError { operation, path: path.to_owned(), source }
}

fn make_directory(path: &Path) -> Result<(), CatalogError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed("make directory", path, error))
}

fn remove_directory(path: &Path) -> Result<(), CatalogError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

fn sync_directory(path: &Path) -> Result<(), CatalogError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| failed("sync", path, error))
}

/// Writes the description beside the files, old or new, never half.
fn write_manifest(set: &Path, manifest: &Manifest) -> Result<(), CatalogError> {
    let (path, new) = (set.join(manifest::FILE), set.join(".manifest.json.new"));
    let write = || {
        let content = serde_json::to_vec_pretty(manifest).map_err(io::Error::other)?;
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&content)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(set)?.sync_all()
    };
    write().map_err(|error| failed("write", &path, error))
}
