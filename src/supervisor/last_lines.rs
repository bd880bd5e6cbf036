//! What a container wrote last before its run ended: told as an event, which outlives the container.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};

use crate::engine::Engine;
use crate::engine::request::LogQuery;
use crate::host::Clock;
use crate::model::name::ContainerId;

/// Most lines that are told.
const LINES: usize = 5;
/// So many are read: the next run may have written some of them already.
const READ: u32 = 200;
/// Most letters of a line.
const LETTERS: usize = 300;
/// How long a log is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// What was written at the end may be noted a little later than the end.
const LATE: SignedDuration = SignedDuration::from_millis(200);

/// A run that is over.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// Its container.
    pub container: ContainerId,
    /// What it wrote is later than this; `None`: it was the first run of its container.
    pub since: Option<Timestamp>,
    /// When it ended.
    pub at: Timestamp,
}

/// The last lines that a run wrote, oldest first; none where its log can't be had in time.
pub(super) async fn last_lines(engine: &dyn Engine, clock: &dyn Clock, ended: &Ended) -> Vec<String> {
    tokio::select! {
        biased;
        lines = read(engine, ended) => lines.into(),
        () = clock.sleep(PATIENCE) => Vec::new(),
    }
}

async fn read(engine: &dyn Engine, ended: &Ended) -> VecDeque<String> {
    let query = LogQuery { follow: false, tail: Some(READ), since: None };
    let mut lines = VecDeque::new();
    let Ok(mut stream) = engine.logs(&ended.container, &query).await else { return lines };
    while let Some(Ok(line)) = stream.next().await {
        let is_later = line.at.is_some_and(|at| at.duration_since(ended.at) > LATE);
        let is_earlier = ended.since.is_some_and(|since| line.at.is_some_and(|at| at < since));
        if is_later || is_earlier || line.line.trim().is_empty() {
            continue;
        }
        lines.push_back(line.line.chars().filter(|letter| !letter.is_control()).take(LETTERS).collect());
        if lines.len() > LINES {
            lines.pop_front();
        }
    }
    lines
}
