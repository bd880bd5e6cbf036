//! What holds of every decision, over random sets and random histories of 800 days.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::oracle::{Counts, DEFAULT, LINE, NAMES, at, by_definition, counts, decided, good, ids, kept, key, plus, pruned};
use crate::model::backup::{Proof, SetId};
use crate::postgres::backup::retention::{Candidate, Reason, Verdict};

const CALENDAR: [(Reason, usize); 4] = [(Reason::Hourly, 1), (Reason::Daily, 2), (Reason::Weekly, 3), (Reason::Monthly, 4)];

/// The time around which random sets lie.
fn around() -> Timestamp {
    at("2026-12-30T12:00:00Z")
}

/// A policy that keeps something.
fn policies() -> impl Strategy<Value = Counts> {
    let random = [0..4_u32, 0..30, 0..10, 0..6, 0..14].prop_filter("something is kept", |counts| counts.iter().sum::<u32>() > 0);
    prop_oneof![1 => Just(DEFAULT), 3 => random]
}

/// A set of some ten-minute slot, for the most part good and of the last weeks.
fn any_set() -> impl Strategy<Value = Candidate> {
    let slot = prop_oneof![8 => -6000..10_i64, 2 => -200_000..200_i64, 1 => Just(-2_995_488)];
    let proof = prop_oneof![1 => Just(Proof::Stored), 8 => Just(Proof::Read), 2 => Just(Proof::Restored)];
    let flags = [prop::bool::weighted(0.05), prop::bool::weighted(0.05), prop::bool::weighted(0.1), prop::bool::weighted(0.1)];
    let safe = prop::option::weighted(0.1, -20_000..20_000_i64);
    (slot, 1..4_u32, proof, flags, safe).prop_map(|(slot, sequence, proof, [pinned, in_use, foreign, unusable], safe)| {
        let mut set = good(SetId::new(plus(around(), slot * 600), sequence));
        (set.proof, set.pinned, set.in_use) = (proof, pinned, in_use);
        set.safe_until = safe.map(|minutes| plus(around(), minutes * 60));
        set.line = if foreign { "7300".to_owned() } else { set.line };
        set.unusable = unusable.then(|| "damaged".to_owned());
        set
    })
}

/// Sets with names of their own, in any order.
fn any_sets() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(any_set(), 0..120).prop_map(|mut sets| {
        let mut seen = BTreeSet::new();
        sets.retain(|set| seen.insert(set.id));
        sets
    })
}

/// A number that looks random, of two.
fn mixed(seed: u64, index: i64) -> u64 {
    let mut mixed = seed ^ index.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2 {
        mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    mixed ^ (mixed >> 29)
}

/// Whether a machine runs in an hour.
#[derive(Debug, Clone)]
enum Hours {
    Always,
    Office,
    /// So many of a hundred are lost.
    Lossy(u64),
}

/// The sets of many days of hourly slots in order of time, without those of the hours in which the machine
/// was off, and some of them of another kind.
fn history(days: i64) -> impl Strategy<Value = Vec<Candidate>> {
    let hours = prop_oneof![Just(Hours::Always), Just(Hours::Office), (1..95_u64).prop_map(Hours::Lossy)];
    let gaps = prop::collection::vec((0..days, 1..80_i64), 0..4);
    (hours, gaps, any::<u64>(), 0..366 * 24_i64).prop_map(move |(hours, gaps, seed, start)| {
        let start = plus(at("2024-01-01T00:07:00Z"), start * 3600);
        let is_on = |hour: i64| match hours {
            Hours::Always => true,
            Hours::Office => (8..18).contains(&(hour % 24)) && hour / 24 % 7 < 5,
            Hours::Lossy(percent) => mixed(seed, hour) % 100 >= percent,
        };
        let in_gap = |day: i64| gaps.iter().any(|(from, length)| (*from..from + length).contains(&day));
        let slots = (0..days * 24).filter(|hour| is_on(*hour) && !in_gap(hour / 24));
        slots.map(|hour| of_history(plus(start, hour * 3600), mixed(!seed, hour))).collect()
    })
}

/// A set of a history; `random` says of which kind.
fn of_history(slot: Timestamp, random: u64) -> Candidate {
    let mut set = good(SetId::new(slot, 1));
    set.proof = if random.is_multiple_of(7) { Proof::Restored } else { Proof::Read };
    match random % 2000 {
        1 => set.pinned = true,
        2 => set.in_use = true,
        3..=5 => set.safe_until = Some(plus(slot, 7 * 86_400)),
        6 => set.unusable = Some("damaged".to_owned()),
        7 => "7300".clone_into(&mut set.line),
        8 => set.proof = Proof::Stored,
        _ => {}
    }
    set
}

/// What is there at the end when it is pruned after the sets that `is_pruned` says, and after the last.
fn lived(history: &[Candidate], policy: Counts, is_pruned: impl Fn(i64) -> bool) -> Vec<Candidate> {
    let mut present: Vec<Candidate> = Vec::new();
    for (set, index) in history.iter().zip(1..) {
        present.push(set.clone());
        if is_pruned(index) {
            present = pruned(&present, policy, plus(set.id.slot(), 60));
        }
    }
    pruned(&present, policy, history.last().map_or(around(), |set| plus(set.id.slot(), 60)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// When it is pruned does not matter: after each set, now and then, or once at the end.
    #[test]
    fn a_history_is_path_independent(history in history(800), policy in policies(), seed in any::<u64>()) {
        let once = ids(&lived(&history, policy, |_| false));
        prop_assert_eq!(&ids(&lived(&history, policy, |_| true)), &once);
        prop_assert_eq!(&ids(&lived(&history, policy, |index| mixed(seed, index).is_multiple_of(50))), &once);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_short_history_is_path_independent(history in history(40), policy in policies(), seed in any::<u64>()) {
        let once = ids(&lived(&history, policy, |_| false));
        prop_assert_eq!(&ids(&lived(&history, policy, |_| true)), &once);
        prop_assert_eq!(&ids(&lived(&history, policy, |index| mixed(seed, index).is_multiple_of(5))), &once);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_the_definition(sets in any_sets(), policy in policies()) {
        let decision = decided(&sets, policy, around());
        prop_assert_eq!(&kept(&decision), &by_definition(&sets, policy, around()));
        let domain = sets.iter().filter(|set| counts(set, around())).count();
        prop_assert_eq!(decision.held, decision.goes().count() * 2 > domain);
        prop_assert!(decision.verdicts.windows(2).all(|pair| pair[0].0 > pair[1].0), "newest first");
        prop_assert_eq!(decision.verdicts.len(), sets.len());
    }

    #[test]
    fn nothing_goes_that_does_not_count(sets in any_sets(), policy in policies()) {
        let domain: BTreeSet<SetId> = sets.iter().filter(|set| counts(set, around())).map(|set| set.id).collect();
        for (id, verdict) in decided(&sets, policy, around()).verdicts {
            prop_assert_eq!(!matches!(verdict, Verdict::NotCounted(_)), domain.contains(&id), "{} {:?}", id, verdict);
        }
    }

    #[test]
    fn names_that_are_shared_never_go(sets in any_sets(), policy in policies()) {
        let twice = [&sets[..], &sets[..sets.len() / 2]].concat();
        let decision = decided(&twice, policy, around());
        let shared = ids(&sets[..sets.len() / 2]);
        prop_assert!(decision.goes().all(|id| !shared.contains(&id)));
        prop_assert!(kept(&decision).keys().all(|id| !shared.contains(id)));
    }

    #[test]
    fn twice_is_as_once(sets in any_sets(), policy in policies()) {
        let rest = pruned(&sets, policy, around());
        let again = decided(&rest, policy, around());
        prop_assert_eq!(again.goes().count(), 0);
        prop_assert!(!again.held);
        prop_assert_eq!(kept(&again), kept(&decided(&sets, policy, around())));
    }

    #[test]
    fn the_order_does_not_matter(sets in any_sets(), policy in policies(), seed in any::<u64>()) {
        let mut shuffled = sets.clone();
        shuffled.sort_by_key(|set| mixed(seed, set.id.slot().as_second() + i64::from(set.id.sequence())));
        prop_assert_eq!(decided(&shuffled, policy, around()), decided(&sets, policy, around()));
    }

    #[test]
    fn the_newest_stays_and_with_it_the_last(sets in any_sets(), policy in policies()) {
        let newest = sets.iter().filter(|set| counts(set, around())).map(|set| set.id).max();
        let proven = sets.iter().filter(|set| counts(set, around()) && set.proof == Proof::Restored).map(|set| set.id).max();
        let kept = kept(&decided(&sets, policy, around()));
        prop_assert_eq!(kept.last_key_value().map(|(id, _)| *id), newest);
        prop_assert!(newest.is_none_or(|newest| kept[&newest].contains(&Reason::NewestGood)));
        prop_assert!(proven.is_none_or(|proven| kept[&proven].contains(&Reason::NewestProven)));
    }

    #[test]
    fn a_pause_deletes_nothing(sets in any_sets(), policy in policies(), days in 0..4000_i64) {
        let mut rest = pruned(&sets, policy, around());
        // What was dated in the future begins to count, and what was safe for a week is not any more.
        rest.retain(|set| counts(set, around()) && set.safe_until.is_none());
        prop_assert_eq!(decided(&rest, policy, plus(around(), days * 86_400)).goes().count(), 0);
    }

    #[test]
    fn a_newer_set_takes_a_place_only_of_its_own_hour_day_week_or_month(
        sets in any_sets(), policy in policies(), ahead in 0..100_000_i64,
    ) {
        let now = plus(around(), ahead * 60);
        let before: Vec<_> = sets.into_iter().filter(|set| counts(set, around()) && set.id.slot() < around()).collect();
        let new = good(SetId::new(now, 1));
        let (old_kept, new_kept) = (
            kept(&decided(&before, policy, now)),
            kept(&decided(&[&before[..], std::slice::from_ref(&new)].concat(), policy, now)),
        );
        for (rule, position) in CALENDAR {
            let held: Vec<_> = old_kept.iter().filter(|(_, reasons)| reasons.contains(&rule)).map(|(id, _)| *id).collect();
            let is_full = held.len() >= policy[position] as usize;
            for id in held {
                let stays = new_kept.get(&id).is_some_and(|reasons| reasons.contains(&rule));
                prop_assert!(is_full || stays || key(rule, id) == key(rule, new.id), "{} {}", id, rule);
            }
        }
        let gone = old_kept.len() + 1 - new_kept.len();
        prop_assert!(gone <= NAMES.len() + 1, "one at most for each rule, and the one that was proven last");
    }

    #[test]
    fn a_bigger_policy_keeps_no_less(sets in any_sets(), policy in policies(), more in [0..3_u32, 0..9, 0..9, 0..3, 0..9]) {
        let bigger: Counts = std::array::from_fn(|rule| policy[rule] + more[rule]);
        let (less, more) = (kept(&decided(&sets, policy, around())), kept(&decided(&sets, bigger, around())));
        for (id, reasons) in less {
            prop_assert!(more.get(&id).is_some_and(|others| others.is_superset(&reasons)), "{}", id);
        }
    }

    #[test]
    fn no_more_is_kept_than_the_policy_and_the_extras(sets in any_sets(), policy in policies()) {
        let kept = kept(&decided(&sets, policy, around())).len();
        let is_extra = |set: &&Candidate| set.pinned || set.in_use || set.safe_until.is_some();
        let extras = sets.iter().filter(is_extra).count() + 2;
        prop_assert!(kept <= policy.iter().sum::<u32>() as usize + extras);
    }

    #[test]
    fn any_clock_will_do(sets in any_sets(), policy in policies(), second in any::<i32>(), end in any::<bool>()) {
        let now = if end { Timestamp::MAX } else { plus(Timestamp::UNIX_EPOCH, i64::from(second) * 80) };
        let decision = decided(&sets, policy, now);
        prop_assert!(decision.goes().all(|id| id.slot().duration_since(now) <= SignedDuration::from_mins(5)));
        prop_assert!(sets.iter().all(|set| set.line != LINE || decision.verdicts.iter().any(|(id, _)| *id == set.id)));
    }
}
