//! Changes found by looking: where the kernel tells of none.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Clock, Wanted, lock};

/// How often files are looked at where the kernel tells nothing.
const POLL: Duration = Duration::from_secs(1);

/// What changes with a file: device, number, size, and when it was written and changed, in nanoseconds.
/// A save within the second of another shows, and so does an older file in the place of a newer one.
type Print = (u64, u64, u64, (i64, i64), (i64, i64));

/// Looks at what is wanted until nobody listens any more.
pub(super) async fn poll(clock: Arc<dyn Clock>, wanted: Arc<Mutex<Wanted>>, changed: mpsc::UnboundedSender<()>) {
    let mut last = BTreeMap::new();
    loop {
        let wanted = wanted.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || prints(&wanted)).await else { return };
        if now != last && changed.send(()).is_err() {
            return;
        }
        last = now;
        tokio::select! {
            biased;
            () = changed.closed() => return,
            () = clock.sleep(POLL) => {}
        }
    }
}

fn prints(wanted: &Mutex<Wanted>) -> BTreeMap<PathBuf, Option<Print>> {
    let places = lock(wanted).places.clone();
    // What lies in a directory on the way may change as it likes.
    let on_the_way = places.on_the_way.into_iter().map(|path| (print(&path).map(|print| only_itself(&print)), path));
    let ends = places.wanted.into_iter().map(|path| (print(&path), path));
    on_the_way.chain(ends).map(|(print, path)| (path, print)).collect()
}

fn print(path: &Path) -> Option<Print> {
    let facts = std::fs::symlink_metadata(path).ok()?;
    let (written, changed) = ((facts.mtime(), facts.mtime_nsec()), (facts.ctime(), facts.ctime_nsec()));
    Some((facts.dev(), facts.ino(), facts.size(), written, changed))
}

fn only_itself(print: &Print) -> Print {
    (print.0, print.1, 0, (0, 0), (0, 0))
}
