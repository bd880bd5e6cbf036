//! `backup prune`: what the rules would do after the next set, now.

use std::fmt::Write as _;

use clap::Args;

use super::choose;
use super::list::decision;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::exit_code::{Exit, Failure, chain};
use crate::model::backup::SetId;
use crate::postgres::backup::retention::{Decision, Verdict};
use crate::postgres::backup::{Scope, is_good, prune};

/// Flags of `backup prune`.
#[derive(Debug, Args)]
#[command(
    after_help = "The same is done after each set that is taken. Only proven sets count; the last good one, pinned ones and \
                        those of another data directory always stay.\n\n\
                        Example:\n  witwd backup prune --dry-run    why each set stays or goes"
)]
pub struct PruneArgs {
    /// Only say of each set why it stays or goes
    #[arg(long)]
    dry_run: bool,
    /// Remove also more than half of all
    #[arg(long)]
    yes: bool,
    /// The postgres; may be left out where there is one
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) fn run(context: &Context, args: &PruneArgs) -> Done {
    let loaded = choose::look(context)?;
    let workload = choose::postgres(&loaded, args.name.as_deref(), "backup prune")?;
    let catalog = choose::catalog(workload);
    let sets = choose::sets(&catalog)?;
    let now = context.clock.wall();
    let Some(decision) = decision(&sets, workload, now) else {
        context.output.note(if sets.is_empty() { "there are no sets" } else { "there is no good set: nothing is removed" });
        return Ok(Exit::Done);
    };
    if args.dry_run {
        return told(context, &decision);
    }
    let line = sets.iter().filter_map(|set| set.manifest.as_ref().ok()).find(|manifest| is_good(manifest));
    let line = line.map(|manifest| manifest.system_identifier.clone()).unwrap_or_default();
    let lock = choose::lock(context, &catalog)?;
    let pruned = prune(&catalog, &lock, Scope { workload, line: &line, now }, args.yes)
        .map_err(|error| Failure::new(Exit::Failed, chain(&error)))?;
    if !pruned.held.is_empty() {
        let words = format!("{} of {} sets would go, more than half: nothing was removed", pruned.held.len(), counted(&decision));
        return Err(
            Failure::new(Exit::Refused, words).hint("`witwd backup prune --dry-run` shows them, `--yes` says that it is meant")
        );
    }
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "gone": pruned.gone }))?;
    } else {
        context.output.data(&removed(&pruned.gone))?;
    }
    Ok(Exit::Done)
}

/// How many sets the rules are about.
fn counted(decision: &Decision) -> usize {
    decision.verdicts.iter().filter(|(_, verdict)| !matches!(verdict, Verdict::NotCounted(_))).count()
}

fn removed(gone: &[SetId]) -> String {
    if gone.is_empty() {
        return "every set is kept by a rule; nothing was removed\n".to_owned();
    }
    gone.iter().fold(String::new(), |mut text, id| {
        let _ = writeln!(text, "removed {id}");
        text
    })
}

fn told(context: &Context, decision: &Decision) -> Done {
    if context.output.json {
        let item = |(id, verdict): &(SetId, Verdict)| serde_json::json!({ "id": id, "goes": matches!(verdict, Verdict::Goes), "why": Decision::reason_text(verdict) });
        let items: Vec<_> = decision.verdicts.iter().map(item).collect();
        context.output.document(&serde_json::json!({ "v": 1, "held": decision.held, "items": items }))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for (id, verdict) in &decision.verdicts {
        let _ = writeln!(text, "{id}  {}", Decision::reason_text(verdict));
    }
    context.output.data(&text)?;
    if decision.held {
        context.output.note("more than half would go: without --yes nothing is removed");
    }
    Ok(Exit::Done)
}
