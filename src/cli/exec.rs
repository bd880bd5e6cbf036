//! `exec`: a command in a running container, with the terminal, input and exit code passed on.

use clap::Args;

use super::Done;
use super::assembly;
use super::attach;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::place::Place;
use super::words::nearest;
use crate::engine::Engine as _;
use crate::engine::docker::{DockerEngine, ExecInteractive};
use crate::engine::request::Scope;
use crate::model::name::{InstanceId, StackName};
use crate::model::observed::{Container, Observed, Owner};

/// Opens the best shell that the image has.
const SHELL: [&str; 3] = ["/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh"];

/// Flags of `exec`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  witwd exec web                    a shell\n  witwd exec web.2 python manage.py check\n  \
                        witwd exec web cat /etc/hosts > hosts")]
pub struct ExecArgs {
    /// As this user
    #[arg(short, long)]
    user: Option<String>,
    /// Without a terminal, also where there is one
    #[arg(short = 'T', long)]
    no_tty: bool,
    /// The service, postgres or job; NAME.2 is one replica
    name: String,
    /// The command and its arguments; without one, a shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(super) async fn run(context: &Context, args: ExecArgs) -> Done {
    let place = context.place()?;
    let engine = assembly::docker(context.clock.clone()).await?;
    let container = running(context, &place, &engine, &args.name).await?;
    let is_shell = args.command.is_empty();
    let command = if is_shell { SHELL.map(str::to_owned).to_vec() } else { args.command };
    let request = request(command, args.user, args.no_tty);
    attach::run(&engine, &container.id, request).await
}

/// A command with a terminal where a person sits at both ends.
pub(super) fn request(command: Vec<String>, user: Option<String>, no_tty: bool) -> ExecInteractive {
    let tty = !no_tty && attach::is_terminal();
    let terminal = std::env::var("TERM").ok().filter(|_| tty).map(|term| format!("TERM={term}"));
    ExecInteractive { command, user, tty, env: terminal.into_iter().collect() }
}

/// The running container of this name.
pub(super) async fn running(context: &Context, place: &Place, engine: &DockerEngine, name: &str) -> Result<Container, Failure> {
    let (stack, instance) = context.identity(place).await?;
    let observed = engine.observe(&Scope::of(&stack)).await?;
    find(&observed, &stack, &instance, name)
}

/// The running container that `NAME` or `NAME.2` means.
pub(super) fn find(observed: &Observed, stack: &StackName, instance: &InstanceId, name: &str) -> Result<Container, Failure> {
    let ours: Vec<(&Container, String, u32)> = observed
        .containers
        .iter()
        .filter(|container| container.owner(stack, instance) == Owner::Ours)
        .filter_map(|container| {
            container.identity.as_ref().map(|identity| (container, identity.key.name.to_string(), identity.key.replica))
        })
        .collect();
    let mut meant: Vec<_> = ours.iter().filter(|(_, of, replica)| name == of || name == format!("{of}.{replica}")).collect();
    meant.sort_by_key(|(container, _, replica)| (!container.state.is_up(), *replica));
    match meant.first() {
        Some((container, ..)) if container.state.is_up() => Ok((*container).clone()),
        Some((container, ..)) => {
            let failure = Failure::new(Exit::NotRun, format!("{name} does not run ({})", container.state.word()));
            Err(failure.hint("`witwd ps` shows why, `witwd up` starts it"))
        }
        None => {
            let failure = Failure::new(Exit::NotRun, format!("there is no container of {name}"));
            Err(match nearest(name, ours.iter().map(|(_, of, _)| of.as_str())) {
                Some(other) => failure.hint(format!("did you mean {other}?")),
                None => failure.hint("`witwd ps` shows what there is"),
            })
        }
    }
}
