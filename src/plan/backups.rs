//! Sets of a Postgres: begun when they are due and its server is ready. Nothing waits for one, and one that can't
//! be begun stands in nobody's way. Where names of databases change hands, those who need the server are stopped first.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::action::Action;
use super::gates::{is_ready, verdict_of};
use super::inputs::Inputs;
use super::pass::Pass;
use crate::model::backup::{Due, Work};
use crate::model::database_snapshot::SnapshotWork;
use crate::model::history::Target;
use crate::model::name::WorkloadName;
use crate::model::observed::{Container, ContainerState};
use crate::model::workload::Workload;

/// The wall clock may jump, and timers stop while a machine sleeps: it is asked at least so often.
const ASKED: Duration = Duration::from_secs(30);

/// Plans the work that is due.
pub fn plan(pass: &mut Pass<'_>) {
    let inputs = pass.inputs;
    for workload in inputs.stack.in_order() {
        match inputs.backups.get(&workload.name) {
            Some(Due::Now { work, cause }) => {
                let needed = matches!(work, Work::Exchange { .. }).then(|| needed_by(inputs, workload)).flatten();
                if let Some(dependent) = needed {
                    pass.block(Target::Backup(workload.name.clone()), format!("waiting until {dependent} is stopped"));
                } else if let Some(server) = server(inputs, workload, work) {
                    let (container, image) = (server.id.clone(), server.image.clone());
                    let action = Action::Backup { name: workload.name.clone(), container, image, work: work.clone() };
                    pass.act(action, cause.clone());
                }
            }
            Some(Due::Later(at)) => pass.wake(inputs.now + until(inputs.wall, *at)),
            None => {}
        }
    }
}

/// How long a set that failed waits before it is tried again where something waits for it.
const RETRY: SignedDuration = SignedDuration::from_secs(60);

/// Whether a server may be stopped for one of another image: a set of what it holds is taken first, and planned here.
/// One that does not answer can't be dumped, and another image may be meant to mend it; whether it does is waited for.
pub fn may_leave(pass: &mut Pass<'_>, workload: &Workload, old: &Container, new: &Container) -> bool {
    let inputs = pass.inputs;
    let is_wanted = workload.postgres().is_some_and(|postgres| postgres.backup.enabled && !postgres.is_external());
    let answer = answer(inputs, workload, old);
    if !is_wanted || old.image == new.image || answer == Some(false) {
        return true;
    }
    let before = format!("another image, in container {}", new.id);
    let known = inputs.history.backups.get(&workload.name);
    let taken = known.and_then(|known| known.taken_before.as_ref());
    if taken.is_some_and(|(container, what)| *container == old.id && *what == before) {
        return true;
    }
    let Some(identity) = &new.identity else { return true };
    let target = Target::Replica(identity.key.clone());
    if answer.is_none() {
        let words = "it gets another image, and whether a set of what is there can be taken before is not known yet";
        pass.block_until(target, words, inputs.now + ASKED);
        return false;
    }
    let failed = known.and_then(|known| known.failed.as_ref());
    if let Some(failed) = failed.filter(|failed| inputs.wall.duration_since(failed.at).abs() < RETRY) {
        let words = format!("it gets another image, and no set of what is there could be taken before: {}", failed.words);
        pass.block_until(target, words, inputs.now + ASKED);
        return false;
    }
    let (container, image) = (old.id.clone(), old.image.clone());
    let work = Work::Take { slot: None, missed: 0, before: Some(before) };
    pass.act(Action::Backup { name: workload.name.clone(), container, image, work }, "it gets another image");
    pass.block(target, "a set of what is there is taken before it gets another image");
    false
}

/// One that needs a Postgres and is up, or may be any moment: something is under way with it.
fn needed_by(inputs: &Inputs<'_>, workload: &Workload) -> Option<WorkloadName> {
    let mut dependents = inputs.stack.dependents(&workload.name);
    let is_up = |name: &WorkloadName| inputs.of_workload(name).iter().any(|container| container.state.is_up());
    let is_touched =
        |name: &WorkloadName| inputs.in_flight.keys().any(|target| matches!(target, Target::Replica(key) if key.name == *name));
    dependents.find(|dependent| is_up(&dependent.name) || is_touched(&dependent.name)).map(|dependent| dependent.name.clone())
}

/// Whether who connects to a Postgres waits just now: a database is copied as a whole. That it answers no probe says
/// nothing of it.
pub fn holds_connections(inputs: &Inputs<'_>, workload: &Workload) -> bool {
    let action = inputs.in_flight.get(&Target::Backup(workload.name.clone()));
    matches!(action, Some(Action::Backup { work: Work::Snapshot(SnapshotWork::Save { .. }), .. }))
}

/// Whose databases change hands just now, of those that `workload` needs.
pub fn changing<'a>(inputs: &Inputs<'_>, workload: &'a Workload) -> Option<&'a WorkloadName> {
    let is_changing =
        |name: &&WorkloadName| matches!(inputs.backups.get(name), Some(Due::Now { work: Work::Exchange { .. }, .. }));
    workload.dependencies.iter().map(|dependency| &dependency.on).find(is_changing)
}

/// The container of a Postgres that can be dumped. A restore mends what is not ready, and needs only that it answers.
fn server<'a>(inputs: &Inputs<'a>, workload: &Workload, work: &Work) -> Option<&'a Container> {
    let can = |container: &&Container| match work {
        Work::Take { .. } | Work::Verify { .. } | Work::Snapshot(_) | Work::Undo => is_ready(inputs, workload, container),
        Work::Restore(_) | Work::Exchange { .. } | Work::Clear { .. } => answers(inputs, workload, container),
    };
    inputs.of_workload(&workload.name).iter().copied().find(can)
}

fn answers(inputs: &Inputs<'_>, workload: &Workload, container: &Container) -> bool {
    answer(inputs, workload, container) == Some(true)
}

/// Whether a server answers; `None`: that is not known yet.
fn answer(inputs: &Inputs<'_>, workload: &Workload, container: &Container) -> Option<bool> {
    let is_running = matches!(container.state, ContainerState::Running { .. });
    if is_running { verdict_of(inputs, workload, container).alive } else { Some(false) }
}

fn until(wall: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(wall)).unwrap_or_default().min(ASKED)
}
