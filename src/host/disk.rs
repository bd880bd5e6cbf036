//! Small files that are old or new, never half.

use std::io;
use std::path::{Path, PathBuf};

/// Small files of the daemon: state, generated passwords, the address of the socket.
pub trait Disk: Send + Sync {
    /// The whole content, or `None` where there is no such file.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, DiskError>;
    /// Replaces the file as a whole (temporary file, fsync, rename, fsync of the directory), mode
    /// 0600; missing directories are made with mode 0700.
    fn write_atomic(&self, path: &Path, content: &[u8]) -> Result<(), DiskError>;
    /// The same, and what the file was before is there under another name from then on, where the file system
    /// can do that; there is no moment at which neither is there.
    fn replace_keeping(&self, path: &Path, former: &Path, content: &[u8]) -> Result<(), DiskError>;
    /// The names in a directory, sorted; none where there is no such directory.
    fn list(&self, directory: &Path) -> Result<Vec<String>, DiskError>;
    /// Removes a file; none there is fine.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;
    /// Makes a directory with this mode, and those above it with 0700; one that is there gets the mode.
    fn make_directory(&self, path: &Path, mode: u32) -> Result<(), DiskError>;
    /// Renames a file within its directory, and makes that durable.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;
}

/// Writes what is not there yet: what is the same needs no room.
pub(super) fn write_if_other(disk: &dyn Disk, path: &Path, content: &[u8]) -> Result<(), DiskError> {
    match disk.read(path) {
        Ok(Some(there)) if there == content => Ok(()),
        _ => disk.write_atomic(path, content),
    }
}

/// A failed operation on a small file.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} {}", path.display())]
pub struct DiskError {
    /// What was tried: `read`, `write`, `list`, `remove`, `rename`.
    pub operation: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// The error of `operation` on `path`.
    pub fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source }
    }
}

/// The machine's file system.
#[derive(Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
        match std::fs::read(path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::new("read", path, error)),
        }
    }

    fn write_atomic(&self, path: &Path, content: &[u8]) -> Result<(), DiskError> {
        replace_file(path, content, || ()).map_err(|error| DiskError::new("write", path, error))
    }

    fn replace_keeping(&self, path: &Path, former: &Path, content: &[u8]) -> Result<(), DiskError> {
        let keep = || {
            let link = former.with_added_extension("new");
            let _ = std::fs::remove_file(&link);
            // Without links there is no copy, and the file itself is whole all the same.
            std::fs::hard_link(path, &link).and_then(|()| std::fs::rename(&link, former)).unwrap_or_default();
        };
        replace_file(path, content, keep).map_err(|error| DiskError::new("write", path, error))
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>, DiskError> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(DiskError::new("list", directory, error)),
        };
        let names: Result<Vec<String>, io::Error> =
            entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect();
        let mut names = names.map_err(|error| DiskError::new("list", directory, error))?;
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::new("remove", path, error)),
            _ => Ok(()),
        }
    }

    fn make_directory(&self, path: &Path, mode: u32) -> Result<(), DiskError> {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        let made = make_directories(path).and_then(|()| std::fs::set_permissions(path, permissions));
        made.map_err(|error| DiskError::new("make directory", path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        std::fs::rename(from, to).and_then(|()| sync_directory(to)).map_err(|error| DiskError::new("rename", from, error))
    }
}

/// One write at a time: two of the same file would share the temporary one.
static WRITING: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// `keep` is called when the new content is on the disk and the file is still the old one.
fn replace_file(path: &Path, content: &[u8], keep: impl FnOnce()) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let _writing = WRITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    path.parent().map_or(Ok(()), make_directories)?;
    let temporary = path.with_added_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    keep();
    std::fs::rename(&temporary, path)?;
    sync_directory(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| std::fs::File::open(directory)?.sync_all())
}

fn make_directories(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
