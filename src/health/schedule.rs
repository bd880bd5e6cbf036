//! When a probe is due: quick until its first success, then by its interval. Pure.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::hysteresis::Hysteresis;
use super::prober::Outcome;
use crate::model::probe::{Check, Probe, Probes, Purpose};
use crate::model::time::Moment;

/// The shortest time between two results before the first success.
const QUICK: Duration = Duration::from_millis(50);
/// What it widens to.
const WIDE: Duration = Duration::from_millis(250);
/// The time between two results is this part of the time since the first one: who starts is found ready at
/// most a thirtieth of that time late, and a start of more than 8 s is asked four times a second.
const PART: u32 = 32;
/// How long probing is quick again after somebody asked to hasten.
const HASTENED: Duration = Duration::from_secs(5);

/// One probe to be made, for one purpose or for two that ask the same.
#[derive(Debug)]
pub struct Slot {
    /// The probe.
    pub probe: Probe,
    /// What its result is fed to.
    pub purposes: Vec<Purpose>,
    due: Moment,
    /// When probing began; `None`: it was held back so far.
    since: Option<Moment>,
    quick_until: Moment,
    passed: bool,
    /// Added once to the first interval, so that many do not beat together.
    phase: Duration,
}

/// All probes of one run with their times.
#[derive(Debug)]
pub struct Schedule {
    slots: Vec<Slot>,
}

impl Schedule {
    /// The schedule of a run that was first seen at `now`, when it had lasted `running_for`. With a
    /// `phase_seed`, the intervals begin at a moment of their own within the first.
    pub fn new(probes: &Probes, now: Moment, running_for: Duration, phase_seed: Option<&str>) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        for (purpose, probe) in probes.iter().filter(|(_, probe)| probe.check != Check::Image) {
            let shared = purpose != Purpose::Startup;
            let same = slots.iter_mut().find(|slot| shared && slot.purposes != [Purpose::Startup] && slot.probe == *probe);
            if let Some(slot) = same {
                slot.purposes.push(purpose);
                continue;
            }
            slots.push(Slot {
                probe: probe.clone(),
                purposes: vec![purpose],
                due: now,
                since: None,
                quick_until: now + probe.start_period.saturating_sub(running_for),
                passed: false,
                phase: phase_seed.map_or(Duration::ZERO, |seed| phase(seed, probe.interval)),
            });
        }
        Self { slots }
    }

    /// The probe that is due first among those that are wanted, and when.
    pub fn next(&self, wanted: &Hysteresis) -> Option<(usize, Moment)> {
        let open = |slot: &Slot| slot.purposes.iter().any(|purpose| wanted.wants(*purpose));
        let due = self.slots.iter().enumerate().filter(|(_, slot)| open(slot)).map(|(index, slot)| (index, slot.due));
        due.min_by_key(|(index, due)| (*due, *index))
    }

    /// The probe of this number.
    pub fn slot(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    /// Notes what came of a probe, at `now`, and when it is due again.
    pub fn done(&mut self, index: usize, outcome: &Outcome, now: Moment) {
        let slot = &mut self.slots[index];
        let since = *slot.since.get_or_insert(now);
        slot.passed |= *outcome == Outcome::Success;
        let delay = if !slot.passed && now < slot.quick_until {
            (now.since(since) / PART).clamp(QUICK, WIDE).min(slot.probe.interval)
        } else {
            // Once: the first interval is shortened to the phase.
            match std::mem::take(&mut slot.phase) {
                Duration::ZERO => slot.probe.interval,
                phase => phase,
            }
        };
        slot.due = now + delay;
    }

    /// Everything is due at once, and by its interval from then on.
    pub fn ask(&mut self, now: Moment) {
        for slot in &mut self.slots {
            slot.due = slot.due.min(now);
        }
    }

    /// Everything is due at once, and quick for a while unless it passes.
    pub fn hasten(&mut self, now: Moment) {
        for slot in &mut self.slots {
            slot.due = now;
            slot.since = None;
            slot.passed = false;
            slot.quick_until = slot.quick_until.max(now + HASTENED);
        }
    }
}

/// A moment within `interval` that depends on the seed alone.
fn phase(seed: &str, interval: Duration) -> Duration {
    let digest = Sha256::digest(seed.as_bytes());
    let fraction = u32::from(u16::from_be_bytes([digest[0], digest[1]]));
    (interval * fraction) / u32::from(u16::MAX)
}
