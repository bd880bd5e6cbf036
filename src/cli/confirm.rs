//! A yes that is asked for at a terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::context::Context;

/// Whether somebody sits there who can be asked.
pub(super) fn can_ask(context: &Context) -> bool {
    std::io::stdin().is_terminal() && !context.output.json
}

/// Whether the answer is yes.
pub(super) fn says_yes() -> bool {
    let mut stderr = std::io::stderr();
    // A question that can't be shown is answered with no below.
    let _ = write!(stderr, "type yes to go on: ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && answer.trim() == "yes"
}
