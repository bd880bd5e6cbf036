//! `completions`: scripts that complete witwd's words in a shell.

use clap::{Args, CommandFactory as _};

use super::Done;
use super::args::Cli;
use super::context::Context;
use super::exit_code::Exit;

/// Flags of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd completions bash > ~/.local/share/bash-completion/completions/witwd")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(super) fn run(context: &Context, args: &CompletionsArgs) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "witwd", &mut script);
    context.output.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
