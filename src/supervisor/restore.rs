//! A restore as the supervisor sees it: what of it is next, and what came of that. It is remembered in the state, so
//! that a daemon that dies in the middle is followed by one that goes on.
//!
//! ```text
//! Making -> Changing -> Watching -------------> Clearing -> over, can be undone for a day
//!    |                     |  they do not come up    ^
//!    '-> nothing           '-------> Returning ------'
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::backups::{Answer, ErrandError};
use super::run::Supervisor;
use crate::model::backup::{Due, Errand, Work, WorkDone, WorkFailed};
use crate::model::history::{Goal, retry_delay};
use crate::model::name::{ReplicaKey, SnapshotLabel, WorkloadName};
use crate::model::observed::Observed;
use crate::model::restore::{RISING, Restore, Restoring, Source, Step, UNDO};
use crate::model::status::ItemStatus;
use crate::model::time::Moment;
use crate::model::wish::{Chosen, Refusal, Wish};
use crate::model::workload::Workload;
use crate::plan::{Action, InFlight, Inputs, is_ready, words_of};

/// So often names are tried to be changed before what was made is given up.
const ATTEMPTS: u32 = 3;
/// So often what is not used any more is tried to be removed: nothing waits for it for ever.
const CLEAR_ATTEMPTS: u32 = 6;

/// Restores that are under way, as far as they are of this daemon alone.
#[derive(Debug, Default)]
pub struct Restores {
    /// Who waits for the end of one, and what is told then.
    waiting: BTreeMap<WorkloadName, (Answer, Option<WorkDone>)>,
    /// How often a step failed in a row, and when it is tried again.
    failed: BTreeMap<WorkloadName, (u32, Moment)>,
    /// Since when those who need a Postgres are waited for. A daemon that begins gives them their time anew.
    watched: BTreeMap<WorkloadName, Moment>,
}

impl Supervisor {
    /// Why a restore, or its undoing, can't be begun.
    pub(super) fn refuse_restore(&self, errand: &Errand, now: Timestamp) -> Option<Refusal> {
        let known = self.history.backups.get(&errand.of);
        if let Some(restoring) = known.and_then(|known| known.restoring.as_ref()) {
            let words = format!("a restore of {} is under way: {restoring}", errand.of);
            return Some(Refusal::state(words, "`witwd ps` shows how far it is"));
        }
        let can_be_undone = known.and_then(|known| known.undoable.as_ref()).is_some_and(|undoable| undoable.until > now);
        (errand.work == Work::Undo && !can_be_undone).then(|| {
            let words = format!("there is no restore of {} that could be undone", errand.of);
            Refusal::state(words, "what a restore replaced is kept for 24 hours; `witwd backup list` shows the sets")
        })
    }

    fn restoring(&self, name: &WorkloadName) -> Option<&Restoring> {
        self.history.backups.get(name)?.restoring.as_ref()
    }

    /// Its next step.
    fn alter(&mut self, name: &WorkloadName, alter: impl FnOnce(&mut Restoring)) {
        if let Some(restoring) = self.history.backups.get_mut(name).and_then(|history| history.restoring.as_mut()) {
            alter(restoring);
        }
        self.care.restores.failed.remove(name);
        self.care.restores.watched.remove(name);
    }

    fn step(&mut self, name: &WorkloadName, step: Step) {
        self.alter(name, |restoring| restoring.step = step);
    }

    /// Remembers that databases are made, before any is.
    pub(super) fn begin_restore(&mut self, of: &WorkloadName, wanted: &Restore) {
        self.remember_restore(of, Restoring::begun(wanted.source.to_string()));
    }

    /// Remembers that databases are copied for a snapshot, before any is.
    pub(super) fn begin_snapshot(&mut self, of: &WorkloadName, label: &SnapshotLabel) {
        self.remember_restore(of, Restoring::saving(label));
    }

    fn remember_restore(&mut self, of: &WorkloadName, restoring: Restoring) {
        self.history.backups.entry(of.clone()).or_default().restoring = Some(restoring);
        self.save();
    }

    /// Puts back what the last restore replaced.
    pub(super) fn begin_undo(&mut self, of: &WorkloadName, answer: Answer) {
        let waits_for = self.if_ready(of);
        let Some(history) = self.history.backups.get_mut(of) else { return };
        history.restoring = history.undoable.as_ref().map(|undoable| Restoring { waits_for, ..Restoring::undoing(undoable) });
        self.care.restores.waiting.insert(of.clone(), (answer, None));
        self.make_way(of);
        self.journal.record("restore", of, "the last restore is undone: asked by a user");
        self.save();
    }

    /// What of a restore is next; `None`: nothing, and sets can be taken.
    pub(super) fn restore_due(&self, name: &WorkloadName, now: Timestamp) -> Option<Due> {
        let moment = self.context.clock.moment();
        let retry = self.care.restores.failed.get(name).map(|(_, at)| *at).filter(|at| *at > moment);
        let Some(restoring) = self.restoring(name) else { return self.outdated(name, now).filter(|_| retry.is_none()) };
        if let Some(at) = retry {
            return Some(Due::Later(later(now, at.since(moment))));
        }
        let of = &restoring.of;
        let clear = |databases: Vec<u32>| Work::Clear { line: restoring.line.clone(), databases };
        let (work, cause) = match &restoring.step {
            Step::Making | Step::Saving if self.care.is_asked_to_restore(name) => return None,
            // The daemon that made them died.
            Step::Making | Step::Saving => (clear(Vec::new()), format!("{restoring}: not finished")),
            Step::Changing => (exchange(restoring), format!("restored: {of}")),
            Step::Returning { why } => (exchange(restoring), format!("taken back: {why}")),
            Step::Watching => {
                let since = self.care.restores.watched.get(name).copied().unwrap_or(moment);
                return Some(Due::Later(later(now, (since + self.patience(name, restoring)).since(moment))));
            }
            Step::Clearing => (clear(restoring.retired.clone()), "not used any more".to_owned()),
        };
        Some(Due::Now { work, cause })
    }

    /// What a restore replaced goes once it can't be undone any more.
    fn outdated(&self, name: &WorkloadName, now: Timestamp) -> Option<Due> {
        let undoable = self.history.backups.get(name)?.undoable.as_ref().filter(|undoable| undoable.until <= now)?;
        let work = Work::Clear { line: undoable.line.clone(), databases: undoable.spares() };
        Some(Due::Now { work, cause: format!("the restore of {} can't be undone any more", undoable.of) })
    }

    /// How long the server, and those who need it, may take to be ready again. The server itself runs all the time.
    fn patience(&self, of: &WorkloadName, restoring: &Restoring) -> Duration {
        let starting = restoring.waits_for.iter().filter(|name| *name != of);
        let waited = starting.filter_map(|name| self.stack.workload(name));
        let starts = waited.filter_map(|workload| workload.probes().iter().map(|(_, probe)| probe.start_period).max());
        RISING + starts.max().unwrap_or(Duration::ZERO)
    }

    /// Databases were made: those who need them are stopped, and the names change hands. Whoever asked waits for
    /// the end of it; true where it is over already.
    pub(super) fn restored(&mut self, name: &WorkloadName, wanted: &Restore, done: &WorkDone) -> bool {
        let Some((line, databases)) = done.made.clone().filter(|(_, databases)| !databases.is_empty()) else {
            self.forget_restore(name);
            return true;
        };
        let is_empty = wanted.source == Source::Nothing;
        let mut waits_for = self.if_ready(name);
        // What an app finds in empty databases is not what it was ready with.
        if !is_empty {
            waits_for.extend(self.ready_dependents(name));
        }
        self.alter(name, |restoring| {
            (restoring.line, restoring.databases, restoring.waits_for) = (line, databases, waits_for);
            (restoring.initialise, restoring.step) = (is_empty, Step::Changing);
        });
        self.make_way(name);
        false
    }

    /// Whoever asked is told at the end.
    pub(super) fn wait_for_restore(&mut self, name: &WorkloadName, answer: Answer, done: WorkDone) {
        self.care.restores.waiting.insert(name.clone(), (answer, Some(done)));
    }

    pub(super) fn forget_restore(&mut self, name: &WorkloadName) {
        if let Some(history) = self.history.backups.get_mut(name) {
            history.restoring = None;
        }
        self.care.restores.failed.remove(name);
    }

    /// A step of a restore beside the making of databases is over.
    pub(super) fn stepped(&mut self, name: &WorkloadName, work: &Work, result: Result<(), WorkFailed>) {
        match (work, result) {
            (Work::Exchange { .. }, Ok(())) => self.exchanged(name),
            (_, Ok(())) => self.cleared(name),
            (work, Err(failed)) => self.step_failed(name, work, failed),
        }
        self.save();
    }

    /// What was to be removed is gone, or is left: of a restore that is over, or of the last one, which can't be undone
    /// any more.
    fn cleared(&mut self, name: &WorkloadName) {
        if self.restoring(name).is_some() {
            return self.forget_restore(name);
        }
        self.care.restores.failed.remove(name);
        drop(self.history.backups.get_mut(name).and_then(|history| history.undoable.take()));
    }

    fn exchanged(&mut self, name: &WorkloadName) {
        // Roles, rights and extensions of the file are seen to in the other database, too.
        if let Some((_, digest)) = self.history.postgres.get_mut(name).and_then(|known| known.provisioned.as_mut()) {
            digest.clear();
        }
        let Some(restoring) = self.restoring(name).cloned() else { return };
        match restoring.step {
            Step::Returning { why } => {
                self.journal.record("restore", name, format!("what was there before is back: {why}"));
                self.step(name, Step::Clearing);
                let words = format!("{why}; what was there before is back");
                self.answer_restore(name, Err(WorkFailed { reason: "not_healthy".to_owned(), words }));
            }
            _ => self.step(name, Step::Watching),
        }
    }

    fn step_failed(&mut self, name: &WorkloadName, work: &Work, failed: WorkFailed) {
        let times = self.care.restores.failed.get(name).map_or(0, |(times, _)| *times) + 1;
        let at = self.context.clock.moment() + retry_delay(times);
        self.journal.record("failed", name, failed.words.clone());
        if matches!(work, Work::Clear { .. }) && times >= CLEAR_ATTEMPTS {
            self.journal.record("left", name, "databases that a restore made or put aside (`witwd_new_...`, `witwd_old_...`)");
            return self.cleared(name);
        }
        let is_changing = self.restoring(name).is_some_and(|restoring| restoring.step == Step::Changing);
        let is_lost = failed.reason == "unfit";
        if is_lost && matches!(work, Work::Exchange { .. }) {
            self.forget_restore(name);
            self.answer_restore(name, Err(failed));
        } else if is_changing && times >= ATTEMPTS {
            // The names are as they were: all of them change, or none.
            self.alter(name, |restoring| restoring.turn(failed.words));
        } else {
            self.care.restores.failed.insert(name.clone(), (times, at));
        }
    }

    /// Looks whether those who need restored databases came up with them.
    pub(super) fn watch_restores(&mut self, observed: &Observed, in_flight: &InFlight) {
        // Who is being stopped says nothing of the data.
        if self.history.goal == Goal::Down {
            return;
        }
        let now = self.context.clock.moment();
        let watching = self.history.backups.iter().filter_map(|(name, history)| {
            let restoring = history.restoring.as_ref().filter(|restoring| restoring.step == Step::Watching)?;
            Some((name.clone(), restoring.clone()))
        });
        for (name, restoring) in watching.collect::<Vec<_>>() {
            let since = *self.care.restores.watched.entry(name.clone()).or_insert(now);
            // `init` takes as long as it takes.
            let is_late = now.since(since) >= self.patience(&name, &restoring) && !is_provisioned_now(in_flight, &name);
            let waits_for = std::iter::once(&name).chain(&restoring.waits_for);
            let (all, needed) = self
                .with_inputs(observed, in_flight, |inputs| (away(inputs, waits_for), away(inputs, restoring.waits_for.iter())));
            match (all, needed) {
                (None, _) => self.end_restore(&name),
                (_, Some((key, words))) if is_late => self.take_back(&name, &key, &words),
                // Who was not ready before need not be afterwards.
                (_, None) if is_late => self.end_restore(&name),
                _ => {}
            }
        }
    }

    /// Those who wait for a restored server have their time from when it is made what the file says.
    pub(super) fn watch_anew(&mut self, name: &WorkloadName) {
        self.care.restores.watched.remove(name);
    }

    fn end_restore(&mut self, name: &WorkloadName) {
        let until = later(self.context.clock.wall(), UNDO);
        let Some(history) = self.history.backups.get_mut(name) else { return };
        let Some(restoring) = history.restoring.as_mut() else { return };
        let words = format!("{}: {}; `witwd restore undo` until {until:.0}", restoring.names(), restoring.of);
        history.undoable = Some(restoring.end(history.undoable.as_ref(), until));
        self.journal.record("restored", name, words);
        self.answer_restore(name, Ok(()));
        self.save();
    }

    fn take_back(&mut self, name: &WorkloadName, away: &ReplicaKey, words: &str) {
        // What `ps` says of it says more than that it is not ready.
        let told = {
            let items = &self.ends.published.borrow().status.items;
            let is_it = |item: &&ItemStatus| item.name == away.name.as_str() && item.replica == away.replica;
            items.iter().find(is_it).map(|item| item.cause.clone()).filter(|cause| !cause.is_empty())
        };
        let why = format!("not well with what was restored: {away}: {}", told.as_deref().unwrap_or(words));
        self.journal.record("restore", name, why.clone());
        self.alter(name, |restoring| restoring.turn(why));
        self.make_way(name);
        self.save();
    }

    fn answer_restore(&mut self, name: &WorkloadName, ended: Result<(), WorkFailed>) {
        let Some((answer, done)) = self.care.restores.waiting.remove(name) else { return };
        let done = done.unwrap_or_else(WorkDone::of_none);
        let _ = answer.send(ended.map(|()| done).map_err(ErrandError::Failed));
    }

    /// Nobody waits any more: the stack is taken down. The next `up` goes on with it.
    pub(super) fn give_up_restores(&mut self, why: &str) {
        for (answer, _) in std::mem::take(&mut self.care.restores.waiting).into_values() {
            let failed = WorkFailed { reason: "given_up".to_owned(), words: why.to_owned() };
            let _ = answer.send(Err(failed.into()));
        }
    }

    /// Those who need a Postgres and are stopped for a moment are no failures: each is started again as if by hand.
    fn make_way(&mut self, name: &WorkloadName) {
        let stack = self.stack.clone();
        for dependent in stack.dependents(name) {
            let wish = Wish::Restart { of: [Chosen::all(&dependent.name)].into() };
            // One that is stopped by hand stays so.
            if let Ok(accepted) = self.history.by_hand.accept(&stack, &wish) {
                for key in &accepted.renewed {
                    self.history.replicas.entry(key.clone()).or_default().forgive();
                }
            }
        }
        self.looks.want();
    }

    /// The Postgres itself, where it is ready.
    fn if_ready(&self, name: &WorkloadName) -> BTreeSet<WorkloadName> {
        let published = self.ends.published.borrow();
        let is_ready = published.status.items.iter().any(|item| item.name == name.as_str() && item.ready);
        is_ready.then(|| name.clone()).into_iter().collect()
    }

    fn ready_dependents(&self, name: &WorkloadName) -> BTreeSet<WorkloadName> {
        let published = self.ends.published.borrow();
        let is_ready = |workload: &Workload| {
            let items = &published.status.items;
            let mut own = items.iter().filter(|item| item.name == workload.name.as_str()).peekable();
            own.peek().is_some() && own.all(|item| item.ready)
        };
        let dependents = self.stack.dependents(name).filter(|workload| self.history.goal == Goal::Up && is_ready(workload));
        dependents.map(|workload| workload.name.clone()).collect()
    }
}

fn later(now: Timestamp, after: Duration) -> Timestamp {
    let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
    now.saturating_add(after).unwrap_or(Timestamp::MAX)
}

fn exchange(restoring: &Restoring) -> Work {
    Work::Exchange { line: restoring.line.clone(), databases: restoring.databases.clone(), initialise: restoring.initialise }
}

fn is_provisioned_now(in_flight: &InFlight, name: &WorkloadName) -> bool {
    in_flight.values().any(|action| matches!(action, Action::Provision { key, .. } if key.name == *name))
}

/// The first of them that is not ready, and why.
fn away<'a>(inputs: &Inputs<'_>, names: impl Iterator<Item = &'a WorkloadName>) -> Option<(ReplicaKey, String)> {
    let workloads = names.filter_map(|name| inputs.stack.workload(name));
    let mut wanted = workloads.flat_map(|workload| (1..=inputs.replicas(workload)).map(move |replica| (workload, replica)));
    wanted.find_map(|(workload, replica)| {
        let key = ReplicaKey { name: workload.name.clone(), replica };
        if inputs.history.by_hand.is_stopped(&key) {
            return None;
        }
        let containers = inputs.of_replica(&key);
        if containers.iter().any(|container| is_ready(inputs, workload, container)) {
            return None;
        }
        let words = containers.iter().find_map(|container| words_of(inputs, workload, container));
        Some((key, words.unwrap_or_else(|| "not ready".to_owned())))
    })
}
