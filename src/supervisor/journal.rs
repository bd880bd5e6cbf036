//! What happens, as records for `events`, the log and those who listen.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::host::Clock;
use crate::model::status::EventRecord;

/// Writes records; cheap to clone.
#[derive(Clone)]
pub struct Journal {
    clock: Arc<dyn Clock>,
    records: broadcast::Sender<EventRecord>,
}

impl Journal {
    /// A journal that stamps with `clock` and sends to `records`.
    pub fn new(clock: Arc<dyn Clock>, records: broadcast::Sender<EventRecord>) -> Self {
        Self { clock, records }
    }

    /// Something happened.
    pub fn record(&self, kind: &str, target: &impl ToString, cause: impl Into<String>) {
        self.record_with(kind, target, cause, serde_json::Value::Null);
    }

    /// Something happened, with more to tell.
    pub fn record_with(&self, kind: &str, target: &impl ToString, cause: impl Into<String>, detail: serde_json::Value) {
        let (target, cause) = (target.to_string(), cause.into());
        tracing::info!("{kind} {target} | {cause}");
        // Nobody may be listening just now.
        let _ = self.records.send(EventRecord { at: self.clock.wall(), kind: kind.to_owned(), target, cause, detail });
    }
}
