//! `snapshot`: copies of databases that stay in the server, made and brought back in seconds.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::Done;
use super::backup::restore::{agreed, told};
use super::backup::tell::size;
use super::context::Context;
use super::db::postgres;
use super::errand;
use super::exit_code::{Exit, Failure};
use super::output::Output;
use super::paint::Ink;
use super::table::{Cell, age, table};
use crate::model::backup::{Errand, Work, WorkDone};
use crate::model::database_snapshot::{DatabaseSnapshot, SnapshotWork};
use crate::model::name::{NameError, SnapshotLabel, WorkloadName};
use crate::model::restore::{Restore, Source};

/// Flags of `snapshot`.
#[derive(Debug, Args)]
#[command(
    after_help = "A snapshot is a copy of the databases in the same server, for work on this machine: before a migration is \
                        tried, between two tests. It is no backup: it goes with the volume, and is in no set. Sessions are \
                        ended for it, and who connects meanwhile waits until the copy is made.\n\n\
                        Examples:\n  witwd snapshot save before-migration\n  witwd snapshot restore before-migration --yes\n  \
                        witwd snapshot list"
)]
pub struct SnapshotArgs {
    #[command(subcommand)]
    verb: SnapshotVerb,
}

/// What can be done with snapshots.
#[derive(Debug, Subcommand)]
enum SnapshotVerb {
    /// Copy the databases as they are now
    Save(SaveArgs),
    /// Databases as they were in a snapshot; `witwd restore undo` takes it back
    Restore(RestoreArgs),
    /// The snapshots there are
    List(ListArgs),
    /// Remove a snapshot
    Rm(RemoveArgs),
}

/// Flags of `snapshot save`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd snapshot save before-migration")]
struct SaveArgs {
    /// The postgres, where there are several, and what the snapshot is called
    #[arg(value_name = "[NAME] LABEL", required = true, num_args = 1..=2)]
    words: Vec<String>,
}

/// Flags of `snapshot restore`.
#[derive(Debug, Args)]
#[command(after_help = "Those who need the database are stopped, the names change hands, and they are started again. What was \
                        there before is kept for 24 hours: `witwd restore undo`. The snapshot stays.\n\n\
                        Example:\n  witwd snapshot restore before-migration --yes")]
struct RestoreArgs {
    /// Only this database of the snapshot
    #[arg(long, value_name = "DATABASE")]
    database: Option<String>,
    /// A copy beside the others under this name; nothing else changes
    #[arg(long, value_name = "DATABASE")]
    to: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// The postgres, where there are several, and the snapshot
    #[arg(value_name = "[NAME] LABEL", required = true, num_args = 1..=2)]
    words: Vec<String>,
}

/// Flags of `snapshot list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd snapshot list --json | jq -r '.items[].label'")]
struct ListArgs {
    /// The postgres; may be left out where there is one
    name: Option<String>,
}

/// Flags of `snapshot rm`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd snapshot rm before-migration")]
struct RemoveArgs {
    /// The postgres, where there are several, and the snapshot
    #[arg(value_name = "[NAME] LABEL", required = true, num_args = 1..=2)]
    words: Vec<String>,
}

pub(super) async fn run(context: &Context, args: SnapshotArgs) -> Done {
    match args.verb {
        SnapshotVerb::Save(args) => save(context, &args.words).await,
        SnapshotVerb::Restore(args) => restore(context, args).await,
        SnapshotVerb::List(args) => list(context, args.name.as_deref()).await,
        SnapshotVerb::Rm(args) => remove(context, &args.words).await,
    }
}

async fn save(context: &Context, words: &[String]) -> Done {
    let (of, label) = meant(context, words)?;
    let begun = context.clock.moment();
    let done = ask(context, of, Work::Snapshot(SnapshotWork::Save { label: label.clone() })).await?;
    let took = context.clock.moment().since(begun).as_secs_f64();
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "items": items(&done.snapshots) }))?;
    } else {
        let names = done.snapshots.first().map(DatabaseSnapshot::names).unwrap_or_default();
        let bytes = done.snapshots.iter().map(DatabaseSnapshot::bytes).sum();
        context.output.data(&format!("{label}: {names}, {} in {took:.1} s\n", size(bytes)))?;
    }
    Ok(Exit::Done)
}

async fn restore(context: &Context, args: RestoreArgs) -> Done {
    let (of, label) = meant(context, &args.words)?;
    let names = args.database.clone().unwrap_or_else(|| "its databases".to_owned());
    if let Some(to) = &args.to {
        context.output.note(&format!("snapshot {label} becomes database {to}, beside the others"));
    } else {
        let words = format!("what was written to {names} since the snapshot {label} is not in it");
        context.output.note(&format!("{words}; what is there now is kept for 24 hours: `witwd restore undo`"));
    }
    agreed(context, args.yes || args.to.is_some())?;
    let (database, to) = (args.database, args.to);
    let wanted = Restore { source: Source::Snapshot(label), database, to, with_safety_set: false };
    let done = ask(context, of, Work::Restore(wanted.clone())).await?;
    told(context, &wanted, &done)
}

async fn list(context: &Context, name: Option<&str>) -> Done {
    let of = of(context, name)?;
    let done = ask(context, of, Work::Snapshot(SnapshotWork::List)).await?;
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "items": items(&done.snapshots) }))?;
        return Ok(Exit::Done);
    }
    let width = Output::width().unwrap_or(usize::MAX);
    context.output.data(&text(&done.snapshots, context.clock.wall(), width, context.output.color()))?;
    Ok(Exit::Done)
}

async fn remove(context: &Context, words: &[String]) -> Done {
    let (of, label) = meant(context, words)?;
    ask(context, of, Work::Snapshot(SnapshotWork::Remove { label: label.clone() })).await?;
    context.output.note(&format!("snapshot {label} is removed"));
    Ok(Exit::Done)
}

async fn ask(context: &Context, of: WorkloadName, work: Work) -> Result<WorkDone, Failure> {
    errand::carry_out(context, Errand { of, work }).await
}

/// `[NAME] LABEL`.
fn meant(context: &Context, words: &[String]) -> Result<(WorkloadName, SnapshotLabel), Failure> {
    let (name, label) = match words {
        [name, label] => (Some(name.as_str()), label),
        [label] => (None, label),
        _ => return Err(Failure::new(Exit::Usage, "a snapshot has a label").hint("`witwd snapshot list` shows them")),
    };
    let wrong = |error: NameError| Failure::new(Exit::Usage, format!("{label:?} is no name of a snapshot: {}", error.rule));
    Ok((of(context, name)?, label.parse().map_err(wrong)?))
}

/// A Postgres on this machine.
fn of(context: &Context, name: Option<&str>) -> Result<WorkloadName, Failure> {
    let loaded = context.look(&context.place()?)?;
    let (workload, settings) = postgres(&loaded.stack, name, "snapshot")?;
    if settings.is_external() {
        let failure =
            Failure::new(Exit::Refused, format!("{} is an external server: no snapshots are made in it", workload.name));
        return Err(failure.hint("`witwd db psql` reaches it"));
    }
    Ok(workload.name.clone())
}

fn items(snapshots: &[DatabaseSnapshot]) -> Vec<serde_json::Value> {
    let item = |snapshot: &DatabaseSnapshot| {
        let databases = snapshot.databases.iter().map(|(name, bytes)| serde_json::json!({ "name": name, "bytes": bytes }));
        let (label, saved) = (&snapshot.label, snapshot.saved);
        serde_json::json!({
            "label": label, "saved": saved, "bytes": snapshot.bytes(), "databases": databases.collect::<Vec<_>>()
        })
    };
    snapshots.iter().map(item).collect()
}

fn text(snapshots: &[DatabaseSnapshot], now: Timestamp, width: usize, color: bool) -> String {
    if snapshots.is_empty() {
        return "no snapshots; `witwd snapshot save LABEL` makes one\n".to_owned();
    }
    let row = |snapshot: &DatabaseSnapshot| -> Vec<Cell> {
        vec![
            (snapshot.label.to_string(), Ink::Plain),
            (age(snapshot.saved, now), Ink::Dim),
            (size(snapshot.bytes()), Ink::Plain),
            (super::paint::printable(&snapshot.names()), Ink::Plain),
        ]
    };
    let rows: Vec<Vec<Cell>> = snapshots.iter().map(row).collect();
    table(&["LABEL", "AGE", "SIZE", "DATABASES"], &rows, width, color).into_iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}
