//! Who is probed: one task for each subject, and a bound on all of them together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::prober::Prober;
use super::watcher::Watcher;
use crate::host::Clock;
use crate::model::health::{Subject, Verdict};
use crate::model::name::WorkloadName;
use crate::model::probe::Probes;
use crate::model::time::Moment;

/// Most probes under way at once.
const AT_ONCE: usize = 32;

/// A verdict on a subject changed, or the words of one that is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthEvent {
    /// Whom it is about. A container that was started again is another subject.
    pub subject: Subject,
    /// What all its probes say now.
    pub verdict: Verdict,
}

/// Somebody to be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The workload it belongs to.
    pub workload: WorkloadName,
    /// What is asked. [`crate::model::probe::Check::Image`] is not asked by us: the verdict of the
    /// image's HEALTHCHECK is part of what was observed.
    pub probes: Probes,
    /// How long it has been running, as well as is known. Read only when it is seen first.
    pub running_for: Duration,
}

/// What all tasks share.
pub(super) struct Shared {
    pub clock: Arc<dyn Clock>,
    pub prober: Arc<dyn Prober>,
    pub permits: Semaphore,
    pub events: mpsc::Sender<HealthEvent>,
    doubt: Mutex<Doubt>,
}

/// How far the clocks were apart when they were read last, and until when failures are no verdict.
struct Doubt {
    apart: SignedDuration,
    until: Moment,
}

/// A jump of the wall clock against the monotonic one that is more than clocks being set right: the
/// machine slept.
const JUMP: SignedDuration = SignedDuration::from_secs(5);
/// For this long after it woke, what a machine finds says more about its sleep than about those it asks.
const DOUBTFUL: Duration = Duration::from_secs(30);

impl Shared {
    /// Whether the machine has just woken: failures are then taken for probes that could not be made.
    /// Asked with every result, for timers notice nothing of a sleep.
    pub fn is_in_doubt(&self) -> bool {
        let now = self.clock.moment();
        let apart = apart(self.clock.as_ref());
        let mut doubt = self.doubt.lock().expect("no panic while doubt is held");
        if (apart - doubt.apart).abs() > JUMP {
            doubt.until = now + DOUBTFUL;
        }
        doubt.apart = apart;
        now < doubt.until
    }
}

fn apart(clock: &dyn Clock) -> SignedDuration {
    let since_start = SignedDuration::try_from(clock.moment().since_start()).unwrap_or(SignedDuration::MAX);
    clock.wall().as_duration() - since_start
}

/// By what a task is told something while it runs.
#[derive(Clone, Default)]
pub(super) struct Levers {
    /// Probe at once, and quickly for a while.
    pub hasten: Arc<Notify>,
    /// Probe at once, and tell what came of it.
    pub confirm: Arc<Notify>,
    /// Whether failures count against nobody's life.
    pub excused: Arc<AtomicBool>,
}

/// Probes what it is told to watch and sends verdicts that changed. Dropping it ends all probing.
pub struct Monitor {
    shared: Arc<Shared>,
    tasks: BTreeMap<Subject, Task>,
}

struct Task {
    watched: Watched,
    levers: Levers,
    handle: JoinHandle<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Monitor {
    /// A monitor that watches nobody yet. A receiver that is slow holds probing up; it loses nothing.
    pub fn new(clock: Arc<dyn Clock>, prober: Arc<dyn Prober>, events: mpsc::Sender<HealthEvent>) -> Self {
        let doubt = Mutex::new(Doubt { apart: apart(clock.as_ref()), until: Moment::default() });
        let shared = Shared { clock, prober, permits: Semaphore::new(AT_ONCE), events, doubt };
        Self { shared: Arc::new(shared), tasks: BTreeMap::new() }
    }

    /// Watches exactly these from now on. Call it after each observation with the runs that run:
    /// who is watched already goes on undisturbed, who is missing is not probed any more. A run
    /// that is being stopped had better be left out.
    pub fn watch(&mut self, subjects: BTreeMap<Subject, Watched>) {
        self.tasks.retain(|subject, task| {
            subjects
                .get(subject)
                .is_some_and(|wanted| wanted.probes == task.watched.probes && wanted.workload == task.watched.workload)
        });
        for (subject, watched) in subjects {
            if !self.tasks.contains_key(&subject) {
                let task = self.begin(subject.clone(), watched);
                self.tasks.insert(subject, task);
            }
        }
    }

    /// Probes this subject again at once, and quickly for a while: something was done that should
    /// make it ready. One that is not watched is none of our business.
    pub fn hasten(&self, subject: &Subject) {
        if let Some(task) = self.tasks.get(subject) {
            task.levers.hasten.notify_one();
        }
    }

    /// Probes this subject once at once, and tells of a good result even where it changes nothing.
    pub fn confirm(&self, subject: &Subject) {
        if let Some(task) = self.tasks.get(subject) {
            task.levers.confirm.notify_one();
        }
    }

    /// From now on failures of exactly these count against nobody's life: something that they depend on
    /// is not ready.
    pub fn excuse(&self, subjects: &BTreeSet<Subject>) {
        for (subject, task) in &self.tasks {
            task.levers.excused.store(subjects.contains(subject), Ordering::Relaxed);
        }
    }

    /// How many are watched.
    pub fn watching(&self) -> usize {
        self.tasks.len()
    }

    fn begin(&self, subject: Subject, watched: Watched) -> Task {
        let levers = Levers::default();
        let probing = Watcher::new(self.shared.clone(), subject, &watched, levers.clone()).run();
        Task { watched, levers, handle: tokio::spawn(probing) }
    }
}
