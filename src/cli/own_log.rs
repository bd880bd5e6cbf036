//! The daemon's own log as one more log: lines with their time, what is there and what comes.

use std::io::{Read as _, Seek as _, SeekFrom};

use jiff::Timestamp;

use super::exit_code::{Exit, Failure};
use super::place::Place;
use crate::engine::answer::LogLine;

/// The name under which the daemon's own log is shown.
pub(super) const OWN: &str = "witwd";

/// What stands in the first line of a run, between the version and the process.
const BEGINS: &str = " begins as process ";

/// Says in the log that the run of a daemon begins.
pub(super) fn begin() {
    tracing::info!("{OWN} {}{BEGINS}{}", env!("CARGO_PKG_VERSION"), std::process::id());
}

/// Of these lines the last run that is over, where the last of all goes on or is over too.
fn previous<T>(mut lines: Vec<T>, text: impl Fn(&T) -> &str, goes_on: bool) -> Vec<T> {
    let begins = |line: &T| text(line).split_once(BEGINS).is_some_and(|(before, _)| before.contains(": witwd "));
    let mut first: Vec<usize> = (0..lines.len()).filter(|at| begins(&lines[*at])).collect();
    let end = if goes_on { first.pop() } else { None };
    lines.truncate(end.unwrap_or(lines.len()));
    lines.split_off(first.pop().unwrap_or(0))
}

/// The daemon's log of a stack, and how far it was read.
pub(super) struct OwnLog {
    place: Place,
    /// Whether a daemon is there, whose run goes on.
    goes_on: bool,
    read: u64,
    last: Option<Timestamp>,
}

impl OwnLog {
    /// The log of this stack's daemons, of which nothing was read.
    pub(super) fn new(place: &Place, goes_on: bool) -> Self {
        Self { place: place.clone(), goes_on, read: 0, last: None }
    }

    /// The last run that is over.
    pub(super) fn previous(&mut self) -> Result<Vec<LogLine>, Failure> {
        Ok(previous(self.history()?, |line| &line.line, self.goes_on))
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

#[cfg(test)]
mod tests {
    use super::previous;

    #[test]
    fn the_last_run_that_is_over_is_told_from_the_others() {
        let log = ["of old", "x: witwd 0.3.0 begins as process 7", "one", "x: witwd 0.3.0 begins as process 8", "two", "more"];
        let of = |goes_on| previous(log.to_vec(), |line| line, goes_on);
        assert_eq!(of(true), log[1..3]);
        assert_eq!(of(false), log[3..]);
        assert_eq!(previous(log[..3].to_vec(), |line| line, true), log[..1], "what an older witwd wrote");
        assert_eq!(previous(vec!["web says begins as process 7"], |line| line, true), ["web says begins as process 7"]);
        assert_eq!(previous(Vec::<&str>::new(), |line| line, true), Vec::<&str>::new());
    }
}
