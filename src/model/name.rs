//! Names as newtypes: a value that exists is well formed.

use std::fmt;

/// Why a text is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}: {rule}")]
pub struct NameError {
    /// The text as it was given.
    pub text: String,
    /// What it was to be, for example "a name of a service".
    pub what: &'static str,
    /// The rule it breaks, in words.
    pub rule: &'static str,
}

/// What every label of ours begins with; nobody else's may. The labels themselves are spelled in
/// `engine::labels`.
pub const LABEL_NAMESPACE: &str = "dev.witwd.";

/// Names that mean something else in references or on the command line.
const RESERVED: [&str; 16] = [
    "env",
    "secret",
    "stack",
    "volume",
    "daemon",
    "ingress",
    "witwd",
    "localhost",
    "all",
    "latest",
    "undo",
    "now",
    "list",
    "verify",
    "pin",
    "prune",
];

/// Names of networks that the engine keeps for itself.
const ENGINE_NETWORKS: [&str; 4] = ["host", "bridge", "none", "default"];

fn is_host_name(text: &str) -> bool {
    let body = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    text.len() <= 41 && body && text.starts_with(|first: char| first.is_ascii_lowercase()) && !text.ends_with('-')
}

fn is_label(text: &str) -> bool {
    let body = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    text.len() <= 61 && body && text.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn is_snapshot_label(text: &str) -> bool {
    text.len() <= 40 && is_label(text)
}

fn is_sql_name(text: &str) -> bool {
    let body = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    text.len() <= 63 && body && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $( $test:expr => $rule:literal ),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                $( if !$test(text.as_str()) {
                    return Err(NameError { text, what: $what, rule: $rule });
                } )+
                Ok(Self(text))
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::try_from(text).map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

const HOST_NAME_RULE: &str = "use 1 to 41 of a-z, 0-9 and -, a letter first, no - at the end";

name! {
    /// The name of a stack: prefix of its containers, name of its network.
    StackName, "a name of a stack",
    is_host_name => "use 1 to 41 of a-z, 0-9 and -, a letter first, no - at the end",
    (|text: &str| !ENGINE_NETWORKS.contains(&text)) => "the engine keeps host, bridge, none and default for itself",
}

name! {
    /// The name of a service, postgres or job: they share one namespace, and it is their host name.
    WorkloadName, "a name of a service, postgres or job",
    is_host_name => "use 1 to 41 of a-z, 0-9 and -, a letter first, no - at the end",
    (|text: &str| !RESERVED.contains(&text)) => "this word has another meaning in stack.toml or on the command line",
}

name! {
    /// The name of a volume as the file spells it; on the engine it is `STACK_VOLUME`.
    VolumeName, "a name of a volume",
    is_label => "use 1 to 61 of A-Z, a-z, 0-9, _ . and -, a letter or digit first",
}

name! {
    /// The name of a secret, and of its file below `/run/secrets`.
    SecretName, "a name of a secret",
    is_label => "use 1 to 61 of A-Z, a-z, 0-9, _ . and -, a letter or digit first",
    (|text: &str| std::path::Path::new(text).extension().is_none_or(|end| end != "path")) => "no secret ends in .path: ${secret.NAME.path} means its file",
}

name! {
    /// The name of a database or role of a Postgres.
    SqlName, "a name of a database or role",
    is_sql_name => "use 1 to 63 of A-Z, a-z, 0-9, _ and -, a letter or _ first",
}

name! {
    /// The name of a snapshot of databases. It is part of the name of a database, which has at most 63 bytes.
    SnapshotLabel, "a name of a snapshot",
    is_snapshot_label => "use 1 to 40 of A-Z, a-z, 0-9, _ . and -, a letter or digit first",
}

/// The rule of names that are host names, for messages that explain it.
pub fn host_name_rule() -> &'static str {
    HOST_NAME_RULE
}

impl StackName {
    /// The name of this stack's network on the engine.
    pub fn network(&self) -> String {
        self.0.clone()
    }

    /// The name of a volume of this stack on the engine.
    pub fn volume(&self, volume: &VolumeName) -> String {
        format!("{}_{volume}", self.0)
    }

    /// The name of a container of this stack on the engine, once it has taken its place.
    pub fn container(&self, key: &ReplicaKey) -> String {
        format!("{}-{}-{}", self.0, key.name, key.replica)
    }

    /// The tag of an image made by a workload's `build`, where its `image` names none.
    pub fn built_image(&self, workload: &WorkloadName) -> String {
        format!("localhost/{}-{workload}:built", self.0)
    }

    /// The tag of an image made by a workload's `fallback`.
    pub fn fallback_image(&self, workload: &WorkloadName) -> String {
        format!("localhost/{}-{workload}:latest", self.0)
    }
}

/// One replica of a workload; replicas count from 1. Written `web.2`; the first is just `web`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct ReplicaKey {
    /// The workload.
    pub name: WorkloadName,
    /// Its number, from 1.
    pub replica: u32,
}

impl fmt::Display for ReplicaKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.replica == 1 { write!(formatter, "{}", self.name) } else { write!(formatter, "{}.{}", self.name, self.replica) }
    }
}

/// The engine's id of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ContainerId(pub String);

impl ContainerId {
    /// The first twelve characters: what people and the engine's own tools show.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.short())
    }
}

/// The engine's id of an image (`sha256:...`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub String);

impl fmt::Display for ImageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.0.strip_prefix("sha256:").unwrap_or(&self.0);
        formatter.write_str(digest.get(..12).unwrap_or(digest))
    }
}

/// Who made an object: a hash of the machine and the stack's directory (device and inode), so that
/// a copied directory is another instance. Written to `dev.witwd.instance`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub String);

impl fmt::Display for InstanceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
