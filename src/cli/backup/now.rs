//! `backup now`: a set, published and proven, before it returns.

use clap::Args;

use super::{choose, tell};
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::errand;
use crate::cli::exit_code::{Exit, Failure};
use crate::model::backup::{Errand, Work};
use crate::postgres::backup::{Scope, judged};

/// Flags of `backup now`.
#[derive(Debug, Args)]
pub struct NowArgs {
    /// The postgres; may be left out where there is one
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) async fn run(context: &Context, args: NowArgs) -> Done {
    let loaded = choose::look(context)?;
    let workload = choose::postgres(&loaded, args.name.as_deref(), "backup now")?;
    let work = Work::Take { slot: None, missed: 0, before: None };
    let done = errand::carry_out(context, Errand { of: workload.name.clone(), work }).await?;
    let catalog = choose::catalog(workload);
    let sets = choose::sets(&catalog)?;
    let taken = done.set.map(|set| set.to_string()).unwrap_or_default();
    let entry = sets.iter().find(|entry| Some(entry.id) == done.set);
    let entry = entry.ok_or_else(|| Failure::new(Exit::Failed, format!("set {taken} was taken and is not there any more")))?;
    if let Some(words) = done.unproven {
        let failure = Failure::new(Exit::Failed, format!("set {taken} was taken and read back, but not proven: {words}"));
        return Err(failure.hint(format!("`witwd backup verify {taken}` tries it again")));
    }
    if context.output.json {
        let line = entry.manifest.as_ref().map(|manifest| manifest.system_identifier.clone()).unwrap_or_default();
        let decision = judged(&sets, Scope { workload, line: &line, now: context.clock.wall() });
        let item = tell::item(workload.name.as_str(), entry, decision.as_ref());
        context.output.document(&serde_json::json!({ "v": 1, "items": [item] }))?;
        return Ok(Exit::Done);
    }
    if let Ok(manifest) = &entry.manifest {
        for (name, why) in &manifest.skipped {
            context.output.error(&format!("database {name} is not in it: {why}"));
        }
        let (size, rows) = (tell::size(manifest.bytes()), tell::thousands(manifest.rows()));
        context.output.data(&format!("{}  {size}, {rows} rows, {}\n", entry.id, tell::proof_text(entry)))?;
    }
    Ok(Exit::Done)
}
