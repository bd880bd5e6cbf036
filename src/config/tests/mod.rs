//! Tests of reading a stack.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{InvalidFile, LoadRequest, Loaded, load, render};

mod definition;
mod examples;
mod memory;
mod merging;
mod mistakes;
mod properties;
mod renamed;
mod schema;
mod values;

thread_local! {
    static SEEN: RefCell<BTreeMap<&'static str, BTreeSet<&'static str>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Takes note of the keys that a reader of a kind asked for.
pub(super) fn saw(kind: &'static str, keys: &BTreeSet<&'static str>) {
    SEEN.with(|seen| seen.borrow_mut().entry(kind).or_default().extend(keys));
}

/// A directory with files, gone when dropped.
struct Stack {
    directory: tempfile::TempDir,
    request: LoadRequest,
}

impl Stack {
    /// A stack of this text.
    fn of(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let request = LoadRequest { file: directory.path().join("demo/stack.toml"), ..LoadRequest::default() };
        Self { directory, request }.with("stack.toml", text)
    }

    /// Another file beside it.
    fn with(self, name: &str, text: &str) -> Self {
        let path = self.directory.path().join("demo").join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
        self
    }

    /// A profile that is asked for.
    fn profile(mut self, profile: &str) -> Self {
        self.request.profiles.push(profile.to_owned());
        self
    }

    /// A variable of the environment.
    fn env(mut self, name: &str, value: &str) -> Self {
        self.request.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self) -> Result<Loaded, InvalidFile> {
        let loaded = load(&self.request);
        if loaded.is_ok() {
            schema::accepts(&std::fs::read_to_string(&self.request.file).expect("the file"));
        }
        loaded
    }

    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|error| panic!("{}", self.plain(&render(&error.problems, false))))
    }

    /// What is said of it, without the path of the directory.
    fn said(&self) -> String {
        match self.load() {
            Ok(loaded) => format!("(accepted)\n{}", self.plain(&render(&loaded.warnings, false))),
            Err(error) => self.plain(&render(&error.problems, false)),
        }
    }

    fn plain(&self, text: &str) -> String {
        let real = self.directory.path().canonicalize().expect("a directory");
        let without = |text: &str, path: &Path| text.replace(&format!("{}/", path.join("demo").display()), "");
        let plain = without(&without(text, &real), self.directory.path());
        plain.replace(&real.display().to_string(), "ABOVE")
    }
}

fn test_data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/test_data")
}
