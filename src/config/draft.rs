//! One workload while it is read: what of it needs the others to be judged.

use crate::model::container::PublishedPort;
use crate::model::name::{StackName, VolumeName, WorkloadName};
use crate::model::workload::{Condition, Dependency, Workload};

use super::diagnostics::Place;
use super::extends::Expanded;
use super::reader::Reader;
use super::values::{Mistake, mistake, named};

/// A workload and the places that problems between workloads point at.
#[derive(Debug)]
pub(super) struct Draft {
    /// The workload; its dependencies are still empty.
    pub workload: Workload,
    /// Where its name stands.
    pub place: Place,
    /// Whether the profiles turn it on.
    pub active: bool,
    /// Its dependencies with their places.
    pub depends: Vec<(Dependency, Place)>,
    /// Its published ports with their places.
    pub ports: Vec<(PublishedPort, Place)>,
    /// What is hashed.
    pub definition: serde_json::Value,
    /// The volume that the data of a renamed postgres lies in, with the place that says so.
    pub old_volume: Option<(VolumeName, Place)>,
    /// Keys that mean nothing, for its server is elsewhere.
    pub left_out: Vec<&'static str>,
}

/// What a workload is read with.
pub(super) struct Owner<'a> {
    /// Its name.
    pub name: WorkloadName,
    /// Where its name stands.
    pub place: Place,
    /// The stack.
    pub stack: &'a StackName,
    /// The name its data lies under: the stack's, or the one it had.
    pub data_name: &'a StackName,
    /// What it is after `extends`.
    pub expanded: &'a Expanded,
    /// The profiles that were asked for.
    pub profiles: &'a [String],
}

/// Whether `profiles` of a workload turns it on. To be asked first: what is off may have unset
/// variables.
pub(super) fn is_active(reader: &Reader<'_>, asked: &[String]) -> bool {
    let own = reader.list("profiles");
    own.is_empty() || own.iter().any(|(profile, _)| asked.contains(profile))
}

/// `depends_on`, and every postgres that was referred to meanwhile.
pub(super) fn dependencies(reader: &Reader<'_>, owner: &Owner<'_>) -> Vec<(Dependency, Place)> {
    let mut all: Vec<(Dependency, Place)> = Vec::new();
    for (text, place) in reader.list("depends_on") {
        let Some(dependency) = reader.report(place, dependency(&text)) else { continue };
        if all.iter().any(|(other, _)| other.on == dependency.on) {
            reader.error(place, format!("`{}` is listed twice", dependency.on), "leave one out");
        } else {
            all.push((dependency, place));
        }
    }
    for on in reader.cx.scope.uses.take() {
        if on != owner.name && !all.iter().any(|(other, _)| other.on == on) {
            all.push((Dependency { on, condition: Condition::Ready }, owner.place));
        }
    }
    all
}

fn dependency(text: &str) -> Result<Dependency, Mistake> {
    let (name, condition) = match text.split_once(':') {
        None => (text, Condition::Ready),
        Some((name, "ready" | "completed" | "service_healthy" | "service_completed_successfully")) => {
            return mistake(
                format!("`{text}`: to be ready, or completed, is what is meant without a word"),
                format!("write \"{name}\""),
            );
        }
        Some((name, "started")) => (name, Condition::Started),
        Some((name, _)) => {
            return mistake(format!("{text:?} is not a dependency"), format!("write \"{name}\", or \"{name}:started\" for less"));
        }
    };
    Ok(Dependency { on: named(name)?, condition })
}
