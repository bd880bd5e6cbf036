//! What a service manager is told of a daemon that it started: that it serves, what it sees, that its
//! loop turns, that it ends. Without one (`NOTIFY_SOCKET`) nobody is told.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinSet;

use crate::host::Clock;
use crate::model::status::{EngineStatus, Status};
use crate::supervisor::Handle;

/// How long a daemon that could not begin waits before it ends: a manager that starts it again at once
/// then does so once a second.
const BEFORE_NEXT_START: Duration = Duration::from_secs(1);

/// Whether a service manager listens.
pub(super) fn listens() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

fn tell(words: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(words) {
        tracing::warn!(%error, "failed to tell the service manager");
    }
}

/// Says that the daemon serves, and from then on what it sees and that its loop turns, until the
/// returned tasks are dropped.
pub(super) fn ready(handle: &Handle, clock: &Arc<dyn Clock>) -> JoinSet<()> {
    tell(&[NotifyState::Ready, NotifyState::Status(&words(&handle.status()))]);
    let mut tasks = JoinSet::new();
    if listens() {
        tasks.spawn(keep_words(handle.clone()));
    }
    if let Some(limit) = sd_notify::watchdog_enabled() {
        let beat = || tell(&[NotifyState::Watchdog]);
        tasks.spawn(keep_beating(handle.clone(), clock.clone(), limit / 2, beat));
    }
    tasks
}

/// Says that the daemon ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Holds up the end of a daemon that could not begin.
pub(super) async fn slow_down(clock: &dyn Clock) {
    if listens() {
        clock.sleep(BEFORE_NEXT_START).await;
    }
}

async fn keep_words(handle: Handle) {
    let mut published = handle.watch();
    let mut said = String::new();
    loop {
        let now = words(&published.borrow_and_update().status);
        if now != said {
            tell(&[NotifyState::Status(&now)]);
            said = now;
        }
        if published.changed().await.is_err() {
            return;
        }
    }
}

/// Beats as long as the supervisor's own loop answers. One that hangs is not spoken for.
pub(super) async fn keep_beating(handle: Handle, clock: Arc<dyn Clock>, every: Duration, beat: impl Fn()) {
    while handle.pulse().await.is_ok() {
        beat();
        clock.sleep(every).await;
    }
}

/// One line on how the stack is.
pub(super) fn words(status: &Status) -> String {
    let Status { stack, items, file, engine, .. } = status;
    if stack.is_empty() {
        return "nothing is asked of it: `witwd up -d` starts the stack".to_owned();
    }
    let ready = items.iter().filter(|item| item.ready).count();
    let mut words = format!("stack {stack}: {ready} of {} ready", items.len());
    if *engine == EngineStatus::Down {
        words += "; the engine does not answer";
    }
    if !file.ok {
        words += "; stack.toml can't be used, the last accepted one runs";
    }
    words
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::host::SystemClock;
    use crate::model::status::FileStatus;
    use crate::supervisor::{self, Command};

    fn nothing() -> Status {
        Status {
            v: 1,
            stack: String::new(),
            profiles: Vec::new(),
            file: FileStatus::applied("stack.toml".to_owned()),
            daemon: None,
            engine: EngineStatus::Up,
            converged: false,
            reached: false,
            others: Vec::new(),
            items: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_hangs_is_not_spoken_for() {
        let (handle, mut ends) = supervisor::channel(nothing());
        let beats = Arc::new(AtomicU32::new(0));
        let counted = beats.clone();
        let beat = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        tokio::spawn(keep_beating(handle, clock, Duration::from_secs(15), beat));
        for _ in 0..3 {
            let Some(Command::Pulse(answer)) = ends.commands.recv().await else { panic!("it asks nothing else") };
            answer.send(()).expect("it waits for the answer");
        }
        // From here on the loop answers nothing, for as long as no watchdog would wait.
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(beats.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_stack_that_nobody_asked_for_is_said_to_wait() {
        assert_eq!(words(&nothing()), "nothing is asked of it: `witwd up -d` starts the stack");
        let shop = Status { stack: "shop".to_owned(), engine: EngineStatus::Down, ..nothing() };
        assert_eq!(words(&shop), "stack shop: 0 of 0 ready; the engine does not answer");
    }
}
