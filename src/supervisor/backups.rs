//! When the supervisor needs something of the caretaker of backup sets. What is due is worked out here from the
//! timetable and given to the planner; what came of it is remembered and told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use super::event::Event;
use super::restore::Restores;
use super::run::Supervisor;
use crate::model::backup::{BackupFailure, Due, Errand, Known, Summary, Work, WorkDone, WorkFailed};
use crate::model::database_snapshot::SnapshotWork;
use crate::model::history::{Goal, Target};
use crate::model::name::WorkloadName;
use crate::model::time::Moment;
use crate::model::wish::Refusal;
use crate::model::workload::Workload;
use crate::plan::Action;
use crate::postgres::backup::last_slot;
use crate::postgres::backup::schedule::{self, Failed, Record, Timetable};

/// How often the directories of sets are read: somebody else may change what lies there.
const READ: Duration = Duration::from_secs(60);
/// A wall clock that is so much further than ours tells that the machine slept.
const SLEPT: SignedDuration = SignedDuration::from_secs(5);
/// How an errand ended.
pub type Answer = oneshot::Sender<Result<WorkDone, ErrandError>>;

/// Why an errand was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrandError {
    /// It makes no sense.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was tried and failed.
    #[error(transparent)]
    Failed(#[from] WorkFailed),
}

/// What the supervisor knows of sets.
#[derive(Debug, Default)]
pub struct Care {
    /// What lies in the directories, where that is known.
    pub summaries: BTreeMap<WorkloadName, Summary>,
    /// Why it is not known.
    pub unread: BTreeMap<WorkloadName, String>,
    /// What is to be done.
    pub due: BTreeMap<WorkloadName, Due>,
    errands: BTreeMap<WorkloadName, VecDeque<Asked>>,
    /// Restores that are under way.
    pub(super) restores: Restores,
    read_at: Option<Moment>,
    /// Whether the directories are being read.
    is_reading: bool,
    awake: Option<Awake>,
}

impl Care {
    /// Whether a restore is what is asked for next.
    pub(super) fn is_asked_to_restore(&self, name: &WorkloadName) -> bool {
        self.errands.get(name).is_some_and(|queue| queue.iter().any(|asked| asked.work.makes_databases()))
    }
}

/// An errand that waits.
#[derive(Debug)]
struct Asked {
    /// When it was accepted: what was begun before is not what was asked for.
    at: Moment,
    work: Work,
    answer: Answer,
}

/// Since when the machine is awake, as far as we saw.
#[derive(Debug, Clone, Copy)]
struct Awake {
    since: Timestamp,
    /// The wall clock when ours began.
    ahead: SignedDuration,
}

impl Awake {
    /// What is so now, by both clocks.
    fn now(known: Option<Self>, moment: Moment, wall: Timestamp) -> Self {
        let elapsed = SignedDuration::try_from(moment.since_start()).unwrap_or(SignedDuration::MAX);
        let ahead = wall.duration_since(Timestamp::UNIX_EPOCH).saturating_sub(elapsed);
        match known {
            Some(known) if ahead.saturating_sub(known.ahead).abs() < SLEPT => Self { ahead, ..known },
            _ => Self { since: wall, ahead },
        }
    }
}

impl Supervisor {
    /// Has the directories of sets read, where that was not done lately. A disk that hangs holds up nothing else.
    fn read_sets(&mut self) {
        let now = self.context.clock.moment();
        let is_fresh = self.care.read_at.is_some_and(|at| now.since(at) < READ);
        if is_fresh || self.care.is_reading || !self.context.backups.are_kept() {
            return;
        }
        (self.care.read_at, self.care.is_reading) = (Some(now), true);
        let (context, stack, wall) = (self.context.clone(), self.stack.clone(), self.context.clock.wall());
        self.tasks.spawn(async move {
            let events = context.events.clone();
            let read = move || {
                let cared = stack.in_order().filter(|workload| is_cared_for(workload));
                cared.map(|workload| (workload.name.clone(), context.backups.look(workload, wall))).collect()
            };
            let read = tokio::task::spawn_blocking(read).await.unwrap_or_default();
            let _ = events.send(Event::SetsRead(read));
        });
    }

    /// The directories of sets were read.
    pub(super) fn sets_read(&mut self, read: BTreeMap<WorkloadName, Result<Summary, String>>) {
        self.care.is_reading = false;
        for (name, read) in read {
            // What a piece of work saw at its end is newer than a look that began before it was over.
            let is_busy = self.under_way.contains_key(&Target::Backup(name.clone()));
            match read {
                Ok(summary) => {
                    self.care.unread.remove(&name);
                    if !is_busy {
                        self.care.summaries.insert(name, summary);
                    }
                }
                Err(words) => {
                    if self.care.unread.insert(name.clone(), words.clone()).as_ref() != Some(&words) {
                        self.journal.record("failed", &name, words);
                    }
                    self.care.summaries.remove(&name);
                }
            }
        }
        self.pass();
    }

    /// Works out what is due.
    pub(super) fn note_due(&mut self) {
        self.read_sets();
        let (moment, wall) = (self.context.clock.moment(), self.context.clock.wall());
        self.care.awake = Some(Awake::now(self.care.awake, moment, wall));
        let cared: Vec<&Workload> = self.stack.in_order().filter(|workload| is_cared_for(workload)).collect();
        let due = cared.iter().filter_map(|workload| Some((workload.name.clone(), self.due_of(workload, wall)?))).collect();
        let left: BTreeSet<WorkloadName> = cared.into_iter().map(|workload| workload.name.clone()).collect();
        self.care.due = due;
        self.give_up_errands(|name| !left.contains(name), "it is not in the stack any more");
    }

    fn due_of(&self, workload: &Workload, now: Timestamp) -> Option<Due> {
        if let Some(due) = self.restore_due(&workload.name, now) {
            return Some(due);
        }
        let record = self.record(workload, now);
        let errand = self.care.errands.get(&workload.name).and_then(VecDeque::front);
        if let Some(Asked { work, .. }) = errand {
            // A set that somebody asks for is that of the slot, where that has none: nothing waits for a retry.
            let at_once = record.map(|record| Record { failed: None, awake_since: Timestamp::MIN, ..record });
            let work = match (work.clone(), at_once.and_then(|record| self.scheduled(workload, &record, now))) {
                (Work::Take { before, .. }, Some(schedule::Due::Now { slot, missed })) => {
                    Work::Take { slot: Some(slot), missed, before }
                }
                (work, _) => work,
            };
            return Some(Due::Now { work, cause: "asked by a user".to_owned() });
        }
        match self.scheduled(workload, &record?, now)? {
            schedule::Due::Later { at, .. } => Some(Due::Later(at)),
            schedule::Due::Now { slot, missed } => {
                let work = Work::Take { slot: Some(slot), missed, before: None };
                let missed = if missed == 0 { String::new() } else { format!(", {missed} before it were missed") };
                Some(Due::Now { work, cause: format!("the slot of {slot}{missed}") })
            }
        }
    }

    /// What is known of the slots of a Postgres; `None` where its directory was not read.
    fn record(&self, workload: &Workload, now: Timestamp) -> Option<Record> {
        let summary = self.care.summaries.get(&workload.name)?;
        let history = self.history.backups.get(&workload.name);
        let failed = history.and_then(|history| history.failed.as_ref());
        Some(Record {
            last_slot: last_slot(summary, history.and_then(|history| history.last_slot), now),
            failed: failed.map(|failed| Failed { slot: failed.slot, times: failed.times, at: failed.at }),
            awake_since: self.care.awake.map_or(now, |awake| awake.since),
        })
    }

    /// What the timetable says, where sets are wanted.
    fn scheduled(&self, workload: &Workload, record: &Record, now: Timestamp) -> Option<schedule::Due> {
        let backup = workload.postgres().map(|postgres| &postgres.backup).filter(|backup| backup.enabled)?;
        let name = format!("{}/{}", self.stack.name(), workload.name);
        let timetable = Timetable::new(&backup.schedule, &name).ok()?;
        Some(schedule::due(&timetable, record, now, &name))
    }

    /// Somebody asks for work; it is answered when it is done.
    pub(super) fn accept_errand(&mut self, errand: Errand, answer: Answer) {
        if let Some(refusal) = self.refuse_errand(&errand) {
            return drop(answer.send(Err(refusal.into())));
        }
        match &errand.work {
            Work::Undo => return self.begin_undo(&errand.of, answer),
            Work::Restore(wanted) => self.begin_restore(&errand.of, wanted),
            Work::Snapshot(SnapshotWork::Save { label }) => self.begin_snapshot(&errand.of, label),
            _ => {}
        }
        let asked = Asked { at: self.context.clock.moment(), work: errand.work, answer };
        self.care.errands.entry(errand.of).or_default().push_back(asked);
    }

    fn refuse_errand(&self, errand: &Errand) -> Option<Refusal> {
        if self.history.goal == Goal::Down {
            return Some(super::requests::not_up());
        }
        let Some(workload) = self.stack.workload(&errand.of) else {
            let words = format!("the daemon runs no postgres {}", errand.of);
            return Some(Refusal::state(words, "`witwd up -d` has it run what stack.toml says"));
        };
        if let Work::Restore(wanted) = &errand.work
            && let Some((name, why)) = wanted.misnamed()
        {
            return Some(Refusal::usage(format!("{name:?} is no name for a database: {why}"), "choose another one"));
        }
        if (errand.work.makes_databases() || errand.work == Work::Undo)
            && let Some(refusal) = self.refuse_restore(errand, self.context.clock.wall())
        {
            return Some(refusal);
        }
        let external = workload.postgres().is_some_and(crate::model::postgres::Postgres::is_external);
        external.then(|| {
            let words = format!("{} is an external server: no sets of it are taken by this version", errand.of);
            Refusal::state(words, "`pg_dump` with the address that `witwd db url` shows takes a dump")
        })
    }

    /// Answers what can't be carried out any more.
    pub(super) fn give_up_errands(&mut self, of: impl Fn(&WorkloadName) -> bool, why: &str) {
        let failed = || WorkFailed { reason: "given_up".to_owned(), words: why.to_owned() };
        let gone: Vec<WorkloadName> = self.care.errands.keys().filter(|name| of(name)).cloned().collect();
        for Asked { answer, .. } in gone.iter().filter_map(|name| self.care.errands.remove(name)).flatten() {
            let _ = answer.send(Err(failed().into()));
        }
    }

    /// A piece of work is over: what came of it is remembered, told, and answered.
    pub(super) fn worked(&mut self, action: &Action, result: Result<WorkDone, WorkFailed>) {
        let Action::Backup { name, work, .. } = action else { return };
        if matches!(work, Work::Exchange { .. } | Work::Clear { .. }) {
            return self.stepped(name, work, result.map(|_| ()));
        }
        if let (Action::Backup { container, .. }, Work::Take { before: Some(before), .. }, Ok(_)) = (action, work, &result) {
            let history = self.history.backups.entry(name.clone()).or_default();
            history.taken_before = Some((container.clone(), before.clone()));
        }
        match &result {
            Ok(done) => self.note_done(name, work, done),
            Err(failed) => self.note_failed(name, work, failed),
        }
        let is_over = match (work, &result) {
            (Work::Restore(wanted), Ok(done)) => self.restored(name, wanted, done),
            (Work::Restore(_) | Work::Snapshot(SnapshotWork::Save { .. }), _) => {
                self.forget_restore(name);
                true
            }
            _ => true,
        };
        let begun = self.under_way.get(&action.target()).map(|under_way| under_way.since);
        let Some(queue) = self.care.errands.get_mut(name) else { return };
        // It was begun for the errand at the head, unless it was begun before that came.
        let is_its = |asked: &Asked| begun.is_some_and(|begun| begun >= asked.at) && is_for(&asked.work, work);
        if queue.front().is_some_and(is_its)
            && let Some(Asked { answer, .. }) = queue.pop_front()
        {
            // Who is told that it is done finds it so in what is shown.
            self.publish();
            match result {
                Ok(done) if !is_over => self.wait_for_restore(name, answer, done),
                result => drop(answer.send(result.map_err(ErrandError::Failed))),
            }
        }
        if self.care.errands.get(name).is_some_and(VecDeque::is_empty) {
            self.care.errands.remove(name);
        }
    }

    fn note_done(&mut self, name: &WorkloadName, work: &Work, done: &WorkDone) {
        self.care.summaries.extend(done.summary.clone().map(|summary| (name.clone(), summary)));
        let history = self.history.backups.entry(name.clone()).or_default();
        if let Work::Take { slot, missed, .. } = work {
            history.failed = None;
            history.last_slot = slot.or(history.last_slot);
            history.missed += missed;
            history.held.clone_from(&done.held);
        }
        let detail = serde_json::json!({ "set": done.set, "gone": done.gone, "held": done.held, "last": last_good(done) });
        match (work, &done.unproven, done.set) {
            (Work::Take { .. }, None, _) => self.journal.record_with("backed-up", name, format!("set {}", told(done)), detail),
            (Work::Verify { .. }, None, _) => self.journal.record_with("verified", name, format!("set {}", told(done)), detail),
            (_, Some(words), Some(set)) => self.journal.record_with("unproven", name, format!("set {set}: {words}"), detail),
            (Work::Restore(wanted), _, _) => {
                let words = wanted.to.as_ref().map_or("its databases are made".to_owned(), |to| format!("as database {to}"));
                self.journal.record("restore", name, format!("{}: {words}", wanted.source));
            }
            (Work::Snapshot(SnapshotWork::Save { label }), ..) => {
                self.journal.record("snapshot", name, format!("{label} is saved"));
            }
            (Work::Snapshot(SnapshotWork::Remove { label }), ..) => {
                self.journal.record("snapshot", name, format!("{label} is removed: asked by a user"));
            }
            _ => {}
        }
        for words in &done.troubles {
            self.journal.record("failed", name, words.clone());
        }
        if !done.gone.is_empty() {
            let gone: Vec<String> = done.gone.iter().map(ToString::to_string).collect();
            self.journal.record("pruned", name, format!("no rule keeps {}", gone.join(", ")));
        }
        if !done.held.is_empty() {
            let words = "more than half of the sets would go by `keep`: `witwd backup prune --yes` says that this is meant";
            self.journal.record("held", name, words);
        }
        if let Some(words) = done.summary.as_ref().and_then(|summary| summary.shrunk.as_ref()) {
            self.journal.record("shrunk", name, format!("the newest set is far smaller: {words}"));
        }
    }

    fn note_failed(&mut self, name: &WorkloadName, work: &Work, failed: &WorkFailed) {
        let at = self.context.clock.wall();
        if let Work::Take { slot, .. } = work {
            let history = self.history.backups.entry(name.clone()).or_default();
            let slot = slot.unwrap_or(at);
            let before = history.failed.as_ref().filter(|before| before.slot == slot);
            let times = before.map_or(0, |before| before.times) + 1;
            let WorkFailed { reason, words } = failed.clone();
            history.failed = Some(BackupFailure { slot, times, at, reason, words });
        }
        let detail = serde_json::json!({ "operation": work.verb(), "reason": failed.reason });
        self.journal.record_with("failed", name, failed.words.clone(), detail);
    }

    /// Ends what is under way with sets: nobody waits for it any more. What it leaves on the engine is found by its
    /// labels, and what it was writing is no set.
    pub(super) fn give_up_backups(&mut self) {
        self.give_up_errands(|_| true, "the stack is taken down");
        self.give_up_restores(
            "the stack is taken down: the next `witwd up` goes on with the restore, or removes what was made for it",
        );
        self.under_way.retain(|target, under_way| {
            let is_open = matches!(target, Target::Backup(_)) && under_way.over_since.is_none();
            if let (true, Some(task)) = (is_open, &under_way.task) {
                task.abort();
                self.progress.remove(target);
            }
            !is_open
        });
    }
}

/// Whether this version takes sets of it.
fn is_cared_for(workload: &Workload) -> bool {
    workload.postgres().is_some_and(|postgres| !postgres.is_external())
}

/// Whether work that was begun is what was asked for.
fn is_for(asked: &Work, begun: &Work) -> bool {
    match (asked, begun) {
        (Work::Take { before: asked, .. }, Work::Take { before: begun, .. }) => asked == begun,
        (asked, begun) => asked == begun,
    }
}

fn last_good(done: &WorkDone) -> Option<&Known> {
    done.summary.as_ref()?.last_good.as_ref()
}

/// `20261130T001700Z: 48211 rows, restored in a trial in 3.4 s`.
fn told(done: &WorkDone) -> String {
    let known = last_good(done).filter(|known| Some(known.id) == done.set);
    let Some(known) = known else { return done.set.map(|set| set.to_string()).unwrap_or_default() };
    let proof = match (known.proof, known.restore_seconds) {
        (crate::model::backup::Proof::Restored, Some(seconds)) => format!("restored in a trial in {seconds} s"),
        (proof, _) => proof.to_string(),
    };
    format!("{}: {} rows, {proof}", known.id, known.rows)
}
