//! `ps`: what runs, and why what does not.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;

use super::Done;
use super::backup::tell::status_lines;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::file;
use super::fit::wrap;
use super::output::Output;
use super::paint::{Ink, paint, printable};
use super::place::Place;
use super::ports::port_text;
use super::seen;
use super::table::{Cell, age, table};
use crate::model::status::{EngineStatus, Health, ItemStatus, State, Status};

/// Flags of `ps`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd ps --json | jq -r '.items[] | select(.ready | not) | .name'")]
pub struct PsArgs {}

pub(super) async fn run(context: &Context, _: PsArgs) -> Done {
    let place = context.place()?;
    let status = status(context, &place).await?;
    if context.output.json {
        context.output.document(&status)?;
    } else {
        let width = Output::width().unwrap_or(usize::MAX);
        context.output.data(&text(&status, context.clock.wall(), width, context.output.color()))?;
    }
    Ok(Exit::Done)
}

/// How things are: as the daemon says, or as the engine shows where there is none.
pub(super) async fn status(context: &Context, place: &Place) -> Result<Status, Failure> {
    match context.daemon(place).await? {
        Some(client) => {
            let status = client.status().await?;
            if !is_unread(&status) {
                return Ok(status);
            }
            // It only just began, or was told to wait: what is there is there all the same.
            if let Ok(seen) = seen::status(context, place).await {
                return Ok(Status { daemon: status.daemon, ..seen });
            }
            let invalid = file::load(&context.request_to_look(place)?).err();
            Ok(Status { file: file::status(place, invalid.as_ref()), ..status })
        }
        None => seen::status(context, place).await,
    }
}

/// Whether the daemon has read no file yet. What it says of one that it read is so, whatever this
/// process would make of it: the daemon does not know the shell's environment.
pub(super) fn is_unread(status: &Status) -> bool {
    status.stack.is_empty()
}

/// The table and what is to be said beside it, in lines of at most `width`.
pub(super) fn text(status: &Status, now: Timestamp, width: usize, color: bool) -> String {
    let mut text = String::new();
    let head = ["NAME", "STATE", "HEALTH", "RESTARTS", "PORTS", "SINCE"];
    let rows: Vec<Vec<Cell>> = status.items.iter().map(|item| row(item, now)).collect();
    let mut lines = table(&head, &rows, width, color).into_iter();
    let heading = lines.next().unwrap_or_default();
    if status.items.is_empty() {
        // A daemon that starts after a `down` has read no file yet.
        let whose = if is_unread(status) { "this stack" } else { &format!("stack {}", status.stack) };
        let _ = writeln!(text, "nothing of {whose} is there");
    } else {
        let _ = writeln!(text, "{heading}");
    }
    for (line, item) in lines.zip(&status.items) {
        let _ = writeln!(text, "{line}");
        for cause in cause_lines(item, now, width).into_iter().chain(backup_lines(item, now, width)) {
            let _ = writeln!(text, "{}", paint(color, Ink::Dim, &cause));
        }
    }
    for remark in remarks(status) {
        let _ = writeln!(text, "\n{}", wrap(&remark, width).join("\n"));
    }
    text
}

/// `web`, `web.2`.
pub(super) fn item_name(item: &ItemStatus) -> String {
    if item.replica == 1 { item.name.clone() } else { format!("{}.{}", item.name, item.replica) }
}

fn row(item: &ItemStatus, now: Timestamp) -> Vec<Cell> {
    let restarts = if item.restarts == 0 { String::new() } else { item.restarts.to_string() };
    let ports: Vec<String> = item.ports.iter().map(port_text).collect();
    vec![
        (item_name(item), Ink::Plain),
        (state_text(item), state_ink(item)),
        (health_text(item.health).to_owned(), health_ink(item.health)),
        (restarts, Ink::Plain),
        (ports.join(","), Ink::Plain),
        (item.since.map(|since| age(since, now)).unwrap_or_default(), Ink::Dim),
    ]
}

/// The state in words: `by hand` where a person holds it.
pub(super) fn state_text(item: &ItemStatus) -> String {
    let state = item.state.as_str().replace('_', " ");
    if item.held { format!("{state} by hand") } else { state }
}

/// The ink of a state.
pub(super) fn state_ink(item: &ItemStatus) -> Ink {
    match item.state {
        State::Running if item.ready => Ink::Green,
        State::Completed => Ink::Green,
        State::Backoff | State::CrashLoop | State::Failed | State::NeedsOperator => Ink::Red,
        State::Stopped => Ink::Dim,
        _ => Ink::Yellow,
    }
}

/// The word for what its probes say; none where it has no probe.
pub(super) fn health_text(health: Health) -> &'static str {
    match health {
        Health::None => "",
        Health::Unknown => "unknown",
        Health::Starting => "starting",
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
    }
}

/// The ink of that word.
pub(super) fn health_ink(health: Health) -> Ink {
    match health {
        Health::Healthy => Ink::Green,
        Health::Unhealthy => Ink::Red,
        _ => Ink::Plain,
    }
}

/// Why it is as it is and when something is done about it; empty where all is well.
pub(super) fn cause_text(item: &ItemStatus, now: Timestamp) -> String {
    let mut words = printable(&item.cause);
    if let Some(next) = item.next {
        let gap = if words.is_empty() { "" } else { "; " };
        let _ = write!(words, "{gap}next try in {}", age(now, next));
    }
    words
}

/// The same in lines below its own.
fn cause_lines(item: &ItemStatus, now: Timestamp, width: usize) -> Vec<String> {
    let words = cause_text(item, now);
    if words.is_empty() {
        return Vec::new();
    }
    wrap(&words, width.saturating_sub(4).max(20)).into_iter().map(|line| format!("    {line}")).collect()
}

/// What is to be known of its backups.
fn backup_lines(item: &ItemStatus, now: Timestamp, width: usize) -> Vec<String> {
    let lines = item.backup.iter().flat_map(|backup| status_lines(backup, now));
    let room = width.saturating_sub(4).max(20);
    lines.flat_map(|line| wrap(&printable(&line), room)).map(|line| format!("    {line}")).collect()
}

/// What is to be known beside the table.
pub(super) fn remarks(status: &Status) -> Vec<String> {
    let mut remarks = Vec::new();
    if status.engine == EngineStatus::Down {
        remarks.push("The engine does not answer: what is shown is what was known last.".to_owned());
    }
    if status.daemon.is_none() && !status.items.is_empty() {
        remarks.push("No daemon runs: nobody restarts what ends. `witwd up -d` starts one.".to_owned());
    }
    if !status.file.ok {
        remarks.push(file::unusable(&status.file));
    }
    if status.file.pending {
        remarks.push(format!("Pending: {}. `witwd up` applies it.", status.file.reasons.join("; ")));
    }
    remarks.extend(status.others.iter().map(|other| printable(&format!("{}: {}", other.target, other.cause))));
    remarks.extend(status.notes.iter().map(|note| printable(note)));
    remarks
}
