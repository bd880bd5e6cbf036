//! Sets for the tests of what is kept, and the definition of it once more, word by word and by another way:
//! with the texts of the calendar as keys.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::model::backup::{Proof, SetId};
use crate::postgres::backup::retention::{Candidate, Decision, Policy, Reason, Verdict, decide};

/// The line of all sets that are not said to be of another.
pub const LINE: &str = "7301";

/// How many sets each rule keeps, in the order of [`NAMES`].
pub type Counts = [u32; 5];
/// The names of the rules.
pub const NAMES: [&str; 5] = ["last", "hourly", "daily", "weekly", "monthly"];
/// What is kept where the file says nothing.
pub const DEFAULT: Counts = [2, 24, 7, 4, 12];

/// A time in words.
pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// The same, so many seconds later.
pub fn plus(time: Timestamp, seconds: i64) -> Timestamp {
    time + SignedDuration::from_secs(seconds)
}

/// A good set of this name.
pub fn set(id: &str) -> Candidate {
    good(id.parse().expect("a name of a set"))
}

/// A good set.
pub fn good(id: SetId) -> Candidate {
    Candidate { id, proof: Proof::Read, pinned: false, safe_until: None, in_use: false, line: LINE.to_owned(), unusable: None }
}

/// The policy of these counts.
pub fn policy(counts: Counts) -> Policy {
    Policy::new(&NAMES.into_iter().zip(counts).collect()).expect("a policy")
}

/// What becomes of these sets.
pub fn decided(sets: &[Candidate], counts: Counts, now: Timestamp) -> Decision {
    decide(sets, &policy(counts), now, LINE)
}

/// The sets that stay once those that go are gone.
pub fn pruned(sets: &[Candidate], counts: Counts, now: Timestamp) -> Vec<Candidate> {
    let going: BTreeSet<SetId> = decided(sets, counts, now).goes().collect();
    sets.iter().filter(|set| !going.contains(&set.id)).cloned().collect()
}

/// The names of sets.
pub fn ids(sets: &[Candidate]) -> BTreeSet<SetId> {
    sets.iter().map(|set| set.id).collect()
}

/// The sets that are kept, with why.
pub fn kept(decision: &Decision) -> BTreeMap<SetId, BTreeSet<Reason>> {
    let kept = decision.verdicts.iter().filter_map(|(id, verdict)| match verdict {
        Verdict::Kept(reasons) => Some((*id, reasons.iter().copied().collect())),
        Verdict::NotCounted(_) | Verdict::Goes => None,
    });
    kept.collect()
}

/// Whether a set is of the domain of the definition.
pub fn counts(set: &Candidate, now: Timestamp) -> bool {
    let in_time = set.id.slot().duration_since(now) <= SignedDuration::from_mins(5);
    set.proof >= Proof::Read && set.unusable.is_none() && set.line == LINE && in_time
}

/// The stretch of the calendar of a set, as the definition writes it.
pub fn key(rule: Reason, id: SetId) -> String {
    let format = match rule {
        Reason::Hourly => "%Y-%m-%dT%H",
        Reason::Daily => "%Y-%m-%d",
        Reason::Weekly => "%G-W%V",
        Reason::Monthly => "%Y-%m",
        other => panic!("{other} has no calendar"),
    };
    id.slot().to_zoned(TimeZone::UTC).strftime(format).to_string()
}

/// The definition, word by word. No two of the sets may have one name.
pub fn by_definition(sets: &[Candidate], policy: Counts, now: Timestamp) -> BTreeMap<SetId, BTreeSet<Reason>> {
    let mut domain: Vec<&Candidate> = sets.iter().filter(|set| counts(set, now)).collect();
    domain.sort_by_key(|set| std::cmp::Reverse((set.id.slot(), set.id.sequence())));
    let mut keep: BTreeMap<SetId, BTreeSet<Reason>> = BTreeMap::new();
    let mut add = |set: &Candidate, reason: Reason| {
        keep.entry(set.id).or_default().insert(reason);
    };
    let [last, rest @ ..] = policy.map(|count| count as usize);
    domain.iter().take(last).for_each(|set| add(set, Reason::Last));
    for (rule, most) in [Reason::Hourly, Reason::Daily, Reason::Weekly, Reason::Monthly].into_iter().zip(rest) {
        let mut seen = BTreeSet::new();
        for set in &domain {
            if seen.len() == most {
                break;
            }
            if seen.insert(key(rule, set.id)) {
                add(set, rule);
            }
        }
    }
    domain.iter().filter(|set| set.pinned).for_each(|set| add(set, Reason::Pinned));
    domain.iter().filter(|set| set.safe_until.is_some_and(|until| now < until)).for_each(|set| add(set, Reason::Safety));
    domain.iter().filter(|set| set.in_use).for_each(|set| add(set, Reason::InUse));
    domain.iter().filter(|set| set.proof == Proof::Restored).take(1).for_each(|set| add(set, Reason::NewestProven));
    domain.iter().take(1).for_each(|set| add(set, Reason::NewestGood));
    keep
}
