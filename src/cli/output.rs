//! Where everything that a person or a program reads goes through: data to standard output, the
//! rest to standard error.

use std::io::{self, IsTerminal, Write as _};
use std::os::fd::AsFd;

use serde::Serialize;

use super::exit_code::{Exit, Failure};
use super::outcomes;

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Whether colours are used on a stream that is a terminal or not.
    pub fn decide(self, terminal: bool, no_color: bool) -> bool {
        match self {
            Self::Auto => terminal && !no_color,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// How this command speaks.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// For programs.
    pub json: bool,
    /// Nothing but data and errors.
    pub quiet: bool,
    color: ColorChoice,
    no_color: bool,
}

impl Output {
    /// The output that these flags ask for.
    pub fn new(json: bool, quiet: bool, color: ColorChoice) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, quiet, color, no_color }
    }

    /// The same without what only a person at the verb's own side wants: what it is about speaks.
    pub fn silent(self) -> Self {
        Self { json: false, quiet: true, ..self }
    }

    /// Whether data is coloured.
    pub fn color(self) -> bool {
        !self.json && self.color.decide(io::stdout().is_terminal(), self.no_color)
    }

    /// Whether notes may move: somebody looks at them.
    pub fn moves(self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// The width of what data is shown on; `None` where it is no terminal.
    pub fn width() -> Option<usize> {
        columns(&io::stdout())
    }

    /// The width of what notes and errors are shown on; without end where it is no terminal.
    pub fn note_width() -> usize {
        columns(&io::stderr()).unwrap_or(usize::MAX)
    }

    /// Writes data, which brings its own line ends.
    #[expect(clippy::unused_self, reason = "whoever speaks holds the value that says how")]
    pub fn data(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            // Whoever read it has seen enough (`witwd logs | head`).
            io::ErrorKind::BrokenPipe => Failure::silent(Exit::Done),
            _ => Failure::of(Exit::Failed, "failed to write the output", &error),
        })
    }

    /// Writes a document for programs, on a line.
    pub fn document(self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(document).map_err(|error| Failure::of(Exit::Failed, "failed to write JSON", &error))?;
        self.data(&(text + "\n"))
    }

    /// Says something that a person may want to know.
    pub fn note(self, text: &str) {
        if !self.quiet {
            self.error(text);
        }
    }

    /// Says something that must be said.
    #[expect(clippy::unused_self, reason = "whoever speaks holds the value that says how")]
    pub fn error(self, text: &str) {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
    }

    /// Says once, at the edge, why a command failed; every end goes through here, also one of which nothing is said.
    pub fn failure(self, failure: &Failure) {
        outcomes::check(failure, |words| self.error(words));
        if failure.message.is_empty() && failure.snippets.is_empty() {
            return;
        }
        if self.json {
            let _ = self.document(&failure.document());
        } else {
            self.error(&failure.text_within(Self::note_width()));
        }
    }
}

/// How many columns a terminal has; `None` where it is none, or says nothing of it.
fn columns(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}
