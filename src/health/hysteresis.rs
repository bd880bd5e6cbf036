//! From results to verdicts. Pure: it is told how long the run lasts.

use std::time::Duration;

use super::prober::Outcome;
use crate::model::health::Verdict;
use crate::model::probe::{Probe, Probes, Purpose};

/// The verdicts on one run, from the results of its probes.
///
/// * Only consecutive results turn a state; a result that could not be had changes nothing.
/// * Until its first good result, and while `start_period` lasts, a probe's failures do not count.
/// * The startup probe holds the other two back; when it fails for good the run is not alive.
/// * [`Outcome::Refused`] and [`Outcome::Unfit`] are answers: good for liveness, not good for readiness.
#[derive(Debug, Clone)]
pub struct Hysteresis {
    startup: Option<Track>,
    readiness: Option<Track>,
    liveness: Option<Track>,
    settled: bool,
    not_made: Option<String>,
    unfit: bool,
}

/// Counters and state of one probe.
#[derive(Debug, Clone)]
struct Track {
    retries: u32,
    successes: u32,
    start_period: Duration,
    good: u32,
    bad: u32,
    state: Option<bool>,
    words: Option<String>,
}

/// What a result means for a purpose.
enum Meaning {
    Good,
    Bad(String),
    /// Neither: the counters begin anew.
    Neither(String),
}

impl Hysteresis {
    /// No verdict yet.
    pub fn new(probes: &Probes) -> Self {
        let track = |probe: &Option<Probe>| probe.as_ref().map(Track::new);
        Self {
            startup: track(&probes.startup),
            readiness: track(&probes.readiness),
            liveness: track(&probes.liveness),
            settled: false,
            not_made: None,
            unfit: false,
        }
    }

    /// Whether a probe of this purpose is to be made now: startup until it has passed, the others
    /// from then on.
    pub fn wants(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Startup => !self.started(),
            Purpose::Readiness | Purpose::Liveness => self.started(),
        }
    }

    /// What is known for this purpose.
    pub fn state(&self, purpose: Purpose) -> Option<bool> {
        let track = match purpose {
            Purpose::Startup => &self.startup,
            Purpose::Readiness => &self.readiness,
            Purpose::Liveness => &self.liveness,
        };
        track.as_ref().and_then(|track| track.state)
    }

    /// Takes in a result that came when the run had lasted `running_for`.
    pub fn feed(&mut self, purpose: Purpose, outcome: &Outcome, running_for: Duration) {
        if let Outcome::NotMade(words) = outcome {
            self.not_made = Some(words.clone());
            return;
        }
        self.not_made = None;
        self.unfit = matches!(outcome, Outcome::Unfit(_));
        let track = match purpose {
            Purpose::Startup => &mut self.startup,
            Purpose::Readiness => &mut self.readiness,
            Purpose::Liveness => &mut self.liveness,
        };
        if let (Some(track), Some(meaning)) = (track, meaning(purpose, outcome)) {
            track.take(meaning, running_for);
        }
    }

    /// A failure that counts against nobody's life: something that the run depends on is not ready. What
    /// was counted until now begins anew, so that it is judged by what follows; its readiness is another matter.
    pub fn excuse(&mut self) {
        for track in [&mut self.startup, &mut self.liveness].into_iter().flatten() {
            track.bad = 0;
            if track.state == Some(false) {
                track.state = None;
            }
        }
    }

    /// The run has lasted long enough to be called ready where there is no readiness probe.
    pub fn settle(&mut self) {
        self.settled = true;
    }

    /// What all results say together.
    pub fn verdict(&self) -> Verdict {
        let started = self.started();
        let ready = match &self.readiness {
            Some(track) => track.state,
            None => (self.settled && started).then_some(true),
        };
        let gave_up = self.startup.as_ref().is_some_and(|track| track.state == Some(false));
        let alive = if gave_up { Some(false) } else { self.liveness.as_ref().and_then(|track| track.state) };
        let words = self.words(started, ready, alive);
        Verdict { started, ready, alive, words, needs_operator: self.unfit, shaken: self.is_shaken(), ..Verdict::default() }
    }

    fn is_shaken(&self) -> bool {
        [&self.readiness, &self.liveness].into_iter().flatten().any(|track| track.words.is_some())
    }

    fn started(&self) -> bool {
        self.startup.as_ref().is_none_or(|track| track.state == Some(true))
    }

    /// The words of the probe that stands in the way: what kills first, then what holds back.
    fn words(&self, started: bool, ready: Option<bool>, alive: Option<bool>) -> Option<String> {
        let of = |track: &Option<Track>| track.as_ref().and_then(|track| track.words.clone());
        let words = if !started {
            of(&self.startup)
        } else if alive == Some(false) {
            of(&self.liveness)
        } else if ready != Some(true) {
            of(&self.readiness).or_else(|| of(&self.liveness))
        } else {
            return None;
        };
        // An engine that does not answer explains why nothing is known, and nothing else.
        words.or_else(|| self.not_made.clone().filter(|_| ready.is_none()))
    }
}

fn meaning(purpose: Purpose, outcome: &Outcome) -> Option<Meaning> {
    Some(match (outcome, purpose) {
        (Outcome::Success, _) | (Outcome::Refused(_) | Outcome::Unfit(_), Purpose::Liveness) => Meaning::Good,
        (Outcome::Refused(words) | Outcome::Unfit(words), Purpose::Readiness) | (Outcome::Failure(words), _) => {
            Meaning::Bad(words.clone())
        }
        (Outcome::Refused(words) | Outcome::Unfit(words), Purpose::Startup) => Meaning::Neither(words.clone()),
        (Outcome::NotMade(_), _) => return None,
    })
}

impl Track {
    fn new(probe: &Probe) -> Self {
        Self {
            retries: probe.retries.max(1),
            successes: probe.successes.max(1),
            start_period: probe.start_period,
            good: 0,
            bad: 0,
            state: None,
            words: None,
        }
    }

    fn take(&mut self, meaning: Meaning, running_for: Duration) {
        match meaning {
            Meaning::Good => {
                self.bad = 0;
                self.good = self.good.saturating_add(1);
                self.words = None;
                if self.good >= self.successes {
                    self.state = Some(true);
                }
            }
            Meaning::Neither(words) => {
                (self.good, self.bad, self.words) = (0, 0, Some(words));
            }
            Meaning::Bad(words) => {
                (self.good, self.words) = (0, Some(words));
                if self.state.is_none() && running_for < self.start_period {
                    return;
                }
                self.bad = self.bad.saturating_add(1);
                if self.bad >= self.retries {
                    self.state = Some(false);
                }
            }
        }
    }
}
