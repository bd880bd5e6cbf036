//! What primitives answer with, in words of our own: no type of bollard leaves the adapter.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::model::name::ImageId;

/// What lies at a path of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSeen {
    /// Who owns it.
    pub uid: u64,
    /// What it is.
    pub content: FileContent,
}

/// What a path of a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileContent {
    /// A file: its first bytes.
    File(Vec<u8>),
    /// A link to this path, which may be relative.
    Link(String),
    /// A directory.
    Directory {
        /// Whether nothing is in it.
        empty: bool,
    },
}

/// How a command in a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub code: i64,
    /// Up to a mebibyte of what it wrote.
    pub stdout: String,
    /// Up to a mebibyte of what it complained.
    pub stderr: String,
}

/// A line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub at: Option<Timestamp>,
    /// Whether it was written to standard error.
    pub stderr: bool,
    /// The line without its end.
    pub line: String,
}

/// Something happened on the engine. It only wakes: truth is the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// `container`, `network`, `volume`, `image`.
    pub object: String,
    /// `start`, `die`, `oom`, `destroy`, ...
    pub action: String,
    /// The object's id or name.
    pub id: String,
    /// Whether it carries the label of the stack that was asked for.
    pub ours: bool,
}

/// How far a pull or build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A layer of a pull.
    Layer {
        /// Its short id.
        layer: String,
        /// What is done with it.
        status: String,
        /// Bytes done and in all, where they are known.
        bytes: Option<(u64, u64)>,
    },
    /// A line of a build, or of a pull as a whole.
    Line(String),
}

/// How a port of a container is reached from this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// By its address on the stack's network: a dead port is refused.
    Direct(std::net::SocketAddr),
    /// Through a published port: a proxy accepts for a dead port too, so a connection counts only
    /// when it is not closed within 300 ms.
    Published(std::net::SocketAddr),
}

/// What the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Its version.
    pub version: String,
    /// The version of its API, as `(1, 41)`.
    pub api: (u32, u32),
    /// Its operating system and name, for `doctor`.
    pub description: String,
    /// Where its data lies, where it says so.
    pub data_root: Option<PathBuf>,
    /// Whether containers are reached by their addresses.
    pub direct: bool,
}

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Its id.
    pub id: ImageId,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Entrypoint.
    pub entrypoint: Vec<String>,
    /// User, as written.
    pub user: String,
    /// Volumes it declares.
    pub volumes: Vec<String>,
    /// Signal that asks it to stop.
    pub stop_signal: Option<String>,
    /// Whether it has a HEALTHCHECK.
    pub has_healthcheck: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// An image that we built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// Its id.
    pub id: ImageId,
    /// Its tags; none: another one has taken its tag.
    pub tags: Vec<String>,
    /// Bytes that it alone takes, as far as the engine says.
    pub bytes: u64,
}

/// How a container that was waited for ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// Exit code.
    pub code: i64,
}
