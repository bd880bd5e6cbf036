//! Where what must not outlive a boot lies: the control socket and the secrets that containers
//! mount. A directory that somebody else could have made or can write into is refused.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::model::name::InstanceId;

/// The longest path of a Unix socket that every kernel takes.
const LONGEST_SOCKET: usize = 104;

/// What the place of the runtime directory depends on.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The user.
    pub uid: u32,
    /// `WITWD_RUNTIME_DIR`: this directory and no other.
    pub chosen: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let directory = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            uid: rustix::process::geteuid().as_raw(),
            chosen: directory("WITWD_RUNTIME_DIR"),
            xdg: directory("XDG_RUNTIME_DIR"),
        }
    }

    /// The directories that could serve, best first.
    fn candidates(&self) -> Vec<PathBuf> {
        if let Some(chosen) = &self.chosen {
            return vec![chosen.clone()];
        }
        let own = if self.uid == 0 { Some(PathBuf::from("/run/witwd")) } else { None };
        let of_session = self.xdg.iter().filter(|_| self.uid != 0).map(|xdg| xdg.join("witwd"));
        own.into_iter().chain(of_session).chain([PathBuf::from(format!("/tmp/witwd-{}", self.uid))]).collect()
    }
}

/// The directory, made and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    directory: PathBuf,
}

/// Why there is no runtime directory.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// It can't be made or looked at.
    #[error("failed to make {}", .path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else can change what lies in it.
    #[error("{} {why}: it is not used for secrets and the control socket", .path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No candidate leaves room for the name of a socket.
    #[error("{} is too long for the path of a socket", .0.display())]
    TooLong(PathBuf),
}

impl Runtime {
    /// The runtime directory of this user, made with mode 0700 where missing.
    pub fn open(surroundings: &Surroundings) -> Result<Self, RuntimeError> {
        let mut refused = None;
        for directory in surroundings.candidates() {
            match Self::try_open(&directory, surroundings.uid) {
                Ok(runtime) => return Ok(runtime),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or(RuntimeError::TooLong(PathBuf::new())))
    }

    fn try_open(directory: &Path, uid: u32) -> Result<Self, RuntimeError> {
        if directory.as_os_str().len() + "/0123456789abcdef.sock".len() > LONGEST_SOCKET {
            return Err(RuntimeError::TooLong(directory.to_owned()));
        }
        let failed = |source| RuntimeError::Make { path: directory.to_owned(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let facts = std::fs::symlink_metadata(directory).map_err(failed)?;
        match objection(facts.is_dir(), facts.uid(), facts.mode(), uid) {
            Some(why) => Err(RuntimeError::Unsafe { path: directory.to_owned(), why }),
            None => Ok(Self { directory: directory.to_owned() }),
        }
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The control socket of a stack.
    pub fn socket(&self, instance: &InstanceId) -> PathBuf {
        self.directory.join(format!("{instance}.sock"))
    }

    /// Makes the place of the socket that a group may open: a directory of its own with mode 0750. The
    /// runtime directory lets others pass then, and shows them nothing.
    pub fn open_door(&self, directory: &InstanceId, gid: u32) -> io::Result<PathBuf> {
        let mode = std::fs::metadata(&self.directory)?.mode() & 0o777;
        std::fs::set_permissions(&self.directory, std::fs::Permissions::from_mode(mode | 0o011))?;
        let path = door(&self.directory, directory);
        let room = path.parent().unwrap_or(&self.directory);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(room)?;
        std::os::unix::fs::chown(room, None, Some(gid))?;
        std::fs::set_permissions(room, std::fs::Permissions::from_mode(0o750))?;
        Ok(path)
    }

    /// Where the secrets of a stack lie for its containers, a directory each; not made here.
    pub fn secrets(&self, instance: &InstanceId) -> PathBuf {
        self.directory.join("secrets").join(instance.to_string())
    }
}

/// The socket that a group may open, below a runtime directory. It goes by the stack's directory alone:
/// what that took over is not for others to read.
fn door(runtime: &Path, directory: &InstanceId) -> PathBuf {
    runtime.join(format!("{directory}.d")).join("s")
}

/// Where the daemon of another user may have opened a socket to a group, for the stack in a directory
/// that belongs to `owner`. None that a third user could have made.
pub fn doors(directory: &InstanceId, owner: u32) -> Vec<PathBuf> {
    let chosen = Surroundings::of_process().chosen;
    let usual = [PathBuf::from("/run/witwd"), PathBuf::from(format!("/tmp/witwd-{owner}"))];
    let doors = chosen.into_iter().chain(usual).map(|runtime| door(&runtime, directory));
    let made_by = |path: &PathBuf| path.parent().and_then(|room| std::fs::symlink_metadata(room).ok()).map(|facts| facts.uid());
    doors.filter(|path| made_by(path).is_some_and(|uid| uid == 0 || uid == owner)).collect()
}

/// What speaks against a directory of this kind, owner and mode.
pub(super) fn objection(is_directory: bool, owner: u32, mode: u32, uid: u32) -> Option<&'static str> {
    match (is_directory, owner == uid, mode & 0o022 == 0) {
        (false, ..) => Some("is no directory"),
        (_, false, _) => Some("belongs to another user"),
        (.., false) => Some("can be written by others"),
        _ => None,
    }
}

/// Keeps the address of the control socket beside the stack, for clients of another session.
pub fn keep_socket_address(disk: &dyn super::Disk, state: &Path, socket: &Path) -> Result<(), super::DiskError> {
    super::disk::write_if_other(disk, &state.join("socket"), socket.as_os_str().as_encoded_bytes())
}

/// The kept address of the control socket, where there is one that this user may read.
pub fn kept_socket_address(disk: &dyn super::Disk, state: &Path) -> Result<Option<PathBuf>, super::DiskError> {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = match disk.read(&state.join("socket")) {
        Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => None,
        bytes => bytes?,
    };
    Ok(bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| std::ffi::OsString::from_vec(bytes).into()))
}
