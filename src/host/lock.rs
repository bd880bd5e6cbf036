//! Who is the daemon of a stack: the holder of `flock` on `.witwd/lock` and on the directory of the
//! stack itself. The kernel gives both back when their holder ends, however it ends. We never remove the
//! file, for two processes could then hold two files of one name; where somebody else removed it, the
//! directory still says that the stack is held.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// How often a lock that is held is tried, for somebody may only be asking who holds it.
const TRIES: u32 = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(15);

/// The lock of a stack; given back when dropped.
#[derive(Debug)]
pub struct StackLock {
    _file: File,
    _directory: Option<File>,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is held by {}", .directory.display(), .holder.as_ref().map_or_else(|| "another process".to_owned(), |holder| format!("process {} since {}", holder.pid, holder.since)))]
    Held {
        /// The directory of the stack.
        directory: PathBuf,
        /// Who holds it, where the file says so.
        holder: Option<Holder>,
    },
    /// The file can't be used.
    #[error("failed to lock {}", .path.display())]
    File {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Takes the lock of the stack whose state lies in `state` (`.witwd`), which is made where missing.
pub fn acquire(state: &Path, since: Timestamp) -> Result<StackLock, LockError> {
    let path = state.join("lock");
    let failed = |source| LockError::File { path: path.clone(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(failed)?;
    let mut file = open(&path).map_err(failed)?;
    let stack = state.parent().unwrap_or(state);
    let held = |file: &mut File| LockError::Held { directory: stack.to_owned(), holder: read(file) };
    if !try_lock(&file).map_err(failed)? {
        return Err(held(&mut file));
    }
    let directory = File::open(stack).map_err(failed)?;
    let directory = match try_lock(&directory) {
        Ok(true) => Some(directory),
        Ok(false) => return Err(held(&mut file)),
        // A file system that locks no directories: the file alone decides.
        Err(_) => None,
    };
    write(&mut file, &Holder { pid: std::process::id(), since }).map_err(failed)?;
    Ok(StackLock { _file: file, _directory: directory })
}

/// Whether anybody holds the stack whose state lies in `state`; an error where that can't be known.
pub fn is_held(state: &Path) -> io::Result<bool> {
    for path in [state.join("lock"), state.parent().unwrap_or(state).to_owned()] {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(error),
        };
        if flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Who holds the lock just now; `None` where nobody does, or nobody wrote who.
pub fn holder(state: &Path) -> Option<Holder> {
    let mut file = File::open(state.join("lock")).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => read(&mut file),
        _ => None,
    }
}

fn open(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn try_lock(file: &File) -> io::Result<bool> {
    for _ in 0..TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(BETWEEN_TRIES),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(1024).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write(file: &mut File, holder: &Holder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(holder)?.as_bytes())?;
    file.flush()
}
