//! One pass: what was seen is noted, a plan is made, what is not under way is begun.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::EngineError;
use crate::health::Watched;
use crate::model::chain::chain;
use crate::model::family::Families;
use crate::model::health::Subject;
use crate::model::history::{Goal, Target};
use crate::model::name::{ContainerId, ReplicaKey, WorkloadName};
use crate::model::observed::{ContainerState, Observed};
use crate::model::status::EngineStatus;
use crate::plan::{Action, Containers, InFlight, Inputs, Plan, is_kept, is_ready, liveness_counts, plan};

use super::event::Event;
use super::handle::Published;
use super::kept_logs::last_run;
use super::last_lines::{Ended, last_lines};
use super::note::{self, SeenExit};
use super::report::{Report, report};
use super::run::{Supervisor, UnderWay};

impl Supervisor {
    /// A look is over: either something was seen, or the engine does not answer and nothing is known.
    pub(super) fn looked(&mut self, number: u64, result: Result<(Observed, Families), EngineError>) {
        self.looks.end(result.is_ok());
        match result {
            Ok((observed, learnt)) => {
                self.families.extend(learnt);
                if self.engine == EngineStatus::Down {
                    self.journal.record("engine-up", &"engine", "it answers");
                }
                self.engine = EngineStatus::Up;
                self.seen_generation = self.look_generation;
                let stopped = self.stopped_by_us();
                self.under_way.retain(|_, under_way| !under_way.is_shown_by(number));
                self.progress.retain(|target, _| self.under_way.contains_key(target));
                self.note(&observed, &stopped);
                self.observed = Some(observed);
                self.pass();
            }
            Err(error) => {
                if self.engine == EngineStatus::Up {
                    self.journal.record("engine-down", &"engine", error.to_string());
                }
                self.engine = EngineStatus::Down;
                // What a full disk kept from being written does not wait for the engine.
                self.save();
                self.publish();
            }
        }
    }

    /// Those whose end is our own doing, and no surprise.
    fn stopped_by_us(&self) -> BTreeSet<ContainerId> {
        let stops = self.under_way.values().filter_map(|under_way| match &under_way.action {
            Action::Stop { container, failed: false, .. } => Some(container.clone()),
            _ => None,
        });
        stops.collect()
    }

    /// Reads what a run wrote last: its container may be gone soon.
    fn ask_for_last_lines(&mut self, seen: &SeenExit) {
        let last = self.history.replicas.get(&seen.key).and_then(|replica| replica.last_exit.as_ref());
        let since = last_run(last, &seen.container);
        let ended = Ended { container: seen.container.clone(), since, at: seen.exit.at };
        let (context, key) = (self.context.clone(), seen.key.clone());
        self.tasks.spawn(async move {
            let lines = last_lines(context.engine.as_ref(), context.clock.as_ref(), &ended).await;
            if !lines.is_empty() {
                let _ = context.events.send(Event::Said { key, container: ended.container, lines });
            }
        });
    }

    fn note(&mut self, observed: &Observed, stopped: &BTreeSet<ContainerId>) {
        let now = self.context.clock.moment();
        for seen in note::note_exits(&mut self.history, &self.stack, &self.context.instance, observed, now) {
            let detail = serde_json::json!({
                "code": seen.exit.code, "signal": seen.exit.signal(), "oom": seen.exit.oom, "container": seen.container.0
            });
            self.journal.record_with("exit", &seen.key, seen.exit.to_string(), detail);
            if !stopped.contains(&seen.container) && self.history.goal == Goal::Up {
                self.ask_for_last_lines(&seen);
            }
        }
        let (stack, instance) = (&self.stack, &self.context.instance);
        // An earlier look does not show which runs the last request was about.
        if self.look_generation == self.generation {
            note::note_runs(&mut self.history, stack, instance, observed);
        }
        note::note_ports(&mut self.history, stack, instance, observed);
        note::end_fresh(&mut self.history, stack, instance, observed);
        note::end_drops(&mut self.history, stack, observed);
        note::note_left(&mut self.history, stack, instance, observed);
        note::adopt_images(&mut self.history, &self.stack, &self.context.instance, observed);
        note::note_readiness(&mut self.history, &mut self.verdicts, observed, now);
        note::note_answered(&mut self.history, observed);
        note::forget_failures(&mut self.history, &self.verdicts);
        note::forgive(&mut self.history, &self.stack, now, self.context.clock.wall());
        // Of what is being made nothing can be seen yet.
        if self.under_way.is_empty() {
            let forgotten = self.definitions.forget(&self.stack, observed);
            self.tell_unwritten("definitions", forgotten);
        }
        self.watch(observed);
    }

    /// A disk that is full is told once, and nothing stops for it: it is written again and again until
    /// there is room.
    pub(super) fn tell_unwritten(&mut self, what: &'static str, written: Result<(), impl std::error::Error>) {
        let Err(error) = written else {
            self.unwritten.remove(what);
            return;
        };
        let words = chain(&error);
        if self.unwritten.insert(what, words.clone()).as_ref() != Some(&words) {
            self.journal.record("failed", &what, words);
        }
    }

    /// Tells the monitor who runs.
    fn watch(&mut self, observed: &Observed) {
        let wall = self.context.clock.wall();
        let mut watched = BTreeMap::new();
        for workload in self
            .stack
            .in_order()
            .filter(|workload| workload.postgres().is_some_and(crate::model::postgres::Postgres::is_external))
        {
            let subject = Subject::External(workload.name.clone());
            let probes = workload.probes().clone();
            watched.insert(subject, Watched { workload: workload.name.clone(), probes, running_for: std::time::Duration::ZERO });
        }
        for container in &observed.containers {
            let (Some(run), Some(identity), ContainerState::Running { started_at }) =
                (container.run(), &container.identity, &container.state)
            else {
                continue;
            };
            let stopping = matches!(
                self.under_way.get(&Target::Replica(identity.key.clone())),
                Some(UnderWay { action: Action::Stop { .. }, .. })
            );
            let is_this_stacks = identity.instance == self.context.instance && &identity.stack == self.stack.name();
            let ours = is_this_stacks && is_kept(container);
            if let (true, false, Some(workload)) = (ours, stopping, self.stack.workload(&identity.key.name)) {
                let running_for = std::time::Duration::try_from(wall.duration_since(*started_at)).unwrap_or_default();
                let probes = workload.probes().clone();
                watched.insert(Subject::Run(run), Watched { workload: workload.name.clone(), probes, running_for });
            }
        }
        self.monitor.watch(watched);
    }

    /// Plans from what was seen last and begins what can be begun.
    pub(super) fn pass(&mut self) {
        let Some(observed) = self.observed.take() else { return };
        let in_flight = self.in_flight();
        self.watch_restores(&observed, &in_flight);
        self.note_due();
        self.note_paces(&observed, &in_flight);
        let (made, excused) = self.with_inputs(&observed, &in_flight, |inputs| (plan(inputs), excused(inputs)));
        self.monitor.excuse(&excused);
        // What they depend on is well again: they are judged anew, and at once.
        for subject in made.asked.iter().chain(self.excused.difference(&excused)) {
            self.monitor.confirm(subject);
        }
        self.excused = excused;
        for planned in &made.actions {
            self.begin(&observed, planned);
        }
        self.plan = Plan { actions: Vec::new(), ..made };
        self.history.is_down = self.history.goal == Goal::Down && self.is_done();
        self.save();
        self.observed = Some(observed);
        self.publish();
    }

    /// Whether what was asked for last is done, and was looked at since.
    fn is_done(&self) -> bool {
        self.plan.is_empty() && self.under_way.is_empty() && self.seen_generation == self.generation
    }

    /// Of those that were started: how long it took until they were ready.
    fn note_paces(&mut self, observed: &Observed, in_flight: &InFlight) {
        let ready = self.with_inputs(observed, in_flight, |inputs| {
            let is_ready = |key: &&ReplicaKey| {
                let workload = inputs.stack.workload(&key.name);
                workload.is_some_and(|workload| inputs.of_replica(key).iter().any(|seen| is_ready(inputs, workload, seen)))
            };
            self.starting.keys().filter(is_ready).cloned().collect::<Vec<_>>()
        });
        let now = self.context.clock.moment();
        for key in ready {
            if let Some(since) = self.starting.remove(&key) {
                note::pace(&mut self.history, &key.name).ready = Some(note::tenths(now.since(since)));
            }
        }
    }

    fn in_flight(&self) -> InFlight {
        self.under_way.iter().map(|(target, under_way)| (target.clone(), under_way.action.clone())).collect()
    }

    pub(super) fn with_inputs<T>(&self, observed: &Observed, in_flight: &InFlight, ask: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let keeper = &self.context.keeper;
        let each = |workload: &crate::model::workload::Workload| workload.name.clone();
        let fingerprints =
            self.stack.in_order().filter_map(|workload| Some((each(workload), keeper.fingerprint(workload)?))).collect();
        let provisions: BTreeMap<WorkloadName, String> =
            self.stack.in_order().filter_map(|workload| Some((each(workload), keeper.wanted(workload)?))).collect();
        ask(&Inputs {
            stack: &self.stack,
            instance: &self.context.instance,
            observed,
            containers: &Containers::of(observed, self.stack.name(), &self.context.instance),
            history: &self.history,
            verdicts: &self.verdicts,
            fingerprints: &fingerprints,
            provisions: &provisions,
            backups: &self.care.due,
            families: &self.families,
            in_flight,
            now: self.context.clock.moment(),
            wall: self.context.clock.wall(),
        })
    }

    /// Writes what changed.
    pub(super) fn save(&mut self) {
        let written = self.state.save(&self.history);
        self.tell_unwritten("state", written);
    }

    /// Publishes what a user is shown.
    pub(super) fn publish(&mut self) {
        let nothing = Observed::default();
        let observed = self.observed.as_ref().unwrap_or(&nothing);
        let in_flight = self.in_flight();
        let notes: Vec<String> = self.warnings.iter().chain(&self.notes).cloned().collect();
        let status = self.with_inputs(observed, &in_flight, |inputs| {
            report(&Report {
                inputs,
                plan: &self.plan,
                care: &self.care,
                progress: &self.progress,
                engine: self.engine,
                daemon: self.daemon.as_ref(),
                file: &self.file,
                notes: &notes,
            })
        });
        let looked = self.seen_generation == self.generation && self.engine == EngineStatus::Up && self.observed.is_some();
        let blocked = self.plan.blocked.clone();
        let next = Published { generation: self.generation, looked, status: std::sync::Arc::new(status), blocked };
        self.ends.published.send_replace(next);
        self.progress_waits = false;
    }
}

/// The runs whose failures say nothing about themselves.
fn excused(inputs: &Inputs<'_>) -> BTreeSet<Subject> {
    let waiting = inputs.stack.in_order().filter(|workload| !liveness_counts(inputs, workload));
    let runs = waiting.flat_map(|workload| inputs.of_workload(&workload.name)).filter_map(|container| container.run());
    runs.map(Subject::Run).collect()
}
