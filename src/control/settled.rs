//! Whether waiting still makes sense. Pure: read by the clients that wait.

use std::collections::BTreeMap;

use crate::model::status::{EngineStatus, ItemStatus, State, Status};
use crate::model::workload::KindName;

/// Restarts after which a service that ends every time counts as one that loops.
const LOOPS: u64 = 3;

/// Restarts of each replica at a moment.
pub type Restarts = BTreeMap<(String, u32), u64>;

/// What a status says of an `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All that was asked for is ready.
    Ready,
    /// Something failed or loops, and nothing else is under way: waiting mends nothing.
    Failed,
    /// Something is under way.
    Working,
}

/// The restarts that `status` tells of.
pub fn restarts(status: &Status) -> Restarts {
    status.items.iter().map(|item| (key(item), item.restarts)).collect()
}

/// What `status` says of an `up` that began when there were these restarts.
pub fn outcome(status: &Status, before: &Restarts) -> Outcome {
    if status.engine == EngineStatus::Down {
        return Outcome::Working;
    }
    let given_up = |item: &ItemStatus| has_failed(item) || loops(item, before);
    let mut meant = status.items.iter().filter(|item| item.meant);
    let failed = meant.clone().any(given_up);
    let working = meant.any(|item| is_under_way(item) && !given_up(item));
    match (failed, working) {
        (true, false) => Outcome::Failed,
        (false, false) if status.reached => Outcome::Ready,
        _ => Outcome::Working,
    }
}

/// Those that were asked for and are not as the file wants them, what failed first: a block is the echo of a failure.
pub fn unready(status: &Status) -> Vec<&ItemStatus> {
    let mut items: Vec<&ItemStatus> = status.items.iter().filter(|item| item.meant && !is_done(item)).collect();
    items.sort_by_key(|item| (!has_failed(item), !has_ended(item), item.state == State::Blocked));
    items
}

/// Whether it failed, or ended and is not ready again.
pub fn has_failed_or_ended(item: &ItemStatus) -> bool {
    has_failed(item) || has_ended(item)
}

fn has_failed(item: &ItemStatus) -> bool {
    matches!(item.state, State::Failed | State::CrashLoop | State::NeedsOperator)
}

fn has_ended(item: &ItemStatus) -> bool {
    let is_again = item.state == State::Starting && item.attempt > 0;
    item.last_exit.is_some() && (item.state == State::Backoff || is_again)
}

fn loops(item: &ItemStatus, before: &Restarts) -> bool {
    let restarts = item.restarts.saturating_sub(before.get(&key(item)).copied().unwrap_or(0));
    has_ended(item) && restarts >= LOOPS
}

fn key(item: &ItemStatus) -> (String, u32) {
    (item.name.clone(), item.replica)
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
