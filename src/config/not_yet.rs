//! What a file says and this version does not carry out: one plain sentence each, shown by `up`.

use crate::model::image::{Build, ImageOrigin};
use crate::model::stack::StackParts;
use crate::model::workload::KindName;

use super::draft::Draft;
use super::reader::Reader;

/// The sentences, in order of what they are about.
pub(super) fn sentences(parts: &StackParts, drafts: &[Draft]) -> Vec<String> {
    let active: Vec<&Draft> = drafts.iter().filter(|draft| draft.active).collect();
    let mut sentences = Vec::new();
    for draft in active.iter().filter(|draft| draft.workload.kind_name() == KindName::Job) {
        sentences.push(job(draft, &active));
    }
    for draft in &active {
        let name = &draft.workload.name;
        let postgres = draft.workload.postgres();
        if postgres.is_some_and(|postgres| postgres.is_external() && postgres.backup.enabled) {
            sentences.push(format!("postgres.{name}: no backups of an external server are taken by this version"));
        }
        if postgres.is_some_and(|postgres| postgres.backup.offsite.is_some()) {
            sentences
                .push(format!("postgres.{name}: `backup.offsite` is not used by this version, backups stay on this machine"));
        }
        sentences.extend(elsewhere(draft));
        if matches!(&draft.workload.image.origin, ImageOrigin::Build(Build::Docker { secrets, .. }) if !secrets.is_empty()) {
            sentences.push(format!(
                "{}s.{name}: `build.secrets` are not handed to the build by this version",
                draft.workload.kind_name().as_str()
            ));
        }
    }
    for name in parts.secrets.keys() {
        sentences.push(format!("secrets.{name} has no value in this version: what uses it waits"));
    }
    if parts.daemon.key_file.is_some() {
        sentences.push("daemon.key_file is not used by this version".to_owned());
    }
    sentences
}

/// What is said of a container and of a server that witwd makes; where the image comes from matters to a
/// client too.
const OF_OWN_SERVER: [&str; 16] = [
    "command",
    "databases",
    "env",
    "extensions",
    "init",
    "labels",
    "logs",
    "ports",
    "resources",
    "roles",
    "secrets",
    "settings",
    "shm_size",
    "stop_grace",
    "volume",
    "volumes",
];

/// Keys of a postgres that mean nothing where its server is elsewhere.
pub(super) fn left_out(reader: &Reader<'_>) -> Vec<&'static str> {
    OF_OWN_SERVER.into_iter().filter(|key| reader.has(key)).collect()
}

fn elsewhere(draft: &Draft) -> Option<String> {
    let words = match draft.left_out.as_slice() {
        [] => return None,
        [one] => format!("`{one}` is"),
        [some @ .., last] => format!("`{}` and `{last}` are", some.join("`, `")),
    };
    Some(format!("postgres.{} is a server elsewhere (`url`): {words} left out", draft.workload.name))
}

fn job(draft: &Draft, active: &[&Draft]) -> String {
    let name = &draft.workload.name;
    let waiting: Vec<&str> = active
        .iter()
        .filter(|other| other.depends.iter().any(|(dependency, _)| &dependency.on == name))
        .map(|other| other.workload.name.as_str())
        .collect();
    match waiting.as_slice() {
        [] => format!("jobs.{name} is not run by this version"),
        _ => format!("jobs.{name} is not run by this version: what depends on it waits ({})", waiting.join(", ")),
    }
}
