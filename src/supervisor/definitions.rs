//! The definitions behind the hashes on containers: a hash says that something changed, these say
//! what. Kept in a file of their own, so that the state, which is written often, stays small.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::host::{Disk, DiskError};
use crate::model::hash::SpecHash;
use crate::model::name::WorkloadName;
use crate::model::observed::Observed;
use crate::model::stack::Stack;

/// Definitions by the hash that stands on the containers made from them.
pub type ByHash = BTreeMap<String, Json>;

/// The file of definitions. A value of a secret is in none of them: see `config::definition`.
pub struct Definitions {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    known: ByHash,
    /// Whether the file does not hold what is known: there may have been no room for it.
    unwritten: bool,
}

impl Definitions {
    /// What the file at `path` holds. One that can't be read holds nothing: then it is not known what
    /// changed, only that something did.
    pub fn open(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        let content = disk.read(&path).ok().flatten();
        let known = content.and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default();
        Self { disk, path, known, unwritten: false }
    }

    /// What is known.
    pub fn known(&self) -> &ByHash {
        &self.known
    }

    /// These are wanted from now on: containers will carry their hashes.
    pub fn want(&mut self, stack: &Stack, wanted: &BTreeMap<WorkloadName, Json>) -> Result<(), DiskError> {
        let before = self.known.len();
        for (name, definition) in wanted {
            if let Some(workload) = stack.workload(name) {
                self.known.entry(workload.spec.to_string()).or_insert_with(|| definition.clone());
            }
        }
        self.unwritten |= self.known.len() != before;
        self.save()
    }

    /// Forgets those that the stack does not want and no container was made from. Not to be asked
    /// while a container is being made.
    pub fn forget(&mut self, stack: &Stack, observed: &Observed) -> Result<(), DiskError> {
        let wanted = stack.in_order().map(|workload| &workload.spec);
        let seen = observed.containers.iter().filter_map(|container| container.identity.as_ref()?.spec.as_ref());
        let used: std::collections::BTreeSet<String> = wanted.chain(seen).map(SpecHash::to_string).collect();
        let before = self.known.len();
        self.known.retain(|hash, _| used.contains(hash));
        self.unwritten |= self.known.len() != before;
        self.save()
    }

    fn save(&mut self) -> Result<(), DiskError> {
        if self.unwritten {
            self.disk.write_atomic(&self.path, &serde_json::to_vec(&self.known).unwrap_or_default())?;
            self.unwritten = false;
        }
        Ok(())
    }
}
