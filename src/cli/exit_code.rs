//! Exit codes, their words in `--json`, and what fails with which: the one table of both.

use std::error::Error;
use std::fmt::Write as _;

use super::fit::hang;
use crate::config::InvalidFile;
use crate::control::protocol::Fault;
use crate::control::{ClientError, ConnectError};
use crate::engine::{EngineError, ErrorKind};
use crate::host::DiskError;
use crate::host::lock::LockError;
use crate::host::runtime::RuntimeError;
pub use crate::model::chain::chain;
use crate::supervisor::PreviewError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// It failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// stack.toml is invalid.
    InvalidFile,
    /// The engine can't be reached.
    NoEngine,
    /// Not converged in time.
    TimedOut,
    /// Refused to protect data, also for want of a yes.
    Refused,
    /// Another daemon or another stack holds it.
    Held,
    /// `plan --exit-code` found changes.
    Changes,
    /// What was to be run in a container could not be run.
    NotRun,
    /// The code of what was run in a container.
    Of(u8),
}

/// Code and word of each.
const TABLE: [(Exit, u8, &str); 10] = [
    (Exit::Done, 0, "done"),
    (Exit::Failed, 1, "failed"),
    (Exit::Usage, 2, "usage"),
    (Exit::InvalidFile, 3, "invalid_file"),
    (Exit::NoEngine, 4, "engine_unavailable"),
    (Exit::TimedOut, 5, "timeout"),
    (Exit::Refused, 6, "refused"),
    (Exit::Held, 7, "held"),
    (Exit::Changes, 10, "changes"),
    (Exit::NotRun, 125, "not_run"),
];

/// Ends of a daemon after which starting it again mends nothing: its file can't be found, it can't be
/// used and no earlier one was accepted, or another daemon holds the lock.
pub const FINAL: [Exit; 3] = [Exit::Usage, Exit::InvalidFile, Exit::Held];

/// Where the words of an error begin, behind what they are.
const INDENT: usize = 7;

impl Exit {
    /// The code that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Of(code) => code,
            named => TABLE.iter().find(|row| row.0 == named).map_or(1, |row| row.1),
        }
    }

    /// The word in `--json`.
    pub fn word(self) -> &'static str {
        TABLE.iter().find(|row| row.0 == self).map_or("failed", |row| row.2)
    }

    /// What a word of a daemon means; a word of a newer one is a failure.
    pub fn of_word(word: &str) -> Self {
        TABLE.iter().find(|row| row.2 == word).map_or(Self::Failed, |row| row.0)
    }

    /// What the code of a process of our own means.
    pub fn of_code(code: u8) -> Self {
        TABLE.iter().find(|row| row.1 == code).map_or(Self::Of(code), |row| row.0)
    }
}

/// A command that did not do what it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// With which code it ends.
    pub exit: Exit,
    /// What went wrong, the whole chain; empty where all is said.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Of an invalid file: every problem, for programs.
    pub errors: Vec<serde_json::Value>,
    /// Of an invalid file: every problem with its place, for people.
    pub snippets: Vec<String>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, errors: Vec::new(), snippets: Vec::new() }
    }

    /// The end with this code, of which all is said already.
    pub fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// The failure of `trying`, with all that led to it.
    pub fn of(exit: Exit, trying: &str, error: &dyn Error) -> Self {
        Self::new(exit, format!("{trying}: {}", chain(error)))
    }

    /// The same with a way out.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The document of `--json`.
    pub fn document(&self) -> serde_json::Value {
        let mut error = serde_json::json!({ "code": self.exit.word(), "message": self.message, "hint": self.hint });
        if !self.errors.is_empty() {
            error["errors"] = self.errors.clone().into();
        }
        serde_json::json!({ "error": error })
    }

    /// The text for people, a line for each thing that is said.
    pub fn text(&self) -> String {
        self.text_within(usize::MAX)
    }

    /// The same on a terminal of this width; places in a file stay as they are.
    pub fn text_within(&self, width: usize) -> String {
        let hung = |text: &str| text.lines().map(|line| hang(line, width, INDENT)).collect::<Vec<_>>().join("\n");
        let mut text = self.snippets.iter().fold(String::new(), |text, snippet| text + snippet.trim_end() + "\n\n");
        if !self.message.is_empty() {
            let _ = writeln!(text, "{}", hung(&format!("error: {}", self.message)));
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "{}", hung(&format!(" hint: {hint}")));
        }
        text
    }
}

impl From<InvalidFile> for Failure {
    fn from(invalid: InvalidFile) -> Self {
        let errors = invalid.problems.iter().filter_map(|problem| serde_json::to_value(problem).ok()).collect();
        let snippets = invalid.problems.iter().map(super::check::problem_text).collect();
        let file = invalid.file.display();
        let message = match invalid.problems.len() {
            1 => format!("{file} is invalid: 1 problem"),
            count => format!("{file} is invalid: {count} problems"),
        };
        Self { errors, snippets, ..Self::new(Exit::InvalidFile, message) }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error.kind {
            ErrorKind::Unavailable | ErrorKind::Timeout => {
                Self::new(Exit::NoEngine, chain(&error)).hint("`witwd doctor` looks for the reason")
            }
            _ => Self::new(Exit::Failed, chain(&error)),
        }
    }
}

impl From<PreviewError> for Failure {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::Engine(error) => error.into(),
            other @ PreviewError::Runtime(_) => Self::new(Exit::Failed, chain(&other)),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let Fault { code, message, hint, errors, snippets } = fault;
        Self { exit: Exit::of_word(&code), message, hint, errors, snippets }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let Failure { exit, message, hint, errors, snippets } = failure;
        Self { code: exit.word().to_owned(), message, hint, errors, snippets }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Fault(fault) => (*fault).into(),
            other => Self::new(Exit::Failed, chain(&other)).hint("`witwd logs witwd` shows what the daemon said last"),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let message = chain(&error);
        match error {
            ConnectError::NoDaemon | ConnectError::Stale(_) => Self::new(Exit::Failed, message).hint("`witwd up -d` starts one"),
            ConnectError::Forbidden(_) => {
                Self::new(Exit::Failed, message).hint("run this as the user who ran `witwd up`, or as root")
            }
            ConnectError::Version(hello) => Self::new(Exit::Failed, message)
                .hint(format!("`kill {}` ends that daemon and leaves the stack running; then `witwd up -d`", hello.pid)),
            ConnectError::Silent { .. } => {
                Self::new(Exit::Failed, message).hint("`witwd logs witwd` shows what the daemon said last")
            }
        }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let message = chain(&error);
        match error {
            LockError::Held { holder, directory } => {
                let who = holder.map_or_else(
                    || "another process".to_owned(),
                    |holder| format!("process {} (since {})", holder.pid, holder.since),
                );
                Self::new(Exit::Held, format!("the stack in {} is held by {who}", directory.display()))
                    .hint("`witwd up` joins a daemon that answers; `witwd down` ends it and its stack")
            }
            LockError::File { .. } => Self::new(Exit::Failed, message),
        }
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        Self::new(Exit::Failed, chain(&error)).hint("WITWD_RUNTIME_DIR names another directory")
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        Self::new(Exit::Failed, chain(&error))
    }
}
