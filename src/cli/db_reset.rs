//! `db reset`: empty databases in the place of those that are there, in which `init` runs anew.

use clap::Args;

use super::Done;
use super::confirm::agree;
use super::context::Context;
use super::db::postgres;
use super::errand;
use super::exit_code::{Exit, Failure};
use crate::model::backup::{Errand, Work};
use crate::model::name::SqlName;
use crate::model::restore::{Restore, Source};

/// Flags of `db reset`.
#[derive(Debug, Args)]
#[command(after_help = "A set of what is there is taken and kept for a week. Empty databases are made, those who need them are \
                        stopped, the names change hands, `init` runs, and they are started again. `witwd restore undo` brings \
                        back what was there, within 24 hours.\n\nExample:\n  witwd db reset --yes")]
pub struct ResetArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Without a set of what is there now
    #[arg(long)]
    without_safety_set: bool,
    /// The postgres; may be left out where there is one
    name: Option<String>,
}

pub(super) async fn run(context: &Context, args: ResetArgs) -> Done {
    let loaded = context.look(&context.place()?)?;
    let (workload, settings) = postgres(&loaded.stack, args.name.as_deref(), "db reset")?;
    if settings.is_external() {
        let failure = Failure::new(Exit::Refused, format!("{} is an external server: it is not reset", workload.name));
        return Err(failure.hint("`witwd db psql` reaches it"));
    }
    let names = std::iter::once(&settings.database).chain(&settings.databases);
    let names = names.map(SqlName::as_str).collect::<Vec<_>>().join(", ");
    let loss = format!("all data in {names} of {} goes", workload.name);
    context.output.note(&format!("{loss}; `witwd restore undo` brings it back, within 24 hours"));
    let unasked = Failure::new(Exit::Refused, loss).hint("`--yes` says yes without a terminal");
    agree(context, args.yes, unasked, Failure::new(Exit::Refused, "nothing was reset"))?;
    let restore = Restore { source: Source::Nothing, database: None, to: None, with_safety_set: !args.without_safety_set };
    let done = errand::carry_out(context, Errand { of: workload.name.clone(), work: Work::Restore(restore) }).await?;
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "reset": workload.name, "safety_set": done.safety }))?;
    } else {
        let safety = done.safety.map(|set| format!("what was there is set {set}, and ")).unwrap_or_default();
        context.output.data(&format!("{names}: empty; {safety}`witwd restore undo` brings it back within 24 hours\n"))?;
    }
    Ok(Exit::Done)
}
