//! What a simulated app does: per workload, per image, or by the command words of the tiny image.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::answer::ExecOutput;
use crate::model::workload::KindName;

/// One run of a simulated app. The default runs for ever, answers after 100 ms and stops when asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// How much longer than usual the engine takes to start it.
    pub start_delay: Duration,
    /// Time from the start until it answers.
    pub ready_after: Duration,
    /// How long it runs by itself; `None`: for ever.
    pub run_for: Option<Duration>,
    /// Exit code when it ends by itself.
    pub exit_code: i64,
    /// Exit code when it stops because it was asked to.
    pub term_code: i64,
    /// Time from the start until it hangs: answers nothing, ignores every request to stop.
    pub hang_at: Option<Duration>,
    /// Whether it ends by itself for want of memory (exit code 137).
    pub oom: bool,
    /// Whether it ignores a request to stop.
    pub ignore_sigterm: bool,
    /// How long it takes to stop when asked.
    pub slow_stop: Duration,
    /// Whether it listens at all.
    pub accepts: bool,
    /// Answers well and badly in turns of this length, well first.
    pub flap: Option<Duration>,
    /// Lines it writes when it starts; the flag is for standard error.
    pub says: Vec<(bool, String)>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            start_delay: Duration::ZERO,
            ready_after: Duration::from_millis(100),
            run_for: None,
            exit_code: 0,
            term_code: 0,
            hang_at: None,
            oom: false,
            ignore_sigterm: false,
            slow_stop: Duration::from_millis(50),
            accepts: true,
            flap: None,
            says: Vec::new(),
        }
    }
}

impl Script {
    /// Ends by itself with this code after this time.
    pub fn ends(after: Duration, exit_code: i64) -> Self {
        Self { run_for: Some(after), exit_code, ..Self::default() }
    }

    /// Answers after this time.
    pub fn ready_after(delay: Duration) -> Self {
        Self { ready_after: delay, ..Self::default() }
    }

    /// Hangs after this time.
    pub fn hangs_at(delay: Duration) -> Self {
        Self { hang_at: Some(delay), ..Self::default() }
    }

    /// What a workload of this kind does unless told otherwise: jobs end, the others run.
    pub fn of_kind(kind: Option<KindName>) -> Self {
        match kind {
            None | Some(KindName::Service) => Self::default(),
            Some(KindName::Postgres) => Self { ready_after: Duration::from_millis(300), ..Self::default() },
            Some(KindName::Job | KindName::Run | KindName::Dump | KindName::Verify) => Self::ends(Duration::from_secs(1), 0),
        }
    }

    /// How a command in a container with this script ends.
    pub fn as_exec(&self) -> ExecOutput {
        let stream = |stderr: bool| {
            let lines = self.says.iter().filter(|(wanted, _)| *wanted == stderr);
            lines.flat_map(|(_, line)| [line.as_str(), "\n"]).collect::<String>()
        };
        ExecOutput { code: self.exit_code, stdout: stream(false), stderr: stream(true) }
    }
}

/// Which app does what.
#[derive(Debug, Clone, Default)]
pub struct Scripts {
    runs: BTreeMap<String, Vec<Script>>,
}

impl Scripts {
    /// The runs of a workload, or of an image by its reference: the first, the second, ...; the last
    /// is repeated.
    pub fn set(&mut self, name: &str, runs: Vec<Script>) {
        self.runs.insert(name.to_owned(), runs);
    }

    /// The script of run `number`, counted from 0.
    pub fn get(&self, name: &str, number: usize) -> Option<&Script> {
        let runs = self.runs.get(name)?;
        runs.get(number).or(runs.last())
    }
}
