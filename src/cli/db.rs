//! `db`: the databases of the stack. `db psql` is a shell in one, or a script on standard input. It
//! runs in the database's own container over its local socket: no password is needed, and none is
//! shown. That of a server elsewhere runs in a container of its own.

use clap::{Args, Subcommand};

use super::Done;
use super::assembly;
use super::attach;
use super::context::Context;
use super::db_client;
use super::db_reset::{self, ResetArgs};
use super::db_url::{self, UrlArgs};
use super::exec::request;
use super::exit_code::{Exit, Failure};
use super::loader;
use super::target::running;
use crate::model::postgres::Postgres;
use crate::model::stack::Stack;
use crate::model::workload::Workload;

/// Flags of `db`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  witwd db psql < report.sql\n  pgcli \"$(witwd db url)\"")]
pub struct DbArgs {
    #[command(subcommand)]
    verb: DbVerb,
}

/// What can be done with a database.
#[derive(Debug, Subcommand)]
enum DbVerb {
    /// A shell in the database, or a script on standard input
    Psql(PsqlArgs),
    /// An address of the database for a tool on this machine, with its password
    Url(UrlArgs),
    /// Empty databases in the place of those that are there: a set is taken before, and it can be undone
    Reset(ResetArgs),
    /// Anything else: answered with what is meant
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Flags of `db psql`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  witwd psql\n  witwd psql < report.sql\n  witwd psql db --superuser -- -c 'select version()'"
)]
pub struct PsqlArgs {
    /// As the superuser `postgres`
    #[arg(long)]
    pub superuser: bool,
    /// The postgres; may be left out where there is one
    name: Option<String>,
    /// Arguments of psql
    #[arg(last = true)]
    pub arguments: Vec<String>,
}

pub(super) async fn run(context: &Context, args: DbArgs) -> Done {
    match args.verb {
        DbVerb::Psql(args) => psql(context, args).await,
        DbVerb::Url(args) => db_url::run(context, args).await,
        DbVerb::Reset(args) => db_reset::run(context, args).await,
        DbVerb::Other(words) => Err(super::words::unknown_verb_of_db(words.first().map_or("", String::as_str))),
    }
}

pub(super) async fn psql(context: &Context, args: PsqlArgs) -> Done {
    let place = context.place()?;
    let loaded = context.look(&place)?;
    let (workload, settings) = postgres(&loaded.stack, args.name.as_deref(), "psql")?;
    if settings.is_external() {
        let workload = workload.clone();
        return db_client::psql(context, &place, loaded.stack, &workload, args).await;
    }
    let engine = assembly::docker(context.clock.clone()).await?;
    let container = running(context, &place, &engine, workload.name.as_str()).await?;
    let command = command(settings, args.superuser, attach::is_terminal(), args.arguments);
    attach::run(&engine, &container.id, request(command, Some("postgres".to_owned()), false)).await
}

/// The words of psql. A script stops at its first error, so that its exit code means something.
pub(super) fn command(settings: &Postgres, superuser: bool, is_person: bool, arguments: Vec<String>) -> Vec<String> {
    let user = if superuser { "postgres" } else { settings.user.as_str() };
    let mut words = vec!["psql".to_owned(), format!("--username={user}"), format!("--dbname={}", settings.database)];
    words.extend(options(is_person).chain(arguments));
    words
}

/// What a script needs, and a person does not: it stops at its first error.
pub(super) fn options(is_person: bool) -> impl Iterator<Item = String> {
    let of_script: &[&str] = if is_person { &[] } else { &["--no-psqlrc", "--set=ON_ERROR_STOP=1"] };
    of_script.iter().map(|option| (*option).to_owned())
}

/// The postgres that `verb` is about: the named one, or the only one.
pub(super) fn postgres<'a>(stack: &'a Stack, name: Option<&str>, verb: &str) -> Result<(&'a Workload, &'a Postgres), Failure> {
    if let Some(name) = name {
        let workload = loader::workload(stack, name)?;
        let settings = workload.postgres().ok_or_else(|| not_a_postgres(stack, workload))?;
        return Ok((workload, settings));
    }
    let all: Vec<_> = stack.in_order().filter_map(|workload| Some((workload, workload.postgres()?))).collect();
    match all.as_slice() {
        [one] => Ok(*one),
        [] => {
            let failure = Failure::new(Exit::Usage, format!("stack {} has no postgres", stack.name()));
            Err(failure.hint("`[postgres.db]` in stack.toml makes one"))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(workload, _)| workload.name.as_str()).collect();
            let question = format!("in which postgres? stack {} has {}", stack.name(), names.join(", "));
            Err(Failure::new(Exit::Usage, question).hint(format!("`witwd {verb} {}`", names[0])))
        }
    }
}

fn not_a_postgres(stack: &Stack, workload: &Workload) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("{} is a {}, not a postgres", workload.name, workload.kind_name().as_str()));
    let servers: Vec<&str> =
        stack.in_order().filter(|other| other.postgres().is_some()).map(|other| other.name.as_str()).collect();
    match servers.as_slice() {
        [] => failure.hint(format!("stack {} has none", stack.name())),
        servers => failure.hint(format!("stack {} has {}", stack.name(), servers.join(", "))),
    }
}
