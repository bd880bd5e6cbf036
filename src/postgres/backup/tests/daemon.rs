//! A daemon that lives through days on a fake clock.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::due::{DAY, HOUR, cron, hourly, zero};
use super::oracle::{at, plus};
use crate::model::postgres::BackupSchedule;
use crate::postgres::backup::schedule::{Due, Record, Timetable, Wait, due, is_clock_back};

/// Whether a clock that was set back left something in the record that is still to come: what is to come of
/// it can't be told then.
pub fn is_of_future(record: &Record, now: Timestamp) -> bool {
    record.failed.is_some_and(|failed| failed.at.max(failed.slot) > now) || record.awake_since > now
}

/// A daemon that asks at least every 30 s of its own time, on a clock that may be set.
pub struct Daemon {
    timetable: Timetable,
    /// What the wall clock says.
    pub now: Timestamp,
    /// What it keeps.
    pub record: Record,
    /// Whether sets fail.
    pub is_broken: bool,
    /// The slots of the sets that were taken, with how many were missed before each.
    pub sets: Vec<(Timestamp, u64)>,
    /// The slots that were tried in vain.
    pub failures: Vec<Timestamp>,
    /// Until when it waited last, and for what.
    pub answer: Option<(Timestamp, Wait)>,
    /// After how many seconds at most it asks again.
    pub stride: i64,
}

impl Daemon {
    /// One that begins.
    pub fn new(timetable: Timetable, now: Timestamp) -> Self {
        let record = Record { last_slot: None, failed: None, awake_since: now };
        Self { timetable, now, record, is_broken: false, sets: Vec::new(), failures: Vec::new(), answer: None, stride: 30 }
    }

    /// Lives on.
    pub fn live(mut self, seconds: i64) -> Self {
        let mut left = seconds;
        while left > 0 {
            let step = match due(&self.timetable, &self.record, self.now, "db") {
                Due::Now { slot, missed } => self.take(slot, missed),
                Due::Later { at, why } => self.wait(at, why),
            };
            self.now = plus(self.now, step.min(left));
            left -= step;
        }
        self
    }

    /// Takes a set, which lasts for some seconds.
    fn take(&mut self, slot: Timestamp, missed: u64) -> i64 {
        assert!(slot <= self.now, "{slot} has not come at {}", self.now);
        assert!(self.record.last_slot.is_none_or(|last| last < slot), "two sets of {slot}");
        let done = plus(self.now, 7);
        if self.is_broken {
            self.failures.push(slot);
            self.record = self.record.after_failure(slot, done);
        } else {
            self.sets.push((slot, missed));
            self.record = self.record.after_set(slot);
        }
        7
    }

    fn wait(&mut self, at: Timestamp, why: Wait) -> i64 {
        assert!(at > self.now, "{at} is over at {}", self.now);
        let is_new = self.answer.replace((at, why)) != Some((at, why));
        if is_new && !is_of_future(&self.record, self.now) {
            let is_due = |now| matches!(due(&self.timetable, &self.record, now, "db"), Due::Now { .. });
            assert!(is_due(at), "nothing is due at {at} after all");
            assert!(!is_due(plus(at, -1)) || plus(at, -1) < self.now, "a set is due before {at}");
        }
        at.duration_since(self.now).as_secs().min(self.stride - 1) + 1
    }

    /// Sleeps, or is not there.
    pub fn sleep(mut self, seconds: i64) -> Self {
        self.now = plus(self.now, seconds);
        self.record.awake_since = self.now;
        self
    }

    /// Has its clock set.
    pub fn set(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// Has its clock set by so many seconds.
    pub fn shift(self, seconds: i64) -> Self {
        let now = plus(self.now, seconds);
        self.set(now)
    }

    /// Has sets fail from now on, or not any more.
    pub fn broken(mut self, is_broken: bool) -> Self {
        self.is_broken = is_broken;
        self
    }

    /// What it waited for last.
    fn waits_for(&self) -> Option<Wait> {
        self.answer.map(|(_, why)| why)
    }

    /// How many slots are said to have been missed.
    pub fn missed(&self) -> u64 {
        self.sets.iter().map(|(_, missed)| missed).sum()
    }

    /// Whether each slot with a set lies so many seconds after the one before.
    fn is_regular(&self, seconds: i64) -> bool {
        self.sets.windows(2).all(|pair| pair[1].0.duration_since(pair[0].0).as_secs() == seconds)
    }
}

#[test]
fn days_have_a_set_an_hour() {
    let daemon = Daemon::new(hourly(), plus(zero(), 1234)).live(10 * DAY);
    assert_eq!((daemon.sets.len(), daemon.missed()), (241, 0));
    assert!(daemon.is_regular(HOUR));
    let daily = Daemon::new(cron("30 2 * * *"), plus(zero(), 1234)).live(10 * DAY);
    assert_eq!((daily.sets.len(), daily.missed(), daily.is_regular(DAY)), (11, 0, true));
    let weekly = Timetable::new(&BackupSchedule::Every(Duration::from_secs(7 * 86_400)), "db").expect("an interval");
    let weekly = Daemon::new(weekly, zero()).live(30 * DAY);
    assert_eq!((weekly.missed(), weekly.is_regular(7 * DAY)), (0, true));
}

#[test]
fn days_on_which_clocks_change_are_days_like_others() {
    // The rules of Europe/Zurich and America/New_York, the days on which they change, and the hours of those.
    let zones = [
        ("CET-1CEST,M3.5.0,M10.5.0/3", [("2026-03-29", 23), ("2026-10-25", 25)]),
        ("EST5EDT,M3.2.0,M11.1.0", [("2026-03-08", 23), ("2026-11-01", 25)]),
    ];
    for (zone, days) in zones {
        let zone = TimeZone::posix(zone).expect("a zone");
        for (day, hours) in days {
            let noon = at(&format!("{day}T12:00:00Z"));
            let daemon = Daemon::new(hourly(), plus(noon, -3 * DAY)).live(6 * DAY);
            assert_eq!((daemon.sets.len(), daemon.missed(), daemon.is_regular(HOUR)), (145, 0, true), "{day}");
            let local = |slot: Timestamp| slot.to_zoned(zone.clone()).date().to_string();
            assert_eq!(daemon.sets.iter().filter(|(slot, _)| local(*slot) == day).count(), hours, "{day}");
            let utc = daemon.sets.iter().filter(|(slot, _)| slot.to_string().starts_with(day)).count();
            assert_eq!(utc, 24, "{day}");
            let daily = Daemon::new(cron("30 2 * * *"), plus(noon, -3 * DAY)).live(6 * DAY);
            assert_eq!((daily.sets.len(), daily.is_regular(DAY)), (7, true), "{day}");
        }
    }
}

#[test]
fn a_sleep_is_made_up_by_one_set() {
    for (hours, missed) in [(0, 0), (1, 0), (2, 1), (8, 7), (381, 380)] {
        let before = Daemon::new(hourly(), plus(zero(), 600)).live(600);
        let after = before.sleep(hours * HOUR).live(61);
        let expected = if hours == 0 { 1 } else { 2 };
        assert_eq!((after.sets.len(), after.missed()), (expected, missed), "{hours} h");
        assert_eq!(after.sets[after.sets.len() - 1].0, plus(zero(), hours * HOUR), "{hours} h");
        let on = after.live(3 * HOUR);
        assert_eq!((on.sets.len(), on.missed()), (expected + 3, missed), "{hours} h");
    }
    let woken = Daemon::new(hourly(), plus(zero(), 600)).live(600).sleep(8 * HOUR).live(14);
    assert_eq!((woken.sets.len(), woken.waits_for()), (1, Some(Wait::CatchUp)));
}

#[test]
fn a_clock_that_is_set_gives_no_slot_two_sets() {
    let base = || Daemon::new(hourly(), plus(zero(), 600)).live(DAY + 600);
    assert_eq!(base().sets.len(), 25);
    // Set forward, the slots between are missed, and it goes on.
    assert_eq!(base().shift(2 * HOUR).live(30).sets.len(), 26);
    assert_eq!((base().shift(2 * HOUR).live(30).missed(), base().shift(DAY).live(30).missed()), (1, 23));
    // Set back, nothing is taken until the slots have come again; then it goes on.
    for back in [2 * HOUR, DAY] {
        let shifted = base().shift(-back).live(30);
        assert_eq!((shifted.sets.len(), shifted.waits_for()), (25, Some(Wait::ClockBack)));
        assert!(is_clock_back(&shifted.record, shifted.now));
        let mended = shifted.live(back + HOUR);
        assert_eq!((mended.sets.len(), mended.missed(), mended.is_regular(HOUR)), (26, 0, true));
    }
    // There and back: the hours there count as taken.
    for there in [2 * HOUR, DAY] {
        let back = base().shift(there).live(30).shift(-there).live(there + HOUR);
        assert_eq!((back.sets.len(), back.missed()), (27, u64::try_from(there / HOUR).expect("hours") - 1));
    }
    // To 1970 and back: nothing is taken there, and all goes on.
    let then = base().set(Timestamp::UNIX_EPOCH).live(2 * DAY);
    assert_eq!((then.sets.len(), then.waits_for()), (25, Some(Wait::ClockBack)));
    let back = then.set(plus(zero(), 3 * DAY)).live(HOUR + 60);
    assert_eq!((back.sets.len(), back.missed()), (27, 47));
    // A machine that comes up in 1970, and only then gets the time.
    let first = Daemon::new(hourly(), Timestamp::UNIX_EPOCH).live(60).set(zero()).live(HOUR + 60);
    assert_eq!(first.sets.iter().filter(|(slot, _)| *slot >= zero()).count(), 2);
    // One that wakes in 2040 for a moment, and has nothing to do there.
    let awake = base().broken(true).set(at("2040-01-01T00:00:00Z")).sleep(0).live(5).broken(false);
    let back = awake.set(plus(zero(), DAY + 2 * HOUR + 600)).live(3 * HOUR);
    assert_eq!((back.sets.len(), back.missed()), (29, 1));
}

#[test]
fn failures_are_tried_again_and_then_the_next_slot_is() {
    let broken = Daemon::new(hourly(), plus(zero(), 600)).live(600).broken(true).live(2 * HOUR);
    let slots = [HOUR, 2 * HOUR].map(|slot| vec![plus(zero(), slot); 4]).concat();
    assert_eq!(&broken.failures[..], &slots[..broken.failures.len()]);
    assert_eq!(broken.failures.len(), 7, "the third retry of the second slot is still to come");
    let mended = broken.broken(false).live(HOUR);
    assert_eq!((mended.sets.len(), mended.missed()), (3, 1), "the slot that failed for good is missed");
    // Whatever the clock does, a failure holds up nothing for longer than its delay.
    let set_back = Daemon::new(hourly(), plus(zero(), 3000)).broken(true).live(10).broken(false).shift(-2500).live(60);
    assert_eq!(set_back.sets, [(zero(), 0)]);
    let minutely = Timetable::new(&BackupSchedule::Every(Duration::from_secs(60)), "db").expect("an interval");
    let busy = Daemon::new(minutely, zero()).broken(true).live(HOUR);
    assert_eq!(busy.failures.len(), 60, "the next slot comes before the retry");
    assert!(busy.failures.windows(2).all(|pair| pair[0] < pair[1]));
}
