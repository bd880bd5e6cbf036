//! The labels we put on engine objects (`cli.md`): the only place that spells them.

use std::collections::BTreeMap;

use crate::model::hash::{Fingerprint, SpecHash};
use crate::model::name::{InstanceId, ReplicaKey, StackName, WorkloadName};
use crate::model::observed::Identity;
use crate::model::workload::KindName;

/// Name of the stack.
pub const STACK: &str = "dev.witwd.stack";
/// `service`, `postgres`, `job`, `run`, `dump`, `verify`.
pub const KIND: &str = "dev.witwd.kind";
/// Name of the workload.
pub const NAME: &str = "dev.witwd.name";
/// Number of the replica, from 1.
pub const REPLICA: &str = "dev.witwd.replica";
/// Scheme number and hash of the definition.
pub const SPEC: &str = "dev.witwd.spec";
/// Key id and keyed hash of the secrets it was made with.
pub const SECRETS: &str = "dev.witwd.secrets";
/// Who made it.
pub const INSTANCE: &str = "dev.witwd.instance";
/// Directory of the stack.
pub const DIRECTORY: &str = "dev.witwd.directory";
/// Version of witwd that made it.
pub const VERSION: &str = "dev.witwd.version";
/// Name of a volume as the file spells it.
pub const VOLUME: &str = "dev.witwd.volume";

/// On an image that we built: the instance.
pub const BUILT_BY: &str = "dev.witwd.built-by";

/// `true` on a volume for a path that an image declares a volume.
pub const OF_IMAGE: &str = "dev.witwd.of-image";

/// Labels of a network or volume: whose it is.
pub fn of_owner(stack: &StackName, instance: &InstanceId, directory: &str) -> BTreeMap<String, String> {
    let pairs = [
        (STACK, stack.to_string()),
        (INSTANCE, instance.to_string()),
        (DIRECTORY, directory.to_owned()),
        (VERSION, env!("CARGO_PKG_VERSION").to_owned()),
    ];
    pairs.into_iter().map(|(label, value)| (label.to_owned(), value)).collect()
}

/// Labels of an image that is built. Only what never changes: each of them is part of what is built.
pub fn of_build(instance: &InstanceId) -> BTreeMap<String, String> {
    BTreeMap::from([(BUILT_BY.to_owned(), instance.to_string())])
}

/// Labels of a container.
pub fn of_container(identity: &Identity) -> BTreeMap<String, String> {
    let mut labels = of_owner(&identity.stack, &identity.instance, &identity.directory);
    let mut add = |label: &str, value: String| labels.insert(label.to_owned(), value);
    add(KIND, identity.kind.as_str().to_owned());
    add(NAME, identity.key.name.to_string());
    add(REPLICA, identity.key.replica.to_string());
    if let Some(spec) = &identity.spec {
        add(SPEC, spec.to_string());
    }
    if let Some(secrets) = &identity.secrets {
        add(SECRETS, secrets.to_string());
    }
    labels
}

/// What the labels of a container say; `None` where one that makes an identity is missing or
/// can't be read, for then it is not ours to change.
pub fn identity(labels: &BTreeMap<String, String>) -> Option<Identity> {
    let get = |label: &str| labels.get(label).map(String::as_str);
    Some(Identity {
        stack: get(STACK)?.parse().ok()?,
        kind: KindName::parse(get(KIND)?)?,
        key: ReplicaKey { name: get(NAME)?.parse::<WorkloadName>().ok()?, replica: get(REPLICA)?.parse().ok()? },
        spec: get(SPEC).and_then(SpecHash::parse),
        secrets: get(SECRETS).and_then(Fingerprint::parse),
        instance: InstanceId(get(INSTANCE)?.to_owned()),
        directory: get(DIRECTORY).unwrap_or_default().to_owned(),
    })
}

/// More labels of a volume that holds a data directory of a postgres: its own (`postgres`), or the throw-away
/// one of a trial restore (`verify`).
pub fn of_data(kind: KindName, postgres: &WorkloadName) -> [(String, String); 2] {
    [(KIND, kind.as_str().to_owned()), (NAME, postgres.to_string())].map(|(label, value)| (label.to_owned(), value))
}

/// The postgres whose data directory of this kind a volume holds, by its labels.
pub fn data_of(kind: KindName, labels: &BTreeMap<String, String>) -> Option<WorkloadName> {
    let found = labels.get(KIND).and_then(|kind| KindName::parse(kind));
    labels.get(NAME).filter(|_| found == Some(kind))?.parse().ok()
}

/// Whose a network or volume is, by its labels.
pub fn owner(labels: &BTreeMap<String, String>) -> Option<(StackName, InstanceId)> {
    Some((labels.get(STACK)?.parse().ok()?, InstanceId(labels.get(INSTANCE)?.clone())))
}
