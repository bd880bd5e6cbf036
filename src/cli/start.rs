//! `start`: run as the file says what was stopped or scaled by hand, or what ended.

use clap::Args;

use super::Done;
use super::by_hand::{Asked, Patience, list, nameless};
use super::context::Context;
use crate::model::wish::Wish;

/// Flags of `start`.
#[derive(Debug, Args)]
#[command(after_help = "Ends what `stop` and `scale` hold. What ended and is not started again by itself is started too.\n\n\
                        Example:\n  witwd start worker")]
pub struct StartArgs {
    #[command(flatten)]
    patience: Patience,
    /// Services or postgres servers; NAME.2 is one replica
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(super) async fn run(context: &Context, args: StartArgs) -> Done {
    if args.names.is_empty() {
        return Err(nameless("start", "`witwd up` starts the whole stack"));
    }
    let asked = Asked::daemon(context).await?;
    let of = asked.chosen(&args.names)?;
    let done = format!("started {}", list(&of));
    asked.carry_out(Wish::Start { of }, &args.patience, &done).await
}
