//! What is told of files on the real disk: by the kernel, and where it tells nothing.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::host::SystemClock;
use crate::host::watch::FileWatch;

/// How long a change may take to be told.
const LIMIT: Duration = Duration::from_secs(10);
/// After so long without a word nothing more is told of what happened before.
const QUIET: Duration = Duration::from_millis(150);

/// A directory, and what is told of files in it.
struct Watched {
    directory: tempfile::TempDir,
    names: Vec<&'static str>,
    watch: FileWatch,
    changes: UnboundedReceiver<()>,
}

impl Watched {
    /// A directory as `made` leaves it, in which these files are watched.
    async fn new(made: impl FnOnce(&Path), names: &[&'static str]) -> Self {
        Self::with(FileWatch::new, made, names).await
    }

    /// The same where the kernel tells nothing.
    async fn polled(made: impl FnOnce(&Path), names: &[&'static str]) -> Self {
        Self::with(FileWatch::polling, made, names).await
    }

    async fn with(
        begin: impl FnOnce(Arc<dyn crate::host::Clock>, &Path) -> (FileWatch, UnboundedReceiver<()>),
        made: impl FnOnce(&Path),
        names: &[&'static str],
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        made(directory.path());
        let (watch, changes) = begin(Arc::new(SystemClock::new()), directory.path());
        let mut watched = Self { directory, names: names.to_vec(), watch, changes };
        watched.look().await;
        watched
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Watches as the daemon does: again after every change, until there is none.
    async fn look(&mut self) {
        let files: BTreeSet<PathBuf> = self.names.iter().map(|name| self.path(name)).collect();
        for _ in 0..20 {
            self.watch.watch(&files);
            if timeout(self.quiet(), self.changes.recv()).await.is_err() {
                return;
            }
            while self.changes.try_recv().is_ok() {}
        }
        panic!("changes without an end, although nobody changes anything");
    }

    fn quiet(&self) -> Duration {
        if self.watch.is_polling() { QUIET * 20 } else { QUIET }
    }

    /// Fails where nothing is told.
    async fn tells(&mut self, what: &str) {
        let told = timeout(LIMIT, self.changes.recv()).await;
        assert!(told.is_ok_and(|told| told.is_some()), "nothing was told: {what}");
        self.look().await;
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    std::fs::write(path, text).expect("written");
}

fn point(link: &Path, target: &str) {
    let beside = link.with_extension("new");
    symlink(target, &beside).expect("a link");
    std::fs::rename(beside, link).expect("renamed");
}

#[tokio::test]
async fn a_directory_that_is_removed_and_made_anew_is_watched_again() {
    let mut watched = Watched::new(|base| write(&base.join("conf/one"), "1"), &["conf/one"]).await;
    let one = watched.path("conf/one");
    for round in ["2", "3"] {
        std::fs::remove_dir_all(watched.path("conf")).expect("removed");
        write(&one, round);
        watched.tells("it was made anew").await;
        write(&one, &format!("{round} and more"));
        watched.tells("a save after it").await;
    }
}

#[tokio::test]
async fn a_directory_that_another_takes_the_place_of_is_watched_again() {
    let names = ["conf/one", "deep/below/two"];
    let made = |base: &Path| ["conf/one", "deep/below/two"].iter().for_each(|name| write(&base.join(name), "1"));
    let mut watched = Watched::new(made, &names).await;
    for (name, file) in [("conf", "conf/one"), ("deep", "deep/below/two")] {
        let (directory, aside, new) = (watched.path(name), watched.path("aside"), watched.path("new"));
        write(&new.join(Path::new(file).strip_prefix(name).expect("below it")), "2");
        std::fs::rename(&directory, aside.join("").with_file_name(format!("{name}-aside"))).expect("moved away");
        std::fs::rename(&new, &directory).expect("moved there");
        watched.tells("another directory").await;
        write(&watched.path(file), "3");
        watched.tells("a save in it").await;
    }
}

#[tokio::test]
async fn every_link_on_the_way_to_a_file_is_watched() {
    let made = |base: &Path| {
        for name in ["first", "second", "of-one/more", "of-two/more"] {
            write(&base.join(name), name);
        }
        symlink("first", base.join("middle")).expect("a link");
        symlink("middle", base.join("link")).expect("a link");
        symlink("of-one", base.join("of")).expect("a link");
    };
    let mut watched = Watched::new(made, &["link", "of/more"]).await;
    point(&watched.path("middle"), "second");
    watched.tells("a link in the middle points elsewhere").await;
    write(&watched.path("second"), "saved");
    watched.tells("the file behind it").await;
    point(&watched.path("of"), "of-two");
    watched.tells("a link to a directory points elsewhere").await;
    write(&watched.path("of-two/more"), "saved");
    watched.tells("the file in it").await;
    point(&watched.path("of"), "of");
    watched.tells("a link to itself").await;
    point(&watched.path("of"), "of-one");
    watched.tells("it is mended").await;
}

#[tokio::test]
async fn what_is_not_there_yet_is_told_when_it_comes() {
    let mut watched = Watched::new(|_| {}, &["not/yet/there", "file"]).await;
    std::fs::create_dir(watched.path("not")).expect("a directory");
    watched.tells("a directory above it").await;
    write(&watched.path("not/yet/there"), "1");
    watched.tells("itself").await;
    std::fs::remove_dir_all(watched.path("not")).expect("removed");
    watched.tells("it is gone").await;
    write(&watched.path("file"), "1");
    watched.tells("another").await;
}

#[tokio::test]
async fn a_directory_that_goes_while_it_is_about_to_be_watched_is_looked_for_again() {
    let mut watched = Watched::new(|base| write(&base.join("conf/one"), "1"), &["conf/one"]).await;
    let gone = watched.path("gone");
    watched.watch.follow(&BTreeSet::from([gone, watched.path("conf")]));
    assert!(!watched.watch.is_polling(), "one that is gone is no reason to look every second");
    watched.tells("look again").await;
    write(&watched.path("conf/one"), "2");
    watched.tells("the others are watched").await;
}

#[tokio::test(start_paused = true)]
async fn where_the_kernel_tells_nothing_every_change_is_seen_too() {
    let made = |base: &Path| {
        write(&base.join("conf/one"), "1");
        write(&base.join("first"), "1");
        symlink("first", base.join("link")).expect("a link");
    };
    let mut watched = Watched::polled(made, &["conf/one", "link", "conf", "not/yet"]).await;
    let one = watched.path("conf/one");
    for text in ["2", "3"] {
        write(&one, text);
        watched.tells("two saves in one second").await;
    }
    write(&watched.path("older"), "4");
    let file = std::fs::File::options().write(true).open(watched.path("older")).expect("a file");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("a time");
    std::fs::rename(watched.path("older"), &one).expect("renamed");
    watched.tells("an older file in its place").await;
    write(&watched.path("conf/new"), "1");
    watched.tells("a new one in a directory").await;
    point(&watched.path("link"), "conf/one");
    watched.tells("a link points elsewhere").await;
    write(&watched.path("not/yet"), "1");
    watched.tells("what was not there").await;
    std::fs::remove_dir_all(watched.path("conf")).expect("removed");
    watched.tells("it is gone").await;
}
