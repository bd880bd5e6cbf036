//! From two looks at a container to what it uses between them. Pure.

use std::time::Duration;

use crate::engine::docker::Usage;

/// What a container uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    /// Percent of one processor; `None` before the second look.
    pub cpu: Option<f64>,
    /// Memory in bytes.
    pub memory: u64,
}

impl Load {
    /// What is used, `before` being the look so long ago.
    pub(super) fn between(before: Option<(Usage, Duration)>, now: Usage) -> Self {
        let cpu = before.and_then(|(before, passed)| percent(before.cpu, now.cpu, passed));
        Self { cpu, memory: now.memory }
    }

    /// `3.2%`.
    pub(super) fn cpu_text(self) -> String {
        self.cpu.map(|cpu| format!("{cpu:.1}%")).unwrap_or_default()
    }

    /// `48.3 MiB`.
    pub(super) fn memory_text(self) -> String {
        bytesize::ByteSize(self.memory).display().iec().to_string()
    }
}

/// A counter that fell back is that of another run: nothing is known yet.
fn percent(before: u64, now: u64, passed: Duration) -> Option<f64> {
    let used = Duration::from_nanos(now.checked_sub(before)?);
    (!passed.is_zero()).then(|| used.as_secs_f64() / passed.as_secs_f64() * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_a_processor_is_that_of_the_time_between_two_looks() {
        let at = |cpu| Usage { cpu, memory: 50 << 20 };
        let two = Duration::from_secs(2);
        let text = |before, now| Load::between(before, at(now)).cpu_text();
        assert_eq!(text(None, 5), "", "one look says nothing");
        assert_eq!(text(Some((at(1_000_000_000), two)), 1_500_000_000), "25.0%");
        assert_eq!(text(Some((at(0), two)), 4_000_000_000), "200.0%", "two processors");
        assert_eq!(text(Some((at(9), two)), 5), "", "it was started again");
        assert_eq!(text(Some((at(1), Duration::ZERO)), 5), "");
        assert_eq!(Load::between(None, at(0)).memory_text(), "50.0 MiB");
    }
}
