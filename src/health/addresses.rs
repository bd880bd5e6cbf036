//! Where ports were last seen, for the engine need not be asked at every quick attempt. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::answer::Reach;
use crate::model::observed::RunId;
use crate::model::time::Moment;

/// How long an address is believed while nothing answers there.
const BELIEVED: Duration = Duration::from_secs(1);

/// Addresses of ports, for a while. They are those of a run: where a container that was started again is
/// now, perhaps nobody is any more, and who asks there waits until his time is over.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    seen: BTreeMap<(RunId, u16), (Reach, Moment)>,
}

impl Addresses {
    /// Where this port was seen lately.
    pub fn known(&mut self, run: &RunId, port: u16, now: Moment) -> Option<Reach> {
        self.seen.retain(|_, (_, seen)| now.since(*seen) < BELIEVED);
        self.seen.get(&(run.clone(), port)).map(|(reach, _)| *reach)
    }

    /// Remembers where a port is now.
    pub fn keep(&mut self, run: &RunId, port: u16, reach: Reach, now: Moment) {
        self.seen.insert((run.clone(), port), (reach, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::ContainerId;

    #[test]
    fn an_address_is_believed_for_a_second_and_of_one_run() {
        let run = |second| {
            let started_at = jiff::Timestamp::from_second(second).expect("a time");
            RunId { container: ContainerId("a".to_owned()), started_at }
        };
        let (now, reach) = (Moment::default(), Reach::Direct(([10, 0, 0, 2], 80).into()));
        let mut addresses = Addresses::default();
        addresses.keep(&run(1), 80, reach, now);
        let almost = now + Duration::from_millis(999);
        assert_eq!(addresses.known(&run(1), 80, almost), Some(reach));
        assert_eq!((addresses.known(&run(2), 80, almost), addresses.known(&run(1), 81, almost)), (None, None));
        assert_eq!(addresses.known(&run(1), 80, now + BELIEVED), None);
    }
}
