//! The closed list of how a command can end: its code, what it says and what it tells to do. In a build for
//! tests whatever is said beside it ends the process loudly; a release says it all the same, for a word that
//! is missing here is no reason to keep it from a person.
//!
//! Entry points: [`all`] for the list, [`outside`] for what is not in it.

mod backups;
mod engine;
mod failed;
mod page;
mod pattern;
mod protected;
#[cfg(test)]
mod tests;
mod usage;

pub use page::outcomes_page;
pub use pattern::{literals, matches};

use super::exit_code::{Exit, Failure};

/// Among the hints of a row: it comes without one too.
pub const NO_HINT: &str = "";

/// With which code a process ends whose outcome is not in the list: that of a panic.
const OUTSIDE: i32 = 101;

/// A failure that a command which was to run something in a container shares with others.
const FAILED: &[Exit] = &[Exit::Failed, Exit::NotRun];

/// Words that make no sense, which a command that was to run something says with its own code.
const MISUSED: &[Exit] = &[Exit::Usage, Exit::NotRun];

/// A row of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// With which codes; [`Exit::Of`] stands for every code of a command that was run.
    pub exits: &'static [Exit],
    /// A pattern of the message; empty where nothing is said, for all was said already.
    pub message: &'static str,
    /// Patterns of the hints that come with it.
    pub hints: &'static [&'static str],
    /// What it means, where neither of them says it.
    pub means: &'static str,
    /// Whether the words are those of the library that reads the command line.
    pub is_of_library: bool,
}

impl Outcome {
    const fn new(exits: &'static [Exit], message: &'static str) -> Self {
        Self { exits, message, hints: &[], means: "", is_of_library: false }
    }

    /// The same with what is told to do.
    const fn hints(self, hints: &'static [&'static str]) -> Self {
        Self { hints, ..self }
    }

    /// The same with what it means.
    const fn means(self, means: &'static str) -> Self {
        Self { means, ..self }
    }

    /// The same in the words of the library that reads the command line.
    const fn of_library(self) -> Self {
        Self { is_of_library: true, ..self }
    }

    /// Whether it comes with this code.
    pub fn has(&self, exit: Exit) -> bool {
        self.exits.iter().any(|one| *one == exit || matches!((one, exit), (Exit::Of(_), Exit::Of(_))))
    }

    /// Whether its message can be this one.
    pub fn says(&self, message: &str) -> bool {
        matches(self.message, message)
    }

    /// Whether this hint can come with it.
    pub fn tells(&self, hint: Option<&str>) -> bool {
        match hint {
            None => self.hints.is_empty() || self.hints.contains(&NO_HINT),
            Some(hint) => self.hints.iter().any(|pattern| *pattern != NO_HINT && matches(pattern, hint)),
        }
    }
}

/// Ends of which nothing more is said.
const SILENT: &[Outcome] = &[
    Outcome::new(&[Exit::Done], "").means("it did what it was asked for, or whoever read its output has seen enough"),
    Outcome::new(&[Exit::Failed], "")
        .means("`doctor` found what must be mended and showed it; a daemon that broke wrote why to its log"),
    Outcome::new(&[Exit::InvalidFile], "")
        .means("`check --json` said what is wrong as data; or a daemon in the background ended so"),
    Outcome::new(&[Exit::Usage, Exit::Held], "").means("a daemon in the background ended so; its log says why"),
    Outcome::new(&[Exit::Changes], "").means("`plan --exit-code` found something to do"),
    Outcome::new(&[Exit::Of(0)], "").means("the code of the command that was run; 128 and a signal's number where that ended it"),
];

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Outcome> {
    let failed = [failed::STACK, failed::DAEMON, failed::MACHINE];
    let others = [usage::WORDS, usage::COMMAND_LINE, engine::ENGINE, engine::NOT_RUN, protected::ROWS, backups::ROWS, SILENT];
    failed.into_iter().chain(others).flatten()
}

/// Whether a command can end so.
pub fn is_known(exit: Exit, message: &str, hint: Option<&str>) -> bool {
    all().any(|row| row.has(exit) && row.says(message) && row.tells(hint))
}

/// What is said of an outcome that is not in the list; `None` where it is.
pub fn outside(failure: &Failure) -> Option<String> {
    let Failure { exit, message, hint, .. } = failure;
    let words = || {
        let code = exit.code();
        format!("an outcome outside the list of src/cli/outcomes: code {code} ({exit:?}), message {message:?}, hint {hint:?}")
    };
    (!is_known(*exit, message, hint.as_deref())).then(words)
}

/// In a build for tests, ends the process where an outcome is not in the list. A panic would end no more than
/// the task that it comes from.
pub(super) fn check(failure: &Failure, say: impl FnOnce(&str)) {
    if cfg!(debug_assertions)
        && let Some(words) = outside(failure)
    {
        say(&words);
        std::process::exit(OUTSIDE);
    }
}
