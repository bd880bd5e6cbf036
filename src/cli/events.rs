//! `events`: what happened and why.

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Done;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::paint::{Ink, paint, printable};
use crate::control::Records;
use crate::control::protocol::{Line, Request};
use crate::model::status::EventRecord;

/// Flags of `events`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd events -f --json")]
pub struct EventsArgs {
    /// Stay and show what comes
    #[arg(short, long)]
    follow: bool,
}

pub(super) async fn run(context: &Context, args: EventsArgs) -> Done {
    let place = context.place()?;
    let Some(client) = context.daemon(&place).await? else {
        for record in Records::read(&place.state) {
            show(context, &record)?;
        }
        if args.follow {
            return Err(Failure::new(Exit::Failed, "no daemon runs for this stack: nothing more will happen")
                .hint("`witwd up -d` starts one"));
        }
        return Ok(Exit::Done);
    };
    let mut lines = client.lines(&Request::Events { follow: args.follow }).await?;
    while let Some(line) = lines.next().await? {
        match line {
            Line::Event(record) => show(context, &record)?,
            Line::Missed { count } => context.output.error(&format!("{count} events came faster than they were read")),
            _ => {}
        }
    }
    Ok(Exit::Done)
}

fn show(context: &Context, record: &EventRecord) -> Result<(), Failure> {
    let output = context.output;
    if output.json {
        return output.document(record);
    }
    let now = (context.clock.wall(), TimeZone::system());
    output.data(&(event_text(record, &now, output.color()) + "\n"))
}

/// The ink of a kind of events.
pub(super) fn event_ink(kind: &str) -> Ink {
    match kind {
        "failed" | "exit" | "unhealthy" | "crash_loop" => Ink::Red,
        "ready" | "healthy" => Ink::Green,
        _ => Ink::Plain,
    }
}

/// An event for people: when, whom, what, why. The day is said where it is not that of `now`.
pub(super) fn event_text(record: &EventRecord, (now, zone): &(Timestamp, TimeZone), color: bool) -> String {
    let at = record.at.to_zoned(zone.clone());
    let is_today = at.date() == now.to_zoned(zone.clone()).date();
    let time = at.strftime(if is_today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" }).to_string();
    let what = paint(color, event_ink(&record.kind), &record.kind);
    let cause =
        if record.cause.is_empty() { String::new() } else { format!("  {}", paint(color, Ink::Dim, &printable(&record.cause))) };
    let detail = match &record.detail {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => format!("  {}", printable(text)),
        // What the cause says in words; the rest of it is for programs.
        _ if !record.cause.is_empty() => String::new(),
        other => format!("  {other}"),
    };
    format!("{}  {}  {what}{cause}{detail}", paint(color, Ink::Dim, &time), record.target)
}
