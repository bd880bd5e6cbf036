//! `db psql` of a server elsewhere: in a one-off container of the postgres's `image`, which is the client
//! there. On the stack's network, so that a server behind one of its services is reached too.

use std::sync::Arc;

use url::Url;

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
use crate::model::tls::decode;
use crate::model::workload::Workload;

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
    let (words, password) = command(&address, options(tty).chain(args.arguments))?;
    let env = password.map(|password| ("PGPASSWORD".to_owned(), password)).into_iter().collect();
    one.carry_out(&single, image, Command { words: Some(words), env, tty }).await
}

/// The postgres as a client of its server: nothing of a server's container.
fn client(workload: &Workload) -> Workload {
    let ContainerSettings { stop_grace, logs, hardening, .. } = workload.container.clone();
    Workload { container: ContainerSettings { stop_grace, logs, hardening, ..ContainerSettings::default() }, ..workload.clone() }
}

/// psql with this address and these arguments, and the password beside it: the words of a command are seen
/// by every user of a machine.
fn command(address: &str, arguments: impl Iterator<Item = String>) -> Result<(Vec<String>, Option<String>), Failure> {
    let unusable = || Failure::new(Exit::NotRun, "the address of the server can't be read").hint("`witwd db url` shows it");
    let mut url = Url::parse(address).map_err(|_| unusable())?;
    let password = url.password().map(decode);
    url.set_password(None).map_err(|()| unusable())?;
    let words = ["psql".to_owned(), format!("--dbname={url}")];
    Ok((words.into_iter().chain(arguments).collect(), password))
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn no_word_of_the_command_has_the_password() {
        let arguments = || ["-c".to_owned(), "select 1".to_owned()].into_iter();
        let of = |address: &str| command(address, arguments()).map_err(|failure| failure.message);
        let (words, password) = of("postgresql://a%40b:p%20w%2Fd@db.example:5433/far?sslmode=require").expect("a command");
        assert_eq!(words, ["psql", "--dbname=postgresql://a%40b@db.example:5433/far?sslmode=require", "-c", "select 1"]);
        assert_eq!(password.as_deref(), Some("p w/d"));
        let (words, password) = of("postgres://a@db.example/far").expect("a command");
        assert_eq!((words[1].as_str(), password), ("--dbname=postgres://a@db.example/far", None));
    }
}
