//! The listening socket: made, narrowed, and only then open.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// How many connections may wait to be accepted: what a flood brings before the daemon has its next turn. Where
/// more wait, the next who comes is refused by the kernel.
const BACKLOG: i32 = 1024;

/// Who may open the socket, by the file system's means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketAccess {
    /// This user: mode 0600.
    Owner,
    /// This user and a group: mode 0660.
    Group(u32),
}

/// The socket of a daemon; its file is removed when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl ControlSocket {
    /// Makes the socket at `path`. The caller holds the lock of the stack, so a file that is there
    /// was left behind by a daemon that is gone. Must be called within a tokio runtime.
    ///
    /// Between `bind` and `listen` nobody can connect: the mode is set there, so that no moment
    /// exists in which the umask decides who may.
    pub fn open(path: &Path, access: SocketAccess) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // The file gets the mode of the socket itself, where the system takes it from there.
        rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o600))?;
        socket.bind(&SockAddr::unix(path)?)?;
        narrow(path, access)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener = UnixListener::from_std(socket.into())?;
        Ok(Self { path: path.to_owned(), listener: Some(listener) })
    }

    /// The listener, once.
    pub fn take_listener(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // A file that stays is taken for what it is by the next daemon and by clients.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn narrow(path: &Path, access: SocketAccess) -> io::Result<()> {
    let mode = match access {
        SocketAccess::Owner => 0o600,
        SocketAccess::Group(gid) => {
            std::os::unix::fs::chown(path, None, Some(gid))?;
            0o660
        }
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}
