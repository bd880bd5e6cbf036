//! Faults of the engine: drawn from a seed, or scripted for one call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::events::EventFault;
use super::foreign::Foreign;
use super::trace::Operation;
use crate::engine::ErrorKind;
use crate::host::sim::SimRng;

/// What happens to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It fails and nothing happened.
    FailBefore(ErrorKind),
    /// It happens, and the answer is lost.
    LostAck(ErrorKind),
    /// It takes this much longer.
    Delay(Duration),
    /// It is never answered: the caller gives up after `limit`.
    Hang {
        /// When the caller gives up.
        limit: Duration,
        /// How long after that it happens all the same; `None`: never.
        effect_after: Option<Duration>,
    },
    /// An observation is this old.
    StaleRead(Duration),
    /// The next event is lost, doubled or late.
    Event(EventFault),
    /// The engine restarts first, and is away for this long.
    RestartEngine {
        /// How long it is away.
        down: Duration,
    },
    /// Foreign hands are quicker.
    Foreign(Foreign),
    /// The engine stops first, as by SIGSTOP: it takes calls and answers none for this long.
    StopEngine(Duration),
}

/// Kinds of faults, for rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// [`Fault::FailBefore`]
    FailBefore,
    /// [`Fault::LostAck`]
    LostAck,
    /// [`Fault::Delay`]
    Delay,
    /// [`Fault::Hang`]
    Hang,
    /// [`Fault::StaleRead`]
    StaleRead,
    /// [`Fault::Event`]
    Event,
    /// [`Fault::RestartEngine`]
    RestartEngine,
    /// [`Fault::Foreign`]
    Foreign,
    /// [`Fault::StopEngine`]
    StopEngine,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::FailBefore,
        Self::LostAck,
        Self::Delay,
        Self::Hang,
        Self::StaleRead,
        Self::Event,
        Self::RestartEngine,
        Self::Foreign,
        Self::StopEngine,
    ];
}

impl FaultKind {
    /// Whether one of it is felt for long: it is to be rare.
    fn is_heavy(self) -> bool {
        matches!(self, Self::RestartEngine | Self::Foreign | Self::Hang | Self::StopEngine)
    }
}

impl Fault {
    /// Its kind.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::FailBefore(_) => FaultKind::FailBefore,
            Self::LostAck(_) => FaultKind::LostAck,
            Self::Delay(_) => FaultKind::Delay,
            Self::Hang { .. } => FaultKind::Hang,
            Self::StaleRead(_) => FaultKind::StaleRead,
            Self::Event(_) => FaultKind::Event,
            Self::RestartEngine { .. } => FaultKind::RestartEngine,
            Self::Foreign(_) => FaultKind::Foreign,
            Self::StopEngine(_) => FaultKind::StopEngine,
        }
    }
}

/// Which faults happen how often.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FaultPlan {
    /// The seed: equal ones give equal faults for equal calls.
    pub seed: u64,
    /// For each kind: of a thousand calls, how many.
    pub rates: BTreeMap<FaultKind, u64>,
    /// Only these primitives; empty: all.
    pub only: BTreeSet<Operation>,
}

impl FaultPlan {
    /// One kind at one rate (of a thousand calls).
    pub fn one(seed: u64, kind: FaultKind, rate: u64) -> Self {
        Self { seed, rates: [(kind, rate)].into(), only: BTreeSet::new() }
    }

    /// A random subset of all kinds at random rates, so that not everything is always broken.
    pub fn swarm(seed: u64) -> Self {
        let rng = SimRng::new(seed ^ 0x5157_4152_4D00);
        let chosen: Vec<FaultKind> = FaultKind::ALL.into_iter().filter(|_| rng.below(2) == 0).collect();
        let rate = |kind: FaultKind| {
            let most = if kind.is_heavy() { 30 } else { 200 };
            (kind, 1 + rng.below(most))
        };
        Self { seed, rates: chosen.into_iter().map(rate).collect(), only: BTreeSet::new() }
    }
}

/// Decides for each call.
#[derive(Debug)]
pub(super) struct Gate {
    plan: FaultPlan,
    pub(super) rng: SimRng,
    next: BTreeMap<Operation, VecDeque<Fault>>,
    at: BTreeMap<usize, Fault>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { plan: FaultPlan::default(), rng: SimRng::new(0), next: BTreeMap::new(), at: BTreeMap::new() }
    }
}

impl Gate {
    pub(super) fn set(&mut self, plan: FaultPlan) {
        self.rng = SimRng::new(plan.seed);
        self.plan = plan;
    }

    pub(super) fn clear(&mut self) {
        self.plan.rates.clear();
        self.next.clear();
        self.at.clear();
    }

    pub(super) fn fail_next(&mut self, operation: Operation, fault: Fault) {
        self.next.entry(operation).or_default().push_back(fault);
    }

    pub(super) fn at_call(&mut self, number: usize, fault: Fault) {
        self.at.insert(number, fault);
    }

    /// The fault of call `number`, if any.
    pub(super) fn decide(&mut self, number: usize, operation: Operation) -> Option<Fault> {
        let scripted = self.at.remove(&number).or_else(|| self.next.get_mut(&operation)?.pop_front());
        scripted.or_else(|| self.draw(operation))
    }

    fn draw(&mut self, operation: Operation) -> Option<Fault> {
        if !self.plan.only.is_empty() && !self.plan.only.contains(&operation) {
            return None;
        }
        // Every kind is drawn for, so that one more kind does not change the luck of the others.
        let hit = |(kind, rate): (&FaultKind, &u64)| (self.rng.below(1000) < *rate).then_some(*kind);
        let hits: Vec<FaultKind> = self.plan.rates.iter().filter_map(hit).collect();
        hits.first().map(|kind| self.make(*kind))
    }

    fn make(&self, kind: FaultKind) -> Fault {
        let millis = |least: u64, most: u64| Duration::from_millis(least + self.rng.below(most - least));
        let failure = || if self.rng.below(2) == 0 { ErrorKind::Unavailable } else { ErrorKind::Other };
        match kind {
            FaultKind::FailBefore => Fault::FailBefore(failure()),
            FaultKind::LostAck => Fault::LostAck(failure()),
            FaultKind::Delay => Fault::Delay(millis(10, 20_000)),
            FaultKind::Hang => {
                let effect_after = (self.rng.below(2) == 0).then(|| millis(1, 60_000));
                Fault::Hang { limit: Duration::from_secs(30), effect_after }
            }
            FaultKind::StaleRead => Fault::StaleRead(millis(1, 10_000)),
            FaultKind::Event => Fault::Event(match self.rng.below(3) {
                0 => EventFault::Lose,
                1 => EventFault::Double,
                _ => EventFault::Late(millis(1, 10_000)),
            }),
            FaultKind::RestartEngine => Fault::RestartEngine { down: millis(100, 15_000) },
            FaultKind::Foreign => Fault::Foreign(Foreign::Any),
            FaultKind::StopEngine => Fault::StopEngine(millis(1_000, 180_000)),
        }
    }
}
