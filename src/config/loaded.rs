//! What is asked for, what comes of it, and what is wrong with a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::model::name::WorkloadName;
use crate::model::snapshot::Snapshot;
use crate::model::stack::Stack;

/// What is to be loaded, and with which surroundings.
#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    /// The file.
    pub file: PathBuf,
    /// `--name` or `WITWD_NAME`: overrides `name`.
    pub name: Option<String>,
    /// `--profile` or `WITWD_PROFILE`.
    pub profiles: Vec<String>,
    /// The environment of the caller; of a daemon that of the last `up`.
    pub environment: BTreeMap<String, String>,
    /// What was kept of the environment of the last `up`: for names that the caller's does not have.
    pub kept: BTreeMap<String, String>,
    /// `--env-file`.
    pub env_files: Vec<PathBuf>,
    /// What the disk said when the stack was read before, to be asked instead of the disk.
    pub memory: Option<Snapshot>,
}

/// Where the value of a `${env.NAME}` came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvOrigin {
    /// The environment.
    Environment,
    /// What was kept of the environment of the last `up`.
    Kept,
    /// A file: `--env-file` or `.env`.
    File(PathBuf),
    /// The default in the reference itself.
    Default,
}

/// A stack and what was learnt while it was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The stack.
    pub stack: Stack,
    /// What is allowed but worth a word.
    pub warnings: Vec<Problem>,
    /// Parts of the file that this version reads but does not carry out, one sentence each.
    pub not_carried_out: Vec<String>,
    /// Names of `${env.…}` that the file mentions, with where their values came from.
    pub env_origins: BTreeMap<String, EnvOrigin>,
    /// Names of all `${env.…}` in its files, also in defaults and in what no profile asks for.
    pub mentioned: BTreeSet<String>,
    /// Every file that was read or would have been, had it been there.
    pub files: BTreeSet<PathBuf>,
    /// What is wrong with `daemon.group` where the machine has no such group: who is on the machine is
    /// not asked here.
    pub unknown_group: Option<Problem>,
    /// What the disk said: enough to read the same stack again.
    pub snapshot: Snapshot,
    /// The definition of each workload as written, without defaults, secrets as holes: what is
    /// hashed, and what `config` shows.
    pub definitions: BTreeMap<WorkloadName, serde_json::Value>,
    /// The whole file, merged, interpolated and with `extends` carried out; secrets are holes,
    /// passwords masked. What `config` shows; see [`resolved`](super::resolved) for TOML.
    pub document: serde_json::Value,
}

/// Something wrong or worth a word in a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// The place in the text, for people: rendered with the line and a mark below it.
    #[serde(skip)]
    pub snippet: String,
}

/// A file that can't be used: every problem in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is invalid: {} problem(s)", .file.display(), .problems.len())]
pub struct InvalidFile {
    /// The file that was asked for.
    pub file: PathBuf,
    /// What is wrong with it and what it includes, in order of place.
    pub problems: Vec<Problem>,
    /// Every file that was read or would have been, had it been there: one of them must change.
    pub files: BTreeSet<PathBuf>,
}
