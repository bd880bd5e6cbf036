//! How far a set is, in words, a few times a second.

use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;

use crate::host::Clock;
use crate::model::time::Moment;

/// Where the words go. Called from the task that works; must not block.
pub type ProgressSink = Arc<dyn Fn(String) + Send + Sync>;

/// How often words come at most.
const EVERY: Duration = Duration::from_millis(250);

/// Counts the bytes of one step.
pub(super) struct Meter<'a> {
    clock: &'a dyn Clock,
    sink: &'a ProgressSink,
    what: String,
    expected: Option<u64>,
    began: Moment,
    told: Moment,
    bytes: u64,
}

impl<'a> Meter<'a> {
    /// Begins a step; `expected` is what an earlier one of its kind had, in bytes.
    pub fn begin(clock: &'a dyn Clock, sink: &'a ProgressSink, what: impl Into<String>, expected: Option<u64>) -> Self {
        let (what, began) = (what.into(), clock.moment());
        sink(what.clone());
        Self { clock, sink, what, expected: expected.filter(|bytes| *bytes > 0), began, told: began, bytes: 0 }
    }

    /// Takes note of more bytes.
    pub fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        let now = self.clock.moment();
        if now.since(self.told) >= EVERY {
            self.told = now;
            (self.sink)(words(&self.what, self.bytes, self.expected, now.since(self.began)));
        }
    }
}

/// `dumping app: 120.0 MiB, 85.0 MiB/s, about 20 s left`.
fn words(what: &str, bytes: u64, expected: Option<u64>, took: Duration) -> String {
    let rate = u64::try_from(u128::from(bytes) * 1000 / took.as_millis().max(1)).unwrap_or(u64::MAX);
    let left = expected.filter(|expected| *expected > bytes && rate > 0).map(|expected| (expected - bytes) / rate);
    let left = left.map(|seconds| format!(", about {seconds} s left")).unwrap_or_default();
    format!("{what}: {}, {}/s{left}", ByteSize(bytes).display().iec(), ByteSize(rate).display().iec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_and_what_is_left_are_told() {
        let table = [
            (100 << 20, Some(300 << 20), 2, "dumping app: 100.0 MiB, 50.0 MiB/s, about 4 s left"),
            (100 << 20, None, 2, "dumping app: 100.0 MiB, 50.0 MiB/s"),
            // It grew since the last one.
            (100 << 20, Some(50 << 20), 2, "dumping app: 100.0 MiB, 50.0 MiB/s"),
            (0, Some(50 << 20), 2, "dumping app: 0 B, 0 B/s"),
        ];
        for (bytes, expected, took, want) in table {
            assert_eq!(words("dumping app", bytes, expected, Duration::from_secs(took)), want);
        }
    }
}
