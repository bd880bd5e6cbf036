//! The file of generated passwords: read once, written as a whole before a password is used.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::host::sealed::{self, Copy};
use crate::host::{Disk, DiskError, Rng};
use crate::model::hash::hex;

/// The version of the file.
const VERSION: u32 = 2;
/// The last version without a checksum.
const UNSEALED: u32 = 1;

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

    /// What the file or its copy holds; `None` where neither can be used. One that can't be used is moved
    /// aside, and the words say so without any of its content.
    pub fn load(disk: &dyn Disk, path: &Path) -> (Option<Self>, Option<String>) {
        let words = sealed::Words {
            what: "the store of generated passwords",
            restored: "its copy is used",
            lost: "passwords are made anew",
        };
        sealed::load(disk, path, &words, Self::parse)
    }

    /// What the file holds, for who only looks: one that can't be used is left as it is.
    pub fn look(disk: &dyn Disk, path: &Path) -> Option<Self> {
        sealed::read(disk, path, Self::parse).content
    }

    fn parse(content: &[u8]) -> Result<Self, String> {
        // serde's message may quote content: it is left out.
        let file: File = serde_json::from_slice(content)
            .map_err(|error| format!("is damaged (line {}, column {})", error.line(), error.column()))?;
        if file.version == VERSION && !sealed::is_sealed(content) {
            return Err("is damaged (it has no checksum)".to_owned());
        }
        if !(UNSEALED..=VERSION).contains(&file.version) {
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
        sealed::write(disk, path, &content, Copy::Same)
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
