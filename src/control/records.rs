//! The last events of a stack: some in memory, more in `.witwd/events.jsonl`, both bounded.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use axum::body::Bytes;
use tokio::sync::broadcast::{self, error::RecvError};

use super::protocol::Line;
use super::stream::written;
use crate::host::Journal;
use crate::model::status::EventRecord;

/// How many events a daemon keeps in memory.
const IN_MEMORY: usize = 1000;
/// How large each of the two parts of the file may become.
const ON_DISK: u64 = 1 << 20;

/// The last events.
#[derive(Debug)]
pub struct Records {
    /// Each as the line that tells it: many readers cost no more than one.
    ring: Mutex<VecDeque<Bytes>>,
    journal: Journal,
}

impl Records {
    /// The events of the stack whose state lies in `state`, those of an earlier daemon included.
    pub fn open(state: &Path) -> Self {
        let journal = journal(state);
        let ring = Self::read(state).into_iter().map(told).collect();
        Self { ring: Mutex::new(ring), journal }
    }

    /// What is on disk, oldest first: for when no daemon runs.
    pub fn read(state: &Path) -> Vec<EventRecord> {
        let lines = journal(state).tail(IN_MEMORY).unwrap_or_default();
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The lines that tell the last events, oldest first.
    pub(super) fn last(&self) -> Vec<Bytes> {
        self.ring().iter().cloned().collect()
    }

    /// Adds an event. One that can't be written is kept in memory all the same.
    pub fn add(&self, record: EventRecord) {
        if let Ok(line) = serde_json::to_string(&record)
            && let Err(error) = self.journal.append(&line)
        {
            tracing::warn!(%error, "failed to write an event to disk");
        }
        let mut ring = self.ring();
        if ring.len() == IN_MEMORY {
            ring.pop_front();
        }
        ring.push_back(told(record));
    }

    /// Keeps every event that comes, until nobody is left who could send one.
    pub async fn keep(&self, mut from: broadcast::Receiver<EventRecord>) {
        loop {
            match from.recv().await {
                Ok(record) => self.add(record),
                Err(RecvError::Lagged(count)) => tracing::warn!(count, "events were not kept"),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, VecDeque<Bytes>> {
        self.ring.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn told(record: EventRecord) -> Bytes {
    written(&Line::Event(record))
}

fn journal(state: &Path) -> Journal {
    Journal::new(state.join("events.jsonl"), ON_DISK)
}
