//! The log of a container, line by line.

use std::collections::VecDeque;
use std::pin::Pin;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;

use super::{DockerEngine, QUICK, error, observe};
use crate::engine::answer::LogLine;
use crate::engine::request::{LogQuery, describe};
use crate::engine::{EngineError, LogStream};
use crate::model::name::ContainerId;

/// A line longer than this is cut into several: a reader's memory is bounded.
const LONGEST: usize = 1 << 20;

type Frames = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// The log of a container.
pub(super) async fn open(engine: &DockerEngine, container: &ContainerId, query: &LogQuery) -> Result<LogStream, EngineError> {
    // The stream itself would say it only when it is read.
    observe::inspect_container(engine, "read the log of", container).await?;
    let client = engine.client(QUICK).map_err(|error| error::classify("read the log of", &describe(container), &error))?;
    let options = LogsOptions {
        follow: query.follow,
        stdout: true,
        stderr: true,
        since: query.since.and_then(|since| i32::try_from(since.as_second()).ok()).unwrap_or_default(),
        until: 0,
        timestamps: true,
        tail: query.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
    };
    let frames: Frames = Box::pin(client.logs(&container.0, Some(options)));
    let reader =
        Reader { frames, lines: Lines::new(query.since), ready: VecDeque::new(), target: describe(container), over: false };
    Ok(stream::unfold(reader, Reader::next).boxed())
}

struct Reader {
    frames: Frames,
    lines: Lines,
    ready: VecDeque<Result<LogLine, EngineError>>,
    target: String,
    over: bool,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<LogLine, EngineError>, Self)> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some((line, self));
            }
            if self.over {
                return None;
            }
            match self.frames.next().await {
                Some(Ok(frame)) => self.ready.extend(self.lines.take(frame).map(Ok)),
                Some(Err(error)) => {
                    self.ready.extend(self.lines.rest().map(Ok));
                    self.ready.push_back(Err(error::classify("read the log of", &self.target, &error)));
                    self.over = true;
                }
                None => {
                    self.ready.extend(self.lines.rest().map(Ok));
                    self.over = true;
                }
            }
        }
    }
}

/// Joins what the engine cut: it sends a long line in frames, each with a time, only the last of
/// them with a line's end.
pub(super) struct Lines {
    since: Option<Timestamp>,
    open: [Option<LogLine>; 2],
}

impl Lines {
    pub(super) fn new(since: Option<Timestamp>) -> Self {
        Self { since, open: [None, None] }
    }

    /// The line that this frame ends, if it ends one that is wanted.
    pub(super) fn take(&mut self, frame: LogOutput) -> Option<LogLine> {
        let stderr = matches!(frame, LogOutput::StdErr { .. });
        let bytes = frame.into_bytes();
        let text = String::from_utf8_lossy(&bytes);
        let (at, rest) = split_time(&text);
        let open = &mut self.open[usize::from(stderr)];
        let line = open.get_or_insert_with(|| LogLine { at, stderr, line: String::new() });
        line.line.push_str(rest.strip_suffix('\n').unwrap_or(rest));
        if !rest.ends_with('\n') && line.line.len() < LONGEST {
            return None;
        }
        let mut line = open.take()?;
        if line.line.ends_with('\r') {
            line.line.pop();
        }
        self.wanted(&line).then_some(line)
    }

    /// What was begun and not ended.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = LogLine> + use<> {
        let [out, err] = std::mem::take(&mut self.open);
        out.into_iter().chain(err)
    }

    /// The engine knows whole seconds only.
    fn wanted(&self, line: &LogLine) -> bool {
        line.at.zip(self.since).is_none_or(|(at, since)| at >= since)
    }
}

fn split_time(text: &str) -> (Option<Timestamp>, &str) {
    match text.split_once(' ') {
        Some((time, rest)) => match time.parse() {
            Ok(time) => (Some(time), rest),
            Err(_) => (None, text),
        },
        None => (None, text),
    }
}
