//! What a file says and this version does not carry out: one plain sentence each, shown by `up`.

use crate::model::stack::StackParts;
use crate::model::workload::{Build, ImageOrigin, KindName};

use super::draft::Draft;

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
        if postgres.is_some_and(|postgres| postgres.backup.enabled) {
            sentences.push(format!("postgres.{name}: no backups are taken by this version"));
        }
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
