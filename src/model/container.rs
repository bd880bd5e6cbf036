//! What a container is made with: environment, ports, mounts, limits, logs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::name::{SecretName, VolumeName};
use super::template::Template;

/// What a container looks like. Everything here is part of the definition's hash, but for
/// `stop_grace`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSettings {
    /// Arguments; `None`: of the image.
    pub command: Option<Vec<String>>,
    /// `None`: of the image.
    pub entrypoint: Option<Vec<String>>,
    /// Working directory; `None`: of the image.
    pub workdir: Option<String>,
    /// User; `None`: of the image.
    pub user: Option<String>,
    /// Host name; `None`: the workload's name.
    pub hostname: Option<String>,
    /// More names on the network.
    pub aliases: Vec<String>,
    /// More lines of `/etc/hosts`, as `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// Environment: `env_files`, then `env`.
    pub env: BTreeMap<String, Template>,
    /// Labels of the user's own.
    pub labels: BTreeMap<String, String>,
    /// Published ports.
    pub ports: Vec<PublishedPort>,
    /// Volumes and binds.
    pub mounts: Vec<Mount>,
    /// Paths in memory.
    pub tmpfs: Vec<String>,
    /// Secrets as files below `/run/secrets`.
    pub secrets: Vec<SecretName>,
    /// Bytes of `/dev/shm`; `None`: of the engine.
    pub shm_size: Option<u64>,
    /// Limits by name: soft, hard.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Bytes of memory; `None`: no limit.
    pub memory: Option<u64>,
    /// Thousandths of a processor; `None`: no limit.
    pub milli_cpus: Option<u64>,
    /// Signal that asks it to stop; `None`: of the image.
    pub stop_signal: Option<String>,
    /// How long it may take to stop before it is killed.
    pub stop_grace: Duration,
    /// Bounds of its log.
    pub logs: LogBounds,
    /// What it may not do.
    pub hardening: Hardening,
}

/// A port published on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishedPort {
    /// Address on the host; `127.0.0.1` unless the file says otherwise.
    pub address: std::net::IpAddr,
    /// Port on the host; `None`: a free one (`auto`).
    pub host: Option<u16>,
    /// Port in the container.
    pub container: u16,
    /// `tcp` or `udp`.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
}

impl Protocol {
    /// The word in JSON and port syntax.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Where, absolute.
    pub target: String,
    /// Whether it can't be written.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MountSource {
    /// A volume of the stack.
    Volume(VolumeName),
    /// A path of the host, absolute.
    Bind(PathBuf),
}

/// Bounds of a container's log on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// Bytes of one file.
    pub max_size: u64,
    /// How many files.
    pub max_files: u32,
}

impl Default for LogBounds {
    fn default() -> Self {
        Self { max_size: 10 << 20, max_files: 5 }
    }
}

/// What a container may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "five independent switches of the file, each with its own meaning")]
pub struct Hardening {
    /// No process gains privileges.
    pub no_new_privileges: bool,
    /// An init reaps zombies; `None`: yes, but for images whose entrypoint is `/init`.
    pub init: Option<bool>,
    /// Most processes at once.
    pub pids: u32,
    /// The root file system can't be written.
    pub read_only: bool,
    /// Capabilities taken.
    pub cap_drop: Vec<String>,
    /// Capabilities given.
    pub cap_add: Vec<String>,
    /// All of them.
    pub privileged: bool,
    /// Whether the engine's socket may be bound.
    pub docker_socket: bool,
}

impl Default for Hardening {
    fn default() -> Self {
        Self {
            no_new_privileges: true,
            init: None,
            pids: 4096,
            read_only: false,
            cap_drop: Vec::new(),
            cap_add: Vec::new(),
            privileged: false,
            docker_socket: false,
        }
    }
}
