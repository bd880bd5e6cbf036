//! Streams of lines to readers of any speed: what a reader can't take in time is left out or ends
//! its stream, and never holds up the daemon.

use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::protocol::Line;
use super::server::{Downs, ended};
use crate::model::status::{EngineStatus, EventRecord};
use crate::supervisor::Published;

/// How many lines wait for a reader. Few, for a status of many services is a long line: what happens
/// meanwhile is kept once for all readers, and of statuses only the last one matters.
const WAITING: usize = 4;
/// How long a reader may take nothing at all: longer than a busy machine lets a terminal wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// After how long without a line one is written all the same. A reader who went away without the daemon's
/// noticing, as behind a question that was not answered yet, is found out by that.
const QUIET: Duration = Duration::from_secs(60);

/// Marks an answer that goes on until its reader hangs up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endless;

/// Where lines for one reader go.
#[derive(Debug)]
pub(super) struct Writer {
    lines: mpsc::Sender<Bytes>,
}

/// The reader is gone or too slow.
#[derive(Debug)]
pub(super) struct Gone;

/// A response whose lines are written by `write`, in a task of its own.
pub(super) fn respond<Write>(write: impl FnOnce(Writer) -> Write) -> Response
where
    Write: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(WAITING);
    let writing = write(Writer { lines: sender });
    tokio::spawn(async move {
        if let Err(Gone) = writing.await {
            tracing::debug!("a reader of the control socket is gone");
        }
    });
    let body = Body::from_stream(ReceiverStream::new(receiver).map(Ok::<_, Infallible>));
    (Extension(Endless), [(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

/// A line as it is written.
pub(super) fn written(line: &Line) -> Bytes {
    // Texts, numbers and lists of them are JSON.
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}

impl Writer {
    /// Writes a line, waiting a while for room.
    pub(super) async fn write(&self, line: &Line) -> Result<(), Gone> {
        self.pass(written(line)).await
    }

    /// The same with a line as it is written.
    pub(super) async fn pass(&self, line: Bytes) -> Result<(), Gone> {
        self.lines.send_timeout(line, PATIENCE).await.map_err(|_| Gone)
    }

    /// Returns when the reader hung up.
    async fn hung_up(&self) {
        self.lines.closed().await;
    }
}

/// What is followed.
#[derive(Debug)]
pub(super) struct Sources {
    /// What happens.
    pub records: broadcast::Receiver<EventRecord>,
    /// How things are; `None`: only what happens is wanted.
    pub published: Option<watch::Receiver<Published>>,
    /// The request that statuses are to speak of, 0 for none: what was so before it was looked at is told only
    /// while the engine does not answer.
    pub since: u64,
    /// Becomes true when the daemon ends.
    pub ending: watch::Receiver<bool>,
    /// The last `down`.
    pub downs: watch::Receiver<Downs>,
}

enum Next {
    Line(Line),
    Last,
}

/// Writes what comes until the reader hangs up or the daemon ends.
pub(super) async fn follow(writer: &Writer, mut sources: Sources) -> Result<(), Gone> {
    let now = sources.published.as_mut().map(|published| published.borrow_and_update().clone());
    if let Some(now) = now.filter(|now| speaks_of(now, sources.since)) {
        writer.write(&status_line(&now)).await?;
    }
    loop {
        let next = tokio::select! {
            biased;
            () = writer.hung_up() => return Ok(()),
            next = sources.next() => next,
            () = tokio::time::sleep(QUIET) => Next::Line(Line::Alive),
        };
        match next {
            Next::Line(line) => writer.write(&line).await?,
            Next::Last => {
                let down = sources.downs.borrow().done;
                return writer.write(&Line::Ended { down }).await;
            }
        }
    }
}

impl Sources {
    async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            record = self.records.recv() => match record {
                Ok(record) => Next::Line(Line::Event(record)),
                Err(RecvError::Lagged(count)) => Next::Line(Line::Missed { count }),
                Err(RecvError::Closed) => Next::Last,
            },
            line = changed(&mut self.published, self.since) => line.map_or(Next::Last, Next::Line),
            () = ended(&mut self.ending) => Next::Last,
        }
    }
}

async fn changed(published: &mut Option<watch::Receiver<Published>>, since: u64) -> Option<Line> {
    let Some(published) = published else { return std::future::pending().await };
    loop {
        published.changed().await.ok()?;
        let now = published.borrow_and_update();
        if speaks_of(&now, since) {
            return Some(status_line(&now));
        }
    }
}

fn speaks_of(published: &Published, since: u64) -> bool {
    let has_looked = published.looked && published.generation >= since;
    since == 0 || has_looked || published.status.engine == EngineStatus::Down
}

fn status_line(published: &Published) -> Line {
    Line::Status { generation: published.generation, looked: published.looked, status: Box::new((*published.status).clone()) }
}
