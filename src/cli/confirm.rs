//! A yes that is asked for at a terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::context::Context;
use super::exit_code::Failure;

/// Asks for a yes, unless `yes` said so already; how it ends where nobody can be asked, and where the answer is no.
pub(super) fn agree(context: &Context, yes: bool, unasked: Failure, declined: Failure) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || context.output.json {
        return Err(unasked);
    }
    let mut stderr = std::io::stderr();
    // A question that can't be shown is answered with no below.
    let _ = write!(stderr, "type yes to go on: ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == "yes" { Ok(()) } else { Err(declined) }
}
