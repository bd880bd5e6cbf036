//! `backup pin`: a set that no rule removes.

use clap::Args;

use super::choose;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::exit_code::{Exit, Failure, chain};
use crate::postgres::backup::manifest::Manifest;

/// Flags of `backup pin`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  witwd backup pin latest              before a risky change\n  \
                        witwd backup pin 20261120T21 --undo    the rules decide again")]
pub struct PinArgs {
    /// Let the rules decide again
    #[arg(long)]
    undo: bool,
    /// The postgres, where there are several, and the set: latest, an ID, or the beginning of one
    #[arg(value_name = "[NAME] ID")]
    words: Vec<String>,
}

pub(super) fn run(context: &Context, args: &PinArgs) -> Done {
    let (name, id) = choose::words(&args.words, "pin")?;
    let loaded = choose::look(context)?;
    let workload = choose::postgres(&loaded, name.as_deref(), "backup pin")?;
    let catalog = choose::catalog(workload);
    let set = choose::set(&choose::sets(&catalog)?, &id, workload, context.clock.wall())?;
    let lock = choose::lock(context, &catalog)?;
    let failed = |error: &dyn std::error::Error| Failure::new(Exit::Failed, chain(error));
    let entry = catalog.read(set).map_err(|error| failed(&error))?;
    let manifest = match entry.map(|entry| entry.manifest) {
        Some(Ok(manifest)) => manifest,
        Some(Err(error)) => return Err(Failure::new(Exit::Failed, format!("set {set} can't be used: {error}"))),
        None => return Err(Failure::new(Exit::Failed, format!("set {set} is not there any more"))),
    };
    catalog.rewrite(&lock, &Manifest { pinned: !args.undo, ..manifest }).map_err(|error| failed(&error))?;
    let words = if args.undo { "is kept by the rules alone" } else { "is kept until `--undo`" };
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "id": set, "pinned": !args.undo }))?;
    } else {
        context.output.note(&format!("set {set} {words}"));
    }
    Ok(Exit::Done)
}
