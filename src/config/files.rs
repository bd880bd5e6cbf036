//! The only place of `config` that reads the disk. It also remembers every path it was asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;
use sha2::{Digest, Sha256};

/// The largest file that is read as a stack or environment: 1 MiB.
pub(super) const LARGEST: usize = 1 << 20;

/// The most files that one pattern may look through.
const MOST: usize = 20_000;

/// Why a file that is not there can't be read.
pub(super) const MISSING: &str = "it is not there";

/// The disk, and what was read of it.
#[derive(Debug, Default)]
pub(super) struct Files {
    asked: RefCell<BTreeSet<PathBuf>>,
}

impl Files {
    /// The text of a file, or why there is none.
    pub fn text(&self, path: &Path) -> Result<String, String> {
        let bytes = self.bytes(path)?;
        if bytes.len() > LARGEST {
            return Err(format!("it is larger than 1 MiB ({} bytes)", bytes.len()));
        }
        String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: byte {} is wrong", error.utf8_error().valid_up_to()))
    }

    /// The content of a file, or why there is none.
    pub fn bytes(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.asked.borrow_mut().insert(path.to_owned());
        std::fs::read(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => MISSING.to_owned(),
            ErrorKind::IsADirectory => "it is a directory".to_owned(),
            ErrorKind::PermissionDenied => "it may not be read by this user".to_owned(),
            _ => error.to_string(),
        })
    }

    /// Feeds the content of a file of any size to `digest`.
    pub fn digest(&self, path: &Path, digest: &mut Sha256) -> Result<(), String> {
        self.asked.borrow_mut().insert(path.to_owned());
        let mut file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => digest.update(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Whether there is something at `path`.
    pub fn exists(&self, path: &Path) -> bool {
        self.asked.borrow_mut().insert(path.to_owned());
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
    pub fn matching(&self, directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let whole = normal(&directory.join(pattern));
        if !is_glob(pattern) {
            self.asked.borrow_mut().insert(whole.clone());
            return if whole.is_dir() { self.walk(&whole) } else { Ok(Vec::from_iter(whole.is_file().then_some(whole))) };
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
        let mut files = Vec::new();
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
        }
        files.sort();
        self.asked.borrow_mut().extend(files.iter().cloned());
        Ok(files)
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

/// The nearest `stack.toml`: in `start` or a directory above it.
pub fn find_file(start: &Path) -> Option<PathBuf> {
    Files::absolute(start).ancestors().map(|directory| directory.join("stack.toml")).find(|file| file.is_file())
}
