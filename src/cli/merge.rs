//! Several logs as one: those that are there merged by time, those that go on as they come.

use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::engine::answer::LogLine;
use crate::engine::request::LogQuery;
use crate::engine::{Engine, EngineError, LogStream};
use crate::model::name::ContainerId;

/// Several logs as one, by time. A line without a time stays where it stood.
#[derive(Default)]
pub(super) struct Merge {
    streams: Vec<LogStream>,
    heads: Vec<Option<LogLine>>,
}

impl Merge {
    /// One more log.
    pub(super) async fn add(&mut self, mut stream: LogStream) -> Result<(), EngineError> {
        self.heads.push(stream.next().await.transpose()?);
        self.streams.push(stream);
        Ok(())
    }

    /// The oldest line that was not given yet, and which log it is of.
    pub(super) async fn next(&mut self) -> Result<Option<(usize, LogLine)>, EngineError> {
        let heads = self.heads.iter().enumerate().filter_map(|(index, head)| Some((head.as_ref()?.at, index)));
        let Some((_, index)) = heads.min() else { return Ok(None) };
        let next = self.streams[index].next().await.transpose()?;
        let line = std::mem::replace(&mut self.heads[index], next);
        Ok(line.map(|line| (index, line)))
    }
}

/// Passes on what a container writes until it ends, and then says so.
pub(super) async fn forward(
    engine: Arc<dyn Engine>,
    container: ContainerId,
    query: LogQuery,
    lines: mpsc::Sender<(ContainerId, Option<LogLine>)>,
) {
    if let Ok(mut stream) = engine.logs(&container, &query).await {
        while let Some(Ok(line)) = stream.next().await {
            if lines.send((container.clone(), Some(line))).await.is_err() {
                return;
            }
        }
    }
    // It ended, or the engine went away: it is asked again in the next round.
    let _ = lines.send((container, None)).await;
}
