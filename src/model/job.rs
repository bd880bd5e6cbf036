//! A job of the file: when it runs, and what happens where it still does.

use std::time::Duration;

/// What a job alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// When it runs.
    pub run: JobRun,
    /// After how long a run is ended; `None`: never.
    pub timeout: Option<Duration>,
    /// How often a failed run is tried again.
    pub retries: u32,
    /// How many runs are kept in the history.
    pub history: u32,
}

/// When a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRun {
    /// Once for each content.
    Changed,
    /// At every start of the stack.
    Always,
    /// Only by hand.
    Manual,
    /// By a cron expression in a time zone.
    Schedule {
        /// Five fields.
        cron: String,
        /// An IANA name; UTC unless given.
        timezone: String,
        /// What happens when the last run is not over.
        overlap: Overlap,
        /// Whether a missed run is made up once.
        catch_up: bool,
    },
    /// In fixed intervals.
    Every {
        /// The interval.
        interval: Duration,
        /// What happens when the last run is not over.
        overlap: Overlap,
        /// Whether a missed run is made up once.
        catch_up: bool,
    },
}

/// What happens when a job is due while its last run is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// The new run is left out.
    Forbid,
    /// Both run.
    Allow,
    /// The old run is ended.
    Replace,
}
