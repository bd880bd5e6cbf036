//! Where a change can give a path another meaning.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// The most links on the way to a file: whoever has more has a circle.
const MOST_LINKS: usize = 40;

/// Paths whose changes matter, and the directories that tell of them; none goes through a link.
#[derive(Debug, Default, Clone)]
pub(super) struct Places {
    /// What happens to these matters, and what happens in them where they are directories.
    pub wanted: BTreeSet<PathBuf>,
    /// Links and directories on the way: that another takes their place matters, and nothing else.
    pub on_the_way: BTreeSet<PathBuf>,
    /// What is to be watched.
    pub directories: BTreeSet<PathBuf>,
}

/// What is still to be gone through, the next one last.
type Rest = Vec<OsString>;

impl Places {
    /// Those of these files, links followed too. Directories on the way count below `base`.
    pub fn of(files: &BTreeSet<PathBuf>, base: &Path) -> Self {
        let mut places = Self::default();
        for file in files {
            places.add(file, base);
        }
        places
    }

    /// Whether a change of `path` matters.
    pub fn is_about(&self, path: &Path) -> bool {
        self.on_the_way.contains(path) || path.ancestors().take(2).any(|part| self.wanted.contains(part))
    }

    fn add(&mut self, file: &Path, base: &Path) {
        let (mut here, mut rest, mut links) = (PathBuf::from("/"), Rest::new(), 0);
        push(file, &mut rest);
        while let Some(name) = rest.pop() {
            if name == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            if let Ok(target) = std::fs::read_link(&next) {
                self.directories.insert(here.clone());
                self.on_the_way.insert(next);
                links += 1;
                if links > MOST_LINKS {
                    return;
                }
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                push(&target, &mut rest);
            } else if rest.is_empty() {
                self.end(here, next);
                return;
            } else if next.is_dir() {
                self.pass(&here, &next, base);
                here = next;
            } else {
                // While it is not there, whatever happens next to where it will be matters.
                self.directories.insert(here.clone());
                self.wanted.insert(here);
                return;
            }
        }
    }

    fn pass(&mut self, parent: &Path, directory: &Path, base: &Path) {
        if directory != base && directory.starts_with(base) {
            self.directories.insert(parent.to_owned());
            self.on_the_way.insert(directory.to_owned());
        }
    }

    fn end(&mut self, parent: PathBuf, path: PathBuf) {
        if path.is_dir() {
            self.directories.insert(path.clone());
        }
        self.directories.insert(parent);
        self.wanted.insert(path);
    }
}

/// Puts the names of `path` before what is still to be gone through.
fn push(path: &Path, rest: &mut Rest) {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let names: Vec<_> = names.collect();
    rest.extend(names.into_iter().rev());
}
