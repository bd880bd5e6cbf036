//! Snapshots of databases: copies that stay in the server, made and brought back in seconds. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::SnapshotLabel;

/// A snapshot, as far as it is told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSnapshot {
    /// What it is called.
    pub label: SnapshotLabel,
    /// When it was saved.
    pub saved: Timestamp,
    /// Its databases, and what each takes on the disk, in bytes.
    pub databases: BTreeMap<String, u64>,
}

impl DatabaseSnapshot {
    /// What it takes on the disk, in bytes.
    pub fn bytes(&self) -> u64 {
        self.databases.values().sum()
    }

    /// Its databases, for people.
    pub fn names(&self) -> String {
        self.databases.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// Something to be done with snapshots. One is restored as a set is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "of_snapshots", rename_all = "snake_case")]
pub enum SnapshotWork {
    /// Copy what is there now.
    Save {
        /// What the copy is called.
        label: SnapshotLabel,
    },
    /// Tell which there are.
    List,
    /// Remove one.
    Remove {
        /// Which.
        label: SnapshotLabel,
    },
}
