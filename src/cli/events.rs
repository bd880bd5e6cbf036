//! `events`: what happened and why.

use clap::Args;
use jiff::tz::TimeZone;

use super::Done;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::output::Output;
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
            show(context.output, &record)?;
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
            Line::Event(record) => show(context.output, &record)?,
            Line::Missed { count } => context.output.error(&format!("{count} events came faster than they were read")),
            _ => {}
        }
    }
    Ok(Exit::Done)
}

fn show(output: Output, record: &EventRecord) -> Result<(), Failure> {
    if output.json {
        output.document(record)
    } else {
        output.data(&(event_text(record, &TimeZone::system(), output.color()) + "\n"))
    }
}

/// An event for people: when, whom, what, why.
pub(super) fn event_text(record: &EventRecord, zone: &TimeZone, color: bool) -> String {
    let time = record.at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
    let ink = match record.kind.as_str() {
        "failed" | "exit" | "unhealthy" | "crash_loop" => Ink::Red,
        "ready" | "healthy" => Ink::Green,
        _ => Ink::Plain,
    };
    let what = paint(color, ink, &record.kind);
    let cause =
        if record.cause.is_empty() { String::new() } else { format!("  {}", paint(color, Ink::Dim, &printable(&record.cause))) };
    let detail = match &record.detail {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => format!("  {}", printable(text)),
        other => format!("  {other}"),
    };
    format!("{}  {}  {what}{cause}{detail}", paint(color, Ink::Dim, &time), record.target)
}
