//! What the supervisor needs of the caretaker of backup sets, and when it needs it. What is due is worked out here
//! from the timetable and given to the planner; what came of it is remembered and told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use super::run::Supervisor;
use crate::model::backup::{BackupFailure, Due, Errand, SetId, Summary, Work, WorkDone, WorkFailed};
use crate::model::chain::chain;
use crate::model::history::{Goal, Target};
use crate::model::name::{ContainerId, ImageId, WorkloadName};
use crate::model::stack::Stack;
use crate::model::time::Moment;
use crate::model::wish::Refusal;
use crate::model::workload::Workload;
use crate::plan::Action;
use crate::postgres::backup::schedule::{self, Failed, Record, Timetable};
use crate::postgres::backup::{Order, ProgressSink, Sets, Wanted, summary};

/// How often the directories of sets are read: somebody else may change what lies there.
const READ: Duration = Duration::from_secs(60);
/// A wall clock that is so much further than ours tells that the machine slept.
const SLEPT: SignedDuration = SignedDuration::from_secs(5);
/// How long a set that was taken before something stays whatever the rules say.
const SAFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Sets of a Postgres. The real one is [`PostgresBackups`].
#[async_trait]
pub trait Backups: Send + Sync {
    /// What lies in the directory of its sets at this time; `None`: nothing is known, and nothing is done.
    fn look(&self, workload: &Workload, now: Timestamp) -> Option<Result<Summary, String>>;

    /// Takes a set, or looks at one again.
    async fn carry_out(&self, task: BackupTask<'_>, progress: ProgressSink) -> Result<WorkDone, WorkFailed>;
}

/// Work that is begun.
#[derive(Debug, Clone)]
pub struct BackupTask<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// The Postgres.
    pub workload: &'a Workload,
    /// Its container, running.
    pub container: ContainerId,
    /// The image of that.
    pub image: ImageId,
    /// What is to be done.
    pub work: Work,
    /// Why, for people.
    pub cause: String,
}

/// Nothing is known of sets, and none is taken: for who only looks ahead.
#[derive(Debug, Default)]
pub struct NoBackups;

#[async_trait]
impl Backups for NoBackups {
    fn look(&self, _: &Workload, _: Timestamp) -> Option<Result<Summary, String>> {
        None
    }

    async fn carry_out(&self, _: BackupTask<'_>, _: ProgressSink) -> Result<WorkDone, WorkFailed> {
        Err(WorkFailed { reason: "none".to_owned(), words: "no sets are taken here".to_owned() })
    }
}

/// Sets of real servers.
pub struct PostgresBackups(pub Sets);

#[async_trait]
impl Backups for PostgresBackups {
    fn look(&self, workload: &Workload, now: Timestamp) -> Option<Result<Summary, String>> {
        let sets = self.0.catalog(workload).list();
        Some(sets.map(|sets| summary(&sets, now)).map_err(|error| chain(&error)))
    }

    async fn carry_out(&self, task: BackupTask<'_>, progress: ProgressSink) -> Result<WorkDone, WorkFailed> {
        let BackupTask { stack, workload, container, image, work, cause } = task;
        let order = Order { stack, workload, container, image, progress };
        let done = match work {
            Work::Take { slot, before, .. } => {
                let safe_for = before.map(|_| SAFE);
                self.0.take(&order, &Wanted { slot, reason: cause, safe_for }).await.map(|taken| {
                    let pruned = taken.pruned;
                    (taken.manifest.set_id, pruned.gone, pruned.held, taken.trial_failed)
                })
            }
            Work::Verify { set, by_restore } => match self.0.verify(&order, set, by_restore).await {
                Ok(Some(checked)) => Ok((set, Vec::new(), Vec::new(), checked.error)),
                Ok(None) => return Err(no_set(set)),
                Err(error) => Err(error),
            },
        };
        let (set, gone, held, unproven) =
            done.map_err(|error| WorkFailed { reason: error.reason().to_owned(), words: chain(&error) })?;
        let summary = self.look(workload, self.0.clock.wall()).and_then(Result::ok).unwrap_or_default();
        Ok(WorkDone { set, gone, held, unproven, summary })
    }
}

fn no_set(set: SetId) -> WorkFailed {
    WorkFailed { reason: "no_set".to_owned(), words: format!("there is no set {set} that this witwd understands") }
}

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
    errands: BTreeMap<WorkloadName, VecDeque<(Work, Answer)>>,
    read_at: Option<Moment>,
    awake: Option<Awake>,
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
    /// Reads what lies in the directories of sets, where that was not done lately.
    pub(super) fn read_sets(&mut self) {
        let now = self.context.clock.moment();
        if self.care.read_at.is_some_and(|at| now.since(at) < READ) {
            return;
        }
        self.care.read_at = Some(now);
        let wall = self.context.clock.wall();
        let stack = self.stack.clone();
        for workload in stack.in_order().filter(|workload| is_cared_for(workload)) {
            match self.context.backups.look(workload, wall) {
                Some(Ok(summary)) => {
                    self.care.unread.remove(&workload.name);
                    self.care.summaries.insert(workload.name.clone(), summary);
                }
                Some(Err(words)) => {
                    if self.care.unread.insert(workload.name.clone(), words.clone()).as_ref() != Some(&words) {
                        self.journal.record("failed", &workload.name, words);
                    }
                    self.care.summaries.remove(&workload.name);
                }
                None => {}
            }
        }
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
        let record = self.record(workload, now);
        let errand = self.care.errands.get(&workload.name).and_then(VecDeque::front);
        if let Some((work, _)) = errand {
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
        let failed = self.history.backups.get(&workload.name).and_then(|history| history.failed.as_ref());
        Some(Record {
            last_slot: summary.last_slot,
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
        self.care.errands.entry(errand.of).or_default().push_back((errand.work, answer));
    }

    fn refuse_errand(&self, errand: &Errand) -> Option<Refusal> {
        if self.history.goal == Goal::Down {
            return Some(super::requests::not_up());
        }
        let Some(workload) = self.stack.workload(&errand.of) else {
            let words = format!("the daemon runs no postgres {}", errand.of);
            return Some(Refusal::state(words, "`witwd up -d` has it run what stack.toml says"));
        };
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
        for (_, answer) in gone.iter().filter_map(|name| self.care.errands.remove(name)).flatten() {
            let _ = answer.send(Err(failed().into()));
        }
    }

    /// A piece of work is over: what came of it is remembered, told, and answered.
    pub(super) fn worked(&mut self, action: &Action, result: Result<WorkDone, WorkFailed>) {
        let Action::Backup { name, work, .. } = action else { return };
        match &result {
            Ok(done) => self.note_done(name, work, done),
            Err(failed) => self.note_failed(name, work, failed),
        }
        let Some(queue) = self.care.errands.get_mut(name) else { return };
        // It was begun for the errand at the head, unless a slot was due before that came.
        if queue.front().is_some_and(|(asked, _)| is_for(asked, work))
            && let Some((_, answer)) = queue.pop_front()
        {
            let _ = answer.send(result.map_err(ErrandError::Failed));
        }
        if queue.is_empty() {
            self.care.errands.remove(name);
        }
    }

    fn note_done(&mut self, name: &WorkloadName, work: &Work, done: &WorkDone) {
        self.care.summaries.insert(name.clone(), done.summary.clone());
        let history = self.history.backups.entry(name.clone()).or_default();
        if let Work::Take { missed, .. } = work {
            history.failed = None;
            history.missed += missed;
            history.held.clone_from(&done.held);
        }
        let detail = serde_json::json!({ "set": done.set, "gone": done.gone, "held": done.held, "last": done.summary.last_good });
        let kind = if matches!(work, Work::Take { .. }) { "backed-up" } else { "verified" };
        match &done.unproven {
            None => self.journal.record_with(kind, name, format!("set {}", told(done)), detail),
            Some(words) => self.journal.record_with("unproven", name, format!("set {}: {words}", done.set), detail),
        }
        if !done.gone.is_empty() {
            let gone: Vec<String> = done.gone.iter().map(ToString::to_string).collect();
            self.journal.record("pruned", name, format!("no rule keeps {}", gone.join(", ")));
        }
        if !done.held.is_empty() {
            let words = "more than half of the sets would go by `keep`: `witwd backup prune --yes` says that this is meant";
            self.journal.record("held", name, words);
        }
        if let Some(words) = &done.summary.shrunk {
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
        (Work::Take { .. }, Work::Take { .. }) => true,
        (asked, begun) => asked == begun,
    }
}

/// `20261130T001700Z: 48211 rows, restored in a trial in 3.4 s`.
fn told(done: &WorkDone) -> String {
    let known = done.summary.last_good.as_ref().filter(|known| known.id == done.set);
    let Some(known) = known else { return done.set.to_string() };
    let proof = match (known.proof, known.restore_seconds) {
        (crate::model::backup::Proof::Restored, Some(seconds)) => format!("restored in a trial in {seconds} s"),
        (proof, _) => proof.to_string(),
    };
    format!("{}: {} rows, {proof}", known.id, known.rows)
}
