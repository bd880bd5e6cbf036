//! The hash of a definition, under a scheme number.
//!
//! What is hashed is what the user wrote, in canonical JSON, without defaults: a new version of
//! witwd with other defaults recreates nothing. What is left out is said once, in
//! `config::definition`, where the canonical JSON is made.

use std::fmt;

use sha2::{Digest, Sha256};

/// The scheme under which this version hashes. Raise it when the canonical JSON changes, and keep
/// the old function: containers of an older scheme are compared under theirs.
pub const SCHEME: u32 = 1;

/// Hash of a workload's definition, written to `dev.witwd.spec` as `1-9f86d081884c7d65`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpecHash {
    scheme: u32,
    digest: String,
}

impl SpecHash {
    /// The hash of a canonical definition under the present scheme.
    pub fn of(definition: &serde_json::Value) -> Self {
        Self { scheme: SCHEME, digest: hex(&Sha256::digest(canonical(definition).as_bytes())[..8]) }
    }

    /// Reads what a label holds; `None` where it is no hash at all.
    pub fn parse(label: &str) -> Option<Self> {
        let (scheme, digest) = label.split_once('-')?;
        let whole = digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Self { scheme: scheme.parse().ok()?, digest: whole.then(|| digest.to_owned())? })
    }

    /// The scheme number.
    pub fn scheme(&self) -> u32 {
        self.scheme
    }

    /// The first eight digits, for the name of a container that has not taken its place yet.
    pub fn short(&self) -> &str {
        self.digest.get(..8).unwrap_or(&self.digest)
    }
}

impl fmt::Display for SpecHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.scheme, self.digest)
    }
}

/// JSON with sorted keys and no white space: equal values have equal text.
pub fn canonical(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
            let fields: Vec<String> = sorted
                .iter()
                .map(|(key, value)| format!("{}:{}", serde_json::Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        serde_json::Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The values of secrets that a container was created with, as a keyed hash: it tells that a value
/// changed without telling the value. Written to `dev.witwd.secrets` as `KEYID-MAC`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    /// Which key made it; under another key nothing can be compared.
    pub key_id: String,
    /// The keyed hash.
    pub mac: String,
}

impl Fingerprint {
    /// Reads what a label holds.
    pub fn parse(label: &str) -> Option<Self> {
        let (key_id, mac) = label.split_once('-')?;
        Some(Self { key_id: key_id.to_owned(), mac: mac.to_owned() })
    }

    /// Whether the two were made under one key from different values. Under different keys the values
    /// can't be compared: see [`Fingerprint::is_of_another_store`].
    pub fn differs_from(&self, other: &Fingerprint) -> bool {
        self.key_id == other.key_id && self.mac != other.mac
    }

    /// Whether the two were made under different keys. A key is made with the store of passwords and
    /// never changed: another key means that the store was lost and all in it made anew.
    pub fn is_of_another_store(&self, other: &Fingerprint) -> bool {
        self.key_id != other.key_id
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.key_id, self.mac)
    }
}
