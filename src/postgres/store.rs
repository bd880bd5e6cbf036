//! The file of generated passwords: read once, written as a whole before a password is used.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::host::{Disk, DiskError, Rng};
use crate::model::hash::hex;

/// The version of the file.
const VERSION: u32 = 1;

/// The file could not be used. It was moved aside and everything in it is made anew: passwords are
/// set anew in the servers, and nothing that was keyed before can be compared any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where it lies now.
    pub moved_to: PathBuf,
    /// What is wrong with it, without any of its content.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the store of generated passwords {}; it was moved to {}", self.reason, self.moved_to.display())
    }
}

/// What the file holds.
#[derive(Clone)]
pub(super) struct Store {
    key: [u8; 32],
    passwords: BTreeMap<String, SecretString>,
}

/// The file as it is written.
#[derive(serde::Serialize, serde::Deserialize)]
struct File {
    version: u32,
    key: String,
    passwords: BTreeMap<String, String>,
}

impl Store {
    /// A store with a key of its own and no password.
    pub fn new(rng: &dyn Rng) -> Self {
        let mut key = [0; 32];
        rng.fill(&mut key);
        Self { key, passwords: BTreeMap::new() }
    }

    /// What the file holds; `None` where there is none. One that can't be used is moved aside.
    pub fn load(disk: &dyn Disk, path: &Path) -> Result<Result<Option<Self>, Damage>, DiskError> {
        let reason = match disk.read(path) {
            Ok(None) => return Ok(Ok(None)),
            Ok(Some(content)) => match Self::parse(&content) {
                Ok(store) => return Ok(Ok(Some(store))),
                Err(reason) => reason,
            },
            Err(error) => format!("can't be read ({})", error.source),
        };
        let moved_to = free_name(disk, path)?;
        disk.rename(path, &moved_to)?;
        Ok(Err(Damage { moved_to, reason }))
    }

    /// What the file holds, for who only looks: nothing where it can't be used, which is left as it is.
    pub fn look(disk: &dyn Disk, path: &Path) -> Option<Self> {
        Self::parse(&disk.read(path).ok()??).ok()
    }

    fn parse(content: &[u8]) -> Result<Self, String> {
        // serde's message may quote content: it is left out.
        let file: File = serde_json::from_slice(content)
            .map_err(|error| format!("is damaged (line {}, column {})", error.line(), error.column()))?;
        if file.version != VERSION {
            return Err(format!("is of version {}, which this witwd does not know", file.version));
        }
        let key = STANDARD.decode(&file.key).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
        let key = key.ok_or_else(|| "is damaged (its key is no key)".to_owned())?;
        let passwords = file.passwords.into_iter().map(|(name, value)| (name, SecretString::from(value))).collect();
        Ok(Self { key, passwords })
    }

    /// Replaces the file.
    pub fn save(&self, disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
        let plain = |(name, value): (&String, &SecretString)| (name.clone(), value.expose_secret().to_owned());
        let file =
            File { version: VERSION, key: STANDARD.encode(self.key), passwords: self.passwords.iter().map(plain).collect() };
        let content = serde_json::to_vec_pretty(&file).expect("texts and numbers are JSON");
        disk.write_atomic(path, &content)
    }

    /// The password kept under this name.
    pub fn password(&self, name: &str) -> Option<&SecretString> {
        self.passwords.get(name)
    }

    /// Keeps a password.
    pub fn keep(&mut self, name: String, password: SecretString) {
        self.passwords.insert(name, password);
    }

    /// The key of keyed hashes.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// What tells one key from another without telling the key.
    pub fn key_id(&self) -> String {
        hex(&Sha256::digest(self.key)[..4])
    }
}

fn free_name(disk: &dyn Disk, path: &Path) -> Result<PathBuf, DiskError> {
    let taken = disk.list(path.parent().unwrap_or(Path::new(".")))?;
    let candidate = |number: u32| match number {
        1 => path.with_added_extension("damaged"),
        more => path.with_added_extension(format!("damaged-{more}")),
    };
    let is_taken = |path: &PathBuf| path.file_name().is_some_and(|name| taken.contains(&name.to_string_lossy().into_owned()));
    let mut number = 1;
    while is_taken(&candidate(number)) {
        number += 1;
    }
    Ok(candidate(number))
}
