//! The planner's time: a monotonic moment that somebody else read off a clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the daemon's monotonic clock: time since the clock's own beginning. It says nothing
/// about the wall clock and stops while the machine sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `since_start` after the clock's beginning.
    pub const fn at(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// How long before `self` `earlier` was; zero where it was not before.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Time since the clock's beginning.
    pub fn since_start(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, delay: Duration) -> Moment {
        Moment(self.0.saturating_add(delay))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, delay: Duration) -> Moment {
        Moment(self.0.saturating_sub(delay))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "+{}", seconds(self.0))
    }
}

/// A duration for people, to the tenth of a second: `0.3s`, `4s`, `90s`.
pub fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis().div_ceil(100);
    if tenths.is_multiple_of(10) { format!("{}s", tenths / 10) } else { format!("{}.{}s", tenths / 10, tenths % 10) }
}
