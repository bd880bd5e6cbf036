//! What a machine suffers beside the faults of its engine: a full disk, a clock that jumps, daemons that are
//! killed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use witwd::host::Clock as _;
use witwd::host::sim::{LastWrite, SimRng};
use witwd::model::time::Moment;

use super::client::Place;
use super::coverage::Coverage;
use super::rig::Flow;
use super::tell::tell;

/// Something that is done to the machine at its time.
#[derive(Debug, Clone, Copy)]
pub enum Mischief {
    Full(bool),
    Jump(i64),
    KillAtWrite(usize, LastWrite),
    Kill,
}

/// What the machine suffers beside its engine, in order of time.
pub fn mischiefs(rng: &SimRng) -> VecDeque<(Moment, Mischief)> {
    let at = |most: u64| Moment::at(Duration::from_millis(rng.below(most)));
    let mut all = Vec::new();
    if rng.below(4) == 0 {
        let full = at(60_000);
        all.extend([(full, Mischief::Full(true)), (full + Duration::from_secs(30), Mischief::Full(false))]);
    }
    if rng.below(4) == 0 {
        let hours = [-25, -1, 1, 25][usize::try_from(rng.below(4)).unwrap_or_default()];
        all.push((at(110_000), Mischief::Jump(hours)));
    }
    for _ in 0..rng.below(4) {
        // Most happens in the first seconds.
        let at = if rng.below(2) == 0 { at(8_000) } else { at(110_000) };
        let last = if rng.below(2) == 0 { LastWrite::Lost } else { LastWrite::There };
        let write = usize::try_from(1 + rng.below(4)).unwrap_or(1);
        all.push((at, if rng.below(2) == 0 { Mischief::Kill } else { Mischief::KillAtWrite(write, last) }));
    }
    all.sort_by_key(|(at, _)| *at);
    all.into()
}

/// Does mischief to a place when its time comes.
pub struct Imp {
    place: Place,
    left: VecDeque<(Moment, Mischief)>,
    stopped: Arc<AtomicBool>,
    /// Whether the disk was full at any time.
    pub is_full: bool,
    /// Whether the wall clock jumped.
    pub has_jumped: bool,
    /// What had an effect.
    pub coverage: Coverage,
}

impl Imp {
    /// What is left is done when its time comes.
    pub fn new(place: &Place, left: VecDeque<(Moment, Mischief)>) -> Self {
        let coverage = Coverage { runs: 1, ..Coverage::default() };
        Self { place: place.clone(), left, stopped: Arc::default(), is_full: false, has_jumped: false, coverage }
    }

    /// Whether the daemon is killed here.
    pub fn act(&mut self) -> Flow {
        let now = self.place.clock.moment();
        while let Some((_, mischief)) = self.left.pop_front_if(|(at, _)| *at <= now) {
            tell(now, &format!("{mischief:?}"));
            match mischief {
                Mischief::Full(full) => {
                    self.is_full |= full;
                    self.place.machine.disk.set_full(full);
                }
                Mischief::Jump(hours) => {
                    self.has_jumped = true;
                    self.coverage.add("ClockJump", 1);
                    self.place.clock.jump(jiff::SignedDuration::from_hours(hours));
                }
                Mischief::Kill => {
                    self.coverage.add("Kill", 1);
                    return Flow::Crash;
                }
                Mischief::KillAtWrite(number, last) => {
                    let stopped = self.stopped.clone();
                    self.place.machine.disk.stop_at(number, last, move || stopped.store(true, Ordering::SeqCst));
                }
            }
        }
        if self.stopped.swap(false, Ordering::SeqCst) {
            tell(now, "the machine stopped at a write");
            self.coverage.add("KillAtWrite", 1);
            return Flow::Crash;
        }
        Flow::On
    }

    /// Nothing more is done, and the disk is as it should be.
    pub fn end(&mut self) {
        self.left.clear();
        self.place.machine.disk.go_on();
        self.place.machine.disk.set_full(false);
    }
}
