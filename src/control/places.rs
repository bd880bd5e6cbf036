//! Places at the control socket. There are so many, and whoever comes is let in: where all are taken,
//! the one who has waited longest for his own client goes, then the one who has followed longest. So
//! neither those who say nothing nor those who never hang up keep anybody out; and since nobody goes
//! before he had the time to ask, a flood of those who come drives nobody out who has just come too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// How many connections are open at once. Each is a file, and a process may have 1,024 of them open where
/// nobody says otherwise (`RLIMIT_NOFILE`); what a connection holds in memory is some 20 KiB.
pub(super) const PLACES: usize = 256;
/// How long nobody has to go who has just come: the command line asks at once. Those who wait to be accepted,
/// 1,024 at most, are let in within four times that.
pub(super) const TIME_TO_ASK: Duration = Duration::from_millis(50);

/// What becomes of a connection just now; the first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    /// It waits for its client: to ask, or to read a short answer.
    Waits,
    /// It tells lines until its client hangs up.
    Tells,
    /// It is worked for, or has just come: both are over soon.
    Works,
}

/// Who is there.
#[derive(Debug, Default)]
pub(super) struct Places {
    table: Mutex<Table>,
    /// Told when somebody goes, or may have to.
    room: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// Counts arrivals and changes: the lesser number was earlier.
    count: u64,
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    doing: Doing,
    since: u64,
    leave: Arc<Notify>,
}

impl Table {
    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }
}

impl Places {
    /// A place, as soon as there is one; it is free again when it is dropped.
    pub async fn take(self: &Arc<Self>) -> Place {
        loop {
            let room = self.room.notified();
            if let Some(place) = self.try_take() {
                return place;
            }
            room.await;
        }
    }

    /// `None` where nobody may be asked to go.
    fn try_take(self: &Arc<Self>) -> Option<Place> {
        let mut table = self.table();
        if table.taken.len() >= PLACES {
            let may_go = table.taken.iter().filter(|(_, taken)| taken.doing != Doing::Works);
            let goes = may_go.min_by_key(|(_, taken)| (taken.doing, taken.since)).map(|(number, _)| *number)?;
            if let Some(gone) = table.taken.remove(&goes) {
                gone.leave.notify_one();
            }
        }
        let (number, leave) = (table.next(), Arc::new(Notify::new()));
        table.taken.insert(number, Taken { doing: Doing::Works, since: number, leave: leave.clone() });
        Some(Place { places: self.clone(), number, leave })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection. Until it is said what it does, it has just come.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    leave: Arc<Notify>,
}

impl Place {
    /// From now on this is done.
    pub fn does(&self, doing: Doing) {
        self.change(|taken, since| (taken.doing, taken.since) = (doing, since));
    }

    /// The time to ask is over: where nothing was asked, it waits since it came.
    pub fn has_had_time(&self) {
        self.change(|taken, _| {
            if taken.since == self.number {
                taken.doing = Doing::Waits;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Taken, u64)) {
        let mut table = self.places.table();
        let since = table.next();
        if let Some(taken) = table.taken.get_mut(&self.number) {
            change(taken, since);
        }
        drop(table);
        self.places.room.notify_one();
    }

    /// Returns when somebody else has the place.
    pub async fn is_lost(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().taken.remove(&self.number);
        self.places.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn full(doing: Doing) -> (Arc<Places>, Vec<Place>) {
        let places = Arc::<Places>::default();
        let taken: Vec<Place> = (0..PLACES).map(|_| places.try_take().expect("a place")).collect();
        for place in &taken {
            place.does(doing);
        }
        (places, taken)
    }

    fn lost(taken: &[Place]) -> Vec<usize> {
        let is_lost = |place: &Place| place.is_lost().now_or_never().is_some();
        taken.iter().enumerate().filter(|(_, place)| is_lost(place)).map(|(number, _)| number).collect()
    }

    #[test]
    fn who_comes_has_the_place_of_who_waited_longest() {
        let (places, taken) = full(Doing::Waits);
        taken[0].does(Doing::Works);
        taken[1].does(Doing::Tells);
        // It asked again: now it waits since later than the others.
        taken[2].does(Doing::Waits);
        let new = [places.try_take().expect("a place"), places.try_take().expect("a place")];
        assert_eq!((lost(&taken), lost(&new)), (vec![3, 4], vec![]));
    }

    #[test]
    fn who_only_listens_goes_when_nobody_waits_and_who_is_worked_for_stays() {
        let (places, taken) = full(Doing::Works);
        assert!(places.try_take().is_none());
        taken[7].does(Doing::Tells);
        taken[5].does(Doing::Tells);
        let _new = places.try_take().expect("a place");
        assert_eq!(lost(&taken), [7]);
    }

    #[test]
    fn nobody_goes_before_he_had_time_to_ask() {
        let (places, mut taken) = full(Doing::Works);
        drop(taken.drain(..2));
        let young = [places.try_take().expect("a place"), places.try_take().expect("a place")];
        young[0].does(Doing::Works);
        assert!(places.take().now_or_never().is_none(), "it waits for room");
        // Who asked meanwhile is worked for.
        young.iter().for_each(Place::has_had_time);
        let _new = places.take().now_or_never().expect("a place");
        assert_eq!(lost(&young), [1]);
    }

    #[test]
    fn a_place_that_is_left_is_free() {
        let (places, mut taken) = full(Doing::Waits);
        drop(taken.pop());
        let _new = places.try_take().expect("a place");
        assert_eq!(lost(&taken), [0_usize; 0]);
        // Who lost his place frees nobody else's.
        let _newer = places.try_take().expect("a place");
        assert_eq!(lost(&taken), [0]);
        drop(taken.remove(0));
        assert_eq!(places.table().taken.len(), PLACES);
    }
}
