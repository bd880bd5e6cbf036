//! Who may speak to a daemon.

use tokio::net::UnixStream;

/// Who is at the other end, as the kernel knew when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user.
    pub uid: u32,
    /// The user's first group.
    pub gid: u32,
    /// The process, for the log only: a process id is no identity.
    pub pid: Option<i32>,
}

impl Peer {
    /// The peer of a connection.
    pub fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() })
    }
}

/// Who is let in: root, the daemon's own user, and the members of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// The daemon's own user.
    pub uid: u32,
    /// `daemon.group`, with the users who are listed as its members.
    pub group: Option<(u32, Vec<u32>)>,
}

impl Admission {
    /// Whether this peer is let in.
    pub fn admits(&self, peer: &Peer) -> bool {
        let of_group = |(gid, members): &(u32, Vec<u32>)| peer.gid == *gid || members.contains(&peer.uid);
        peer.uid == 0 || peer.uid == self.uid || self.group.as_ref().is_some_and(of_group)
    }
}
