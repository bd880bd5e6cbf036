//! `db url`: an address of a database for a tool on this machine: that of its published port, else of
//! its container where the engine's network is reached from here. The password is in it: data for
//! standard output, and for nothing else.

use std::net::SocketAddr;

use clap::Args;
use secrecy::ExposeSecret as _;

use super::Done;
use super::assembly;
use super::context::Context;
use super::db::postgres;
use super::exit_code::{Exit, Failure};
use super::target::running;
use crate::engine::answer::Reach;
use crate::engine::{Engine as _, EngineError, ErrorKind};
use crate::model::container::Protocol;
use crate::model::observed::{Container, PublishedSeen};
use crate::model::postgres::Postgres;
use crate::model::workload::Workload;
use crate::postgres::{PORT, Passwords, SUPERUSER};

/// Flags of `db url`.
#[derive(Debug, Args)]
#[command(after_help = "The address is for this machine only: that of a published port, else of the container. Containers of \
                        the stack are given theirs with `${NAME.url}`.\n\n\
                        Examples:\n  pgcli \"$(witwd db url)\"\n  witwd db url db --superuser")]
pub struct UrlArgs {
    /// As the superuser `postgres`
    #[arg(long)]
    superuser: bool,
    /// The postgres; may be left out where there is one
    name: Option<String>,
}

pub(super) async fn run(context: &Context, args: UrlArgs) -> Done {
    let place = context.place()?;
    let stack = context.look(&place)?.stack;
    let (workload, settings) = postgres(&stack, args.name.as_deref(), "db url")?;
    let passwords = assembly::known_passwords(context.disk.clone(), &place, &stack);
    let url = if settings.is_external() {
        of_external(&passwords, workload, args.superuser)?
    } else {
        let engine = assembly::docker(context.clock.clone()).await?;
        let found = running(context, &place, &engine, workload.name.as_str()).await;
        // Nothing was to be run, so this is a plain failure.
        let container = found.map_err(|failure| Failure { exit: Exit::Failed, ..failure })?;
        let address = match published(&container) {
            Some(address) => address,
            None => direct(engine.reach(&container.id, PORT).await, workload)?,
        };
        of_container(&passwords, (workload, settings), args.superuser, address)?
    };
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "name": workload.name.as_str(), "url": url }))?;
    } else {
        context.output.data(&format!("{url}\n"))?;
    }
    Ok(Exit::Done)
}

/// The address as the file gives it: there is no role in it but one.
pub(super) fn of_external(passwords: &Passwords, workload: &Workload, superuser: bool) -> Result<String, Failure> {
    let name = &workload.name;
    if superuser {
        let words = format!("{name} is a server elsewhere (`url`): its superuser is not witwd's to know");
        return Err(Failure::new(Exit::Failed, words).hint(format!("`witwd db url {name}` gives the address of the file")));
    }
    let url = passwords.access(&workload.name).and_then(|access| access.url);
    let unknown =
        || Failure::new(Exit::Failed, format!("the address of {name} can't be filled in: a password in it is not known"));
    Ok(url.ok_or_else(unknown)?.expose_secret().to_owned())
}

fn of_container(
    passwords: &Passwords,
    (workload, settings): (&Workload, &Postgres),
    superuser: bool,
    address: SocketAddr,
) -> Result<String, Failure> {
    let (user, password) = if superuser {
        (SUPERUSER, passwords.superuser(&workload.name))
    } else {
        (settings.user.as_str(), passwords.get(&workload.name, &settings.user))
    };
    let unknown = || {
        Failure::new(Exit::Failed, format!("the password of {user} in {} is not known to this user", workload.name))
            .hint("the user who ran `witwd up` may read it; `witwd psql` needs none")
    };
    let password = password.ok_or_else(unknown)?;
    Ok(url(user, password.expose_secret(), address, settings.database.as_str()))
}

/// Where its port is published on this machine, where it is.
fn published(container: &Container) -> Option<SocketAddr> {
    let is_its = |seen: &&PublishedSeen| seen.container == PORT && seen.protocol == Protocol::Tcp;
    let seen = container.published.iter().find(is_its)?;
    let address = match seen.address {
        // Every address of this machine, also this one.
        std::net::IpAddr::V4(all) if all.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(all) if all.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        one => one,
    };
    Some(SocketAddr::new(address, seen.host))
}

/// The container's own address, where there is a way to it.
fn direct(reach: Result<Reach, EngineError>, workload: &Workload) -> Result<SocketAddr, Failure> {
    match reach {
        Ok(Reach::Direct(address) | Reach::Published(address)) => Ok(address),
        Err(error) if error.kind == ErrorKind::Invalid => {
            let name = &workload.name;
            let words = format!("{name} can't be reached from this machine: its port is not published, and this engine hides it");
            let hint =
                format!("`ports = [\"auto:{PORT}\"]` in [postgres.{name}] publishes it; `witwd psql {name}` needs no port");
            Err(Failure::new(Exit::Failed, words).hint(hint))
        }
        Err(error) => Err(error.into()),
    }
}

/// The address of a database.
pub(super) fn url(user: &str, password: &str, address: SocketAddr, database: &str) -> String {
    format!("postgresql://{}:{}@{address}/{}", encoded(user), encoded(password), encoded(database))
}

/// `text` as a part of an address: all but letters, digits and four signs by their bytes.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
