//! Simulated twins: a clock on tokio's virtual time, a disk in memory, randomness from a seed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Clock, Disk, DiskError, Rng};
use crate::model::time::Moment;

/// Virtual time: follows tokio's paused clock, so that a test of an hour takes a millisecond. The
/// wall clock begins at a fixed date and can be made to jump.
#[derive(Debug)]
pub struct SimClock {
    start: tokio::time::Instant,
    jump_millis: AtomicI64,
}

/// Where the simulated wall clock begins: 2026-01-01T00:00:00Z.
const WALL_START: i64 = 1_767_225_600;

impl SimClock {
    /// A clock at its beginning. Only meaningful under a paused tokio clock.
    #[expect(clippy::disallowed_methods, reason = "tokio's paused clock is the simulated one")]
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now(), jump_millis: AtomicI64::new(0) }
    }

    /// Makes the wall clock jump, as a laptop that woke or an operator who set it.
    pub fn jump(&self, by: SignedDuration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.jump_millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SimClock {
    fn moment(&self) -> Moment {
        Moment::at(self.start.elapsed())
    }

    fn wall(&self) -> Timestamp {
        let elapsed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        let millis = WALL_START * 1000 + elapsed + self.jump_millis.load(Ordering::SeqCst);
        Timestamp::from_millisecond(millis).expect("a simulated time within the calendar")
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What becomes of the write at which a machine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastWrite {
    /// Nothing of it is on the disk.
    Lost,
    /// It is on the disk, and whoever wrote it does not know.
    There,
}

/// The write at which everything ends.
struct End {
    /// How many writes there are until then, that one included.
    left: usize,
    last: LastWrite,
    then: Box<dyn FnOnce() + Send>,
}

/// How a write goes.
enum Course {
    Happens,
    Last(LastWrite, Box<dyn FnOnce() + Send>),
    Never,
}

/// A disk in memory. It can be full, and its machine can stop at the n-th write: from then on nothing
/// is written. Writes, renames and removals count as writes.
#[derive(Default)]
pub struct SimDisk {
    files: Mutex<Files>,
    full: AtomicBool,
    refused: AtomicU64,
    stopped: AtomicBool,
    end: Mutex<Option<End>>,
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SimDisk").field("files", &self.files().keys()).finish_non_exhaustive()
    }
}

impl SimDisk {
    /// From now on (or no more) every write fails for want of room.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// How many writes failed for want of room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// Stops at write `number` from now on, counted from 1, and calls `then` at that moment.
    pub fn stop_at(&self, number: usize, last: LastWrite, then: impl FnOnce() + Send + 'static) {
        *self.end() = Some(End { left: number, last, then: Box::new(then) });
    }

    /// Writes again, and no longer stops.
    pub fn go_on(&self) {
        *self.end() = None;
        self.stopped.store(false, Ordering::SeqCst);
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().expect("no panic while the simulated disk is held")
    }

    fn end(&self) -> MutexGuard<'_, Option<End>> {
        self.end.lock().expect("no panic while the end of a simulated disk is held")
    }

    fn next_course(&self) -> Course {
        if self.stopped.load(Ordering::SeqCst) {
            return Course::Never;
        }
        let mut end = self.end();
        if let Some(waiting) = end.as_mut() {
            waiting.left = waiting.left.saturating_sub(1);
        }
        match end.take_if(|end| end.left == 0) {
            Some(End { last, then, .. }) => Course::Last(last, then),
            None => Course::Happens,
        }
    }

    fn has_room(&self, path: &Path) -> Result<(), DiskError> {
        if !self.full.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        Err(DiskError::new("write", path, io::ErrorKind::StorageFull.into()))
    }

    fn change(
        &self,
        operation: &'static str,
        path: &Path,
        change: impl FnOnce(&mut Files) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        match self.next_course() {
            Course::Happens => return change(&mut self.files()),
            Course::Last(last, then) => {
                self.stopped.store(true, Ordering::SeqCst);
                if last == LastWrite::There {
                    change(&mut self.files())?;
                }
                then();
            }
            Course::Never => {}
        }
        Err(DiskError::new(operation, path, io::Error::other("the simulated machine has stopped")))
    }
}

impl Disk for SimDisk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.files().get(path).cloned())
    }

    fn write_atomic(&self, path: &Path, content: &[u8]) -> Result<(), DiskError> {
        self.has_room(path)?;
        self.change("write", path, |files| {
            files.insert(path.to_owned(), content.to_owned());
            Ok(())
        })
    }

    fn replace_keeping(&self, path: &Path, former: &Path, content: &[u8]) -> Result<(), DiskError> {
        self.has_room(path)?;
        self.change("write", path, |files| {
            if let Some(old) = files.insert(path.to_owned(), content.to_owned()) {
                files.insert(former.to_owned(), old);
            }
            Ok(())
        })
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>, DiskError> {
        let names = self
            .files()
            .keys()
            .filter(|path| path.parent() == Some(directory))
            .filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
            .collect();
        Ok(names)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.change("remove", path, |files| {
            files.remove(path);
            Ok(())
        })
    }

    fn make_directory(&self, _path: &Path, _mode: u32) -> Result<(), DiskError> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.change("rename", from, |files| {
            let missing = || DiskError::new("rename", from, io::ErrorKind::NotFound.into());
            let content = files.remove(from).ok_or_else(missing)?;
            files.insert(to.to_owned(), content);
            Ok(())
        })
    }
}

/// Randomness from a seed (SplitMix64): equal seeds give equal runs.
#[derive(Debug)]
pub struct SimRng {
    state: AtomicU64,
}

impl SimRng {
    /// A source with this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// The next 64 bits.
    pub fn next(&self) -> u64 {
        let state = self.state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub fn below(&self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

impl Rng for SimRng {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}
