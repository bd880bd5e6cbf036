//! `restart`: a new run of containers as they are.

use clap::Args;

use super::Done;
use super::by_hand::{Asked, Patience, list};
use super::context::Context;
use crate::model::wish::Wish;

/// Flags of `restart`.
#[derive(Debug, Args)]
#[command(after_help = "Several replicas go one after the other, each when the one before is ready again. What needs a \
                        restarted one is not restarted with it. A crash loop is left, and restarts are no longer delayed.\n\n\
                        Examples:\n  witwd restart web       every replica of web\n  \
                        witwd restart web.2     one of them\n  \
                        witwd restart           all of the stack, in order")]
pub struct RestartArgs {
    #[command(flatten)]
    patience: Patience,
    /// Services or postgres servers; NAME.2 is one replica; without one, all of the stack
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(super) async fn run(context: &Context, args: RestartArgs) -> Done {
    let asked = Asked::daemon(context).await?;
    let of = asked.chosen(&args.names)?;
    let what = if of.is_empty() { "the stack".to_owned() } else { list(&of) };
    asked.carry_out(Wish::Restart { of }, &args.patience, &format!("restarted {what}")).await
}
