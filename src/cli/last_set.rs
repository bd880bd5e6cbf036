//! The set that is taken before data is lost for good: `down --volumes`.

use std::collections::BTreeSet;

use super::context::Context;
use super::errand;
use super::exit_code::{Exit, Failure};
use crate::control::Client;
use crate::model::backup::{Errand, Work};
use crate::model::name::WorkloadName;
use crate::model::observed::VolumeSeen;
use crate::model::stack::Stack;

/// The Postgres servers whose data goes, and whose sets are taken.
pub(super) fn of(stack: &Stack, lost: &BTreeSet<String>) -> Vec<WorkloadName> {
    let cared = stack.in_order().filter(|workload| {
        let postgres = workload.postgres().filter(|postgres| postgres.backup.enabled && !postgres.is_external());
        postgres.is_some_and(|postgres| lost.contains(&stack.engine_volume(&postgres.volume)))
    });
    cared.map(|workload| workload.name.clone()).collect()
}

/// Refuses where data would go of which no set can be taken: of a Postgres that the file, as it was accepted last, does
/// not name.
pub(super) fn refuse_unknown(stack: Option<&Stack>, lost: &BTreeSet<String>, seen: &[VolumeSeen]) -> Result<(), Failure> {
    let named: BTreeSet<String> = stack.map(data_volumes).unwrap_or_default();
    let mut unknown = seen.iter().filter(|volume| lost.contains(&volume.name) && !named.contains(&volume.name));
    let Some((name, volume)) = unknown.find_map(|volume| Some((volume.data_of.as_ref()?, &volume.name))) else { return Ok(()) };
    let words = format!("no last set of {name} can be taken: its data is in {volume}, and the file names no such Postgres");
    Err(Failure::new(Exit::Refused, words)
        .hint("name it in the file and `witwd up -d`; `--without-last-set` goes on without one"))
}

fn data_volumes(stack: &Stack) -> BTreeSet<String> {
    stack.in_order().filter_map(|workload| Some(stack.engine_volume(&workload.postgres()?.volume))).collect()
}

/// Takes a set of each. Where one can't be taken nothing is lost.
pub(super) async fn take(context: &Context, running: Option<&Client>, names: Vec<WorkloadName>) -> Result<(), Failure> {
    let Some(client) = running else {
        return names.first().map_or(Ok(()), |name| {
            let words = format!("no last set of {name} can be taken: its database does not run");
            Err(Failure::new(Exit::Refused, words).hint("`witwd up -d` starts it; `--without-last-set` goes on without one"))
        });
    };
    let status = client.status().await?;
    for name in names {
        let is_ready = status.items.iter().any(|item| item.name == name.as_str() && item.ready);
        if !is_ready {
            let words = format!("no last set of {name} can be taken: its database is not ready");
            return Err(
                Failure::new(Exit::Refused, words).hint("`witwd ps` shows how it is; `--without-last-set` goes on without one")
            );
        }
        let work = Work::Take { slot: None, missed: 0, before: Some("witwd down --volumes".to_owned()) };
        let taken = errand::carry_out(context, Errand { of: name.clone(), work }).await;
        let done = taken.map_err(|failure| {
            let words = format!("no last set of {name} could be taken: {}", failure.message);
            Failure::new(Exit::Refused, words).hint("mend that; `--without-last-set` goes on without one")
        })?;
        let set = done.set.map(|set| set.to_string()).unwrap_or_default();
        context.output.note(&format!("set {set} of {name} is the last one"));
    }
    Ok(())
}
