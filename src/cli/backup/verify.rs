//! `backup verify`: whether a set is still what it was, and whether it can be restored.

use clap::Args;

use super::{choose, tell};
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::errand;
use crate::cli::exit_code::{Exit, Failure};
use crate::model::backup::{Errand, Work};

/// Flags of `backup verify`.
#[derive(Debug, Args)]
#[command(after_help = "The bytes are compared with those that were written, every archive is decoded whole by the image's own \
                        pg_restore, and the set is restored in a throw-away Postgres without a network, where its rows are \
                        counted.\n\nExamples:\n  witwd backup verify latest\n  witwd backup verify db 20261120T21")]
pub struct VerifyArgs {
    /// Only read it, without a trial restore
    #[arg(long)]
    read: bool,
    /// The postgres, where there are several, and the set: latest, an ID, or the beginning of one
    #[arg(value_name = "[NAME] ID")]
    words: Vec<String>,
}

pub(super) async fn run(context: &Context, args: VerifyArgs) -> Done {
    let (name, id) = choose::words(&args.words, "verify")?;
    let loaded = choose::look(context)?;
    let workload = choose::postgres(&loaded, name.as_deref(), "backup verify")?;
    let catalog = choose::catalog(workload);
    let set = choose::set(&choose::sets(&catalog)?, &id, workload, context.clock.wall())?;
    let work = Work::Verify { set, by_restore: !args.read };
    let done = errand::carry_out(context, Errand { of: workload.name.clone(), work }).await?;
    if let Some(words) = done.unproven {
        let failure = Failure::new(Exit::Failed, format!("set {set} is not good: {words}"));
        return Err(
            failure.hint("`witwd backup list` shows the others; a damaged set is never restored and never removed by a rule")
        );
    }
    let sets = choose::sets(&catalog)?;
    let Some(entry) = sets.iter().find(|entry| entry.id == set) else {
        return Err(Failure::new(Exit::Failed, format!("set {set} was verified and is not there any more")));
    };
    if context.output.json {
        let item =
            tell::item(workload.name.as_str(), entry, super::list::decision(&sets, workload, context.clock.wall()).as_ref());
        context.output.document(&serde_json::json!({ "v": 1, "items": [item] }))?;
    } else {
        context.output.data(&format!("{set}  {}\n", tell::proof_text(entry)))?;
    }
    Ok(Exit::Done)
}
