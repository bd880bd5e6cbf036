//! Problems with their places: collected while a file is read, rendered for people.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::Problem;

/// A stretch of bytes in one of the files that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    /// Index of the file in [`Diagnostics`].
    pub file: usize,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// Bytes of a line that are shown around a mark.
const WIDEST: usize = 240;

/// How the message of every syntax error begins.
pub(super) const SYNTAX: &str = "this is not TOML: ";

#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    place: Place,
    message: String,
    hint: String,
    warning: bool,
}

/// The files that were read and what was found in them.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    sources: RefCell<Vec<Source>>,
    found: RefCell<Vec<Found>>,
}

impl Diagnostics {
    /// Takes note of a file; the number is what a [`Place`] names it by.
    pub fn add_source(&self, path: &Path, text: &str) -> usize {
        let mut sources = self.sources.borrow_mut();
        if let Some(known) = sources.iter().position(|source| source.path == path) {
            text.clone_into(&mut sources[known].text);
            return known;
        }
        sources.push(Source { path: path.to_owned(), text: text.to_owned() });
        sources.len() - 1
    }

    /// The path of a file, as the user would name it.
    pub fn path(&self, file: usize) -> PathBuf {
        self.sources.borrow().get(file).map(|source| source.path.clone()).unwrap_or_default()
    }

    /// Reports what makes the file unusable.
    pub fn error(&self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.push(place, message.into(), hint.into(), false);
    }

    /// Reports what is allowed but worth a word.
    pub fn warning(&self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.push(place, message.into(), hint.into(), true);
    }

    fn push(&self, place: Place, message: String, hint: String, warning: bool) {
        // Nobody is told of a mistake and left alone with it: what no test has seen can't do it either.
        debug_assert!(!hint.is_empty(), "without a way out: {message}");
        self.found.borrow_mut().push(Found { place, message, hint, warning });
    }

    /// Whether a file is no TOML: then what else seems wrong with it may come of that.
    pub fn has_syntax_errors(&self) -> bool {
        self.found.borrow().iter().any(|found| found.message.starts_with(SYNTAX))
    }

    /// Whether an error was reported.
    pub fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(|found| !found.warning)
    }

    /// The place of `needle` within `place`, where the text of the file has it as it stands.
    pub fn within(&self, place: Place, needle: &str) -> Place {
        let sources = self.sources.borrow();
        let text = sources.get(place.file).and_then(|source| source.text.get(place.start..place.end));
        match text.and_then(|text| text.find(needle)) {
            Some(at) => Place { start: place.start + at, end: place.start + at + needle.len(), ..place },
            None => place,
        }
    }

    /// Whether the text at `place` begins with `prefix`.
    pub fn begins_with(&self, place: Place, prefix: &str) -> bool {
        let sources = self.sources.borrow();
        sources.get(place.file).and_then(|source| source.text.get(place.start..)).is_some_and(|text| text.starts_with(prefix))
    }

    /// Errors and warnings in order of place, each once.
    pub fn finish(&self) -> (Vec<Problem>, Vec<Problem>) {
        let mut found = self.found.borrow().clone();
        found.sort();
        found.dedup();
        let (warnings, errors): (Vec<Found>, Vec<Found>) = found.into_iter().partition(|found| found.warning);
        let problems = |found: Vec<Found>| found.into_iter().map(|found| self.problem(found)).collect();
        (problems(errors), problems(warnings))
    }

    /// An error that is nobody's yet: for who finds out later whether it is one.
    pub fn possible(&self, place: Place, message: String, hint: String) -> Problem {
        self.problem(Found { place, message, hint, warning: false })
    }

    fn problem(&self, found: Found) -> Problem {
        let sources = self.sources.borrow();
        let none = Source { path: PathBuf::new(), text: String::new() };
        let source = sources.get(found.place.file).unwrap_or(&none);
        let spot = Spot::of(&source.text, found.place);
        let level = if found.warning { Level::WARNING } else { Level::ERROR };
        Problem {
            line: spot.number,
            column: spot.column(),
            snippet: if source.text.is_empty() { String::new() } else { spot.snippet(level) },
            file: source.path.clone(),
            message: found.message,
            hint: (!found.hint.is_empty()).then_some(found.hint),
        }
    }
}

/// One line of a file and a stretch within it.
struct Spot<'a> {
    number: usize,
    line: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Spot<'a> {
    fn of(text: &'a str, place: Place) -> Self {
        let start = floor(text, place.start);
        let end = floor(text, place.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = &text[line_start..];
        let line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let last = line.len();
        let number = text[..line_start].matches('\n').count() + 1;
        Self { number, line, start: (start - line_start).min(last), end: (end - line_start).min(last) }
    }

    fn column(&self) -> usize {
        self.line[..self.start].chars().count() + 1
    }

    fn snippet(&self, level: Level<'_>) -> String {
        let from = floor(self.line, self.start.saturating_sub(WIDEST / 2));
        let to = floor(self.line, from + WIDEST);
        let end = self.end.clamp(self.start, to.max(self.start));
        let mark = AnnotationKind::Primary.span(self.start - from..end - from);
        let snippet = Snippet::source(&self.line[from..to]).line_start(self.number).fold(false).annotation(mark);
        let drawn = Renderer::plain().render(&[Group::with_level(level).element(snippet)]);
        drawn.lines().filter(|line| !line.trim_start().starts_with("-->")).collect::<Vec<_>>().join("\n")
    }
}

/// The nearest boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Problems for people, each with its place in the text and its hint.
pub fn render(problems: &[Problem], color: bool) -> String {
    problems.iter().map(|problem| render_one(problem, color)).collect::<Vec<_>>().join("\n")
}

fn render_one(problem: &Problem, color: bool) -> String {
    let (bold, help, off) = if color { ("\u{1b}[1m", "\u{1b}[36m", "\u{1b}[0m") } else { ("", "", "") };
    let place = format!("{}:{}:{}", problem.file.display(), problem.line, problem.column);
    let mut text = format!("{bold}{place}: {}{off}\n", problem.message);
    for line in problem.snippet.lines() {
        text.push_str(line);
        text.push('\n');
    }
    for line in problem.hint.iter().flat_map(|hint| hint.lines()) {
        text.push_str("  ");
        text.push_str(help);
        text.push_str(line);
        text.push_str(off);
        text.push('\n');
    }
    text
}
