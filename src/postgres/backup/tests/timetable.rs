//! Slots: of an interval, of a cron expression, and of nonsense.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::oracle::{at, plus};
use crate::model::postgres::BackupSchedule;
use crate::postgres::backup::schedule::{ScheduleError, Timetable};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn every(seconds: u64, service: &str) -> Timetable {
    Timetable::new(&BackupSchedule::Every(Duration::from_secs(seconds)), service).expect("an interval")
}

fn cron(text: &str) -> Timetable {
    Timetable::new(&BackupSchedule::Cron(text.to_owned()), "db").expect("a cron expression")
}

/// The newest slot, the one after it, and how many there were in the day before, as text.
fn around(timetable: &Timetable, now: &str) -> String {
    let now = at(now);
    let slots = timetable.between(plus(now, -86_400), now);
    format!("{} {} {slots}", timetable.slot_at(now), timetable.next_after(now))
}

#[test]
fn the_offset_is_of_the_service_and_never_changes() {
    // Computed by another program: FNV-1a of the name and a zero, its halves folded.
    for (service, interval, offset) in [
        ("db", 300, 289),
        ("db", HOUR, 289),
        ("db", DAY, 29_089),
        ("demo/db", 300, 146),
        ("demo/db", HOUR, 746),
        ("demo/db", DAY, 65_546),
        ("", HOUR, 595),
    ] {
        let first = every(interval, service).next_after(plus(Timestamp::UNIX_EPOCH, -1));
        assert_eq!(first, plus(Timestamp::UNIX_EPOCH, offset), "{service} {interval}");
    }
}

#[test]
fn offsets_are_below_the_interval_and_spread() {
    let offset = |index: u32| every(HOUR, &format!("app{index}/db")).slot_at(plus(Timestamp::UNIX_EPOCH, 3599)).as_second();
    let mut quarters = [0; 4];
    for index in 0..1000 {
        let offset = offset(index);
        assert!((-3600..3600).contains(&offset));
        quarters[usize::try_from(offset.rem_euclid(3600) / 900).expect("a quarter")] += 1;
    }
    assert!(quarters.iter().all(|count| (200..300).contains(count)), "{quarters:?}");
}

#[test]
fn an_interval_has_its_slots() {
    let hourly = every(HOUR, "db");
    assert_eq!(around(&hourly, "2026-11-20T21:04:49Z"), "2026-11-20T21:04:49Z 2026-11-20T22:04:49Z 24");
    assert_eq!(around(&hourly, "2026-11-20T21:04:48.999Z"), "2026-11-20T20:04:49Z 2026-11-20T21:04:49Z 24");
    assert_eq!(around(&every(DAY, "db"), "2026-11-20T21:00:00Z"), "2026-11-20T08:04:49Z 2026-11-21T08:04:49Z 1");
    assert_eq!(around(&every(300, "db"), "1969-12-31T23:59:48.5Z"), "1969-12-31T23:54:49Z 1969-12-31T23:59:49Z 288");
    let weekly = every(7 * DAY, "db");
    let slot = weekly.slot_at(at("2026-11-20T21:00:00Z"));
    assert_eq!(weekly.next_after(slot), plus(slot, 7 * 86_400));
    assert_eq!(weekly.between(slot, plus(slot, 70 * 86_400)), 10);
}

#[test]
fn a_cron_expression_has_its_slots() {
    for (text, now, expected) in [
        ("0 * * * *", "2026-11-20T21:00:00Z", "2026-11-20T21:00:00Z 2026-11-20T22:00:00Z 24"),
        ("0 * * * *", "2026-11-20T20:59:59.9Z", "2026-11-20T20:00:00Z 2026-11-20T21:00:00Z 24"),
        ("@hourly", "2026-11-20T20:59:59Z", "2026-11-20T20:00:00Z 2026-11-20T21:00:00Z 24"),
        ("30 2 * * *", "2026-11-20T02:30:00.001Z", "2026-11-20T02:30:00Z 2026-11-21T02:30:00Z 1"),
        ("30 2 * * *", "2026-11-20T02:29:59Z", "2026-11-19T02:30:00Z 2026-11-20T02:30:00Z 1"),
        // A time that the local clocks of Zurich and New York leave out or have twice on these days.
        ("30 2 * * *", "2026-03-29T02:30:00Z", "2026-03-29T02:30:00Z 2026-03-30T02:30:00Z 1"),
        ("30 2 * * *", "2026-11-01T12:00:00Z", "2026-11-01T02:30:00Z 2026-11-02T02:30:00Z 1"),
        ("0 0 29 2 *", "2026-11-20T21:00:00Z", "2024-02-29T00:00:00Z 2028-02-29T00:00:00Z 0"),
        ("0 0 29 2 *", "2101-01-01T00:00:00Z", "2096-02-29T00:00:00Z 2104-02-29T00:00:00Z 0"),
        ("*/5 8-17 * * MON-FRI", "2026-11-22T12:00:00Z", "2026-11-20T17:55:00Z 2026-11-23T08:00:00Z 0"),
    ] {
        assert_eq!(around(&cron(text), now), expected, "{text} at {now}");
    }
}

#[test]
fn slots_are_counted_up_to_a_limit() {
    let (from, until) = (at("2026-11-20T21:00:00Z"), at("2026-11-21T21:00:00Z"));
    for (timetable, most) in [(every(60, "db"), 1_000_000), (cron("* * * * *"), 10_000)] {
        assert_eq!(timetable.between(from, until), 1440);
        assert_eq!(timetable.between(until, from), 0);
        assert_eq!(timetable.between(from, from), 0);
        assert_eq!(timetable.between(Timestamp::UNIX_EPOCH, until), most);
        assert_eq!(timetable.between(Timestamp::MIN, Timestamp::MAX), most);
    }
    assert_eq!(cron("0 0 29 2 *").between(at("1999-01-01T00:00:00Z"), until), 7);
}

#[test]
fn what_makes_no_timetable_is_refused() {
    let of = |schedule| Timetable::new(&schedule, "db").map(|_| ()).expect_err("no timetable");
    let interval = |duration| of(BackupSchedule::Every(duration));
    assert_eq!(interval(Duration::ZERO).to_string(), "a set every 0ns is too often: one a minute is the most");
    assert_eq!(interval(Duration::from_millis(59_999)), ScheduleError::TooOften(Duration::from_millis(59_999)));
    assert_eq!(interval(Duration::MAX), ScheduleError::TooRare(Duration::MAX));
    assert_eq!(interval(Duration::from_secs(367 * DAY)).hint(), "write `every = \"1h\"`");
    for text in ["", "* * * *", "0 0 * * * *", "0 0 0 1 1 * 2026", "61 * * * *", "@sometimes", "x"] {
        let error = of(BackupSchedule::Cron(text.to_owned()));
        assert!(matches!(error, ScheduleError::NotCron { .. }), "{text:?}: {error}");
        assert!(error.hint().contains("30 2 * * *"));
    }
    let error = of(BackupSchedule::Cron("0 0 30 2 *".to_owned()));
    assert_eq!(error.to_string(), "\"0 0 30 2 *\" never comes");
}

#[test]
fn parts_of_a_second_of_an_interval_are_left_out() {
    let odd = Timetable::new(&BackupSchedule::Every(Duration::from_millis(90_999)), "db").expect("an interval");
    let slot = odd.slot_at(at("2026-11-20T21:00:00.5Z"));
    assert_eq!(slot.subsec_nanosecond(), 0);
    assert_eq!(odd.next_after(slot), plus(slot, 90));
}

#[test]
fn the_ends_of_time_are_times() {
    let timetables = [every(60, "db"), every(366 * DAY, "db"), cron("0 * * * *"), cron("0 0 29 2 *")];
    for timetable in timetables {
        for now in [Timestamp::MIN, plus(Timestamp::MIN, 1), at("0001-01-01T00:00:00Z"), plus(Timestamp::MAX, -1), Timestamp::MAX]
        {
            assert!(timetable.slot_at(now) <= now);
            assert!(timetable.next_after(now) > now || now == Timestamp::MAX);
        }
    }
}

/// Any timetable; a cron expression of some fields.
pub fn timetables() -> impl Strategy<Value = Timetable> {
    let service = "[a-z]{1,4}/db";
    let interval = prop_oneof![Just(300), Just(HOUR), Just(DAY), 60..366 * DAY].prop_map(Duration::from_secs);
    let field = |from: u32, to: u32| prop_oneof![2 => Just("*".to_owned()), 2 => (from..=to).prop_map(|value| value.to_string())];
    let step = prop_oneof![1 => (1..60_u32).prop_map(|step| format!("*/{step}")), 2 => field(0, 59)];
    let text = (step, field(0, 23), field(1, 28), field(1, 12), field(0, 7))
        .prop_map(|(minute, hour, day, month, weekday)| BackupSchedule::Cron(format!("{minute} {hour} {day} {month} {weekday}")));
    let schedule = prop_oneof![interval.prop_map(BackupSchedule::Every), text];
    (schedule, service).prop_map(|(schedule, service)| Timetable::new(&schedule, &service).expect("a timetable"))
}

/// Any time between the years 5 and 4500, to the nanosecond: cron expressions end with the year 5000.
pub fn times() -> impl Strategy<Value = Timestamp> {
    let near = at("2026-11-20T21:00:00Z").as_second();
    let second = prop_oneof![4 => near - 100_000_000..near + 100_000_000, 1 => -62_000_000_000..80_000_000_000_i64];
    (second, 0..1_000_000_000_i64)
        .prop_map(|(second, nanos)| plus(Timestamp::UNIX_EPOCH, second) + Duration::from_nanos(nanos.unsigned_abs()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn between_a_slot_and_the_next_there_is_none(timetable in timetables(), now in times()) {
        let (slot, next) = (timetable.slot_at(now), timetable.next_after(now));
        prop_assert!(slot <= now && now < next);
        prop_assert_eq!((slot.subsec_nanosecond(), next.subsec_nanosecond()), (0, 0));
        prop_assert_eq!((timetable.slot_at(slot), timetable.next_after(slot)), (slot, next));
        prop_assert_eq!((timetable.slot_at(next), timetable.slot_at(plus(next, -1))), (next, slot));
        prop_assert_eq!((timetable.between(slot, next), timetable.between(slot, now)), (1, 0));
        prop_assert_eq!(timetable.between(plus(slot, -1), next), 2);
    }
}
