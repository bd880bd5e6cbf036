//! When a backup set is due: slots of the wall clock, one set each. Pure.
//!
//! Whoever asks has to ask often, at least every half minute, and not sleep until the time that is answered:
//! the clock may jump, and the machine may sleep. Nothing here remembers anything; what it depends on is in
//! the [`Record`].

use std::fmt;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::model::postgres::BackupSchedule;

/// The shortest interval.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest interval: a leap year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// How long after the first, second and third failure in a slot it is tried again.
const RETRIES: [SignedDuration; 3] = [SignedDuration::from_mins(1), SignedDuration::from_mins(5), SignedDuration::from_mins(15)];
/// The shortest time that a slot which passed while nobody watched waits, in seconds.
const CATCH_UP: u64 = 15;
/// What is added to it at most, in seconds.
const CATCH_UP_SPREAD: u64 = 45;
/// How far the clock must have been set back to be worth a warning.
const WARNING: SignedDuration = SignedDuration::from_hours(1);
/// The most slots of an interval that are counted.
const MOST: u64 = 1_000_000;
/// The most slots of a cron expression that are counted.
const MOST_OF_CRON: usize = 10_000;

/// The slots of one Postgres.
#[derive(Debug, Clone)]
pub struct Timetable(Rule);

#[derive(Clone)]
enum Rule {
    /// A slot each `interval` seconds, `offset` seconds after the multiples of it.
    Every { interval: i64, offset: i64 },
    /// A slot at each time that the expression names in UTC.
    Cron(Box<Cron>),
}

/// What is behind a parsed expression fills pages.
impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every { interval, offset } => write!(formatter, "every {interval} s, from {offset} s"),
            Self::Cron(cron) => formatter.write_str(cron.as_str()),
        }
    }
}

/// A schedule that makes no timetable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The interval is below a minute.
    #[error("a set every {0:?} is too often: one a minute is the most")]
    TooOften(Duration),
    /// The interval is over a year.
    #[error("a set every {0:?} is too rare: one a year is the least")]
    TooRare(Duration),
    /// A text is no cron expression.
    #[error("{text:?} is not a schedule: {words}")]
    NotCron {
        /// The text.
        text: String,
        /// What is wrong with it.
        words: String,
    },
    /// A cron expression names a day that there is not.
    #[error("{0:?} never comes")]
    Never(String),
}

impl ScheduleError {
    /// How it is mended.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooOften(_) | Self::TooRare(_) => "write `every = \"1h\"`",
            Self::NotCron { .. } => "minute, hour, day of month, month, day of week, in UTC: \"30 2 * * *\"",
            Self::Never(_) => "name a day that each month has: \"30 2 1 * *\"",
        }
    }
}

impl Timetable {
    /// The slots of a schedule. Those of an interval lie at an offset of their own, which depends on `service`
    /// alone, so that not all take a set at the full hour; the parts of a second of an interval are left out.
    pub fn new(schedule: &BackupSchedule, service: &str) -> Result<Self, ScheduleError> {
        match schedule {
            BackupSchedule::Every(interval) if *interval < SHORTEST => Err(ScheduleError::TooOften(*interval)),
            BackupSchedule::Every(interval) if *interval > LONGEST => Err(ScheduleError::TooRare(*interval)),
            BackupSchedule::Every(interval) => {
                let interval = interval.as_secs();
                let offset = hash(&[service.as_bytes()]) % interval;
                Ok(Self(Rule::Every { interval: interval.cast_signed(), offset: offset.cast_signed() }))
            }
            BackupSchedule::Cron(text) => {
                let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
                let words = |error: croner::errors::CronError| error.to_string();
                let cron =
                    parser.parse(text).map_err(|error| ScheduleError::NotCron { text: text.clone(), words: words(error) })?;
                let first = cron.find_next_occurrence(&utc(Timestamp::UNIX_EPOCH), true);
                first.map_err(|_| ScheduleError::Never(text.clone()))?;
                Ok(Self(Rule::Cron(Box::new(cron))))
            }
        }
    }

    /// The newest slot that is not after `now`; where there is none, the beginning of time.
    pub fn slot_at(&self, now: Timestamp) -> Timestamp {
        match &self.0 {
            Rule::Every { interval, offset } => instant(number(now, *interval, *offset) * interval + offset),
            Rule::Cron(cron) => {
                let slot = cron.find_previous_occurrence(&utc(now), true).ok();
                slot.and_then(timestamp).unwrap_or(Timestamp::MIN)
            }
        }
    }

    /// The first slot after `now`; where there is none, the end of time.
    pub fn next_after(&self, now: Timestamp) -> Timestamp {
        match &self.0 {
            Rule::Every { interval, offset } => instant((number(now, *interval, *offset) + 1) * interval + offset),
            Rule::Cron(cron) => following(cron, now).unwrap_or(Timestamp::MAX),
        }
    }

    /// How many slots lie after `after` and not after `until`; at most 1,000,000 of an interval and 10,000 of a
    /// cron expression.
    pub fn between(&self, after: Timestamp, until: Timestamp) -> u64 {
        match &self.0 {
            Rule::Every { interval, offset } => {
                let passed = number(until, *interval, *offset) - number(after, *interval, *offset);
                u64::try_from(passed).unwrap_or(0).min(MOST)
            }
            Rule::Cron(cron) => {
                let slots = std::iter::successors(following(cron, after), |slot| following(cron, *slot));
                let passed = slots.take_while(|slot| *slot <= until).take(MOST_OF_CRON).count();
                u64::try_from(passed).unwrap_or(MOST)
            }
        }
    }
}

/// What is known of the sets of one Postgres that were taken on schedule, and of the watch over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The newest slot that a good set was made for.
    pub last_slot: Option<Timestamp>,
    /// The slot that was tried last, where that failed.
    pub failed: Option<Failed>,
    /// Since when we watch without a break: the daemon began, or the machine woke.
    pub awake_since: Timestamp,
}

impl Record {
    /// The same once a good set of a slot was made.
    #[must_use]
    pub fn after_set(self, slot: Timestamp) -> Self {
        Self { last_slot: self.last_slot.max(Some(slot)), failed: None, ..self }
    }

    /// The same once a slot was tried in vain, until `at`.
    #[must_use]
    pub fn after_failure(self, slot: Timestamp, at: Timestamp) -> Self {
        let before = self.failed.filter(|failed| failed.slot == slot).map_or(0, |failed| failed.times);
        Self { failed: Some(Failed { slot, times: before.saturating_add(1), at }), ..self }
    }
}

/// A slot without a set that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// Which one.
    pub slot: Timestamp,
    /// How often that slot failed in a row, from 1.
    pub times: u32,
    /// When it failed last.
    pub at: Timestamp,
}

/// Whether a set is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// One is.
    Now {
        /// The slot it is for.
        slot: Timestamp,
        /// How many slots passed without a set since the last one, beside this one. The same are told again
        /// when the set is not made: they count once it is.
        missed: u64,
    },
    /// None is.
    Later {
        /// When one will be, if nothing else happens; always after now. Later than that only where the clock was
        /// set back to before a failure or the beginning of the watch.
        at: Timestamp,
        /// What it waits for.
        why: Wait,
    },
}

/// What the next set waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The next slot.
    Slot,
    /// It failed, and is tried again in the same slot.
    Retry,
    /// The machine has just come up or woken.
    CatchUp,
    /// There is a set of a slot that has not come: the clock was set back.
    ClockBack,
}

/// Whether a set is due at `now`. `name` only spreads those that catch up.
pub fn due(timetable: &Timetable, record: &Record, now: Timestamp, name: &str) -> Due {
    let (slot, next) = (timetable.slot_at(now), timetable.next_after(now));
    match record.last_slot {
        Some(last) if last > now => return Due::Later { at: timetable.next_after(last), why: Wait::ClockBack },
        Some(last) if last >= slot => return Due::Later { at: next, why: Wait::Slot },
        _ => {}
    }
    let waits = [retry(record, slot, next, now), catch_up(record, slot, now, name)];
    match waits.into_iter().flatten().filter(|(at, _)| *at > now).max_by_key(|(at, _)| *at) {
        // A slot that comes meanwhile is another matter: it is neither failed nor late.
        Some((at, _)) if at >= next => Due::Later { at: next, why: Wait::Slot },
        Some((at, why)) => Due::Later { at, why },
        None => {
            let missed = record.last_slot.map_or(0, |last| timetable.between(last, slot).saturating_sub(1));
            Due::Now { slot, missed }
        }
    }
}

/// Whether the clock was set back so far that people should hear of it: there is a set of a slot that is more
/// than an hour ahead. None is taken before the slot after that one.
pub fn is_clock_back(record: &Record, now: Timestamp) -> bool {
    record.last_slot.is_some_and(|last| last > later(now, WARNING))
}

/// When a slot that failed is tried again.
fn retry(record: &Record, slot: Timestamp, next: Timestamp, now: Timestamp) -> Option<(Timestamp, Wait)> {
    let failed = record.failed.filter(|failed| failed.slot == slot)?;
    let tried = usize::try_from(failed.times.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(delay) = RETRIES.get(tried) else { return Some((next, Wait::Slot)) };
    // The clock was set back since: how much of the delay is over can't be told.
    (failed.at <= now).then(|| (later(failed.at, *delay), Wait::Retry))
}

/// When a slot is made up for that came while nobody watched: not in the first seconds of a machine that has
/// more to do.
fn catch_up(record: &Record, slot: Timestamp, now: Timestamp, name: &str) -> Option<(Timestamp, Wait)> {
    // A watch that begins in the future began before the clock was set back: long ago, for all that is known.
    let was_missed = record.last_slot.is_some() && slot < record.awake_since && record.awake_since <= now;
    let spread = hash(&[name.as_bytes(), &slot.as_second().to_le_bytes()]) % (CATCH_UP_SPREAD + 1);
    let jitter = SignedDuration::from_secs((CATCH_UP + spread).cast_signed());
    was_missed.then(|| (later(record.awake_since, jitter), Wait::CatchUp))
}

/// Which slot of an interval is the newest at a time, counted from 1970.
fn number(now: Timestamp, interval: i64, offset: i64) -> i64 {
    // Before 1970 the parts of a second are below zero.
    let second = now.as_second() - i64::from(now.subsec_nanosecond() < 0);
    (second - offset).div_euclid(interval)
}

/// The instant of a second, or the nearest end of time.
fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(if second < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn utc(time: Timestamp) -> DateTime {
    Offset::UTC.to_datetime(time)
}

fn timestamp(utc: DateTime) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(utc).ok()
}

/// The first time after `time` that the expression names.
fn following(cron: &Cron, time: Timestamp) -> Option<Timestamp> {
    cron.find_next_occurrence(&utc(time), false).ok().and_then(timestamp)
}

/// FNV-1a of these parts with a zero after each, folded: it must never change, for slots hang on it.
fn hash(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter().chain(&[0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    hash ^ (hash >> 32)
}
