//! Daemons that live and die on one machine, until one has come to the end of what it is for.

use super::client::Place;
use super::rig::{Flow, play};

/// Lives of daemons, one after another, until `until` returns in one of them.
pub fn lives<T: Send + 'static>(place: &Place, mut between: impl FnMut() -> Flow, until: &impl AsyncLife<T>) -> T {
    loop {
        let (place, until) = (place.clone(), until.clone());
        let (clock, died) = (place.clock.clone(), place.clone());
        let disk = place.machine.disk.clone();
        if let Some(over) = play(&clock, async move { until.live(place).await }, &mut between) {
            return over;
        }
        // What it published at its end was not heard.
        died.progress().handle = None;
        disk.go_on();
    }
}

/// What a life is for.
pub trait AsyncLife<T>: Clone + Send + 'static {
    /// One life; what it returns is what it was for.
    fn live(self, place: Place) -> impl Future<Output = T> + Send;
}
