//! `ls`: all stacks of this machine, by the labels on the engine. Needs no stack.toml.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::Done;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::output::Output;
use super::paint::{Ink, printable};
use super::table::{Cell, table};
use crate::control::{Client, ConnectError};
use crate::engine::request::Scope;
use crate::host::lock::is_held;
use crate::host::runtime::{Runtime, Surroundings, kept_socket_address};
use crate::model::name::{InstanceId, StackName};
use crate::model::observed::{ContainerState, Observed};
use crate::model::workload::KindName;

/// Flags of `ls`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd ls --json | jq -r '.items[] | select(.daemon == \"down\") | .directory'")]
pub struct LsArgs {}

/// Whether somebody keeps a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Daemon {
    /// A daemon answers, or a process holds the stack.
    Up,
    /// Nobody.
    Down,
    /// This user can't tell.
    Unknown,
}

/// A stack of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Listed {
    /// The stack.
    pub name: String,
    /// Where its file lies.
    pub directory: String,
    /// Whether somebody keeps it.
    pub daemon: Daemon,
    /// The daemon's process, where it answers this user.
    pub pid: Option<u32>,
    /// Containers of services and postgres servers that run.
    pub running: usize,
    /// All of them.
    pub total: usize,
}

/// What a stack has on the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    running: usize,
    total: usize,
}

/// Which stack: two directories may have one of the same name.
pub(super) type Key = (StackName, String, InstanceId);

pub(super) async fn run(context: &Context, _: LsArgs) -> Done {
    let engine = context.engine().await?;
    // Every container is in it, whatever stack is asked for.
    let nothing: StackName = "unnamed".parse().map_err(|error| Failure::of(Exit::Failed, "failed to look", &error))?;
    let observed = engine.observe(&Scope::of(&nothing)).await?;
    let mut items = Vec::new();
    for ((name, directory, instance), counts) in counts(&observed) {
        let (daemon, pid) = daemon_of(context, Path::new(&directory), &instance).await;
        let (name, Counts { running, total }) = (name.to_string(), counts);
        items.push(Listed { name, directory, daemon, pid, running, total });
    }
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "items": items }))?;
    } else if items.is_empty() {
        context.output.note("no stack has a container on this machine");
    } else {
        context.output.data(&text(&items, Output::width().unwrap_or(usize::MAX), context.output.color()))?;
    }
    Ok(Exit::Done)
}

/// What each stack has on the engine, in order of name.
pub(super) fn counts(observed: &Observed) -> BTreeMap<Key, Counts> {
    let mut found: BTreeMap<Key, Counts> = BTreeMap::new();
    for container in &observed.containers {
        let kept = |kind| matches!(kind, KindName::Service | KindName::Postgres);
        let Some(identity) = container.identity.as_ref().filter(|identity| kept(identity.kind)) else { continue };
        let counts = found.entry((identity.stack.clone(), identity.directory.clone(), identity.instance.clone())).or_default();
        counts.total += 1;
        counts.running += usize::from(matches!(container.state, ContainerState::Running { .. }));
    }
    found
}

/// Whether somebody keeps the stack of a directory, and as which process.
async fn daemon_of(context: &Context, directory: &Path, instance: &InstanceId) -> (Daemon, Option<u32>) {
    let state = directory.join(".witwd");
    let kept = kept_socket_address(context.disk.as_ref(), &state).ok().flatten();
    let usual = || Some(Runtime::open(&Surroundings::of_process()).ok()?.socket(instance));
    let answer = match kept.or_else(usual) {
        Some(socket) => Client::connect(&socket).await,
        None => Err(ConnectError::NoDaemon),
    };
    match answer {
        Ok(client) => (Daemon::Up, Some(client.hello().pid)),
        Err(ConnectError::Version(hello)) => (Daemon::Up, Some(hello.pid)),
        Err(ConnectError::Silent { .. }) => (Daemon::Up, None),
        Err(ConnectError::NoDaemon | ConnectError::Stale(_) | ConnectError::Forbidden(_)) => (held(&state), None),
    }
}

fn held(state: &Path) -> Daemon {
    match is_held(state) {
        Ok(true) => Daemon::Up,
        Ok(false) => Daemon::Down,
        Err(_) => Daemon::Unknown,
    }
}

/// The table.
pub(super) fn text(items: &[Listed], width: usize, color: bool) -> String {
    let row = |item: &Listed| -> Vec<Cell> {
        let (daemon, ink) = match item.daemon {
            Daemon::Up => ("up", Ink::Green),
            Daemon::Down => ("down", Ink::Red),
            Daemon::Unknown => ("unknown", Ink::Dim),
        };
        vec![
            (item.name.clone(), Ink::Plain),
            (format!("{}/{}", item.running, item.total), if item.running == item.total { Ink::Green } else { Ink::Yellow }),
            (daemon.to_owned(), ink),
            (printable(&item.directory), Ink::Dim),
        ]
    };
    let rows: Vec<Vec<Cell>> = items.iter().map(row).collect();
    table(&["NAME", "RUNNING", "DAEMON", "DIRECTORY"], &rows, width, color).join("\n") + "\n"
}
