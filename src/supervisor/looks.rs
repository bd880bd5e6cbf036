//! Which look at the engine is under way, and which is wanted.

use crate::model::time::Moment;

/// Looks are numbered; one is under way at most.
#[derive(Debug, Default)]
pub struct Looks {
    started: u64,
    running: bool,
    wanted: bool,
    failures: u32,
    last: Option<Moment>,
}

impl Looks {
    /// Something changed: a look that begins from now on is wanted.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// The number of the look to begin now, where one is wanted and none is under way.
    pub fn begin(&mut self, now: Moment) -> Option<u64> {
        if !self.wanted || self.running {
            return None;
        }
        self.wanted = false;
        self.running = true;
        self.started += 1;
        self.last = Some(now);
        Some(self.started)
    }

    /// The look under way is over.
    pub fn end(&mut self, answered: bool) {
        self.running = false;
        self.failures = if answered { 0 } else { self.failures.saturating_add(1) };
    }

    /// The number of the last look that was begun.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// When the next look is due although nothing happened: soon after a failed one, every 5 s while
    /// anything is unsettled, else every 30 s (`engine-facts.md`, agreed numbers).
    /// While one is under way nothing is due: its end wakes.
    pub fn due(&self, settled: bool) -> Moment {
        use std::time::Duration;
        if self.running {
            return Moment::at(Duration::MAX);
        }
        let pause = match (self.failures, settled) {
            (0, true) => Duration::from_secs(30),
            (0, false) => Duration::from_secs(5),
            (failures, _) => Duration::from_millis(100 << failures.min(5)),
        };
        self.last.map_or_else(Moment::default, |last| last + pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn while_a_look_is_under_way_nothing_is_due() {
        let mut looks = Looks::default();
        looks.want();
        assert_eq!(looks.begin(Moment::default()), Some(1));
        assert!(looks.due(false) > Moment::at(Duration::from_secs(3600)), "a loop that never sleeps");
        looks.end(true);
        assert_eq!(looks.due(false), Moment::at(Duration::from_secs(5)));
    }
    #[test]
    fn a_look_that_began_before_an_action_was_over_does_not_show_what_came_of_it() {
        let action = crate::plan::Action::CreateNetwork;
        let mut under_way = crate::supervisor::UnderWay { action, since: Moment::default(), over_since: None, task: None };
        assert!(!under_way.is_shown_by(7), "it is not over yet");
        under_way.over_since = Some(7);
        assert!(!under_way.is_shown_by(7), "look 7 had begun when it ended");
        assert!(under_way.is_shown_by(8));
    }
}
