//! Whether waiting still makes sense. Pure: read by the clients that wait.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::status::{EngineStatus, ItemStatus, State, Status};
use crate::model::wish::{Chosen, is_about};
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
    let meant: Vec<&ItemStatus> = status.items.iter().filter(|item| item.meant).collect();
    match progress(&meant, before) {
        (true, false) => Outcome::Failed,
        (false, false) if status.reached => Outcome::Ready,
        _ => Outcome::Working,
    }
}

/// What `status` says of a request about these replicas; about all where it names none. What the
/// others do matters only where one of these waits for another.
pub fn outcome_of(status: &Status, before: &Restarts, chosen: &BTreeSet<Chosen>) -> Outcome {
    let open = status.items.iter().filter(|item| is_about(chosen, &item.name, item.replica) && !is_done(item));
    let open: Vec<&ItemStatus> = open.collect();
    if status.engine == EngineStatus::Down {
        return Outcome::Working;
    }
    let deciding = if open.iter().copied().any(waits_for_another) { status.items.iter().collect() } else { open.clone() };
    match progress(&deciding, before) {
        _ if open.is_empty() => Outcome::Ready,
        (true, false) => Outcome::Failed,
        _ => Outcome::Working,
    }
}

/// Whether anything failed or loops, and whether anything else is under way.
fn progress(items: &[&ItemStatus], before: &Restarts) -> (bool, bool) {
    let given_up = |item: &ItemStatus| has_failed(item) || loops(item, before);
    let failed = items.iter().any(|item| given_up(item));
    (failed, items.iter().any(|item| is_under_way(item) && !given_up(item)))
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
    // What waits for a hand waits for ever.
    matches!(item.state, State::Failed | State::CrashLoop | State::NeedsOperator) || item.waits_for_hand
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
        State::Running => item.ready && !item.restart_asked,
        State::Completed | State::Stopped => true,
        // A job that waits for its time, or for a hand, holds nobody up.
        State::Pending => item.kind == KindName::Job,
        _ => false,
    }
}

/// Whether it may become ready without a person. One that is blocked waits for another, which is
/// under way itself or has failed.
fn is_under_way(item: &ItemStatus) -> bool {
    !is_done(item) && !waits_for_another(item) && item.state != State::Paused
}

/// Whether another decides what becomes of it: one that it needs, or a replica that is restarted first.
pub fn waits_for_another(item: &ItemStatus) -> bool {
    item.state == State::Blocked || (item.state == State::Running && item.restart_asked)
}
