//! Plays a program on virtual time, one poll of one task at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::sync::Notify;
use witwd::host::virtual_time::VirtualClock;

/// Whether the program goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    On,
    /// It ends here, as by `kill -9`: all its tasks are dropped where they stand.
    Crash,
}

/// Plays `program` and what it spawns; `between` is asked after each poll of any task of it. `None`: it
/// crashed.
///
/// The runtime is told to poll one task a round and asks its root, which always wakes itself, before each.
/// A sentinel that is woken last is polled alone when all others wait: then time goes on.
pub fn play<T: Send + 'static>(
    clock: &Arc<VirtualClock>,
    program: impl Future<Output = T> + Send + 'static,
    mut between: impl FnMut() -> Flow,
) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().event_interval(1).build().expect("a runtime");
    let mut playing = runtime.spawn(program);
    let (passes, ring) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()));
    runtime.spawn(sentinel(passes.clone(), ring.clone()));
    let (mut round, mut rung) = (0_u64, 0);
    runtime.block_on(std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        round += 1;
        if passes.swap(false, Ordering::SeqCst) {
            if round - rung == 1 {
                clock.advance();
            }
            rung = round;
            ring.notify_one();
        } else if between() == Flow::Crash {
            return Poll::Ready(None);
        }
        std::pin::Pin::new(&mut playing).poll(context).map(|played| Some(played.expect("a program that does not panic")))
    }))
}

/// Tells when it is polled.
async fn sentinel(passes: Arc<AtomicBool>, ring: Arc<Notify>) {
    loop {
        ring.notified().await;
        passes.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use witwd::host::Clock as _;
    use witwd::model::time::Moment;

    use super::*;

    fn clock() -> Arc<VirtualClock> {
        Arc::new(VirtualClock::at(Moment::default(), jiff::Timestamp::UNIX_EPOCH))
    }

    /// Two tasks that each do three steps; how many steps were done when `between` was asked.
    fn steps(crash_at: Option<usize>) -> (Option<usize>, Vec<usize>) {
        let clock = clock();
        let (done, sleeper) = (Arc::new(AtomicUsize::new(0)), clock.clone());
        let (counted, inner) = (done.clone(), done.clone());
        let program = async move {
            let step = |clock: Arc<VirtualClock>, done: Arc<AtomicUsize>| async move {
                for _ in 0..3 {
                    clock.sleep(Duration::from_secs(1)).await;
                    done.fetch_add(1, Ordering::SeqCst);
                }
            };
            let other = tokio::spawn(step(sleeper.clone(), inner.clone()));
            step(sleeper, inner.clone()).await;
            other.await.expect("a task that ends");
            inner.load(Ordering::SeqCst)
        };
        let mut seen = Vec::new();
        let mut polls = 0;
        let played = play(&clock, program, || {
            polls += 1;
            seen.push(counted.load(Ordering::SeqCst));
            if crash_at == Some(polls) { Flow::Crash } else { Flow::On }
        });
        seen.dedup();
        (played, seen)
    }

    #[test]
    fn it_is_asked_between_any_two_steps_of_any_task() {
        assert_eq!(steps(None), (Some(6), (0..=6).collect()));
    }

    #[test]
    fn a_crash_drops_all_where_they_stand() {
        let (played, seen) = steps(Some(1));
        assert_eq!((played, seen), (None, vec![0]));
    }
}
