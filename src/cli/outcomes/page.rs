//! The page of `docs/outcomes.md`, made from the list itself.

use std::fmt::Write as _;

use super::{NO_HINT, Outcome, all};
use crate::cli::exit_code::Exit;

const INTRODUCTION: &str = "# How a command can end

Generated from the list in the program itself: `UPDATE_DOCS=1 cargo test -p witwd --test it outcomes_page`.

Every command ends with a code. Where it failed it says why, as `error:`, and mostly what to do, as ` hint:`. With `--json` the same is
one document on standard output: `{\"error\":{\"code\",\"message\",\"hint\"}}`.

This list is closed. A test that meets an end which is not in it fails. A word in braces stands for what differs: `{name}` for the name
of a service, `{why}` for what the system, the engine or the server said. One message can come with several codes; the code says what
kind of failure it is. Where there are several hints, one of them is said. What is wrong in a `stack.toml` is told by `witwd check`, with
its place, and is not listed here.
";

/// Each code, in order, its word in `--json` and what it means.
const CODES: [(Exit, &str); 11] = [
    (Exit::Done, "done"),
    (Exit::Failed, "it failed"),
    (Exit::Usage, "wrong usage"),
    (Exit::InvalidFile, "stack.toml is invalid"),
    (Exit::NoEngine, "the engine can't be reached"),
    (Exit::TimedOut, "not done in time"),
    (Exit::Refused, "refused to protect data"),
    (Exit::Held, "another daemon or another stack holds it"),
    (Exit::Changes, "`plan --exit-code` found changes"),
    (Exit::NotRun, "what was to be run in a container could not be run"),
    (Exit::Of(0), "the code of what was run"),
];

/// The page: a table for each code.
pub fn outcomes_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (exit, meaning) in CODES {
        let title = match exit {
            Exit::Of(_) => "Any other".to_owned(),
            named => format!("{}, `{}`", named.code(), named.word()),
        };
        let _ = write!(page, "\n## {title}: {meaning}\n\n| message | hint | what it means |\n|---|---|---|\n");
        let mut rows: Vec<&Outcome> = all().filter(|row| row.has(exit)).collect();
        rows.sort_by_key(|row| row.message);
        page.extend(rows.into_iter().map(line));
    }
    page
}

fn line(row: &Outcome) -> String {
    let message = if row.message.is_empty() { "nothing".to_owned() } else { cell(row.message) };
    let hints: Vec<String> = row.hints.iter().map(|hint| if *hint == NO_HINT { "none".to_owned() } else { cell(hint) }).collect();
    format!("| {message} | {} | {} |\n", hints.join("<br>"), cell(row.means))
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
