//! What is begun, in order, until nothing new is: with how long each replica is away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::host::Clock;
use crate::model::history::Target;
use crate::model::name::ReplicaKey;
use crate::model::status::Status;
use crate::model::time::Moment;
use crate::plan::{Action, Blocked, Planned};
use crate::supervisor::handle::{Handle, Published};

/// As long as nothing new is begun and nobody becomes ready for this long, nothing more comes: what
/// fails is tried again within 60 s, and a probe gives up within less.
const QUIET: Duration = Duration::from_secs(180);
/// Longer than any `up` takes; a stack that never rests ends here.
const LONGEST: Duration = Duration::from_secs(3600);

/// An action that was begun.
pub struct Step {
    /// Which, and why.
    pub planned: Planned,
    /// Of a stop: how long its replica was away.
    pub gap: Option<Duration>,
}

/// A replica that was stopped while it was ready.
struct Outage {
    step: usize,
    since: Moment,
    was_seen: bool,
}

/// All that was begun.
#[derive(Default)]
pub struct Course {
    /// In order; what is tried again after a failure is there once.
    pub steps: Vec<Step>,
    /// What waits at the end.
    pub blocked: Vec<Blocked>,
    ready: BTreeSet<ReplicaKey>,
    outages: BTreeMap<ReplicaKey, Outage>,
}

impl Course {
    /// Follows a supervisor until it rests.
    pub async fn follow(clock: &dyn Clock, handle: &Handle, mut begun: mpsc::UnboundedReceiver<Planned>) -> Self {
        let mut course = Self::default();
        let mut published = handle.watch();
        let last = clock.moment() + LONGEST;
        let mut quiet = clock.moment() + QUIET;
        loop {
            let is_new = tokio::select! {
                biased;
                Some(planned) = begun.recv() => course.begin(clock.moment(), planned),
                Ok(()) = published.changed() => {
                    let now = published.borrow_and_update().clone();
                    let is_new = course.see(clock.moment(), &now);
                    if now.generation > 0 && now.looked && now.status.converged {
                        break;
                    }
                    is_new
                }
                () = clock.sleep(quiet.min(last).since(clock.moment())) => break,
            };
            if is_new {
                quiet = clock.moment() + QUIET;
            }
        }
        course
    }

    /// Notes an action; whether it is one that was not tried before.
    fn begin(&mut self, now: Moment, planned: Planned) -> bool {
        if self.steps.iter().any(|step| step.planned.action == planned.action) {
            return false;
        }
        let step = self.steps.len();
        if let Action::Stop { key, .. } = &planned.action
            && self.ready.contains(key)
        {
            self.outages.insert(key.clone(), Outage { step, since: now, was_seen: false });
        }
        self.steps.push(Step { planned, gap: None });
        true
    }

    /// Notes who is ready and what waits; whether that is news.
    fn see(&mut self, now: Moment, published: &Published) -> bool {
        let ready = ready(&published.status);
        let is_new = ready != self.ready;
        self.ready = ready;
        self.blocked.clone_from(&published.blocked);
        let Self { outages, steps, ready, .. } = self;
        outages.retain(|key, outage| {
            let is_back = ready.contains(key);
            if is_back && outage.was_seen {
                steps[outage.step].gap = Some(now.since(outage.since));
                return false;
            }
            // It is shown ready until a look has shown that it ended.
            outage.was_seen |= !is_back;
            true
        });
        is_new
    }
}

fn ready(status: &Status) -> BTreeSet<ReplicaKey> {
    let ready = status.items.iter().filter(|item| item.ready);
    ready.filter_map(|item| Some(ReplicaKey { name: item.name.parse().ok()?, replica: item.replica })).collect()
}

/// The replica that an action is about.
pub fn replica(action: &Action) -> Option<ReplicaKey> {
    match action.target() {
        Target::Replica(key) => Some(key),
        _ => None,
    }
}
