//! `check`: is the file valid? Needs no engine.

use clap::Args;
use serde_json::json;

use super::Done;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::file::load;
use crate::config::{Loaded, Problem, render};

/// Flags of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd check --strict && witwd up -d")]
pub struct CheckArgs {
    /// Warnings are errors too
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(context: &Context, args: &CheckArgs) -> Done {
    let place = context.place()?;
    match load(&context.request_to_look(&place)?) {
        Ok(loaded) => valid(context, args, &loaded),
        Err(invalid) if context.output.json => {
            context.output.document(&json!({ "v": 1, "ok": false, "errors": invalid.problems, "warnings": [] }))?;
            Err(Failure::silent(Exit::InvalidFile))
        }
        Err(invalid) => Err(invalid.into()),
    }
}

fn valid(context: &Context, args: &CheckArgs, loaded: &Loaded) -> Done {
    let ok = !args.strict || loaded.warnings.is_empty();
    let exit = if ok { Exit::Done } else { Exit::InvalidFile };
    if context.output.json {
        let errors: &[Problem] = if ok { &[] } else { &loaded.warnings };
        let warnings: &[Problem] = if ok { &loaded.warnings } else { &[] };
        context.output.document(&json!({ "v": 1, "ok": ok, "errors": errors, "warnings": warnings }))?;
        return Ok(exit);
    }
    for warning in &loaded.warnings {
        context.output.error(&problem_text(warning));
    }
    for part in &loaded.not_carried_out {
        context.output.note(&format!("note: {part}"));
    }
    if !ok {
        return Err(Failure::new(exit, format!("{} has warnings, and --strict was given", context.place()?.file.display())));
    }
    context.output.note(&format!("stack {} is valid: {}", loaded.stack.name(), summary(loaded)));
    Ok(exit)
}

fn summary(loaded: &Loaded) -> String {
    let names: Vec<String> = loaded.stack.in_order().map(|workload| workload.name.to_string()).collect();
    if names.is_empty() { "it has nothing to run yet".to_owned() } else { names.join(", ") }
}

/// A problem for people: with its place in the text.
pub(super) fn problem_text(problem: &Problem) -> String {
    render(std::slice::from_ref(problem), false)
}
