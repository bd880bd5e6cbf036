//! Which instance of a stack a directory holds: the same directory on the same machine, or one that
//! was taken over because its own directory is gone.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Disk, DiskError};
use crate::model::hash::hex;
use crate::model::name::InstanceId;

/// Where systemd and D-Bus keep the id of the machine.
const MACHINE_IDS: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
/// The digits of an id that say which machine it is of.
const OF_MACHINE: usize = 6;
/// The digits that say which directory.
const OF_DIRECTORY: usize = 10;

/// An instance that a directory took over: the labels of what runs can't be changed, so the directory
/// goes by their id from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    v: u32,
    /// The instance that was taken over.
    id: InstanceId,
    /// The directory that did, by its own id: a copy of it did not.
    by: InstanceId,
}

/// The instance that the stack in `directory` is: the one it took over, else its own.
pub fn instance_id(directory: &Path) -> io::Result<InstanceId> {
    match taken(directory) {
        // Of a directory that another user keeps only its own id can be known.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => own_id(directory),
        taken => Ok(taken?.map_or(own_id(directory)?, |taken| taken.id)),
    }
}

/// The id of the directory itself. A copy is another one, and so is the same path on another machine;
/// a renamed directory stays the same.
pub fn own_id(directory: &Path) -> io::Result<InstanceId> {
    let facts = std::fs::metadata(directory)?;
    // One that can't be read is of another user, and changes nothing.
    let kept = std::fs::read_to_string(kept(directory)).ok().map(InstanceId);
    Ok(recognise(&machine_names(), &DirectoryId::of(&facts), kept.as_ref()))
}

/// Keeps the id of the directory itself: a machine may get an id only after its first `up`.
pub fn keep_own_id(disk: &dyn Disk, directory: &Path) -> Result<(), DiskError> {
    let path = kept(directory);
    let own = own_id(directory).map_err(|error| DiskError::new("keep the instance", &path, error))?;
    super::disk::write_if_other(disk, &path, own.0.as_bytes())
}

fn kept(directory: &Path) -> PathBuf {
    directory.join(".witwd/instance")
}

/// What tells a directory of this machine from all others, be it renamed.
#[derive(Debug, Clone, Copy)]
pub(super) struct DirectoryId {
    /// The device of its file system: another one after a boot that finds disks in another order, or where
    /// the file system has no device of its own (btrfs, overlays). It counts only where nothing else tells.
    pub device: Option<u64>,
    /// Its inode: one that was removed leaves it to the next.
    pub inode: u64,
    /// When it was made, in nanoseconds of Unix time, which no next one shares; `None` where its file system
    /// does not say.
    pub birth: Option<u128>,
}

impl DirectoryId {
    fn of(facts: &std::fs::Metadata) -> Self {
        let since = facts.created().ok().and_then(|birth| birth.duration_since(std::time::UNIX_EPOCH).ok());
        Self { device: Some(facts.dev()), inode: facts.ino(), birth: since.map(|since| since.as_nanos()) }
    }
}

/// The id by the best name of the machine, or the kept one where that is by another of its names or, of
/// an older version, with the device and perhaps without the time of its birth.
pub(super) fn recognise(machines: &[String], directory: &DirectoryId, kept: Option<&InstanceId>) -> InstanceId {
    let ids = |directory: DirectoryId| machines.iter().map(move |machine| instance_of(machine, &directory));
    let stable = DirectoryId { device: directory.device.filter(|_| directory.birth.is_none()), ..*directory };
    let best = ids(stable).next().unwrap_or_else(|| instance_of("", &stable));
    let unborn = DirectoryId { birth: None, ..*directory };
    ids(stable).chain(ids(*directory)).chain(ids(unborn)).find(|id| Some(id) == kept).unwrap_or(best)
}

/// Whether `directory` is that instance now; an error where that can't be known.
pub fn holds(directory: &Path, instance: &InstanceId) -> io::Result<bool> {
    let held = taken(directory).and_then(|taken| Ok(taken.map_or(own_id(directory)?, |taken| taken.id)));
    match held {
        Ok(held) => Ok(&held == instance),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an instance was made on this machine.
pub fn is_of_this_machine(instance: &InstanceId) -> bool {
    machine_names().iter().any(|machine| instance.0.starts_with(&machine_part(machine)))
}

/// Whether `directory` took over an instance, be it its own whose state was lost.
pub fn has_taken_over(directory: &Path) -> io::Result<bool> {
    Ok(taken(directory)?.is_some())
}

/// Makes `directory` go by `instance` from now on. The caller holds its lock, and knows that no other
/// directory is that instance.
pub fn take_over(disk: &dyn Disk, directory: &Path, instance: InstanceId) -> Result<(), DiskError> {
    let path = file(directory);
    let by = own_id(directory).map_err(|error| DiskError::new("take over", &path, error))?;
    let content = serde_json::to_vec_pretty(&Taken { v: 1, id: instance, by }).unwrap_or_default();
    disk.write_atomic(&path, &content)
}

fn file(directory: &Path) -> PathBuf {
    directory.join(".witwd/instance.json")
}

/// What the directory took over; a file that came with a copy, or makes no sense, says nothing.
fn taken(directory: &Path) -> io::Result<Option<Taken>> {
    let content = match std::fs::read(file(directory)) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let own = own_id(directory)?;
    Ok(serde_json::from_slice::<Taken>(&content).ok().filter(|taken| taken.by == own))
}

/// The id made of what identifies a directory; it begins with what identifies the machine.
pub(super) fn instance_of(machine: &str, directory: &DirectoryId) -> InstanceId {
    let DirectoryId { device, inode, birth } = directory;
    let birth = birth.map(|birth| format!("{birth}\n")).unwrap_or_default();
    let device = device.map(|device| format!("{device}\n")).unwrap_or_default();
    let digest = Sha256::digest(format!("witwd instance\n{machine}\n{device}{inode}\n{birth}"));
    InstanceId(machine_part(machine) + &hex(&digest)[..OF_DIRECTORY])
}

fn machine_part(machine: &str) -> String {
    hex(&Sha256::digest(format!("machine of an instance\n{machine}\n")))[..OF_MACHINE].to_owned()
}

/// What tells this machine from others, best first: its id where it has one, and its host name.
fn machine_names() -> Vec<String> {
    let id = MACHINE_IDS.iter().filter_map(|file| std::fs::read_to_string(file).ok()).find(|id| !id.trim().is_empty());
    let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    id.map(|id| id.trim().to_owned()).into_iter().chain([host_name]).collect()
}
