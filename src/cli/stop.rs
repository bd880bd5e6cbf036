//! `stop`: have a part of the stack not running, until `start` or `up`.

use clap::Args;

use super::Done;
use super::by_hand::{Asked, Patience, list, nameless, words};
use super::context::Context;
use crate::model::wish::Wish;

/// Flags of `stop`.
#[derive(Debug, Args)]
#[command(after_help = "Its containers stay, with their logs. It holds over changes of the file, restarts of the daemon and \
                        reboots, until `witwd start NAME`, or a `witwd up` that names it or names nothing.\n\n\
                        Example:\n  witwd stop worker && witwd psql    look at the data while nobody works on it")]
pub struct StopArgs {
    #[command(flatten)]
    patience: Patience,
    /// Services or postgres servers; NAME.2 is one replica
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(super) async fn run(context: &Context, args: StopArgs) -> Done {
    if args.names.is_empty() {
        return Err(nameless("stop", "`witwd down` stops the whole stack"));
    }
    let asked = Asked::daemon(context).await?;
    let of = asked.chosen(&args.names)?;
    let done = format!("stopped {} by hand; `witwd start {}` or `witwd up` ends that", list(&of), words(&of));
    asked.carry_out(Wish::Stop { of }, &args.patience, &done).await
}
