//! What a look teaches: the pure step from what is seen to what is remembered.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::container::PublishedPort;
use crate::model::health::{Subject, Verdicts};
use crate::model::history::{AcceptedImage, History, LastExit, Pace};
use crate::model::name::{ContainerId, InstanceId, ReplicaKey, VolumeName, WorkloadName};
use crate::model::observed::{Container, ContainerState, Exit, Observed, Owner, PublishedSeen, RunId};
use crate::model::stack::Stack;
use crate::model::time::Moment;
use crate::model::workload::Workload;
use crate::plan::{is_kept, is_throw_away, older_names, restart};

/// An end that was seen for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenExit {
    /// Which replica.
    pub key: ReplicaKey,
    /// Its container.
    pub container: ContainerId,
    /// How it ended.
    pub exit: Exit,
}

/// Remembers how runs ended; returns the ends that are new.
pub fn note_exits(
    history: &mut History,
    stack: &Stack,
    instance: &InstanceId,
    observed: &Observed,
    now: Moment,
) -> Vec<SeenExit> {
    let ours = observed.containers.iter().filter(|container| container.owner(stack.name(), instance) == Owner::Ours);
    let is_there = |id: &ContainerId| observed.containers.iter().any(|container| &container.id == id);
    // What a dump or a trial restore ended with is told by who ran it.
    ours.filter(|container| !is_throw_away(container))
        .filter_map(|container| note_exit(history, container, is_there, now))
        .collect()
}

fn note_exit(
    history: &mut History,
    container: &Container,
    is_there: impl Fn(&ContainerId) -> bool,
    now: Moment,
) -> Option<SeenExit> {
    let ContainerState::Exited { exit, .. } = container.state else {
        return None;
    };
    let key = container.identity.as_ref()?.key.clone();
    let run = container.run()?;
    let replica = history.replicas.entry(key.clone()).or_default();
    if replica.last_exit.as_ref().is_some_and(|last| last.run == run) {
        return None;
    }
    // An older container of the same replica that was replaced says nothing about the new one. Of one
    // container the end that is seen is always the newest, and so is that of one whose predecessor is
    // gone, whatever the wall clock did.
    let is_older = |last: &LastExit| {
        last.run.container != run.container && last.run.started_at > run.started_at && is_there(&last.run.container)
    };
    if replica.last_exit.as_ref().is_some_and(is_older) {
        return None;
    }
    let before = replica.last_exit.as_ref().filter(|last| last.run.container == run.container);
    let ended_before = before.map(|last| last.exit.at);
    // It came to a run, however short.
    replica.asked.take_if(|asked| *asked == run.container);
    replica.last_exit = Some(LastExit { run, exit, ended_before, seen: now, waited: Duration::ZERO });
    Some(SeenExit { key, container: container.id.clone(), exit })
}

/// Learns which runs of containers a restart by hand is about.
pub fn note_runs(history: &mut History, stack: &Stack, instance: &InstanceId, observed: &Observed) {
    let is_ours = |container: &&Container| container.owner(stack.name(), instance) == Owner::Ours && is_kept(container);
    history.by_hand.note_runs(observed.containers.iter().filter(is_ours));
}

/// Keeps what was meant by a free port: it is meant again by the next container of the same replica.
pub fn note_ports(history: &mut History, stack: &Stack, instance: &InstanceId, observed: &Observed) {
    for container in observed.containers.iter().filter(|container| container.state.is_up() && is_kept(container)) {
        let Some(identity) = container.identity.as_ref().filter(|_| container.owner(stack.name(), instance) == Owner::Ours)
        else {
            continue;
        };
        let ports = stack.workload(&identity.key.name).map(|workload| workload.container.ports.as_slice()).unwrap_or_default();
        let is_free_one = |seen: &&PublishedSeen| {
            let is_same = |port: &&PublishedPort| {
                (port.address, port.container, port.protocol) == (seen.address, seen.container, seen.protocol)
            };
            ports.iter().find(is_same).is_some_and(|port| port.host.is_none())
        };
        let chosen: Vec<PublishedSeen> = container.published.iter().filter(is_free_one).cloned().collect();
        if !chosen.is_empty() {
            history.ports.insert(identity.key.clone(), chosen);
        }
    }
}

/// Drops verdicts of runs that are over, and keeps since when each replica is ready.
pub fn note_readiness(history: &mut History, verdicts: &mut Verdicts, observed: &Observed, now: Moment) {
    let runs: std::collections::BTreeMap<_, _> = observed
        .containers
        .iter()
        .filter(|container| container.state.is_up())
        .filter_map(|container| Some((container.run()?, container.identity.as_ref()?.key.clone())))
        .collect();
    verdicts.retain(|subject, _| match subject {
        Subject::Run(run) => runs.contains_key(run),
        Subject::External(_) => true,
    });
    let ready: std::collections::BTreeSet<&ReplicaKey> = runs
        .iter()
        .filter(|(run, _)| verdicts.get(&Subject::Run((*run).clone())).is_some_and(|verdict| verdict.ready == Some(true)))
        .map(|(_, key)| key)
        .collect();
    history.ready_since.retain(|key, _| ready.contains(key));
    for key in ready {
        history.ready_since.entry(key.clone()).or_insert(now);
    }
}

/// A run that is alive after all was not stopped: how it ends some day is another matter.
pub fn forget_failures(history: &mut History, verdicts: &Verdicts) {
    for replica in history.replicas.values_mut() {
        let verdict = replica.failed.clone().and_then(|run| verdicts.get(&Subject::Run(run)));
        if verdict.is_some_and(|verdict| verdict.alive == Some(true)) {
            replica.failed = None;
        }
    }
}

/// A start that is seen to have come to a run is done: what ends later is another end, also where an older
/// one is shown once more. Nor does a container start that is gone.
pub fn note_answered(history: &mut History, observed: &Observed) {
    let up = observed.containers.iter().filter(|container| container.state.is_up());
    let up: BTreeSet<&ContainerId> = up.map(|container| &container.id).collect();
    let there: BTreeSet<&ContainerId> = observed.containers.iter().map(|container| &container.id).collect();
    for replica in history.replicas.values_mut() {
        replica.answered.take_if(|answered| up.contains(&answered.container));
        replica.asked.take_if(|asked| up.contains(asked) || !there.contains(asked));
    }
}

/// Forgives the attempts of replicas that were ready for long enough.
pub fn forgive(history: &mut History, stack: &Stack, now: Moment, wall: jiff::Timestamp) {
    for (key, since) in &history.ready_since {
        let Some(workload) = stack.workload(&key.name) else { continue };
        let Some(replica) = history.replicas.get_mut(key).filter(|replica| replica.attempt > 0) else { continue };
        if now.since(*since) >= restart::forgive_after(workload.restart().1, key, replica, wall) {
            replica.attempt = 0;
        }
    }
}

/// What a container is made from is accepted with it: else it would differ from what is wanted the
/// moment it is there.
pub fn accept_image(history: &mut History, observed: &Observed, workload: &WorkloadName, image: &str) {
    let known = history.images.get(workload);
    let (Some(id), true) = (observed.images.get(image), known.is_none_or(|known| known.id.0 != image)) else {
        return;
    };
    history.images.insert(workload.clone(), AcceptedImage { reference: image.to_owned(), id: id.clone() });
}

/// The image of containers that were there before us is accepted: they are adopted as they are. Of
/// several, that of the one that is up. What was accepted under a reference that is not the
/// workload's any more is forgotten.
pub fn adopt_images(history: &mut History, stack: &Stack, instance: &InstanceId, observed: &Observed) {
    history
        .images
        .retain(|name, accepted| stack.workload(name).is_none_or(|workload| workload.image.is_named(&accepted.reference)));
    let ours = observed.containers.iter().filter(|container| container.owner(stack.name(), instance) == Owner::Ours);
    let stays = |container: &&Container| !matches!(container.state, ContainerState::Removing | ContainerState::Dead);
    let mut ours: Vec<&Container> = ours.filter(|container| is_kept(container)).filter(stays).collect();
    ours.sort_by_key(|container| (!container.state.is_up(), container.id.clone()));
    for container in ours {
        let Some(workload) = container.workload().and_then(|name| stack.workload(name)) else { continue };
        let is_current = container.identity.as_ref().is_some_and(|identity| identity.spec.as_ref() == Some(&workload.spec));
        if is_current && !history.images.contains_key(&workload.name) {
            history.images.insert(workload.name.clone(), adopted(workload, container));
        }
    }
}

/// The word that a volume may begin empty ends when it is there: one that is lost later is another
/// matter. That of a whole stack ends with what lay unused when it was given.
pub fn end_fresh(history: &mut History, stack: &Stack, instance: &InstanceId, observed: &Observed) {
    let is_there = |volume: &VolumeName| observed.volumes.iter().any(|seen| seen.name == stack.engine_volume(volume));
    history.fresh.volumes.retain(|volume| !is_there(volume));
    if std::mem::take(&mut history.fresh.stack) {
        history.left.extend(older_names(stack, instance, observed).map(|seen| seen.name.clone()));
    }
}

/// What a user let go is gone: a volume that gets its name later is another matter, and of a database
/// whose data went nothing is known any more.
pub fn end_drops(history: &mut History, stack: &Stack, observed: &Observed) {
    let is_there = |name: &String| observed.volumes.iter().any(|seen| &seen.name == name);
    let (left, gone): (BTreeSet<String>, BTreeSet<String>) =
        std::mem::take(&mut history.drop_volumes).into_iter().partition(is_there);
    history.drop_volumes = left;
    let named = |workload: &WorkloadName| Some(stack.engine_volume(&stack.workload(workload)?.postgres()?.volume));
    history.postgres.retain(|workload, known| {
        let volume = known.volume().map(str::to_owned).or_else(|| named(workload));
        !volume.is_some_and(|volume| gone.contains(&volume))
    });
}

/// Once all volumes of the file are there, the others were left behind and nothing was renamed.
pub fn note_left(history: &mut History, stack: &Stack, instance: &InstanceId, observed: &Observed) {
    history.left.retain(|name| observed.volumes.iter().any(|seen| &seen.name == name));
    let named: BTreeSet<String> = stack.named_volumes().map(|volume| stack.engine_volume(volume)).collect();
    let is_there = |name: &String| observed.volumes.iter().any(|seen| &seen.name == name);
    if !named.iter().all(is_there) {
        return;
    }
    let owner = Some(stack.volume_owner(instance));
    let others = observed.volumes.iter().filter(|seen| seen.owner == owner && !named.contains(&seen.name));
    history.left.extend(others.map(|seen| seen.name.clone()));
    history.left.retain(|name| !named.contains(name));
}

/// A container that was made from an id says nothing of the tag.
fn adopted(workload: &Workload, container: &Container) -> AcceptedImage {
    let known = Some(&container.image_reference).filter(|reference| workload.image.is_named(reference));
    AcceptedImage { reference: known.unwrap_or(&workload.image.reference).clone(), id: container.image.clone() }
}

/// How quickly a workload stops and becomes ready.
pub fn pace<'a>(history: &'a mut History, workload: &WorkloadName) -> &'a mut Pace {
    history.paces.entry(workload.clone()).or_default()
}

/// A duration to the tenth of a second: closer is luck.
pub fn tenths(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).div_ceil(100).saturating_mul(100))
}

/// Counts a start of a container whose run had ended, once for each end.
pub fn count_restart(history: &mut History, key: &ReplicaKey, run: Option<RunId>, wall: jiff::Timestamp) {
    let replica = history.replicas.entry(key.clone()).or_default();
    if run.is_some() && replica.answered == run {
        return;
    }
    replica.answered = run;
    replica.restarts = replica.restarts.saturating_add(1);
    replica.attempt = replica.attempt.saturating_add(1);
    replica.recent.push(wall);
    let surplus = replica.recent.len().saturating_sub(restart::LOOP_RESTARTS);
    replica.recent.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::health::Verdict;
    use crate::model::history::ReplicaHistory;
    use crate::model::name::ImageId;
    use crate::model::observed::Identity;
    use crate::model::workload::KindName;

    fn ended(id: &str, started_at: &str) -> Container {
        let time = |text: &str| text.parse::<jiff::Timestamp>().expect("a time");
        let identity = Identity {
            stack: "demo".parse().expect("a name"),
            kind: KindName::Service,
            key: ReplicaKey { name: "app".parse().expect("a name"), replica: 1 },
            spec: None,
            secrets: None,
            instance: InstanceId("here".to_owned()),
            directory: "/stack".to_owned(),
        };
        Container {
            id: ContainerId(id.to_owned()),
            name: "demo-app-1".to_owned(),
            image: ImageId("sha256:app".to_owned()),
            image_reference: "app:1".to_owned(),
            state: ContainerState::Exited {
                exit: Exit { code: 1, oom: false, at: time(started_at) },
                started_at: time(started_at),
            },
            identity: Some(identity),
            published: Vec::new(),
            networks: std::collections::BTreeMap::new(),
            volumes: Vec::new(),
            created_at: time(started_at),
            image_health: None,
        }
    }

    #[test]
    fn an_end_is_noted_once_and_also_when_the_wall_clock_went_back() {
        let mut history = History::default();
        let now = Moment::default();
        let mut seen = |at| note_exit(&mut history, &ended("one", at), |_| true, now).is_some();
        assert!(seen("2026-01-02T00:00:00Z"));
        assert!(!seen("2026-01-02T00:00:00Z"));
        assert!(seen("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn an_end_that_is_answered_twice_is_one_restart() {
        let run = ended("one", "2026-01-02T00:00:00Z").run();
        let key = ReplicaKey { name: "app".parse().expect("a name"), replica: 1 };
        let mut history = History::default();
        let wall = "2026-01-02T00:00:01Z".parse().expect("a time");
        count_restart(&mut history, &key, run.clone(), wall);
        count_restart(&mut history, &key, run, wall);
        assert_eq!((history.replicas[&key].restarts, history.replicas[&key].attempt), (1, 1));
    }

    #[test]
    fn a_start_that_came_to_a_run_is_not_still_to_come() {
        let key = ReplicaKey { name: "app".parse().expect("a name"), replica: 1 };
        let asked = |id: &str| {
            let replica = ReplicaHistory { asked: Some(ContainerId(id.to_owned())), ..ReplicaHistory::default() };
            History { replicas: [(key.clone(), replica)].into(), ..History::default() }
        };
        let container = ended("one", "2026-01-02T00:00:00Z");
        let observed = Observed { containers: vec![container.clone()], ..Observed::default() };
        for (id, is_open) in [("one", false), ("two", true)] {
            let mut history = asked(id);
            note_exit(&mut history, &container, |_| true, Moment::default());
            assert_eq!(history.replicas[&key].asked.is_some(), is_open, "{id}");
        }
        // One that is gone does not start; one that is there and has not run yet may.
        for (id, is_open) in [("one", true), ("two", false)] {
            let mut history = asked(id);
            note_answered(&mut history, &observed);
            assert_eq!(history.replicas[&key].asked.is_some(), is_open, "{id}");
        }
    }

    #[test]
    fn a_run_that_is_alive_after_all_did_not_fail() {
        let run = ended("one", "2026-01-02T00:00:00Z").run().expect("it ran");
        let key = ReplicaKey { name: "app".parse().expect("a name"), replica: 1 };
        let mut history = History::default();
        history.replicas.entry(key.clone()).or_default().failed = Some(run.clone());
        let verdict = |alive| [(Subject::Run(run.clone()), Verdict { alive: Some(alive), ..Verdict::default() })].into();
        forget_failures(&mut history, &verdict(false));
        assert_eq!(history.replicas[&key].failed, Some(run.clone()));
        forget_failures(&mut history, &verdict(true));
        assert_eq!(history.replicas[&key].failed, None);
    }

    #[test]
    fn a_container_that_was_replaced_says_nothing_about_its_successor() {
        let mut history = History::default();
        let now = Moment::default();
        let mut seen = |id, at, is_there| note_exit(&mut history, &ended(id, at), |_| is_there, now).is_some();
        assert!(seen("new", "2026-01-02T00:00:00Z", true));
        assert!(!seen("old", "2026-01-01T00:00:00Z", true));
        // Its predecessor is gone, so it is the successor: the wall clock went back.
        assert!(seen("later", "2026-01-01T00:00:00Z", false));
    }
}
