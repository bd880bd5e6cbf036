//! From the words of a command line to its verb, and from its end to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};
use tokio::runtime::{Builder, Runtime};

use super::args::{Cli, Globals, Verb};
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::output::{ColorChoice, Output};
use super::{
    backup, check, clean, completions, config, daemon, db, disable, doctor, down, enable, events, exec, guardian, images, init,
    logs, ls, open, outcomes, plan, port, ps, restart, run, scale, schema, snapshot, start, stop, top, up, words,
};

/// How a verb ends.
pub type Done = Result<Exit, Failure>;

/// Runs the command line of this process; errors are printed here, once.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let exit = match Cli::try_parse_from(&arguments) {
        Ok(cli) => begin(cli),
        Err(error) => unparsed(&arguments, &error),
    };
    ExitCode::from(exit.code())
}

fn begin(cli: Cli) -> Exit {
    let output = Output::new(cli.globals.json, cli.globals.quiet, cli.globals.color);
    let runtime = match runtime(&cli.verb) {
        Ok(runtime) => runtime,
        Err(error) => {
            output.failure(&Failure::of(Exit::Failed, "failed to start", &error));
            return Exit::Failed;
        }
    };
    let done = runtime.block_on(dispatch(cli.globals, cli.verb, output));
    // A blocked read of standard input must not hold up the end.
    runtime.shutdown_background();
    match done {
        Ok(exit) => {
            output.failure(&Failure::silent(exit));
            exit
        }
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

/// A daemon serves many at once, and what is typed goes on while output waits for its reader. Who only asks a
/// daemon does one thing after the other, and is done sooner on one thread.
fn runtime(verb: &Verb) -> std::io::Result<Runtime> {
    let is_many = match verb {
        Verb::Up(args) => !args.is_detached(),
        Verb::Daemon(_) | Verb::Down(_) | Verb::Exec(_) | Verb::Run(_) | Verb::Db(_) | Verb::Psql(_) => true,
        _ => false,
    };
    let mut runtime = if is_many { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    runtime.worker_threads(2).enable_all().build()
}

#[expect(clippy::cognitive_complexity, reason = "one flat match: a line for each verb")]
async fn dispatch(globals: Globals, verb: Verb, output: Output) -> Done {
    let context = Context::new(globals, output);
    match verb {
        Verb::Up(args) => up::run(&context, args).await,
        Verb::Down(args) => down::run(&context, args).await,
        Verb::Top(args) => top::run(&context, args).await,
        Verb::Restart(args) => restart::run(&context, args).await,
        Verb::Stop(args) => stop::run(&context, args).await,
        Verb::Start(args) => start::run(&context, args).await,
        Verb::Scale(args) => scale::run(&context, args).await,
        Verb::Ps(args) => ps::run(&context, args).await,
        Verb::Ls(args) => ls::run(&context, args).await,
        Verb::Port(args) => port::run(&context, args).await,
        Verb::Open(args) => open::run(&context, args).await,
        Verb::Logs(args) => logs::run(&context, args).await,
        Verb::Events(args) => events::run(&context, args).await,
        Verb::Plan(args) => plan::run(&context, args).await,
        Verb::Init(args) => init::run(&context, &args),
        Verb::Build(args) => images::build(&context, args).await,
        Verb::Pull(args) => images::pull(&context, args).await,
        Verb::Check(args) => check::run(&context, &args),
        Verb::Config(args) => config::run(&context, &args),
        Verb::Schema(args) => schema::run(&context, &args),
        Verb::Doctor(args) => doctor::run(&context, args).await,
        Verb::Clean(args) => clean::run(&context, args).await,
        Verb::Exec(args) => exec::run(&context, args).await,
        Verb::Run(args) => run::run(&context, args).await,
        Verb::Db(args) => db::run(&context, args).await,
        Verb::Psql(args) => db::psql(&context, args).await,
        Verb::Completions(args) => completions::run(&context, &args),
        Verb::Enable(args) => enable::run(&context, args).await,
        Verb::Backup(args) => backup::run(&context, args).await,
        Verb::Restore(args) => backup::restore::run(&context, args).await,
        Verb::Snapshot(args) => snapshot::run(&context, args).await,
        Verb::Disable(args) => disable::run(&context, args).await,
        Verb::Daemon(args) => daemon::run(&context, args).await,
        Verb::Guardian(args) => guardian::run(args).await,
        Verb::Other(words) => Err(words::unknown_verb(words.first().map_or("", String::as_str), &verbs())),
    }
}

/// The verbs that a person is shown.
pub(super) fn verbs() -> Vec<String> {
    let command = Cli::command();
    command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(|verb| verb.get_name().to_owned()).collect()
}

/// Help, version, or a command line that makes no sense: to programs in their own way.
fn unparsed(arguments: &[OsString], error: &clap::Error) -> Exit {
    let json = arguments.iter().any(|argument| argument == "--json");
    let output = Output::new(json, false, ColorChoice::Auto);
    if let Some(failure) = known(error) {
        output.failure(&failure);
    } else if error.use_stderr() && json {
        output.failure(&refused(error));
    } else {
        if error.use_stderr() {
            outcomes::check(&refused(error), |words| output.error(words));
        }
        // Nobody is left to tell when the stream is closed.
        let _ = error.print();
    }
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// What a program is told of a command line that makes no sense.
pub(super) fn refused(error: &clap::Error) -> Failure {
    // The library says it with the whole help, or with none of the verbs.
    if matches!(error.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand) {
        return Failure::new(Exit::Usage, "a verb is missing").hint("`witwd help` lists the verbs");
    }
    let text = error.render().to_string();
    let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    Failure::new(Exit::Usage, message).hint("`witwd help VERB` shows how it is used")
}

/// What is known better of a refused word than clap does.
pub(super) fn known(error: &clap::Error) -> Option<Failure> {
    let word = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument => words::unknown_flag(word(ContextKind::InvalidArg)?),
        ErrorKind::InvalidSubcommand => Some(words::unknown_verb(word(ContextKind::InvalidSubcommand)?, &verbs())),
        _ => None,
    }
}
