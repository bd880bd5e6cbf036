//! Time: monotonic for delays, wall clock for people and schedules.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::time::Moment;

/// The only source of time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The monotonic moment. It stops while the machine sleeps.
    fn moment(&self) -> Moment;
    /// The wall clock. It may jump in both directions.
    fn wall(&self) -> Timestamp;
    /// Returns when `duration` of monotonic time has passed.
    async fn sleep(&self, duration: Duration);
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn moment(&self) -> Moment {
        Moment::at(self.start.elapsed())
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
