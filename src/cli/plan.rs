//! `plan`: what `up` would do. With a daemon it is asked; with none this process looks itself,
//! under no lock: it reads, and a daemon that starts meanwhile is not disturbed by a reader.

use clap::Args;

use super::Done;
use super::assembly::Parts;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::loader::FileLoader;
use super::output::Output;
use super::place::Place;
use super::plan_text::text;
use super::up::{Wants, request};
use crate::control::protocol::Up;
use crate::model::preview::Preview;

/// Flags of `plan`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  witwd plan                       what a saved change would do\n  \
                        witwd plan --exit-code -q        10 where there is something to do\n  \
                        witwd plan --json | jq -r '.actions[] | select(.loses_data) | .target'")]
pub struct PlanArgs {
    /// End with 10 where there is something to do
    #[arg(long)]
    exit_code: bool,
    /// Show each single action too
    #[arg(long)]
    actions: bool,
    #[command(flatten)]
    wants: Wants,
}

pub(super) async fn run(context: &Context, args: PlanArgs) -> Done {
    let place = context.place()?;
    let up = request(context, &place, &args.wants)?;
    let preview = foresee(context, &place, up).await?;
    if context.output.json {
        context.output.document(&preview)?;
    } else if !context.output.quiet {
        let width = Output::width().unwrap_or(usize::MAX);
        context.output.data(&text(&preview, args.actions, width, context.output.color()))?;
    }
    Ok(if args.exit_code && preview.changes { Exit::Changes } else { Exit::Done })
}

async fn foresee(context: &Context, place: &Place, up: Up) -> Result<Preview, Failure> {
    if let Some(client) = context.daemon(place).await? {
        return Ok(client.plan(up).await?);
    }
    let engine = context.engine().await?;
    let parts = Parts { engine, ..Parts::here(context, place)? };
    FileLoader::of(parts).foresee(&up, None).await
}
