//! Whether waiting still makes sense. Pure: read by the clients that wait.

use crate::model::status::{EngineStatus, ItemStatus, State, Status};
use crate::model::workload::KindName;

/// Starts after which a service that ends every time counts as one that loops.
const LOOPS: u32 = 3;

/// What a status says of an `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is ready.
    Ready,
    /// Something failed or loops, and nothing else is under way: waiting mends nothing.
    Failed,
    /// Something is under way.
    Working,
}

/// What `status` says of an `up`.
pub fn outcome(status: &Status) -> Outcome {
    if status.engine == EngineStatus::Down {
        return Outcome::Working;
    }
    let failed = status.items.iter().any(has_failed);
    let working = status.items.iter().any(|item| is_under_way(item) && !has_failed(item));
    match (failed, working) {
        (true, false) => Outcome::Failed,
        (false, false) if status.converged => Outcome::Ready,
        _ => Outcome::Working,
    }
}

/// Those that are not as the file wants them, what failed first: a block is the echo of a failure.
pub fn unready(status: &Status) -> Vec<&ItemStatus> {
    let mut items: Vec<&ItemStatus> = status.items.iter().filter(|item| !is_done(item)).collect();
    items.sort_by_key(|item| (!has_failed(item), item.state == State::Blocked));
    items
}

/// Whether it failed, or ends each time it is started.
pub fn has_failed(item: &ItemStatus) -> bool {
    match item.state {
        State::Failed | State::CrashLoop | State::NeedsOperator => true,
        State::Backoff | State::Starting => item.attempt >= LOOPS && item.last_exit.is_some(),
        _ => false,
    }
}

fn is_done(item: &ItemStatus) -> bool {
    match item.state {
        State::Running => item.ready,
        State::Completed | State::Stopped => true,
        // A job that waits for its time, or for a hand, holds nobody up.
        State::Pending => item.kind == KindName::Job,
        _ => false,
    }
}

/// Whether it may become ready without a person. One that is blocked waits for another, which is
/// under way itself or has failed.
fn is_under_way(item: &ItemStatus) -> bool {
    !is_done(item) && !matches!(item.state, State::Blocked | State::Paused)
}
