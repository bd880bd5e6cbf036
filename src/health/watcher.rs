//! The task that probes one subject, one probe at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::hysteresis::Hysteresis;
use super::monitor::{HealthEvent, Levers, Shared, Watched};
use super::prober::{Asked, Outcome};
use super::schedule::Schedule;
use crate::model::health::{Subject, Verdict};
use crate::model::probe::{Probe, SETTLED};
use crate::model::time::Moment;

/// Who has run longer than this when he is first seen ran before this daemon did.
const ADOPTED: Duration = Duration::from_secs(5);
/// How long beyond its time-out a probe may keep us before it counts as one that was not made.
const GUARD: Duration = Duration::from_secs(5);

/// Probes one subject until it is dropped.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    subject: Subject,
    asked: Asked,
    levers: Levers,
    schedule: Schedule,
    hysteresis: Hysteresis,
    sent: Verdict,
    /// Since when a good result is to be told although it changes nothing.
    to_confirm: Option<Moment>,
    confirmed_at: Option<Moment>,
    first_seen: Moment,
    running_for: Duration,
    /// When it is called ready for want of a readiness probe.
    settles: Option<Moment>,
}

/// What is to be done next.
enum Next {
    Probe(usize),
    Settle,
}

impl Watcher {
    pub fn new(shared: Arc<Shared>, subject: Subject, watched: &Watched, levers: Levers) -> Self {
        let now = shared.clock.moment();
        let (asked, seed) = match &subject {
            Subject::Run(run) => {
                let asked = Asked::Container { workload: watched.workload.clone(), run: run.clone() };
                (asked, (watched.running_for > ADOPTED).then_some(run.container.0.as_str()))
            }
            Subject::External(name) => (Asked::External { workload: name.clone() }, None),
        };
        let schedule = Schedule::new(&watched.probes, now, watched.running_for, seed);
        let hysteresis = Hysteresis::new(&watched.probes);
        let settles = watched.probes.readiness.is_none().then(|| now + SETTLED.saturating_sub(watched.running_for));
        let sent = hysteresis.verdict();
        Self {
            asked,
            schedule,
            sent,
            hysteresis,
            settles,
            shared,
            subject,
            levers,
            to_confirm: None,
            confirmed_at: None,
            first_seen: now,
            running_for: watched.running_for,
        }
    }

    /// Until nobody listens any more, or there is nothing to ask.
    pub async fn run(mut self) {
        while let Some((next, due)) = self.next() {
            match self.wait(due).await {
                Woken::Due => {}
                Woken::Hastened => {
                    self.schedule.hasten(self.shared.clock.moment());
                    continue;
                }
                Woken::Asked => {
                    let now = self.shared.clock.moment();
                    self.to_confirm = Some(now);
                    self.schedule.ask(now);
                    continue;
                }
            }
            match next {
                Next::Settle => {
                    self.settles = None;
                    self.hysteresis.settle();
                }
                Next::Probe(index) => self.probe(index).await,
            }
            if !self.tell().await {
                return;
            }
        }
    }

    fn next(&self) -> Option<(Next, Moment)> {
        let probe = self.schedule.next(&self.hysteresis).map(|(index, due)| (Next::Probe(index), due));
        let settle = self.settles.map(|at| (Next::Settle, at));
        match (probe, settle) {
            (Some(probe), Some(settle)) => Some(if probe.1 <= settle.1 { probe } else { settle }),
            (probe, settle) => probe.or(settle),
        }
    }

    async fn wait(&self, due: Moment) -> Woken {
        let left = due.since(self.shared.clock.moment());
        tokio::select! {
            biased;
            () = self.levers.hasten.notified() => Woken::Hastened,
            () = self.levers.confirm.notified() => Woken::Asked,
            () = self.shared.clock.sleep(left) => Woken::Due,
        }
    }

    async fn probe(&mut self, index: usize) {
        let slot = self.schedule.slot(index);
        let outcome = self.ask(&slot.probe).await;
        let now = self.shared.clock.moment();
        let running_for = self.running_for.saturating_add(now.since(self.first_seen));
        for purpose in &slot.purposes {
            self.hysteresis.feed(*purpose, &outcome, running_for);
        }
        if self.levers.excused.load(Ordering::Relaxed) {
            self.hysteresis.excuse();
        }
        if outcome == Outcome::Success {
            self.confirmed_at = self.to_confirm.take().or(self.confirmed_at);
        }
        self.schedule.done(index, &outcome, now);
    }

    /// One probe, within the bound on all. One that hangs is one that could not be made.
    async fn ask(&self, probe: &Probe) -> Outcome {
        let Ok(_permit) = self.shared.permits.acquire().await else {
            return Outcome::NotMade("the daemon is ending".to_owned());
        };
        let outcome = tokio::select! {
            biased;
            outcome = self.shared.prober.probe(&self.asked, probe) => outcome,
            () = self.shared.clock.sleep(probe.timeout + GUARD) => Outcome::NotMade("the probe hangs".to_owned()),
        };
        match (self.shared.is_in_doubt(), outcome) {
            (true, Outcome::Failure(words)) => Outcome::NotMade(words),
            (_, outcome) => outcome,
        }
    }

    /// Sends the verdict where it changed; `false` when nobody listens any more.
    async fn tell(&mut self) -> bool {
        let mut verdict = self.hysteresis.verdict();
        verdict.confirmed_at = self.confirmed_at;
        if verdict.alive == Some(false) {
            verdict.lost_at = self.sent.lost_at.or_else(|| Some(self.shared.clock.moment()));
        }
        if verdict == self.sent {
            return !self.shared.events.is_closed();
        }
        self.sent = verdict.clone();
        self.shared.events.send(HealthEvent { subject: self.subject.clone(), verdict }).await.is_ok()
    }
}

/// Why a wait was over.
#[derive(PartialEq, Eq)]
enum Woken {
    Due,
    Hastened,
    Asked,
}
