//! Virtual time for a program of its own: when all its tasks wait, the clock goes on to the next
//! moment that one of them waits for. An hour passes in a moment, and nothing else runs meanwhile.
//!
//! The simulated clock of tests follows tokio's paused one, which a released program does not have.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::Clock;
use crate::model::time::Moment;

/// A clock that stands still until [`run`] finds that all wait.
#[derive(Debug)]
pub struct VirtualClock {
    began: (Moment, Timestamp),
    time: Mutex<Time>,
}

#[derive(Debug)]
struct Time {
    now: Moment,
    /// How far the wall clock has jumped.
    jumped: SignedDuration,
    /// Who waits until when, in the order in which they began to wait.
    waiting: BTreeMap<(Moment, u64), Waker>,
    next: u64,
}

impl VirtualClock {
    /// A clock that shows these, the wall clock in step with the other.
    pub fn at(moment: Moment, wall: Timestamp) -> Self {
        let time = Time { now: moment, jumped: SignedDuration::ZERO, waiting: BTreeMap::new(), next: 0 };
        Self { began: (moment, wall), time: Mutex::new(time) }
    }

    /// Makes the wall clock jump, as a laptop that woke or an operator who set it.
    pub fn jump(&self, by: SignedDuration) {
        self.time().jumped += by;
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().expect("no panic while virtual time is held")
    }

    /// Goes on to the next moment that somebody waits for, and wakes him. To be called when all wait.
    pub fn advance(&self) {
        let woken = {
            let mut time = self.time();
            let Some(((at, _), waker)) = time.waiting.pop_first() else { return };
            time.now = time.now.max(at);
            waker
        };
        woken.wake();
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn moment(&self) -> Moment {
        self.time().now
    }

    fn wall(&self) -> Timestamp {
        let time = self.time();
        let passed = SignedDuration::try_from(time.now.since(self.began.0)).unwrap_or_default();
        self.began.1.checked_add(passed.saturating_add(time.jumped)).unwrap_or(self.began.1)
    }

    async fn sleep(&self, duration: Duration) {
        let (at, number) = {
            let mut time = self.time();
            time.next += 1;
            (time.now + duration, time.next)
        };
        Sleep { clock: self, at, number, waits: false }.await;
    }
}

/// Waits for a moment; a wait of no time lets everybody else go first.
struct Sleep<'a> {
    clock: &'a VirtualClock,
    at: Moment,
    number: u64,
    waits: bool,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let place = (self.at, self.number);
        let mut time = self.clock.time();
        let is_over = self.waits && !time.waiting.contains_key(&place);
        if is_over {
            return Poll::Ready(());
        }
        time.waiting.insert(place, context.waker().clone());
        drop(time);
        self.waits = true;
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.clock.time().waiting.remove(&(self.at, self.number));
    }
}

/// Runs `program` on the time of `clock`, in this thread, which must not run tasks of another
/// program. What it spawns ends with it. It must wait for nothing but the clock and its own tasks.
pub fn run<T: Send + 'static>(clock: &Arc<VirtualClock>, program: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    let idle = clock.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().on_thread_park(move || idle.advance()).build()?;
    // As a task like any other: what this thread itself waits for is not seen when all are asked.
    runtime.block_on(runtime.spawn(program)).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn an_hour_passes_in_a_moment_and_in_order() {
        let clock = Arc::new(VirtualClock::at(Moment::default(), Timestamp::UNIX_EPOCH));
        let inner = clock.clone();
        let order = run(&clock, async move {
            let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
            for (name, seconds) in [("late", 3600), ("soon", 1), ("first", 0)] {
                let (clock, sender) = (inner.clone(), sender.clone());
                tokio::spawn(async move {
                    clock.sleep(Duration::from_secs(seconds)).await;
                    let _ = sender.send((name, clock.wall().as_second()));
                });
            }
            let mut order = Vec::new();
            while order.len() < 3 {
                order.extend(heard.recv().await);
            }
            order
        });
        assert_eq!(order.expect("a runtime"), [("first", 0), ("soon", 1), ("late", 3600)]);
        assert_eq!(clock.moment(), Moment::at(Duration::from_secs(3600)));
    }

    #[test]
    fn a_wait_that_is_given_up_holds_nobody_up() {
        let clock = Arc::new(VirtualClock::at(Moment::default(), Timestamp::UNIX_EPOCH));
        let inner = clock.clone();
        let rounds = Arc::new(AtomicU32::new(0));
        let counted = rounds.clone();
        run(&clock, async move {
            for _ in 0..10 {
                tokio::select! {
                    biased;
                    () = inner.sleep(Duration::from_secs(9)) => {}
                    () = inner.sleep(Duration::from_secs(1)) => { counted.fetch_add(1, Ordering::SeqCst); }
                }
            }
        })
        .expect("a runtime");
        assert_eq!(rounds.load(Ordering::SeqCst), 10);
        assert_eq!(clock.moment(), Moment::at(Duration::from_secs(10)));
    }
}
