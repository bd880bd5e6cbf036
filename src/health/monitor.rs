//! Who is probed: one task for each subject, and a bound on all of them together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

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
    doubtful_until: Mutex<Moment>,
}

impl Shared {
    /// Until when failures are taken for probes that could not be made.
    pub fn doubtful_until(&self) -> MutexGuard<'_, Moment> {
        self.doubtful_until.lock().expect("no panic while this moment is held")
    }
}

/// Probes what it is told to watch and sends verdicts that changed. Dropping it ends all probing.
pub struct Monitor {
    shared: Arc<Shared>,
    tasks: BTreeMap<Subject, Task>,
}

struct Task {
    watched: Watched,
    hasten: Arc<Notify>,
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
        let doubtful_until = Mutex::new(Moment::default());
        let shared = Shared { clock, prober, permits: Semaphore::new(AT_ONCE), events, doubtful_until };
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
            task.hasten.notify_one();
        }
    }

    /// For this long, failures are no verdict: the machine has just woken, and what it finds says
    /// more about its sleep than about those it asks.
    pub fn doubt_failures(&self, lasting: Duration) {
        let until = self.shared.clock.moment() + lasting;
        *self.shared.doubtful_until() = until;
    }

    /// How many are watched.
    pub fn watching(&self) -> usize {
        self.tasks.len()
    }

    fn begin(&self, subject: Subject, watched: Watched) -> Task {
        let hasten = Arc::new(Notify::new());
        let probing = Watcher::new(self.shared.clone(), subject, &watched, hasten.clone()).run();
        Task { watched, hasten, handle: tokio::spawn(probing) }
    }
}
