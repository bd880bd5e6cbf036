//! `exec`: a command in a running container, with the terminal, input and exit code passed on.

use clap::Args;

use super::Done;
use super::assembly;
use super::attach;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::place::Place;
use super::target::running;
use crate::engine::docker::ExecInteractive;

/// Opens the best shell that the image has.
const SHELL: [&str; 3] = ["/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh"];

/// Flags of `exec`.
#[derive(Debug, Args)]
#[command(
    override_usage = "witwd exec [OPTIONS] NAME [CMD]...",
    after_help = "Examples:\n  witwd exec web                    a shell\n  witwd exec web.2 python manage.py check\n  \
                        witwd exec web cat /etc/hosts > hosts"
)]
pub struct ExecArgs {
    /// As this user
    #[arg(short, long)]
    user: Option<String>,
    /// Without a terminal, also where there is one
    #[arg(short = 'T', long)]
    no_tty: bool,
    /// The service, postgres or job; NAME.2 is one replica
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The command and its arguments; without one, a shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(super) async fn run(context: &Context, args: ExecArgs) -> Done {
    let place = context.place()?;
    let Some(name) = args.name else { return Err(which(context, &place)) };
    let engine = assembly::docker(context.clock.clone()).await?;
    let container = running(context, &place, &engine, &name).await?;
    let is_shell = args.command.is_empty();
    let command = if is_shell { SHELL.map(str::to_owned).to_vec() } else { args.command };
    let request = request(command, args.user, args.no_tty);
    let exit = attach::run(&engine, &container.id, request).await?;
    if is_shell && matches!(exit, Exit::Of(126 | 127)) {
        context.output.note(&format!(" hint: where the image has no shell, `witwd exec {name} CMD` runs a program that it has"));
    }
    Ok(exit)
}

/// A command with a terminal where a person sits at both ends.
pub(super) fn request(command: Vec<String>, user: Option<String>, no_tty: bool) -> ExecInteractive {
    let tty = !no_tty && attach::is_terminal();
    let terminal = std::env::var("TERM").ok().filter(|_| tty).map(|term| format!("TERM={term}"));
    ExecInteractive { command, user, tty, env: terminal.into_iter().collect() }
}

/// The question that is left without a NAME.
fn which(context: &Context, place: &Place) -> Failure {
    let loaded = context.look(place).ok();
    let names = loaded.iter().flat_map(|loaded| loaded.stack.in_order()).filter(|workload| workload.replicas() > 0);
    let names: Vec<String> = names.map(|workload| workload.name.to_string()).collect();
    let failure = Failure::new(Exit::Usage, "in which container? `witwd exec NAME [CMD]...`");
    if names.is_empty() { failure } else { failure.hint(format!("NAME is one of {}", names.join(", "))) }
}
