//! Which instance of a stack this is: the same directory on the same machine, and nothing else.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Disk, DiskError};
use crate::model::hash::hex;
use crate::model::name::InstanceId;

/// Where systemd and D-Bus keep the id of the machine.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// The instance that the stack in `directory`, with its state in `state`, is. A copy of the directory
/// is another one, and so is the same path on another machine; a renamed directory stays the same.
pub fn instance_id(directory: &Path, state: &Path) -> io::Result<InstanceId> {
    let facts = std::fs::metadata(directory)?;
    // One that can't be read is of another user, and changes nothing.
    let kept = std::fs::read_to_string(file(state)).ok().map(InstanceId);
    Ok(recognise(&machine_names(), facts.dev(), facts.ino(), kept.as_ref()))
}

/// Keeps which instance this is: a machine may get an id only after its first `up`.
pub fn keep_instance(disk: &dyn Disk, state: &Path, instance: &InstanceId) -> Result<(), DiskError> {
    disk.write_atomic(&file(state), instance.0.as_bytes())
}

fn file(state: &Path) -> PathBuf {
    state.join("instance")
}

/// The id by the best name of the machine, or the kept one where that is by another of its names.
pub(super) fn recognise(machines: &[String], device: u64, inode: u64, kept: Option<&InstanceId>) -> InstanceId {
    let mut ids = machines.iter().map(|machine| instance_of(machine, device, inode));
    let best = ids.next().unwrap_or_else(|| instance_of("", device, inode));
    ids.find(|id| Some(id) == kept).unwrap_or(best)
}

/// The id made of what identifies a directory.
pub(super) fn instance_of(machine: &str, device: u64, inode: u64) -> InstanceId {
    let digest = Sha256::digest(format!("witwd instance\n{machine}\n{device}\n{inode}\n"));
    InstanceId(hex(&digest[..8]))
}

/// What tells this machine from others, best first: its id where it has one, and its host name.
fn machine_names() -> Vec<String> {
    let id = MACHINE_IDS.iter().filter_map(|file| std::fs::read_to_string(file).ok()).find(|id| !id.trim().is_empty());
    let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    id.map(|id| id.trim().to_owned()).into_iter().chain([host_name]).collect()
}
