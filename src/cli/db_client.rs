//! `db psql` of a server elsewhere: in a one-off container of the postgres's `image`, which is the client
//! there. On the stack's network, so that a server behind one of its services is reached too.

use std::sync::Arc;

use super::Done;
use super::assembly;
use super::attach;
use super::claim;
use super::context::Context;
use super::db::{PsqlArgs, options};
use super::db_url::of_external;
use super::exit_code::{Exit, Failure};
use super::place::Place;
use super::run::{Command, OneRun, unmet};
use crate::model::container::ContainerSettings;
use crate::model::stack::Stack;
use crate::model::workload::Workload;

/// The variable that hands the address over: the words of a command are seen by every user of a machine.
const ADDRESS: &str = "WITWD_DATABASE_URL";

/// Runs psql against the address of the file.
pub(super) async fn psql(context: &Context, place: &Place, stack: Stack, workload: &Workload, args: PsqlArgs) -> Done {
    let passwords = assembly::known_passwords(context.disk.clone(), place, &stack);
    let address =
        of_external(&passwords, workload, args.superuser).map_err(|failure| Failure { exit: Exit::NotRun, ..failure })?;
    let engine = assembly::docker(context.clock.clone()).await?;
    claim::check(&engine, place, &stack, claim::is_known(context.disk.as_ref(), place)?).await?;
    let client = client(workload);
    let one = OneRun { context, place, engine, stack: Arc::new(stack), workload: &client };
    let (single, image) = one.prepare().await.map_err(unmet)?;
    let tty = attach::is_terminal();
    let words = command(options(tty).chain(args.arguments));
    one.carry_out(&single, image, Command { words: Some(words), env: vec![(ADDRESS.to_owned(), address)], tty }).await
}

/// The postgres as a client of its server: nothing of a server's container.
fn client(workload: &Workload) -> Workload {
    let ContainerSettings { stop_grace, logs, hardening, .. } = workload.container.clone();
    Workload { container: ContainerSettings { stop_grace, logs, hardening, ..ContainerSettings::default() }, ..workload.clone() }
}

/// psql with these arguments and the address of the environment.
fn command(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let line = format!("exec psql \"--dbname=${ADDRESS}\" \"$@\"");
    ["sh", "-c", &line, "psql"].map(str::to_owned).into_iter().chain(arguments).collect()
}
