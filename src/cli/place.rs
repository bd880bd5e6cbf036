//! Where a stack lies: its file, its directory, the state beside it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::exit_code::{Exit, Failure};
use crate::host::instance::own_id;
use crate::host::instance_id;
use crate::host::kept::recall;
use crate::host::runtime::{Runtime, Surroundings, doors, kept_socket_address};
use crate::host::{Disk, Journal};
use crate::model::name::InstanceId;

/// The name of the file.
const FILE: &str = "stack.toml";
/// The name of the directory of the state beside it.
const STATE: &str = ".witwd";
/// How large the daemon's log may become, twice.
const LOG_LIMIT: u64 = 5 << 20;

/// Where a stack lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its file, absolute.
    pub file: PathBuf,
    /// The directory of its file, without symbolic links.
    pub directory: PathBuf,
    /// `.witwd` in that directory.
    pub state: PathBuf,
}

impl Place {
    /// The place that `-f` names, or the nearest in `from` or above it: of a stack.toml, or of the
    /// state of a stack whose file is gone.
    pub fn find(disk: &dyn Disk, named: Option<&Path>, from: &Path) -> Result<Self, Failure> {
        let file = match named {
            Some(named) => from.join(named),
            None => nearest(disk, from).ok_or_else(|| {
                Failure::new(Exit::Usage, format!("there is no {FILE} in {} or above it", from.display()))
                    .hint("go to the directory of the stack, or name the file: `witwd -f path/to/stack.toml`")
            })?,
        };
        let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else {
            return Err(Failure::new(Exit::Usage, format!("{} is no file", file.display())));
        };
        let directory = parent
            .canonicalize()
            .map_err(|error| Failure::of(Exit::Usage, &format!("failed to find {}", parent.display()), &error))?;
        Ok(Self { file: directory.join(name), state: directory.join(STATE), directory })
    }

    /// Which instance this is.
    pub fn instance(&self) -> Result<InstanceId, Failure> {
        instance_id(&self.directory)
            .map_err(|error| Failure::of(Exit::Failed, &format!("failed to look at {}", self.directory.display()), &error))
    }

    /// Where the daemon of this stack listens, or would.
    pub fn socket(&self, disk: &dyn Disk) -> Result<PathBuf, Failure> {
        match kept_socket_address(disk, &self.state)? {
            Some(path) => Ok(path),
            None => Ok(Runtime::open(&Surroundings::of_process())?.socket(&self.instance()?)),
        }
    }

    /// Where the daemon of another user may listen for the members of a group.
    pub fn doors(&self) -> Result<Vec<PathBuf>, Failure> {
        let failed = |error| Failure::of(Exit::Failed, &format!("failed to look at {}", self.directory.display()), &error);
        let owner = std::fs::metadata(&self.directory).map_err(failed)?.uid();
        Ok(doors(&own_id(&self.directory).map_err(failed)?, owner))
    }

    /// What daemon and guardian write.
    pub fn log_path(&self) -> PathBuf {
        self.state.join("daemon.log")
    }

    /// The same, bounded.
    pub fn log(&self) -> Journal {
        Journal::new(self.log_path(), LOG_LIMIT)
    }
}

/// The nearest file, there or gone. A stack that was known here hides one further up: what is meant
/// for it must never reach the other.
fn nearest(disk: &dyn Disk, from: &Path) -> Option<PathBuf> {
    from.ancestors().find_map(|directory| {
        let usual = directory.join(FILE);
        let known = || recall(disk, &directory.join(STATE)).map(|kept| directory.join(kept.file));
        if usual.is_file() { Some(usual) } else { known() }
    })
}
