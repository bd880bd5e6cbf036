//! Changes of a few files, told by the kernel; where it can't tell (no inotify left, a network file
//! system), they are looked at every second.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// How often files are looked at where the kernel tells nothing.
const POLL: Duration = Duration::from_secs(1);

/// Watches the directories of files: editors save by renaming, which a watch on the file would miss.
pub struct FileWatch {
    watcher: Box<dyn Watcher + Send + Sync>,
    /// Paths whose changes matter.
    wanted: Arc<Mutex<BTreeSet<PathBuf>>>,
    directories: BTreeSet<PathBuf>,
    is_polling: bool,
    changed: mpsc::UnboundedSender<()>,
}

impl FileWatch {
    /// A watch of nothing yet, and where it tells that something changed.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<()>) {
        let (changed, changes) = mpsc::unbounded_channel();
        let wanted = Arc::default();
        let tell = teller(&wanted, &changed);
        let (watcher, is_polling): (Box<dyn Watcher + Send + Sync>, bool) = match RecommendedWatcher::new(tell, Config::default())
        {
            Ok(watcher) => (Box::new(watcher), false),
            Err(error) => {
                tracing::warn!(%error, "the kernel tells no changes of files: they are looked at every second");
                (polling(&wanted, &changed), true)
            }
        };
        (Self { watcher, wanted, directories: BTreeSet::new(), is_polling, changed }, changes)
    }

    /// From now on these files are watched, and no others. A file need not be there yet.
    pub fn watch(&mut self, files: &BTreeSet<PathBuf>) {
        let (wanted, directories) = places(files);
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        for gone in self.directories.difference(&directories) {
            // It may have been removed: then nobody watches it any more.
            let _ = self.watcher.unwatch(gone);
        }
        let new: Vec<PathBuf> = directories.difference(&self.directories).cloned().collect();
        self.directories = directories;
        for directory in new {
            if let Err(error) = self.watcher.watch(&directory, RecursiveMode::NonRecursive)
                && !self.is_polling
            {
                tracing::warn!(%error, directory = %directory.display(), "failed to watch: files are looked at every second");
                self.poll();
                return;
            }
        }
    }

    fn poll(&mut self) {
        self.is_polling = true;
        self.watcher = polling(&self.wanted, &self.changed);
        for directory in &self.directories {
            // One that is not there is looked for again when the list of files changes.
            let _ = self.watcher.watch(directory, RecursiveMode::NonRecursive);
        }
    }
}

fn polling(wanted: &Arc<Mutex<BTreeSet<PathBuf>>>, changed: &mpsc::UnboundedSender<()>) -> Box<dyn Watcher + Send + Sync> {
    let config = Config::default().with_poll_interval(POLL);
    match PollWatcher::new(teller(wanted, changed), config) {
        Ok(watcher) => Box::new(watcher),
        Err(error) => {
            tracing::error!(%error, "files can't be watched: `witwd up` applies what is saved");
            Box::new(notify::NullWatcher)
        }
    }
}

/// Tells of changes of what is wanted; reading a file is none.
fn teller(
    wanted: &Arc<Mutex<BTreeSet<PathBuf>>>,
    changed: &mpsc::UnboundedSender<()>,
) -> impl Fn(notify::Result<Event>) + Send + 'static {
    let (wanted, changed) = (wanted.clone(), changed.clone());
    move |event| {
        let matters = match event {
            Ok(event) => is_change(event.kind) && is_about(&event, &wanted.lock().unwrap_or_else(PoisonError::into_inner)),
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

/// An event without a path, or about a file or something in a directory that is wanted.
fn is_about(event: &Event, wanted: &BTreeSet<PathBuf>) -> bool {
    event.need_rescan() || event.paths.iter().any(|path| path.ancestors().take(2).any(|part| wanted.contains(part)))
}

/// The paths whose changes matter, links followed too, and the directories that tell of them.
fn places(files: &BTreeSet<PathBuf>) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    let (mut wanted, mut directories) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        let real = file.canonicalize().ok();
        for path in std::iter::once(file).chain(&real) {
            let is_directory = path.is_dir();
            let parent = path.parent().and_then(nearest_directory);
            directories.extend(parent.clone());
            if is_directory {
                directories.insert(path.clone());
            }
            // While its directory is not there, whatever happens next to where it will be matters.
            match parent {
                Some(parent) if path.parent() != Some(&parent) => drop(wanted.insert(parent)),
                _ => drop(wanted.insert(path.clone())),
            }
        }
    }
    (wanted, directories)
}

fn nearest_directory(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|ancestor| ancestor.is_dir()).map(Path::to_owned)
}
