//! Which instance of a stack this is: the same directory on the same machine, and nothing else.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::model::hash::hex;
use crate::model::name::InstanceId;

/// Where systemd and D-Bus keep the id of the machine.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// The instance that the stack in `directory` is. A copy of the directory is another one, and so is
/// the same path on another machine; a renamed directory stays the same.
pub fn instance_id(directory: &Path) -> io::Result<InstanceId> {
    let facts = std::fs::metadata(directory)?;
    Ok(instance_of(&machine(), facts.dev(), facts.ino()))
}

/// The id made of what identifies a directory.
pub(super) fn instance_of(machine: &str, device: u64, inode: u64) -> InstanceId {
    let digest = Sha256::digest(format!("witwd instance\n{machine}\n{device}\n{inode}\n"));
    InstanceId(hex(&digest[..8]))
}

/// What tells this machine from others: its id, or its host name where it has none.
fn machine() -> String {
    let id = MACHINE_IDS.iter().filter_map(|file| std::fs::read_to_string(file).ok()).find(|id| !id.trim().is_empty());
    id.map_or_else(host_name, |id| id.trim().to_owned())
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
