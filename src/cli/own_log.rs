//! The daemon's own log as one more log: lines with their time, what is there and what comes.

use std::io::{Read as _, Seek as _, SeekFrom};

use jiff::Timestamp;

use super::exit_code::{Exit, Failure};
use super::place::Place;
use crate::engine::request::LogLine;

/// The name under which the daemon's own log is shown.
pub(super) const OWN: &str = "witwd";

/// The daemon's log of a stack, and how far it was read.
pub(super) struct OwnLog {
    place: Place,
    read: u64,
    last: Option<Timestamp>,
}

impl OwnLog {
    /// The log of this stack's daemons, of which nothing was read.
    pub(super) fn new(place: &Place) -> Self {
        Self { place: place.clone(), read: 0, last: None }
    }

    /// All that is there, older parts included.
    pub(super) fn history(&mut self) -> Result<Vec<LogLine>, Failure> {
        self.read = std::fs::metadata(self.place.log_path()).map_or(0, |facts| facts.len());
        let lines = self.place.log().tail(usize::MAX).map_err(|error| unreadable(&error))?;
        Ok(lines.into_iter().map(|line| self.line(line)).collect())
    }

    /// The whole lines that came since; of a file that was cut, those that are in it now.
    pub(super) fn more(&mut self) -> Result<Vec<LogLine>, Failure> {
        let Ok(mut file) = std::fs::File::open(self.place.log_path()) else { return Ok(Vec::new()) };
        if file.metadata().is_ok_and(|facts| facts.len() < self.read) {
            self.read = 0;
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.read)).and_then(|_| file.read_to_end(&mut bytes)).map_err(|error| unreadable(&error))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
        Ok(text.lines().map(|line| self.line(line.to_owned())).collect())
    }

    /// A line begins with its time; one without is part of what stands before it.
    fn line(&mut self, line: String) -> LogLine {
        let time = line.split_whitespace().next().and_then(|word| word.parse().ok());
        self.last = time.or(self.last);
        LogLine { at: self.last, stderr: true, line }
    }
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::of(Exit::Failed, "failed to read the daemon's log", error)
}
