//! What a simulated app does: per workload, per image, or by the command words of the tiny image.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::request::ExecOutput;
use crate::model::workload::KindName;

/// One run of a simulated app. The default runs for ever, answers after 100 ms and stops when asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent habits of an app")]
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
    /// Whether it waits for something that never comes (a command in a container).
    pub endless: bool,
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
            endless: false,
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

/// What the tiny image does with these words. `read` reads a file of the container.
pub fn of_tiny(words: &[String], stdin: Option<&[u8]>, init: bool, read: impl Fn(&str) -> Option<Vec<u8>>) -> Script {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = words.strip_prefix(&["/tiny"]).unwrap_or(&words);
    let at_once = Duration::from_millis(1);
    // Process 1 of a container that does not handle a signal ignores it; behind an init it dies of it.
    let plain = Script { accepts: false, ignore_sigterm: !init, term_code: 143, slow_stop: at_once, ..Script::default() };
    let lines = |text: &str| text.lines().map(|line| (false, line.to_owned())).collect();
    let ended = |code: i64| Script { run_for: Some(at_once), exit_code: code, ..plain.clone() };
    match words {
        ["serve", rest @ ..] => Script {
            accepts: true,
            ready_after: Duration::from_millis(5),
            ignore_sigterm: rest.contains(&"--ignore-term"),
            term_code: 0,
            ..plain
        },
        ["exit", code, rest @ ..] => {
            let after = match rest {
                ["--after", time] => seconds(time),
                _ => Duration::ZERO,
            };
            Script { run_for: Some(at_once + after), ..ended(code.parse().unwrap_or(2)) }
        }
        ["echo", rest @ ..] => Script { says: rest.iter().map(|word| (false, (*word).to_owned())).collect(), ..ended(0) },
        ["stdin"] => Script { says: lines(&String::from_utf8_lossy(stdin.unwrap_or_default())), ..ended(0) },
        ["cat", path] => match read(path) {
            Some(content) => Script { says: lines(&String::from_utf8_lossy(&content)), ..ended(0) },
            None => Script { says: vec![(true, format!("{path}: no such file"))], ..ended(1) },
        },
        ["sleep", ..] => Script { endless: true, ..plain },
        _ => ended(2),
    }
}

fn seconds(text: &str) -> Duration {
    humantime::parse_duration(text).unwrap_or_default()
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
