//! What holds whatever clock, sleep and failures do.

use jiff::Timestamp;
use proptest::prelude::*;

use super::daemon::{Daemon, is_of_future};
use super::oracle::plus;
use super::timetable::{times, timetables};
use crate::postgres::backup::schedule::{Due, Failed, Record, Wait, due};

/// What happens to a daemon.
#[derive(Debug, Clone)]
enum Event {
    Live(i64),
    Sleep(i64),
    Shift(i64),
    Broken(bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let hours = |from: i64, to: i64| (from * 3600)..(to * 3600);
    let event = prop_oneof![
        6 => hours(0, 6).prop_map(Event::Live),
        2 => hours(0, 40).prop_map(Event::Sleep),
        2 => hours(-3, 3).prop_map(Event::Shift),
        1 => hours(-500_000, 500_000).prop_map(Event::Shift),
        2 => any::<bool>().prop_map(Event::Broken),
    ];
    prop::collection::vec(event, 0..12)
}

fn happens(daemon: Daemon, event: &Event) -> Daemon {
    match *event {
        Event::Live(seconds) => daemon.live(seconds),
        Event::Sleep(seconds) => daemon.sleep(seconds),
        Event::Shift(seconds) => daemon.shift(seconds),
        Event::Broken(is_broken) => daemon.broken(is_broken),
    }
}

/// A time near another, or where there was none.
fn near(now: Timestamp) -> impl Strategy<Value = Option<Timestamp>> {
    prop::option::of(
        prop_oneof![-100..100_i64, -200_000..200_000_i64, -9_000_000_000..9_000_000_000_i64].prop_map(move |by| plus(now, by)),
    )
}

fn cases() -> impl Strategy<Value = (Timestamp, [Option<Timestamp>; 3], u32, bool)> {
    times().prop_flat_map(|now| (Just(now), [near(now), near(now), near(now)], 0..6_u32, any::<bool>()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// The daemon itself asserts that no slot has two sets, that none is taken before its slot, and that each
    /// answer is exact. That it is lets it ask more rarely here.
    #[test]
    fn a_life_has_one_set_a_slot(timetable in timetables(), start in times(), events in events()) {
        let start = plus(Timestamp::UNIX_EPOCH, start.as_second().clamp(-10_000_000_000, 50_000_000_000));
        let mut begun = Daemon::new(timetable.clone(), start);
        begun.stride = 1800;
        let daemon = events.iter().fold(begun, happens);
        prop_assert!(daemon.sets.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let tries = daemon.failures.chunk_by(|one, other| one == other).map(<[Timestamp]>::len).max();
        prop_assert!(tries.unwrap_or(0) <= 4);
        // Whatever it was, once all is well and the clock has caught up, a minute is enough.
        let tried = daemon.record.last_slot.max(daemon.record.failed.map(|failed| failed.slot));
        let now = timetable.next_after(tried.max(Some(daemon.now)).unwrap_or(daemon.now));
        let mended = daemon.broken(false).set(now).live(61);
        prop_assert!(mended.record.last_slot >= Some(now));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_is_exact((now, [last_slot, failed_at, awake_since], times, is_slot) in cases(), timetable in timetables()) {
        let slot = if is_slot { timetable.slot_at(now) } else { timetable.next_after(now) };
        let failed = failed_at.map(|at| Failed { slot, times, at });
        let record = Record { last_slot, failed, awake_since: awake_since.unwrap_or(now) };
        match due(&timetable, &record, now, "db") {
            Due::Now { slot, missed } => {
                prop_assert_eq!(slot, timetable.slot_at(now));
                prop_assert!(last_slot.is_none_or(|last| last < slot));
                let passed = last_slot.map_or(1, |last| timetable.between(last, slot));
                prop_assert_eq!(missed + 1, passed);
            }
            Due::Later { at, why } => {
                prop_assert!(at > now);
                let is_now = |now| matches!(due(&timetable, &record, now, "db"), Due::Now { .. });
                prop_assert!(is_of_future(&record, now) || is_now(at) && !is_now(plus(at, -1).max(now)));
                prop_assert!(why == Wait::ClockBack || at <= timetable.next_after(now));
                let longest = match why { Wait::Retry => 15 * 60, Wait::CatchUp => 60, Wait::Slot | Wait::ClockBack => i64::MAX };
                prop_assert!(at.duration_since(now).as_secs() <= longest);
                prop_assert_eq!(why == Wait::ClockBack, last_slot.is_some_and(|last| last > now));
            }
        }
    }
}
