//! `scale`: another number of replicas than the file says, until `start` or `up`.

use std::collections::BTreeMap;

use clap::Args;

use super::Done;
use super::by_hand::{Asked, Patience, nameless};
use super::context::Context;
use crate::model::name::WorkloadName;
use crate::model::wish::Wish;

/// Flags of `scale`.
#[derive(Debug, Args)]
#[command(after_help = "It holds over changes of the file, restarts of the daemon and reboots, until `witwd start NAME`, or a \
                        `witwd up` that names it or names nothing. Only services are scaled; one that publishes a fixed port \
                        of the host has one replica. For none, `witwd stop NAME`.\n\n\
                        Example:\n  witwd scale web=3 worker=2")]
pub struct ScaleArgs {
    #[command(flatten)]
    patience: Patience,
    /// Services, each with its number of replicas, from 1
    #[arg(value_name = "NAME=N", value_parser = counted)]
    counts: Vec<(String, u32)>,
}

fn counted(word: &str) -> Result<(String, u32), String> {
    let parts = word.split_once('=').and_then(|(name, count)| Some((name.to_owned(), count.parse().ok()?)));
    parts.ok_or_else(|| "write a name and a number: web=3".to_owned())
}

pub(super) async fn run(context: &Context, args: ScaleArgs) -> Done {
    if args.counts.is_empty() {
        return Err(nameless("scale", "a service and its number of replicas: `witwd scale web=3`"));
    }
    let asked = Asked::daemon(context).await?;
    let mut to = BTreeMap::new();
    for (name, count) in &args.counts {
        let chosen = asked.chosen(std::slice::from_ref(name))?;
        to.extend(chosen.into_iter().map(|chosen| (chosen.name, *count)));
    }
    let counts: Vec<String> = to.iter().map(|(name, count)| format!("{name} to {count}")).collect();
    let names: Vec<&str> = to.keys().map(WorkloadName::as_str).collect();
    let back = format!("`witwd start {}` or `witwd up` ends that", names.join(" "));
    let done = format!("scaled {} by hand; {back}", counts.join(", "));
    asked.carry_out(Wish::Scale { to }, &args.patience, &done).await
}
