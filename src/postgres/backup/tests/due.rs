//! When a set is due: tables.

use std::time::Duration;

use jiff::Timestamp;

use super::oracle::{at, plus};
use crate::model::postgres::BackupSchedule;
use crate::postgres::backup::schedule::{Due, Failed, Record, Timetable, Wait, due, is_clock_back};

/// An hour in seconds.
pub const HOUR: i64 = 3600;
/// A day in seconds.
pub const DAY: i64 = 24 * HOUR;

/// An hourly timetable.
pub fn hourly() -> Timetable {
    Timetable::new(&BackupSchedule::Every(Duration::from_secs(3600)), "db").expect("an interval")
}

/// That of a cron expression.
pub fn cron(text: &str) -> Timetable {
    Timetable::new(&BackupSchedule::Cron(text.to_owned()), "db").expect("a cron expression")
}

/// A slot of [`hourly`], from which the tables count in seconds.
pub fn zero() -> Timestamp {
    hourly().slot_at(at("2026-11-20T21:30:00Z"))
}

fn from_zero(time: Timestamp) -> i64 {
    time.duration_since(zero()).as_secs()
}

/// The answer in seconds from [`zero`].
fn told(timetable: &Timetable, record: &Record, now: i64) -> String {
    match due(timetable, record, plus(zero(), now), "db") {
        Due::Now { slot, missed } => format!("now {} missed {missed}", from_zero(slot)),
        Due::Later { at, why } => format!("{} {why:?}", from_zero(at)),
    }
}

fn record(last_slot: Option<i64>, awake_since: i64) -> Record {
    let last_slot = last_slot.map(|seconds| plus(zero(), seconds));
    Record { last_slot, failed: None, awake_since: plus(zero(), awake_since) }
}

/// The same, after failures in a slot.
fn failed(record: Record, slot: i64, times: u32, at: i64) -> Record {
    Record { failed: Some(Failed { slot: plus(zero(), slot), times, at: plus(zero(), at) }), ..record }
}

#[test]
fn a_set_is_due_once_its_slot_has_come() {
    let long = -100 * DAY;
    for (last_slot, now, expected) in [
        (None, 0, "now 0 missed 0"),
        (None, 1800, "now 0 missed 0"),
        (Some(0), 0, "3600 Slot"),
        (Some(0), 3599, "3600 Slot"),
        (Some(0), 3600, "now 3600 missed 0"),
        (Some(0), 7199, "now 3600 missed 0"),
        (Some(0), 7200, "now 7200 missed 1"),
        (Some(0), 381 * HOUR + 7, "now 1371600 missed 380"),
        // A slot of another schedule than now: it was a set all the same.
        (Some(-1000), 0, "now 0 missed 0"),
        (Some(1000), 1800, "3600 Slot"),
    ] {
        assert_eq!(told(&hourly(), &record(last_slot, long), now), expected, "{last_slot:?} {now}");
    }
    // The first is taken at once, also by a daemon that has just begun.
    assert_eq!(told(&hourly(), &record(None, 1800), 1800), "now 0 missed 0");
}

#[test]
fn who_catches_up_waits_a_little() {
    let wait = wait_of(&record(Some(-2 * HOUR), 1800), 1800);
    assert!((15..=60).contains(&wait));
    for (last_slot, awake_since, now, expected) in [
        (Some(-HOUR), 1800, 1800, format!("{} CatchUp", 1800 + wait)),
        (Some(-HOUR), 1800, 1800 + wait - 1, format!("{} CatchUp", 1800 + wait)),
        (Some(-HOUR), 1800, 1800 + wait, "now 0 missed 0".to_owned()),
        (Some(-381 * HOUR), 1800, 1800 + wait, "now 0 missed 380".to_owned()),
        // It was there when the slot came.
        (Some(-HOUR), 0, 0, "now 0 missed 0".to_owned()),
        // Another slot comes meanwhile: that one is in time.
        (Some(-HOUR), 3590, 3590, "3600 Slot".to_owned()),
        (Some(-HOUR), 3590, 3600, "now 3600 missed 1".to_owned()),
        // Nothing is to be caught up.
        (Some(0), 1800, 1800, "3600 Slot".to_owned()),
        // It woke in a future that is not any more: nobody waits for that.
        (Some(-HOUR), 100 * DAY, 1800, "now 0 missed 0".to_owned()),
    ] {
        assert_eq!(told(&hourly(), &record(last_slot, awake_since), now), expected, "{last_slot:?} {awake_since} {now}");
    }
}

/// How long it waits from now on.
fn wait_of(record: &Record, now: i64) -> i64 {
    match due(&hourly(), record, plus(zero(), now), "db") {
        Due::Later { at, why: Wait::CatchUp } => from_zero(at) - now,
        other => panic!("{other:?}"),
    }
}

#[test]
fn those_that_catch_up_do_not_all_begin_at_once() {
    let record = record(Some(-2 * HOUR), 1800);
    let waits = (0..1000).map(|index| match due(&hourly(), &record, plus(zero(), 1800), &format!("app{index}/db")) {
        Due::Later { at, why: Wait::CatchUp } => from_zero(at) - 1800,
        other => panic!("{other:?}"),
    });
    let mut waits: Vec<i64> = waits.collect();
    waits.sort_unstable();
    waits.dedup();
    assert_eq!(waits, (15..=60).collect::<Vec<_>>());
}

#[test]
fn what_failed_is_tried_again_three_times() {
    let ready = record(Some(-HOUR), -100 * DAY);
    for (slot, times, at, now, expected) in [
        (0, 1, 30, 31, "90 Retry"),
        (0, 1, 30, 90, "now 0 missed 0"),
        (0, 2, 120, 121, "420 Retry"),
        (0, 3, 450, 451, "1350 Retry"),
        (0, 3, 450, 1350, "now 0 missed 0"),
        (0, 4, 1400, 1401, "3600 Slot"),
        (0, u32::MAX, 1400, 3599, "3600 Slot"),
        // The next slot has failures of its own.
        (0, 4, 1400, 3600, "now 3600 missed 1"),
        // A retry that would come after the next slot is that slot's run.
        (0, 3, 3000, 3001, "3600 Slot"),
        (0, 1, 3540, 3541, "3600 Slot"),
        // The clock was set back after the failure: no wait for the time of then, and no new count either.
        (0, 1, 3000, 60, "now 0 missed 0"),
        (0, 4, 3000, 60, "3600 Slot"),
        (7200, 4, 9000, 60, "now 0 missed 0"),
        // Nonsense.
        (0, 0, 30, 31, "90 Retry"),
    ] {
        assert_eq!(told(&hourly(), &failed(ready, slot, times, at), now), expected, "{slot} {times} {at} {now}");
    }
    // The first of all, and one that is caught up, are tried again the same way.
    assert_eq!(told(&hourly(), &failed(record(None, 0), 0, 1, 30), 31), "90 Retry");
    let woken = record(Some(-HOUR), 1800);
    let wait = wait_of(&woken, 1800);
    assert_eq!(told(&hourly(), &failed(woken, 0, 1, 1700), 1801), format!("{} CatchUp", 1800 + wait));
    assert_eq!(told(&hourly(), &failed(woken, 0, 2, 1795), 1801), "2095 Retry");
}

#[test]
fn a_record_knows_the_newest_set_and_the_failures_of_one_slot() {
    let (first, second) = (plus(zero(), 0), plus(zero(), HOUR));
    let twice = record(None, 0).after_failure(first, plus(first, 9)).after_failure(first, plus(first, 99));
    assert_eq!(twice.failed, Some(Failed { slot: first, times: 2, at: plus(first, 99) }));
    let next = twice.after_failure(second, plus(second, 9));
    assert_eq!(next.failed, Some(Failed { slot: second, times: 1, at: plus(second, 9) }));
    let made = next.after_set(second);
    assert_eq!((made.last_slot, made.failed), (Some(second), None));
    assert_eq!(made.after_set(first).last_slot, Some(second));
}

#[test]
fn a_clock_that_was_set_back_takes_no_set_again() {
    for (last_slot, now, expected, warns) in [
        (0, -1, "3600 ClockBack", false),
        (0, -3599, "3600 ClockBack", false),
        (0, -3600, "3600 ClockBack", false),
        (0, -3601, "3600 ClockBack", true),
        (0, -30 * DAY, "3600 ClockBack", true),
        (0, 3600, "now 3600 missed 0", false),
    ] {
        let record = record(Some(last_slot), -100 * DAY);
        assert_eq!(told(&hourly(), &record, now), expected, "{last_slot} {now}");
        assert_eq!(is_clock_back(&record, plus(zero(), now)), warns, "{last_slot} {now}");
    }
    assert!(!is_clock_back(&record(None, 0), Timestamp::MAX));
}

#[test]
fn a_rare_schedule_begins_at_once_and_then_waits_for_years() {
    let leap = cron("0 0 29 2 *");
    let now = at("2026-11-20T21:00:00Z");
    let first = Record { last_slot: None, failed: None, awake_since: now };
    assert_eq!(due(&leap, &first, now, "db"), Due::Now { slot: at("2024-02-29T00:00:00Z"), missed: 0 });
    let next = Record { last_slot: Some(at("2024-02-29T00:00:00Z")), ..first };
    assert_eq!(due(&leap, &next, now, "db"), Due::Later { at: at("2028-02-29T00:00:00Z"), why: Wait::Slot });
    let later = Record { awake_since: at("2028-02-01T00:00:00Z"), ..next };
    let slot = at("2028-02-29T00:00:00Z");
    assert_eq!(due(&leap, &later, slot, "db"), Due::Now { slot, missed: 0 });
}

#[test]
fn the_ends_of_time_are_times() {
    let ends = [Timestamp::MIN, plus(Timestamp::MIN, 5), zero(), plus(Timestamp::MAX, -5), Timestamp::MAX];
    for (index, now) in ends.into_iter().enumerate() {
        for last in ends {
            // Each of them beside each, and two of the rest.
            let (failed_at, awake_since) = (ends[(index + 1) % ends.len()], ends[(index + 2) % ends.len()]);
            for timetable in [hourly(), cron("30 2 * * MON")] {
                let failed = Some(Failed { slot: timetable.slot_at(now), times: 1, at: failed_at });
                let record = Record { last_slot: Some(last), failed, awake_since };
                match due(&timetable, &record, now, "db") {
                    Due::Now { slot, .. } => assert!(slot <= now && slot > last),
                    Due::Later { at, .. } => assert!(at > now || now == Timestamp::MAX),
                }
            }
        }
    }
}
