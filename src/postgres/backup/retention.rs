//! Which backup sets are kept: of the last hours, days, ISO weeks and months that have a set, the newest
//! one each. Pure.
//!
//! What counts is how many such hours there are, not how long ago they were: a machine that slept for a month
//! loses nothing. Everything is of the UTC calendar, which no change of the local clock disturbs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::model::backup::{Proof, SetId};

/// How far ahead of the clock a set may be dated and still counts.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// The rules.
const RULES: [Rule; 5] = [
    Rule { reason: Reason::Last, default: 2, bucket: itself },
    Rule { reason: Reason::Hourly, default: 24, bucket: hour },
    Rule { reason: Reason::Daily, default: 7, bucket: day },
    Rule { reason: Reason::Weekly, default: 4, bucket: week },
    Rule { reason: Reason::Monthly, default: 12, bucket: month },
];

/// Of the sets of each bucket it keeps the newest.
struct Rule {
    reason: Reason,
    /// How many it keeps where the file does not say.
    default: u32,
    bucket: fn(SetId) -> Bucket,
}

/// A stretch of the UTC calendar; the numbers have a meaning only within one rule.
type Bucket = (i64, i64);

/// What is to be known of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub id: SetId,
    /// How well it is proven.
    pub proof: Proof,
    /// Whether somebody asked for it to be kept.
    pub pinned: bool,
    /// Kept until then: taken before something that could lose data.
    pub safe_until: Option<Timestamp>,
    /// Whether a restore, a verification or an upload uses it.
    pub in_use: bool,
    /// The server's data directory it is of: its system identifier.
    pub line: String,
    /// Why it can't be used, for people: found damaged, or of an unknown format.
    pub unusable: Option<String>,
}

/// How many sets each rule keeps: at least one rule keeps some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// In the order of [`RULES`].
    counts: [u32; RULES.len()],
}

/// A `keep` that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Each rule is turned off.
    #[error("every rule of `keep` is 0: no set would be kept")]
    NothingKept,
    /// There is no rule of this name.
    #[error("{0:?} is no rule of `keep`")]
    UnknownRule(String),
}

impl PolicyError {
    /// How it is mended.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NothingKept => "give one of them a number: `keep = { hourly = 24 }`; `backup.enabled = false` takes no sets",
            Self::UnknownRule(_) => "the rules are last, hourly, daily, weekly and monthly",
        }
    }
}

impl Policy {
    /// The policy of a `keep`, by name of rule. A rule that is not named keeps its default, 0 turns it off.
    pub fn new(keep: &BTreeMap<&'static str, u32>) -> Result<Self, PolicyError> {
        let is_rule = |name: &str| RULES.iter().any(|rule| rule.reason.as_str() == name);
        if let Some(name) = keep.keys().find(|name| !is_rule(name)) {
            return Err(PolicyError::UnknownRule((*name).to_owned()));
        }
        let counts = RULES.map(|rule| keep.get(rule.reason.as_str()).copied().unwrap_or(rule.default));
        if counts.iter().all(|count| *count == 0) { Err(PolicyError::NothingKept) } else { Ok(Self { counts }) }
    }
}

/// Why a set is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// One of the newest.
    Last,
    /// The newest of its hour.
    Hourly,
    /// The newest of its day.
    Daily,
    /// The newest of its ISO week.
    Weekly,
    /// The newest of its month.
    Monthly,
    /// Somebody asked for it to be kept.
    Pinned,
    /// Taken before something that could lose data, not long ago.
    Safety,
    /// The newest that was restored in a trial.
    NewestProven,
    /// The newest of all that count.
    NewestGood,
    /// A restore, a verification or an upload uses it.
    InUse,
}

impl Reason {
    /// Its name in JSON; of a rule, also its name in `keep`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Pinned => "pinned",
            Self::Safety => "safety",
            Self::NewestProven => "newest_proven",
            Self::NewestGood => "newest_good",
            Self::InUse => "in_use",
        }
    }
}

/// For people: the name with spaces.
impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.as_str().replace('_', " "))
    }
}

/// What becomes of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, for each of these reasons, in their order.
    Kept(Vec<Reason>),
    /// It stays because no rule looks at it; why, for people.
    NotCounted(String),
    /// Nothing keeps it.
    Goes,
}

/// What becomes of all sets of one Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Each set with what becomes of it, the newest first.
    pub verdicts: Vec<(SetId, Verdict)>,
    /// Whether more than half of those that count would go: nothing is deleted then unless a person says so.
    pub held: bool,
}

impl Decision {
    /// The sets that nothing keeps, the newest first; where the decision is `held` they wait for a person.
    pub fn goes(&self) -> impl Iterator<Item = SetId> {
        self.verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Goes).map(|(id, _)| *id)
    }

    /// A verdict for people: `kept: hourly, daily`, `not counted: damaged`, `goes: no rule keeps it`.
    pub fn reason_text(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Kept(reasons) => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                format!("kept: {}", reasons.join(", "))
            }
            Verdict::NotCounted(why) => format!("not counted: {why}"),
            Verdict::Goes => "goes: no rule keeps it".to_owned(),
        }
    }
}

/// What becomes of each set of one Postgres whose present data directory is `line`.
///
/// Only good sets of that line count, and only they can go. Whatever else lies there stays for a person to
/// look at, and takes the place of no good set.
pub fn decide(candidates: &[Candidate], policy: &Policy, now: Timestamp, line: &str) -> Decision {
    let mut newest_first: Vec<&Candidate> = candidates.iter().collect();
    newest_first.sort_by_key(|candidate| Reverse(candidate.id));
    let shared = newest_first.windows(2).filter(|pair| pair[0].id == pair[1].id).map(|pair| pair[0].id).collect();
    let why_not = |candidate: &Candidate| not_counted(candidate, &shared, now, line);
    let counted: Vec<&Candidate> = newest_first.iter().copied().filter(|candidate| why_not(candidate).is_none()).collect();
    let kept = reasons(&counted, policy, now);
    let verdict = |candidate: &Candidate| match (why_not(candidate), kept.get(&candidate.id)) {
        (Some(why), _) => Verdict::NotCounted(why),
        (None, Some(reasons)) => Verdict::Kept(reasons.iter().copied().collect()),
        (None, None) => Verdict::Goes,
    };
    let going = counted.len() - kept.len();
    Decision {
        verdicts: newest_first.iter().map(|candidate| (candidate.id, verdict(candidate))).collect(),
        held: going * 2 > counted.len(),
    }
}

/// Why a set does not count, where it does not. A set is deleted by its name: of two that share one, neither
/// may go.
fn not_counted(candidate: &Candidate, shared: &BTreeSet<SetId>, now: Timestamp, line: &str) -> Option<String> {
    if candidate.unusable.is_some() {
        return candidate.unusable.clone();
    }
    let latest = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
    let reasons = [
        (shared.contains(&candidate.id), "another set has the same name"),
        (candidate.line != line, "taken from another data directory"),
        (candidate.id.slot() > latest, "dated in the future"),
        (candidate.proof < Proof::Read, "not decoded whole yet"),
    ];
    reasons.into_iter().find(|(holds, _)| *holds).map(|(_, why)| why.to_owned())
}

/// The sets that stay, each with all that keeps it. `counted` is sorted, the newest first.
fn reasons(counted: &[&Candidate], policy: &Policy, now: Timestamp) -> BTreeMap<SetId, BTreeSet<Reason>> {
    let mut kept: BTreeMap<SetId, BTreeSet<Reason>> = BTreeMap::new();
    let mut keep = |id: SetId, reason: Reason| {
        kept.entry(id).or_default().insert(reason);
    };
    for (rule, count) in RULES.into_iter().zip(policy.counts) {
        newest_of_each(rule.bucket, count, counted).for_each(|id| keep(id, rule.reason));
    }
    for candidate in counted {
        let extras = [
            (candidate.pinned, Reason::Pinned),
            (candidate.safe_until.is_some_and(|until| until > now), Reason::Safety),
            (candidate.in_use, Reason::InUse),
        ];
        extras.into_iter().filter(|(holds, _)| *holds).for_each(|(_, reason)| keep(candidate.id, reason));
    }
    if let Some(proven) = counted.iter().find(|candidate| candidate.proof >= Proof::Restored) {
        keep(proven.id, Reason::NewestProven);
    }
    if let Some(newest) = counted.first() {
        keep(newest.id, Reason::NewestGood);
    }
    kept
}

/// The newest set of each of the last `count` buckets that have one. Buckets are stretches of time, so that
/// the sets of one lie side by side.
fn newest_of_each(bucket: fn(SetId) -> Bucket, count: u32, counted: &[&Candidate]) -> impl Iterator<Item = SetId> {
    let mut newer = None;
    let is_newest = move |id: &SetId| {
        let own = Some(bucket(*id));
        std::mem::replace(&mut newer, own) != own
    };
    counted.iter().map(|candidate| candidate.id).filter(is_newest).take(usize::try_from(count).unwrap_or(usize::MAX))
}

fn itself(id: SetId) -> Bucket {
    (id.slot().as_second(), i64::from(id.sequence()))
}

fn hour(id: SetId) -> Bucket {
    (day(id).0, utc(id).hour().into())
}

fn day(id: SetId) -> Bucket {
    (id.slot().as_second().div_euclid(86_400), 0)
}

fn week(id: SetId) -> Bucket {
    let week = utc(id).iso_week_date();
    (week.year().into(), week.week().into())
}

fn month(id: SetId) -> Bucket {
    (utc(id).year().into(), utc(id).month().into())
}

fn utc(id: SetId) -> DateTime {
    Offset::UTC.to_datetime(id.slot())
}
