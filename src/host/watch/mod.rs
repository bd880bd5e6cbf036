//! Changes of a few files, told by the kernel; where it can't tell (no inotify left, a network file
//! system), they are looked at every second.

mod places;
mod poll;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::Clock;
use places::Places;

/// Watches the directories of files: editors save by renaming, which a watch on the file would miss.
pub struct FileWatch {
    clock: Arc<dyn Clock>,
    /// Directories below this one may be replaced whole.
    base: PathBuf,
    /// `None`: the files are looked at.
    kernel: Option<RecommendedWatcher>,
    wanted: Arc<Mutex<Wanted>>,
    /// What the kernel watches; another directory may have taken the place of one by now.
    directories: BTreeMap<PathBuf, Identity>,
    changed: mpsc::UnboundedSender<()>,
}

/// What a directory is, whatever it is called.
type Identity = (u64, u64);

/// What is to be told, and what became of the watch.
#[derive(Debug, Default)]
struct Wanted {
    places: Places,
    /// Removed or renamed: the kernel may not watch them any more.
    dropped: BTreeSet<PathBuf>,
}

impl FileWatch {
    /// A watch of nothing yet, and where it tells that something changed. The files are mostly below `base`.
    pub fn new(clock: Arc<dyn Clock>, base: &Path) -> (Self, mpsc::UnboundedReceiver<()>) {
        let (mut watch, changes) = Self::begin(clock, base);
        match RecommendedWatcher::new(teller(&watch.wanted, &watch.changed), Config::default()) {
            Ok(kernel) => watch.kernel = Some(kernel),
            Err(error) => {
                tracing::warn!(%error, "the kernel tells no changes of files: they are looked at every second");
                watch.poll();
            }
        }
        (watch, changes)
    }

    /// One that looks at the files every second.
    #[cfg(test)]
    pub(super) fn polling(clock: Arc<dyn Clock>, base: &Path) -> (Self, mpsc::UnboundedReceiver<()>) {
        let (mut watch, changes) = Self::begin(clock, base);
        watch.poll();
        (watch, changes)
    }

    fn begin(clock: Arc<dyn Clock>, base: &Path) -> (Self, mpsc::UnboundedReceiver<()>) {
        let (changed, changes) = mpsc::unbounded_channel();
        let base = base.canonicalize().unwrap_or_else(|_| base.to_owned());
        (Self { clock, base, kernel: None, wanted: Arc::default(), directories: BTreeMap::new(), changed }, changes)
    }

    /// Whether the files are looked at every second.
    #[cfg(test)]
    pub(super) fn is_polling(&self) -> bool {
        self.kernel.is_none()
    }

    /// From now on these files are watched, and no others. A file need not be there yet. What is watched
    /// only from now on may have changed just before: then it tells so.
    pub fn watch(&mut self, files: &BTreeSet<PathBuf>) {
        let places = Places::of(files, &self.base);
        let directories = places.directories.clone();
        lock(&self.wanted).places = places;
        if self.kernel.is_some() {
            self.follow(&directories);
        }
    }

    /// Has the kernel watch these directories.
    pub(super) fn follow(&mut self, directories: &BTreeSet<PathBuf>) {
        let dropped = std::mem::take(&mut lock(&self.wanted).dropped);
        let now: BTreeMap<PathBuf, Identity> =
            directories.iter().filter_map(|directory| Some((directory.clone(), identity(directory)?))).collect();
        let is_as_before =
            |path: &PathBuf, identity: &Identity| now.get(path) == Some(identity) && !dropped.contains(path.as_path());
        let before = std::mem::take(&mut self.directories);
        let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            before.into_iter().partition(|(path, identity)| is_as_before(path, identity));
        for path in gone.keys() {
            // It may have been removed: then nobody watches it any more.
            let _ = self.kernel.as_mut().map(|kernel| kernel.unwatch(path));
        }
        let is_all_there = now.len() == directories.len();
        let new: Vec<_> = now.into_iter().filter(|(path, _)| !kept.contains_key(path)).collect();
        self.directories = kept;
        if !new.is_empty() || !is_all_there {
            self.look_again();
        }
        self.add(new);
    }

    fn add(&mut self, new: Vec<(PathBuf, Identity)>) {
        for (path, identity) in new {
            let Some(kernel) = &mut self.kernel else { return };
            match kernel.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.directories.insert(path, identity)),
                // It went this moment: the next look finds what is there instead.
                Err(error) if is_gone(&error) => self.look_again(),
                Err(error) => {
                    tracing::warn!(%error, directory = %path.display(), "failed to watch: files are looked at every second");
                    self.poll();
                }
            }
        }
    }

    fn look_again(&self) {
        // Nobody listens any more: the daemon ends.
        let _ = self.changed.send(());
    }

    fn poll(&mut self) {
        self.kernel = None;
        self.directories.clear();
        tokio::spawn(poll::poll(self.clock.clone(), self.wanted.clone(), self.changed.clone()));
    }
}

fn lock(wanted: &Mutex<Wanted>) -> MutexGuard<'_, Wanted> {
    wanted.lock().unwrap_or_else(PoisonError::into_inner)
}

fn identity(directory: &Path) -> Option<Identity> {
    std::fs::metadata(directory).ok().map(|facts| (facts.dev(), facts.ino()))
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        _ => false,
    }
}

/// Tells of changes of what is wanted; reading a file is none.
fn teller(wanted: &Arc<Mutex<Wanted>>, changed: &mpsc::UnboundedSender<()>) -> impl Fn(notify::Result<Event>) + Send + 'static {
    let (wanted, changed) = (wanted.clone(), changed.clone());
    move |event| {
        let matters = match event {
            Ok(event) => is_change(event.kind) && lock(&wanted).is_about(&event),
            // Events were lost: look.
            Err(_) => true,
        };
        if matters {
            // Nobody listens any more: the daemon ends.
            let _ = changed.send(());
        }
    }
}

fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

impl Wanted {
    /// An event without a path, or about something that is wanted; a directory that went is remembered.
    fn is_about(&mut self, event: &Event) -> bool {
        let moved = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
        let gone: Vec<&PathBuf> =
            event.paths.iter().filter(|path| moved && self.places.directories.contains(path.as_path())).collect();
        self.dropped.extend(gone.iter().map(|path| (*path).clone()));
        event.need_rescan() || !gone.is_empty() || event.paths.iter().any(|path| self.places.is_about(path))
    }
}
