//! `backup list`: what there is.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;

use super::{choose, tell};
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::exit_code::Exit;
use crate::cli::output::Output;
use crate::cli::paint::{Ink, printable};
use crate::cli::table::{Cell, age, table};
use crate::model::workload::Workload;
use crate::postgres::backup::retention::{Decision, Verdict};
use crate::postgres::backup::{Entry, Scope, is_good, judged};

/// Flags of `backup list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd backup list --json | jq -r '.items[] | select(.proof == \"restored\") | .id'")]
pub struct ListArgs {
    /// The postgres; may be left out where there is one
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) async fn run(context: &Context, args: ListArgs) -> Done {
    let loaded = choose::look(context)?;
    let workload = choose::postgres(&loaded, args.name.as_deref(), "backup list")?;
    let sets = choose::sets(&choose::catalog(workload))?;
    let now = context.clock.wall();
    let decision = decision(&sets, workload, now);
    if context.output.json {
        let items: Vec<_> = sets.iter().map(|entry| tell::item(workload.name.as_str(), entry, decision.as_ref())).collect();
        context.output.document(&serde_json::json!({ "v": 1, "items": items }))?;
        return Ok(Exit::Done);
    }
    let width = Output::width().unwrap_or(usize::MAX);
    context.output.data(&text(&sets, decision.as_ref(), now, width, context.output.color()))?;
    say_status(context, workload, now).await;
    Ok(Exit::Done)
}

/// What the rules say of the sets, by the data directory of the newest good one.
pub(super) fn decision(sets: &[Entry], workload: &Workload, now: Timestamp) -> Option<Decision> {
    let newest = sets.iter().filter_map(|set| set.manifest.as_ref().ok()).find(|manifest| is_good(manifest))?;
    judged(sets, Scope { workload, line: &newest.system_identifier, now })
}

/// What the daemon knows beside what lies there: the next one, what failed.
async fn say_status(context: &Context, workload: &Workload, now: Timestamp) {
    let Ok(place) = context.place() else { return };
    let Ok(Some(client)) = context.daemon(&place).await else { return };
    let Ok(status) = client.status().await else { return };
    let item = status.items.iter().find(|item| item.name == workload.name.as_str());
    let Some(backup) = item.and_then(|item| item.backup.as_ref()) else { return };
    for line in tell::status_lines(backup, now) {
        context.output.note(&printable(&line));
    }
    if let (Some(next), None) = (backup.next, &backup.failed) {
        context.output.note(&format!("the next one in {}", age(now, next)));
    }
}

fn text(sets: &[Entry], decision: Option<&Decision>, now: Timestamp, width: usize, color: bool) -> String {
    if sets.is_empty() {
        return "no backup sets yet; `witwd backup now` takes one\n".to_owned();
    }
    let head = ["ID", "AGE", "SIZE", "ROWS", "KEPT BY", "PROOF"];
    let rows: Vec<Vec<Cell>> = sets.iter().map(|entry| row(entry, decision, now)).collect();
    table(&head, &rows, width, color).into_iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}

fn row(entry: &Entry, decision: Option<&Decision>, now: Timestamp) -> Vec<Cell> {
    let verdict = decision.and_then(|decision| decision.verdicts.iter().find(|(id, _)| *id == entry.id));
    let kept = match verdict {
        Some((_, Verdict::Kept(reasons))) => reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", "),
        Some((_, verdict)) => Decision::reason_text(verdict),
        None => String::new(),
    };
    let manifest = entry.manifest.as_ref().ok();
    let good = manifest.is_some_and(is_good);
    vec![
        (entry.id.to_string(), Ink::Plain),
        // A set of a slot that was made up for is younger than its name.
        (age(manifest.map_or(entry.id.slot(), |manifest| manifest.finished), now), Ink::Dim),
        (manifest.map(|manifest| tell::size(manifest.bytes())).unwrap_or_default(), Ink::Plain),
        (manifest.map(|manifest| tell::thousands(manifest.rows())).unwrap_or_default(), Ink::Plain),
        (kept, Ink::Plain),
        (printable(&tell::proof_text(entry)), if good { Ink::Green } else { Ink::Red }),
    ]
}
