//! What must hold before a container is started.

use super::inputs::Inputs;
use crate::model::health::{Subject, Verdict};
use crate::model::name::WorkloadName;
use crate::model::observed::{Container, ContainerState, ImageHealth};
use crate::model::template::Part;
use crate::model::time::Moment;
use crate::model::workload::{Condition, Dependency, Kind, Workload};

/// The verdict of a container's present run. Where no probe is declared, that of the image's own
/// HEALTHCHECK counts.
pub fn verdict_of(inputs: &Inputs<'_>, workload: &Workload, container: &Container) -> Verdict {
    if workload.probes().is_empty()
        && let Some(health) = container.image_health
    {
        let ready = match health {
            ImageHealth::Starting => None,
            ImageHealth::Healthy => Some(true),
            ImageHealth::Unhealthy => Some(false),
        };
        let words = (ready == Some(false)).then(|| "the image's HEALTHCHECK fails".to_owned());
        return Verdict { started: ready.is_some(), ready, alive: ready, words, ..Verdict::default() };
    }
    let run = container.run().map(Subject::Run);
    run.and_then(|run| inputs.verdicts.get(&run)).cloned().unwrap_or_default()
}

/// Whether a running container is ready; a postgres only once its databases and roles are there.
pub fn is_ready(inputs: &Inputs<'_>, workload: &Workload, container: &Container) -> bool {
    let running = matches!(container.state, ContainerState::Running { .. });
    running && verdict_of(inputs, workload, container).ready == Some(true) && is_provisioned(inputs, workload, container)
}

/// Whether the databases and roles of a postgres are known to be there in this run.
pub fn is_provisioned(inputs: &Inputs<'_>, workload: &Workload, container: &Container) -> bool {
    if workload.postgres().is_none_or(crate::model::postgres::Postgres::is_external) {
        return true;
    }
    let known = inputs.history.postgres.get(&workload.name).and_then(|postgres| postgres.provisioned.as_ref());
    let wanted = inputs.provisions.get(&workload.name);
    known.is_some_and(|(run, digest)| Some(run) == container.run().as_ref() && Some(digest) == wanted)
}

/// Why a workload can't start yet: the first dependency that does not hold; `None` where all do.
pub fn closed_gate(inputs: &Inputs<'_>, workload: &Workload) -> Option<String> {
    unmet_dependency(inputs, workload).map(|reason| format!("waiting for {reason}"))
}

/// The first dependency that does not hold, and why.
pub fn unmet_dependency(inputs: &Inputs<'_>, workload: &Workload) -> Option<String> {
    workload.dependencies.iter().find_map(|dependency| unmet(inputs, dependency))
}

/// Whether a workload can't start because of one that is stopped by hand.
pub fn waits_for_hand(inputs: &Inputs<'_>, workload: &Workload) -> bool {
    let needs = workload.dependencies.iter().filter_map(|dependency| inputs.stack.workload(&dependency.on));
    needs.into_iter().any(|other| inputs.history.by_hand.is_all_stopped(other))
}

/// Why a workload can't be made by this version, where it can't.
pub fn not_carried_out(workload: &Workload) -> Option<String> {
    let hole = workload.container.env.values().flat_map(crate::model::template::Template::holes).find_map(|hole| match hole {
        Part::Secret(name) => Some(name),
        _ => None,
    });
    let secret = workload.container.secrets.first().or(hole)?;
    Some(format!("needs secret {secret}: secrets are not carried out by this version"))
}

/// Why a workload never starts under this version: it waits for a job.
pub fn never_opens(inputs: &Inputs<'_>, workload: &Workload) -> Option<String> {
    let is_job = |on: &WorkloadName| inputs.stack.workload(on).is_some_and(|other| matches!(other.kind, Kind::Job(_)));
    let waiting = workload.dependencies.iter().find(|dependency| is_job(&dependency.on))?;
    unmet(inputs, waiting).map(|reason| format!("waiting for {reason}"))
}

fn unmet(inputs: &Inputs<'_>, dependency: &Dependency) -> Option<String> {
    let name = &dependency.on;
    let other = inputs.stack.workload(name)?;
    if inputs.history.by_hand.is_all_stopped(other) {
        return Some(format!("{name}: stopped by hand, `witwd start {name}` starts it"));
    }
    match (&other.kind, dependency.condition) {
        (Kind::Job(_), _) => Some(format!("{name}: jobs are not run by this version")),
        (Kind::Postgres(postgres), _) if postgres.is_external() => unmet_external(inputs, name),
        (_, Condition::Started) => {
            let started = inputs.of_workload(name).iter().any(|container| container.state.is_up());
            (!started).then(|| format!("{name}: not started"))
        }
        (_, Condition::Ready) => unmet_readiness(inputs, other),
    }
}

fn unmet_external(inputs: &Inputs<'_>, name: &WorkloadName) -> Option<String> {
    let verdict = inputs.verdicts.get(&Subject::External(name.clone())).cloned().unwrap_or_default();
    let words = verdict.words.unwrap_or_else(|| "not ready".to_owned());
    (verdict.ready != Some(true)).then(|| format!("{name}: {words}"))
}

fn unmet_readiness(inputs: &Inputs<'_>, other: &Workload) -> Option<String> {
    let containers = inputs.of_workload(&other.name);
    if containers.iter().any(|container| is_ready(inputs, other, container)) {
        return None;
    }
    let mut up = containers.iter().filter(|container| container.state.is_up());
    let words = up.find_map(|container| words_of(inputs, other, container));
    Some(format!("{}: {}", other.name, words.unwrap_or_else(|| "not ready".to_owned())))
}

/// Why a running container is not ready, for people. What a server without its roles answers to
/// the app's user would only alarm.
pub fn words_of(inputs: &Inputs<'_>, workload: &Workload, container: &Container) -> Option<String> {
    let verdict = verdict_of(inputs, workload, container);
    if verdict.alive == Some(true) && !is_provisioned(inputs, workload, container) {
        return Some("its databases and roles are being made".to_owned());
    }
    verdict.words
}

/// Whether a liveness verdict against `workload` counts: not while something it depends on is not
/// ready, or gave no good answer last, so that a database that blinks restarts nobody; nor while its databases let
/// nobody in for a moment.
pub fn liveness_counts(inputs: &Inputs<'_>, workload: &Workload) -> bool {
    if super::backups::holds_connections(inputs, workload) {
        return false;
    }
    let is_shaken = |subject: &Subject| inputs.verdicts.get(subject).is_some_and(|verdict| verdict.shaken);
    closed_gate(inputs, workload).is_none() && !needed(inputs, workload).any(|subjects| subjects.iter().all(is_shaken))
}

/// Whom to ask before `workload` is stopped for the liveness it lost at `lost_at`: those that it needs and
/// that gave no good answer since, for it may be they who fail.
pub fn unconfirmed(inputs: &Inputs<'_>, workload: &Workload, lost_at: Moment) -> Vec<Subject> {
    let is_confirmed = |subject: &Subject| {
        let verdict = inputs.verdicts.get(subject);
        verdict.is_some_and(|verdict| verdict.confirmed_at.is_some_and(|at| at >= lost_at))
    };
    needed(inputs, workload).filter(|subjects| !subjects.iter().any(is_confirmed)).flatten().collect()
}

/// The subjects of each that `workload` needs to be ready and that can be asked by us.
fn needed<'a>(inputs: &'a Inputs<'_>, workload: &'a Workload) -> impl Iterator<Item = Vec<Subject>> + 'a {
    let needs = workload.dependencies.iter().filter(|dependency| dependency.condition == Condition::Ready);
    needs.filter_map(|dependency| {
        let other = inputs.stack.workload(&dependency.on)?;
        if other.postgres().is_some_and(crate::model::postgres::Postgres::is_external) {
            return Some(vec![Subject::External(other.name.clone())]);
        }
        let is_asked = !other.probes().is_empty();
        let ready = inputs.of_workload(&other.name).iter().filter(|container| is_ready(inputs, other, container));
        let subjects: Vec<Subject> = ready.filter_map(|container| container.run()).map(Subject::Run).collect();
        (is_asked && !subjects.is_empty()).then_some(subjects)
    })
}
