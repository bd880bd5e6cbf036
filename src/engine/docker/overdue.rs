//! Commands that went on when nobody waited for them any more. The engine has no way to end one, and
//! each would be a process and a file more until its container ends: where its process may be
//! signalled from here it is ended, with what it started; elsewhere the same command is not begun
//! again in that container while it goes on.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::{Call, DockerEngine, QUICK, exec};
use crate::engine::ErrorKind;
use crate::engine::request::Exec;
use crate::host::process;
use crate::model::name::ContainerId;

/// The time between two looks at one that goes on.
const FIRST_LOOK: Duration = Duration::from_millis(5);
/// What it widens to.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// A container and the words of a command in it.
pub(super) type Known = BTreeSet<(ContainerId, Vec<String>)>;

/// Whether this command went on in this container and still does. One that is given an input is
/// another each time.
pub(super) fn goes_on(engine: &DockerEngine, container: &ContainerId, exec: &Exec) -> bool {
    exec.stdin.is_none() && known(engine).contains(&(container.clone(), exec.command.clone()))
}

/// Remembers the command `id` until it is over, and sees to its end.
pub(super) fn leave(engine: &DockerEngine, container: &ContainerId, exec: &Exec, id: String) {
    let key = (container.clone(), exec.command.clone());
    known(engine).insert(key.clone());
    let engine = engine.clone();
    tokio::spawn(async move {
        until_over(&engine, &key.0, &id).await;
        known(&engine).remove(&key);
    });
}

fn known(engine: &DockerEngine) -> MutexGuard<'_, Known> {
    engine.inner.overdue.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn until_over(engine: &DockerEngine, container: &ContainerId, id: &str) {
    let mut pause = FIRST_LOOK;
    loop {
        let call = Call::on(exec::OPERATION, container);
        match engine.call(call, QUICK, |docker| async move { docker.inspect_exec(id).await }).await {
            Ok(seen) if seen.exit_code.is_some() && seen.running != Some(true) => return,
            Ok(seen) => end(container, seen.pid),
            Err(error) if error.kind == ErrorKind::NotFound => return,
            // It is asked again when it answers.
            Err(_) => {}
        }
        engine.inner.clock.sleep(pause).await;
        pause = (pause * 2).min(LAST_LOOK);
    }
}

/// Ends a process that the engine says is one of this container, where that can be seen from here too:
/// an engine in a virtual machine counts other processes. Who is not root may not, mostly.
fn end(container: &ContainerId, pid: Option<i64>) {
    let pid = pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
    if let Some(pid) = pid.filter(|pid| process::is_confined_to(*pid, &container.0)) {
        process::kill_group(pid);
    }
}
