//! The only place of `config` that reads the disk. It also remembers every path it was asked for and
//! what was there, and can answer from such a memory instead of the disk.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;
use sha2::{Digest as _, Sha256};

use crate::model::hash::hex;
use crate::model::snapshot::{Answer, Snapshot};

use super::LoadRequest;

/// The largest file that is read as a stack or environment: 1 MiB.
pub(super) const LARGEST: usize = 1 << 20;

/// The most files that one pattern may look through.
const MOST: usize = 20_000;

/// Why a file that is not there can't be read.
pub(super) const MISSING: &str = "it is not there";

/// The disk, and what was read of it.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The directory of the stack, which paths are remembered from.
    base: PathBuf,
    /// Answers instead of the disk.
    memory: Option<RefCell<Snapshot>>,
    asked: RefCell<BTreeSet<PathBuf>>,
    answers: RefCell<Snapshot>,
}

impl Files {
    /// The files of a request: those of the disk, or what it remembers of them.
    pub fn of(request: &LoadRequest) -> Self {
        let base = Self::absolute(&request.file).parent().map(Path::to_owned).unwrap_or_default();
        Self { base, memory: request.memory.clone().map(RefCell::new), ..Self::default() }
    }

    /// What was answered until now.
    pub fn answers(&self) -> Snapshot {
        self.answers.borrow().clone()
    }

    fn key(&self, path: &Path) -> PathBuf {
        let path = Self::absolute(path);
        path.strip_prefix(&self.base).map(Path::to_owned).unwrap_or(path)
    }

    /// The answer about `path`: that of the memory where there is one, else that of the disk; it is
    /// remembered in either case.
    fn answer<T: Clone>(
        &self,
        path: &Path,
        part: impl Fn(&mut Snapshot) -> &mut BTreeMap<PathBuf, T>,
        unknown: impl FnOnce() -> T,
        disk: impl FnOnce() -> T,
    ) -> T {
        let key = self.key(path);
        let answer = match &self.memory {
            Some(memory) => part(&mut memory.borrow_mut()).get(&key).cloned().unwrap_or_else(unknown),
            None => disk(),
        };
        part(&mut self.answers.borrow_mut()).insert(key, answer.clone());
        answer
    }

    /// The text of a file, or why there is none.
    pub fn text(&self, path: &Path) -> Answer<String> {
        self.asked.borrow_mut().insert(path.to_owned());
        self.answer(path, |snapshot| &mut snapshot.texts, || Err(MISSING.to_owned()), || read_text(path))
    }

    /// The SHA-256 of a file of any size as hexadecimal digits, or why there is none.
    pub fn digest(&self, path: &Path) -> Answer<String> {
        self.asked.borrow_mut().insert(path.to_owned());
        self.answer(path, |snapshot| &mut snapshot.digests, || Err(MISSING.to_owned()), || read_digest(path))
    }

    /// Whether there is something at `path`.
    pub fn exists(&self, path: &Path) -> bool {
        self.asked.borrow_mut().insert(path.to_owned());
        self.answer(path, |snapshot| &mut snapshot.exists, || false, || path.exists())
    }

    /// Whether something is at `path`.
    pub fn is_there(path: &Path) -> bool {
        path.exists()
    }

    /// Whether `path` is a directory.
    pub fn is_directory(path: &Path) -> bool {
        path.is_dir()
    }

    /// Every path that was asked for.
    pub fn asked(&self) -> BTreeSet<PathBuf> {
        self.asked.borrow().clone()
    }

    /// The path with every symbolic link followed; what is not there is kept as it is written.
    pub fn canonical(path: &Path) -> PathBuf {
        let path = normal(path);
        let mut missing = Vec::new();
        let mut there = path.as_path();
        loop {
            if let Ok(real) = there.canonicalize() {
                return missing.iter().rev().fold(real, |whole, part| whole.join(part));
            }
            let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else { return path };
            missing.push(name.to_owned());
            there = parent;
        }
    }

    /// An absolute form of `path`.
    pub fn absolute(path: &Path) -> PathBuf {
        normal(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }

    /// The files that `pattern` means, in order of name. A directory means all files in it.
    pub fn matching(&self, directory: &Path, pattern: &str) -> Answer<Vec<PathBuf>> {
        let whole = normal(&directory.join(pattern));
        let disk = || {
            let found = self.on_disk(&whole, pattern)?;
            Ok(found.iter().map(|path| self.key(path)).collect())
        };
        let found = self.answer(&whole, |snapshot| &mut snapshot.matches, || Ok(Vec::new()), disk);
        found.map(|found| found.iter().map(|path| self.base.join(path)).collect())
    }

    fn on_disk(&self, whole: &Path, pattern: &str) -> Answer<Vec<PathBuf>> {
        if !is_glob(pattern) {
            self.asked.borrow_mut().insert(whole.to_owned());
            return if whole.is_dir() { self.walk(whole) } else { Ok(Vec::from_iter(whole.is_file().then(|| whole.to_owned()))) };
        }
        let glob = GlobBuilder::new(&whole.to_string_lossy())
            .literal_separator(true)
            .build()
            .map_err(|error| error.kind().to_string())?
            .compile_matcher();
        let fixed: PathBuf = whole.components().take_while(|part| !is_glob(&part.as_os_str().to_string_lossy())).collect();
        self.asked.borrow_mut().insert(fixed.clone());
        Ok(self.walk(&fixed)?.into_iter().filter(|path| glob.is_match(path)).collect())
    }

    /// All files below `directory`, in order of name; links are not followed, `.git` and `.witwd`
    /// are left out.
    fn walk(&self, directory: &Path) -> Result<Vec<PathBuf>, String> {
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        let mut open = vec![directory.to_owned()];
        while let Some(next) = open.pop() {
            if files.len() + open.len() > MOST {
                return Err(format!("below {} are more than {MOST} files", directory.display()));
            }
            for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && !skipped(&path) => open.push(path),
                    Ok(kind) if !kind.is_dir() && path.is_file() => files.push(path),
                    _ => {}
                }
            }
            directories.push(next);
        }
        files.sort();
        // Also those in which nothing is yet.
        self.asked.borrow_mut().extend(files.iter().cloned().chain(directories));
        Ok(files)
    }
}

fn read_text(path: &Path) -> Answer<String> {
    // Some have no end, as /dev/zero has none.
    let bytes = read_at_most(path, LARGEST + 1).map_err(|error| match error.kind() {
        ErrorKind::NotFound => MISSING.to_owned(),
        ErrorKind::IsADirectory => "it is a directory".to_owned(),
        ErrorKind::PermissionDenied => "it may not be read by this user".to_owned(),
        _ => error.to_string(),
    })?;
    if bytes.len() > LARGEST {
        return Err("it is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: byte {} is wrong", error.utf8_error().valid_up_to()))
}

fn read_at_most(path: &Path, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_digest(path: &Path) -> Answer<String> {
    let mut file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(&digest.finalize())),
            Ok(read) => digest.update(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn skipped(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == ".git" || name == ".witwd")
}

/// Whether `pattern` has a character that globs give a meaning.
pub(super) fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
}

/// The path without `.` and with `..` taken back, links not looked at.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if whole.parent().is_some() && whole.file_name().is_some() => {
                whole.pop();
            }
            part => whole.push(part),
        }
    }
    whole
}
