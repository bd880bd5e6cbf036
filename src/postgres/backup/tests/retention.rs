//! Tables of what is kept.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::oracle::{Counts, DEFAULT, LINE, NAMES, at, decided, good, ids, kept, plus, policy, pruned, set};
use crate::model::backup::{Proof, SetId};
use crate::postgres::backup::retention::{Candidate, Decision, Policy, PolicyError, Reason, Verdict};

/// Each set with what becomes of it.
fn told(sets: &[Candidate], counts: Counts, now: &str) -> Vec<String> {
    let decision = decided(sets, counts, at(now));
    decision.verdicts.iter().map(|(id, verdict)| format!("{id} {}", Decision::reason_text(verdict))).collect()
}

/// Good sets of these names.
fn sets(names: &[&str]) -> Vec<Candidate> {
    names.iter().map(|name| set(name)).collect()
}

/// A good set of each hour of these.
fn hourly(from: &str, hours: i64) -> Vec<Candidate> {
    (0..hours).map(|hour| good(SetId::new(plus(at(from), hour * 3600), 1))).collect()
}

#[test]
fn one_set_is_kept_by_every_rule() {
    assert_eq!(
        told(&sets(&["20261120T210000Z"]), DEFAULT, "2026-11-20T21:01:00Z"),
        ["20261120T210000Z kept: last, hourly, daily, weekly, monthly, newest good"]
    );
    assert!(decided(&[], DEFAULT, at("2026-11-20T21:01:00Z")).verdicts.is_empty());
}

#[test]
fn the_newest_of_an_hour_stands_for_it() {
    let hour = sets(&["20261120T200700Z", "20261120T210700Z", "20261120T210700Z-2", "20261120T215900Z", "20261120T215900Z-10"]);
    assert_eq!(
        told(&hour, [0, 2, 0, 0, 0], "2026-11-20T22:00:00Z"),
        [
            "20261120T215900Z-10 kept: hourly, newest good",
            "20261120T215900Z goes: no rule keeps it",
            "20261120T210700Z-2 goes: no rule keeps it",
            "20261120T210700Z goes: no rule keeps it",
            "20261120T200700Z kept: hourly",
        ]
    );
    assert_eq!(
        told(&hour[..3], [2, 0, 0, 0, 0], "2026-11-20T22:00:00Z"),
        ["20261120T210700Z-2 kept: last, newest good", "20261120T210700Z kept: last", "20261120T200700Z goes: no rule keeps it",]
    );
}

#[test]
fn hours_and_days_without_a_set_are_not_counted() {
    let now = "2026-11-20T22:00:00Z";
    let gaps = sets(&["20250101T000000Z", "20261118T090000Z", "20261118T230000Z", "20261120T210700Z"]);
    assert_eq!(decided(&gaps, [0, 4, 0, 0, 0], at(now)).goes().count(), 0);
    assert_eq!(
        told(&gaps, [0, 0, 3, 0, 0], now)[1..],
        ["20261118T230000Z kept: daily", "20261118T090000Z goes: no rule keeps it", "20250101T000000Z kept: daily"]
    );
}

#[test]
fn weeks_are_those_of_iso_and_cross_the_year() {
    // 2026 has 53 weeks, and its last ends on Sunday 2027-01-03.
    let turn = sets(&["20261227T120000Z", "20261228T120000Z", "20261231T120000Z", "20270103T235959Z", "20270104T000000Z"]);
    assert_eq!(
        told(&turn, [0, 0, 0, 3, 0], "2027-01-04T00:01:00Z"),
        [
            "20270104T000000Z kept: weekly, newest good",
            "20270103T235959Z kept: weekly",
            "20261231T120000Z goes: no rule keeps it",
            "20261228T120000Z goes: no rule keeps it",
            "20261227T120000Z kept: weekly",
        ]
    );
    // The same week number of two years, and the same month, are two.
    let years = sets(&["20250707T120000Z", "20260706T120000Z"]);
    assert_eq!(decided(&years, [0, 0, 0, 2, 0], at("2026-07-06T13:00:00Z")).goes().count(), 0);
    assert_eq!(decided(&years, [0, 0, 0, 0, 2], at("2026-07-06T13:00:00Z")).goes().count(), 0);
}

#[test]
fn what_does_not_count_stays_and_says_why() {
    let now = "2026-11-20T21:01:00Z";
    let other = |name, change: fn(&mut Candidate)| {
        let mut candidate = set(name);
        change(&mut candidate);
        candidate
    };
    let mixed = [
        set("20261120T210601Z"),
        set("20261120T210600Z"),
        other("20261120T200000Z", |set| set.unusable = Some("db/app.dump is damaged".to_owned())),
        other("20261120T190000Z", |set| set.line = "7300".to_owned()),
        other("20261120T180000Z", |set| set.proof = Proof::Stored),
        other("20261120T170000Z", |set| set.proof = Proof::None),
        set("20261120T160000Z"),
        set("20261120T160000Z"),
        set("19700101T000000Z"),
    ];
    assert_eq!(
        told(&mixed, [1, 0, 0, 0, 0], now),
        [
            "20261120T210601Z not counted: dated in the future",
            "20261120T210600Z kept: last, newest good",
            "20261120T200000Z not counted: db/app.dump is damaged",
            "20261120T190000Z not counted: taken from another data directory",
            "20261120T180000Z not counted: not decoded whole yet",
            "20261120T170000Z not counted: not decoded whole yet",
            "20261120T160000Z not counted: another set has the same name",
            "20261120T160000Z not counted: another set has the same name",
            "19700101T000000Z goes: no rule keeps it",
        ]
    );
}

#[test]
fn more_than_rules_keeps_a_set() {
    let now = "2026-11-20T21:01:00Z";
    let mut five = sets(&[
        "20261120T160000Z",
        "20261120T170000Z",
        "20261120T180000Z",
        "20261120T190000Z",
        "20261120T200000Z",
        "20261120T210000Z",
    ]);
    five[0].pinned = true;
    five[1].in_use = true;
    five[1].safe_until = Some(at("2026-11-20T21:01:01Z"));
    five[2].safe_until = Some(at(now));
    five[3].proof = Proof::Restored;
    assert_eq!(
        told(&five, [1, 0, 0, 0, 0], now),
        [
            "20261120T210000Z kept: last, newest good",
            "20261120T200000Z goes: no rule keeps it",
            "20261120T190000Z kept: newest proven",
            "20261120T180000Z goes: no rule keeps it",
            "20261120T170000Z kept: safety, in use",
            "20261120T160000Z kept: pinned",
        ]
    );
}

#[test]
fn the_last_good_set_stays_beside_newer_ones_that_are_not() {
    let mut all = hourly("2026-11-19T00:00:00Z", 40);
    for spoiled in &mut all[1..] {
        spoiled.unusable = Some("damaged".to_owned());
    }
    let decision = decided(&all, [1, 0, 0, 0, 0], at("2026-11-20T16:00:00Z"));
    assert_eq!(kept(&decision).into_keys().collect::<Vec<_>>(), [all[0].id]);
    assert_eq!(decision.goes().count(), 0);
}

#[test]
fn more_than_half_is_held() {
    for (count, keep, held) in
        [(2, 1, false), (3, 1, true), (4, 2, false), (5, 2, true), (5, 3, false), (1, 1, false), (0, 1, false)]
    {
        let all = hourly("2026-11-19T00:00:00Z", count);
        let decision = decided(&all, [keep, 0, 0, 0, 0], at("2026-11-20T16:00:00Z"));
        assert_eq!(decision.held, held, "{keep} of {count}");
        assert_eq!(decision.goes().count(), usize::try_from(count).expect("a count").saturating_sub(keep as usize));
    }
    // What does not count is no part of the whole.
    let mut many = hourly("2026-11-19T00:00:00Z", 8);
    many[4..].iter_mut().for_each(|set| set.proof = Proof::Stored);
    assert!(decided(&many, [1, 0, 0, 0, 0], at("2026-11-20T16:00:00Z")).held);
}

#[test]
fn a_policy_keeps_something() {
    assert_eq!(Policy::new(&BTreeMap::new()), Ok(policy(DEFAULT)), "what is not named keeps its default");
    assert_eq!(Policy::new(&BTreeMap::from([("hourly", 0), ("monthly", 3)])), Ok(policy([2, 0, 7, 4, 3])));
    let error = Policy::new(&NAMES.map(|name| (name, 0)).into()).expect_err("nothing is kept");
    assert_eq!(error, PolicyError::NothingKept);
    assert_eq!(error.to_string(), "every rule of `keep` is 0: no set would be kept");
    assert!(error.hint().contains("keep = {"), "{}", error.hint());
    let error = Policy::new(&BTreeMap::from([("yearly", 1)])).expect_err("no such rule");
    assert_eq!(error.to_string(), "\"yearly\" is no rule of `keep`");
    assert!(NAMES.iter().all(|name| error.hint().contains(name)), "{}", error.hint());
    assert!(Policy::new(&NAMES.map(|name| (name, u32::MAX)).into()).is_ok());
}

#[test]
fn reasons_have_names() {
    let named = [Reason::Last, Reason::Hourly, Reason::Daily, Reason::Weekly, Reason::Monthly].map(Reason::as_str);
    assert_eq!(named, NAMES);
    let rest = [Reason::Pinned, Reason::Safety, Reason::NewestProven, Reason::NewestGood, Reason::InUse];
    assert_eq!(rest.map(Reason::as_str), ["pinned", "safety", "newest_proven", "newest_good", "in_use"]);
    assert_eq!(rest.map(|reason| reason.to_string()), ["pinned", "safety", "newest proven", "newest good", "in use"]);
}

#[test]
fn after_800_days_what_the_measurement_says_is_there() {
    let all = hourly("2024-09-11T00:07:00Z", 800 * 24);
    let mut present: Vec<Candidate> = Vec::new();
    let mut most = 0;
    for set in &all {
        present.push(set.clone());
        let now = plus(set.id.slot(), 60);
        let decision = decided(&present, DEFAULT, now);
        assert!(!decision.held);
        assert!(decision.goes().count() <= 4, "one at most for each rule of the calendar");
        present = pruned(&present, DEFAULT, now);
        most = most.max(present.len());
    }
    assert_eq!(most, 44);
    assert_eq!(ids(&present), ids(&pruned(&all, DEFAULT, plus(all[all.len() - 1].id.slot(), 60))));
    let span = present[present.len() - 1].id.slot().duration_since(present[0].id.slot());
    assert!((304..=366).contains(&(span.as_hours() / 24)), "{span:#}");
    // A sleep of 60 days: nothing goes at once, and a new set displaces at most one for each rule.
    let woken = plus(all[all.len() - 1].id.slot(), 60 * 86_400);
    assert_eq!(decided(&present, DEFAULT, woken).goes().count(), 0);
    let before = present.len();
    present.push(good(SetId::new(woken, 1)));
    let after = pruned(&present, DEFAULT, woken).len();
    assert!(after >= 32 && after + 4 > before, "{after} of {before}");
}

#[test]
fn days_on_which_clocks_change_are_days_like_others() {
    // The rules of Europe/Zurich and America/New_York, and the days on which they change.
    let zones =
        [("CET-1CEST,M3.5.0,M10.5.0/3", ["2026-03-29", "2026-10-25"]), ("EST5EDT,M3.2.0,M11.1.0", ["2026-03-08", "2026-11-01"])];
    for (zone, days) in zones {
        let zone = TimeZone::posix(zone).expect("a zone");
        for day in days {
            let noon = at(&format!("{day}T12:00:00Z"));
            let offset = |time: Timestamp| zone.to_offset(time);
            assert_ne!(offset(plus(noon, -86_400)), offset(plus(noon, 86_400)), "{day} is a day of change");
            let start = plus(noon, -36 * 3600);
            let all: Vec<_> = (0..3 * 48).map(|half| good(SetId::new(plus(start, half * 1800), 1))).collect();
            let decision = decided(&all, [0, 1000, 0, 0, 0], plus(start, 3 * 86_400));
            let counts = |from: i64| {
                let day = plus(start, from * 86_400)..plus(start, (from + 1) * 86_400);
                kept(&decision).into_keys().filter(|id| day.contains(&id.slot())).count()
            };
            assert_eq!([counts(0), counts(1), counts(2)], [24, 24, 24], "{day}");
            let by_day = decided(&all, [0, 0, 1000, 0, 0], plus(start, 3 * 86_400));
            assert_eq!(kept(&by_day).len(), 3, "{day}");
        }
    }
}

#[test]
fn a_clock_that_is_wrong_deletes_nothing_good() {
    let all = hourly("2026-11-01T00:00:00Z", 480);
    let present = pruned(&all, DEFAULT, at("2026-11-20T23:30:00Z"));
    // Back in 1970 they are all of the future: none counts, none goes, whatever is taken there.
    let mut wrong = present.clone();
    wrong.extend(hourly("1970-01-01T00:00:00Z", 30));
    let decision = decided(&wrong, DEFAULT, at("1970-01-02T06:00:00Z"));
    assert!(decision.goes().all(|id| id.slot() < at("1971-01-01T00:00:00Z")));
    // And when it is right again, those of 1970 take the place of none.
    let now = at("2026-11-20T23:30:00Z");
    assert!(ids(&pruned(&wrong, DEFAULT, now)).is_superset(&ids(&present)));
    // In 2100 nothing is old, and a set of then does not count once the clock is right again.
    assert_eq!(decided(&present, DEFAULT, at("2100-01-01T00:00:00Z")).goes().count(), 0);
    let mut ahead = present.clone();
    ahead.push(set("21000101T000000Z"));
    let decision = decided(&ahead, DEFAULT, now);
    assert_eq!(decision.verdicts[0].1, Verdict::NotCounted("dated in the future".to_owned()));
    assert_eq!(decision.goes().count(), 0);
}

#[test]
fn the_ends_of_time_are_times() {
    let ends = [Timestamp::MIN, plus(Timestamp::MIN, 1), Timestamp::UNIX_EPOCH, plus(Timestamp::MAX, -1), Timestamp::MAX];
    let all: Vec<_> = ends.iter().map(|end| good(SetId::new(*end, u32::MAX))).collect();
    for now in ends {
        let decision = decided(&all, DEFAULT, now);
        let counted = decision.verdicts.iter().filter(|(_, verdict)| !matches!(verdict, Verdict::NotCounted(_))).count();
        let past = ends.iter().filter(|end| end.duration_since(now) <= SignedDuration::from_mins(5)).count();
        assert_eq!(counted, past.min(all.len()), "{now}");
    }
    assert_eq!(all[0].line, LINE);
}
