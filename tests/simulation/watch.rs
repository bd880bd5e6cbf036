//! What must always hold, looked at between any two steps: each has a name, and a planted bug that turns
//! it red.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use witwd::engine::sim::{Call, Operation, SimContainer, World};
use witwd::host::Clock as _;
use witwd::model::name::ReplicaKey;
use witwd::model::observed::{ContainerState, Observed};
use witwd::model::time::Moment;

use super::case::DATA;
use super::client::Place;

/// For so long after it was not well a container may be stopped for it: three results of a probe, their
/// time-outs and the grace before.
const UNWELL: Duration = Duration::from_secs(60);
/// For so long after a dependency was ready last, who waited for it may be started: its verdict may be
/// as old as three results of a probe.
const STALE: Duration = Duration::from_secs(120);
/// A run that lasted so long may be forgiven what was before it.
const LASTING: Duration = Duration::from_secs(60);
/// For so long after something was asked, what is done may be for that.
const UNASKED: Duration = Duration::from_secs(60);
/// The most changes of a minute: a stack of six containers, made anew twice.
const CALLS: usize = 200;

/// Looks at a place again and again.
pub struct Watch {
    place: Place,
    /// What was broken, by the name of what should hold.
    pub broken: BTreeSet<String>,
    seen_calls: usize,
    seen_events: usize,
    looked: Moment,
    /// When each container was not well last, by id; from its first sight on.
    unwell: BTreeMap<String, Moment>,
    /// When each workload had a container that was ready last.
    ready: BTreeMap<String, Moment>,
    /// Of those that run: their workload, and from when on they are ready if they last so long.
    to_be_ready: BTreeMap<String, (String, Moment)>,
    /// How each replica was started again since it was forgiven last.
    attempts: BTreeMap<ReplicaKey, u32>,
    /// Who was stopped by the daemon: what follows is no restart of one that ended by itself.
    stopped: BTreeSet<String>,
    /// When each container that ended did last, by id; by both clocks.
    ended: BTreeMap<String, (Moment, jiff::Timestamp)>,
    /// The ends that a look told: of which container, and when by the wall clock. Nobody knows of others.
    told: BTreeSet<(String, jiff::Timestamp)>,
    began: BTreeMap<String, Moment>,
    restarts: BTreeMap<(String, u32), u64>,
    /// Moments of changes within the last minute.
    changes: Vec<Moment>,
    spoken: Moment,
    /// Rows that the database said it has.
    acknowledged: usize,
    /// Whether counters may be lost: there was no room for them.
    pub was_full: bool,
    /// Whether looks may be older than they seem.
    pub is_misled: bool,
    /// Whether the wall clock jumped: a daemon that begins can't tell how long something was over.
    pub has_jumped: bool,
}

impl Watch {
    /// Of this place: what was called until now is not judged.
    pub fn new(place: &Place) -> Self {
        Self {
            place: place.clone(),
            broken: BTreeSet::new(),
            seen_calls: place.machine.engine.count().0,
            seen_events: 0,
            looked: Moment::default(),
            unwell: BTreeMap::new(),
            ready: BTreeMap::new(),
            to_be_ready: BTreeMap::new(),
            attempts: BTreeMap::new(),
            stopped: BTreeSet::new(),
            ended: BTreeMap::new(),
            told: BTreeSet::new(),
            began: BTreeMap::new(),
            restarts: BTreeMap::new(),
            changes: Vec::new(),
            spoken: Moment::default(),
            acknowledged: 0,
            was_full: false,
            is_misled: false,
            has_jumped: false,
        }
    }

    fn breaks(&mut self, name: &str, what: impl Into<String>) {
        self.broken.insert(format!("{name}: {}", what.into()));
    }

    /// Looks, where anything happened since.
    pub fn look(&mut self) {
        let now = self.place.clock.moment();
        let engine = self.place.machine.engine.clone();
        let (calls, events) = engine.count();
        if (calls, events) == (self.seen_calls, self.seen_events) && now.since(self.looked) < Duration::from_secs(1) {
            return;
        }
        self.looked = now;
        let new = engine.calls_since(self.seen_calls);
        engine.with(|world| {
            self.note_told(world);
            self.note_events(world, events);
            self.note_state(world, now);
            new.iter().filter(|call| call.mutating).for_each(|call| self.judge(world, call));
        });
        self.seen_calls = calls;
        self.note_restarts();
        self.write_row(now);
        let progress = self.place.progress();
        let spoken = progress.spoken;
        drop(progress);
        if spoken != self.spoken {
            self.spoken = spoken;
            self.attempts.clear();
        }
    }

    /// The ends that the last looks told.
    fn note_told(&mut self, world: &World) {
        for seen in world.told.iter().flat_map(|told| &told.containers) {
            if let ContainerState::Exited { exit, .. } = seen.state {
                self.told.insert((seen.id.0.clone(), exit.at));
            }
        }
    }

    /// Whether a daemon can know of the last end of this container.
    fn is_end_told(&self, id: &str) -> bool {
        self.ended.get(id).is_some_and(|(_, wall)| self.told.contains(&(id.to_owned(), *wall)))
    }

    /// Ends and begins of runs, as they happened.
    fn note_events(&mut self, world: &World, until: usize) {
        for event in &world.bus.journal[self.seen_events..until] {
            let id = event.id.clone();
            match (event.object, event.action) {
                ("container", "die") => {
                    let lasted = self.began.get(&id).is_some_and(|began| event.at.since(*began) >= LASTING);
                    if let (true, Some(key)) = (lasted, key_of(world, &id)) {
                        self.attempts.remove(&key);
                    }
                    self.was_ready(&id, event.at);
                    self.ended.insert(id, (event.at, event.wall));
                }
                ("container", "start") => {
                    let was_stopped = self.stopped.remove(&id);
                    if self.began.insert(id.clone(), event.at).is_some()
                        && !was_stopped
                        && self.is_end_told(&id)
                        && let Some(key) = key_of(world, &id)
                    {
                        *self.attempts.entry(key).or_default() += 1;
                    }
                    self.unwell.insert(id, event.at);
                }
                ("container", "pause") => self.was_ready(&id, event.at),
                _ => {}
            }
        }
        self.seen_events = until;
    }

    /// A run that was ready until now, if it lasted so long.
    fn was_ready(&mut self, id: &str, until: Moment) {
        if let Some((name, _)) = self.to_be_ready.remove(id).filter(|(_, from)| *from <= until) {
            self.ready.insert(name, until);
        }
    }

    fn note_state(&mut self, world: &World, now: Moment) {
        for container in world.containers.values() {
            if let Some(run) = &container.run {
                let from = run.began + run.script.ready_after;
                self.to_be_ready.insert(container.id.0.clone(), (name_of(container), from));
                let hangs = run.script.hang_at.map(|after| run.began + after).filter(|hangs| *hangs > from && *hangs <= now);
                if let Some(hangs) = hangs {
                    let ready = self.ready.entry(name_of(container)).or_insert(hangs);
                    *ready = hangs.max(*ready);
                }
            }
            if is_well(container, now) {
                self.ready.insert(name_of(container), now);
            } else {
                self.unwell.insert(container.id.0.clone(), now);
            }
        }
        for what in witwd::engine::sim::violations(world) {
            let names = [
                ("runs more than once", "one-instance"),
                ("is written by more than one", "one-writer"),
                ("that is not ours", "foreign-untouched"),
                ("remove volume", "volumes-stay"),
            ];
            let name = names.iter().find(|(words, _)| what.contains(words)).map_or("unnamed", |(_, name)| name);
            self.breaks(name, what);
        }
        if self.acknowledged > 0 {
            let rows = world.volumes.get(DATA).map_or(0, |volume| volume.ledger.len());
            if rows < self.acknowledged {
                self.breaks("rows-stay", format!("{} rows of {} are there", rows, self.acknowledged));
            }
        }
    }

    /// Whether a call may be made as things are.
    fn judge(&mut self, world: &World, call: &Call) {
        self.changes.retain(|at| call.at.since(*at) < Duration::from_secs(60));
        self.changes.push(call.at);
        if self.changes.len() > CALLS {
            self.breaks("bounded-calls", format!("{} changes within a minute", self.changes.len()));
        }
        let progress = self.place.progress();
        let is_down = progress.is_down;
        let is_another_life = progress.life.0 != progress.life.1;
        // What was under way when it was asked may still come to its end.
        let may_end = call.at.since(progress.spoken) < UNASKED && progress.life.0 == progress.life.1;
        drop(progress);
        // A daemon that could not write what was asked forgets it when it is killed.
        let is_forgotten = self.was_full && is_another_life;
        if is_down && !may_end && !is_forgotten && matches!(call.operation, Operation::Start | Operation::Create) {
            self.breaks("down-holds", format!("{} {}", call.operation.words(), call.target));
        }
        self.judge_making(world, call);
        let container = world.containers.values().find(|container| call.target.ends_with(&container.id.to_string()));
        match (call.operation, container) {
            (Operation::Start, Some(container)) => self.judge_start(container, call),
            (Operation::Stop, Some(container)) => {
                self.stopped.insert(container.id.0.clone());
                self.judge_stop(world, container, call);
            }
            _ => {}
        }
    }

    /// What the daemon saw is there is not made.
    fn judge_making(&mut self, world: &World, call: &Call) {
        let is_in = |told: &Observed| match call.operation {
            Operation::Create => told.containers.iter().any(|seen| seen.name == call.target),
            Operation::CreateNetwork => told.networks.iter().any(|seen| seen.name == call.target),
            Operation::CreateVolume => told.volumes.iter().any(|seen| seen.name == call.target),
            _ => false,
        };
        // What a look told is not used where the rest of that look failed.
        if world.told.len() > 3 && world.told.iter().all(is_in) {
            self.breaks(
                "makes-what-is-missing",
                format!("{} {} at {} that it saw", call.operation.words(), call.target, call.at),
            );
        }
    }

    fn judge_start(&mut self, container: &SimContainer, call: &Call) {
        let Some(identity) = container.identity() else { return };
        let accepted = self.place.progress().accepted;
        let workload = accepted.and_then(|file| file.stack().workload(&identity.key.name));
        for dependency in workload.iter().flat_map(|workload| &workload.dependencies) {
            let ready = self.ready.get(dependency.on.as_str());
            if ready.is_none_or(|ready| call.at.since(*ready) > STALE) {
                self.breaks("dependencies-first", format!("{} is started before {}", identity.key, dependency.on));
            }
        }
        let id = &container.id.0;
        let Some((ended, _)) = self.ended.get(id).filter(|_| self.is_end_told(id)) else { return };
        let waited = call.at.since(*ended);
        let least = match self.attempts.get(&identity.key).copied().unwrap_or_default() {
            0 => Duration::ZERO,
            // Where ends are shown that are long over, one may be taken for another.
            attempt if self.is_misled => base(attempt.saturating_sub(2)),
            attempt => base(attempt),
        };
        // Who was asked by hand is not waited for.
        let spoken = self.place.progress().spoken;
        let is_by_itself = !self.stopped.contains(id) && !self.place.works_on_databases();
        if !self.was_full && is_by_itself && waited < least && call.at.since(spoken) > UNASKED && !self.has_jumped {
            self.breaks("backoff-holds", format!("{} is started at {} after {waited:?}, not {least:?}", identity.key, call.at));
        }
    }

    /// Who is what the file wants, and well, is left alone.
    fn judge_stop(&mut self, world: &World, container: &SimContainer, call: &Call) {
        let Some(identity) = container.identity() else { return };
        let progress = self.place.progress();
        let (accepted, spoken) = (progress.accepted, progress.spoken);
        drop(progress);
        let wanted = accepted.and_then(|file| file.stack().workload(&identity.key.name));
        let is_wanted = wanted.is_some_and(|workload| identity.spec.as_ref() == Some(&workload.spec));
        let alone = world.of_workload(identity.key.name.as_str()).into_iter();
        let rivals = alone.filter(|other| other.state.is_up() && other.identity().is_some_and(|own| own.key == identity.key));
        let was_well = self.unwell.get(&container.id.0).is_some_and(|unwell| call.at.since(*unwell) > UNWELL);
        let is_quiet = call.at.since(spoken) > UNASKED;
        let makes_way = || self.place.machine.kept().history.backups.values().any(|known| known.restoring.is_some());
        let has_reason = self.is_meant_by_hand(world, container);
        if is_wanted && was_well && is_quiet && rivals.count() < 2 && !has_reason && !makes_way() {
            self.breaks("the-well-are-left-alone", format!("{} is stopped", identity.key));
        }
    }

    /// Whether a person asked for its end, however long ago: the engine may have been away since.
    fn is_meant_by_hand(&self, world: &World, container: &SimContainer) -> bool {
        let by_hand = self.place.machine.kept().history.by_hand;
        if self.place.progress().is_down {
            return true;
        }
        let (Some(identity), Some(seen)) = (container.identity(), world.seen(&container.id)) else { return false };
        by_hand.is_stopped(&identity.key) || by_hand.is_asked(&identity.key) || by_hand.is_renewed(&seen)
    }

    /// What `ps` says of restarts never goes back.
    fn note_restarts(&mut self) {
        let handle = self.place.progress().handle.clone();
        let Some(status) = handle.map(|handle| handle.status()) else { return };
        let mut worse = Vec::new();
        for item in &status.items {
            let known = self.restarts.entry((item.name.clone(), item.replica)).or_default();
            if item.restarts < *known {
                worse.push(format!("{}.{} from {known} to {}", item.name, item.replica, item.restarts));
            }
            *known = item.restarts.max(*known);
        }
        if !self.was_full {
            for what in worse {
                self.breaks("restarts-never-go-back", what);
            }
        }
    }

    /// An app that writes a row, as often as anything is looked at.
    fn write_row(&mut self, now: Moment) {
        let row = self.acknowledged.to_string();
        let is_written = self.place.machine.engine.alter(|world| {
            let is_up = world.of_workload("db").into_iter().any(|container| is_well(container, now));
            let volume = world.volumes.get_mut(DATA).filter(|_| is_up);
            volume.map(|volume| volume.ledger.push(row)).is_some()
        });
        self.acknowledged += usize::from(is_written);
    }
}

/// The delay before start `attempt` + 1 that has not been forgiven, without its jitter.
fn base(attempt: u32) -> Duration {
    match attempt {
        0 => Duration::ZERO,
        more => Duration::from_secs(1 << (more - 1).min(6)).min(Duration::from_secs(60)),
    }
}

fn key_of(world: &World, id: &str) -> Option<ReplicaKey> {
    let container = world.containers.iter().find(|(own, _)| own.0 == id)?.1;
    container.identity().map(|identity| identity.key)
}

fn name_of(container: &SimContainer) -> String {
    container.identity().map(|identity| identity.key.name.to_string()).unwrap_or_default()
}

/// Whether it would answer any probe.
fn is_well(container: &SimContainer, now: Moment) -> bool {
    let (ContainerState::Running { .. }, Some(run)) = (&container.state, &container.run) else { return false };
    let is_deaf = run.hangs(now) || !run.script.accepts || now.since(run.began) < run.script.ready_after;
    // What a command in it ends with is what it ends with itself.
    let is_asked_by_command = name_of(container) == "worker";
    !is_deaf && (run.script.exit_code == 0 || !is_asked_by_command) && run.script.flap.is_none()
}
