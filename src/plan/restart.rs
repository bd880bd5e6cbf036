//! When a container that ended is started again.
//!
//! The first restart is immediate, then after `min` doubling to `max`, with up to a quarter more.
//! The count falls back only after healthy time, so that what dies after eleven seconds is not
//! restarted every eleven seconds for ever (numbers: `engine-facts.md`, agreed numbers).

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::model::history::ReplicaHistory;
use crate::model::name::ReplicaKey;
use crate::model::observed::Exit;
use crate::model::time::{Moment, seconds};
use crate::model::workload::{Backoff, Restart};

/// This many restarts within [`LOOP_WINDOW`] are a crash loop.
pub const LOOP_RESTARTS: usize = 10;
/// See [`LOOP_RESTARTS`].
pub const LOOP_WINDOW: Duration = Duration::from_secs(30 * 60);
/// The least healthy time after which the count of attempts falls back.
const FORGIVE_AFTER: Duration = Duration::from_secs(60);

/// What to do with a container that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Start it now.
    Start {
        /// Why.
        cause: String,
    },
    /// Start it later.
    Wait {
        /// When.
        until: Moment,
        /// Why.
        cause: String,
    },
    /// It ended and stays so.
    Ended,
}

/// How a container ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// What the engine says.
    pub exit: Exit,
    /// Whether it was stopped because it had lost its liveness: a failure, whatever its exit code.
    pub lost_liveness: bool,
}

impl End {
    fn is_failure(&self) -> bool {
        self.lost_liveness || self.exit.code != 0
    }
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = if self.lost_liveness { "stopped for its lost liveness, " } else { "" };
        write!(formatter, "{lost}{}", self.exit)
    }
}

/// When it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The monotonic moment.
    pub now: Moment,
    /// The wall clock.
    pub wall: Timestamp,
}

/// Decides by policy, history and the moment the end was seen.
pub fn decide(rule: (Restart, Backoff), key: &ReplicaKey, history: Option<&ReplicaHistory>, end: End, times: Times) -> Decision {
    let (policy, backoff) = rule;
    let Times { now, wall } = times;
    if policy == Restart::Never || (policy == Restart::OnFailure && !end.is_failure()) {
        return Decision::Ended;
    }
    let fresh = ReplicaHistory::default();
    let history = history.unwrap_or(&fresh);
    let last = history.last_exit.as_ref();
    let (seen, waited) = last.map_or((now, Duration::ZERO), |last| (last.seen, last.waited));
    let until = seen + delay(backoff, key, history, wall).saturating_sub(waited);
    if until <= now {
        return Decision::Start { cause: end.to_string() };
    }
    let loops = if is_crash_loop(history, wall) { "crash loop: " } else { "" };
    let cause = format!("{loops}{end}; restart {} in {}", history.attempt + 1, seconds(until.since(now)));
    Decision::Wait { until, cause }
}

/// The delay before the next start after `history.attempt` starts without lasting health.
pub fn delay(backoff: Backoff, key: &ReplicaKey, history: &ReplicaHistory, wall: Timestamp) -> Duration {
    if is_crash_loop(history, wall) {
        return jittered(backoff.max, key, history.attempt);
    }
    match history.attempt {
        0 => Duration::ZERO,
        attempt => jittered(backoff.min.saturating_mul(1 << (attempt - 1).min(20)).min(backoff.max), key, attempt),
    }
}

/// Whether the last [`LOOP_RESTARTS`] restarts lie within [`LOOP_WINDOW`]. One in the future says that the
/// clock was set back, and nothing else.
pub fn is_crash_loop(history: &ReplicaHistory, wall: Timestamp) -> bool {
    let window = jiff::SignedDuration::try_from(LOOP_WINDOW).unwrap_or(jiff::SignedDuration::MAX);
    let within = |at: &&Timestamp| (jiff::SignedDuration::ZERO..=window).contains(&wall.duration_since(**at));
    history.recent.iter().filter(within).count() >= LOOP_RESTARTS
}

/// How long a replica must have been ready before its attempts are forgiven.
pub fn forgive_after(backoff: Backoff, key: &ReplicaKey, history: &ReplicaHistory, wall: Timestamp) -> Duration {
    FORGIVE_AFTER.max(delay(backoff, key, history, wall) * 2)
}

/// Up to a quarter more, from name and attempt: many services that fell together do not rise
/// together, and the planner needs no random source.
fn jittered(delay: Duration, key: &ReplicaKey, attempt: u32) -> Duration {
    let digest = Sha256::digest(format!("{key}/{attempt}"));
    delay.saturating_add(delay / 1024 * u32::from(digest[0]))
}
