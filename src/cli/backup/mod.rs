//! `backup`: sets of a Postgres. `now` and `verify` are done by the daemon, which alone takes and tries sets; the
//! others look at the directory of the sets, and hold its lock where they change it.

mod choose;
pub(super) mod health;
mod list;
mod now;
mod pin;
mod prune;
pub(super) mod restore;
mod restore_file;
pub(super) mod tell;
mod verify;

use clap::{Args, Subcommand};

use super::Done;
use super::context::Context;

/// Flags of `backup`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "A set is taken every hour by itself (`[postgres.NAME.backup]`), read back whole, and tried by a restore. \
                  It is a directory below volumes/backups.\n\n\
                  Examples:\n  witwd backup                 a set now; 0 only where it is good\n  \
                  witwd backup list            what there is, how well it is proven, why it is kept\n  \
                  witwd backup verify latest   tried by a restore once more"
)]
pub struct BackupArgs {
    #[command(subcommand)]
    verb: Option<BackupVerb>,
    #[command(flatten)]
    now: now::NowArgs,
}

/// What can be done with sets.
#[derive(Debug, Subcommand)]
enum BackupVerb {
    /// Take a set; returns when it is published and proven as is due
    Now(now::NowArgs),
    /// The sets there are, how well each is proven, and which rules keep it
    List(list::ListArgs),
    /// Read a set again whole, and try it by a restore
    Verify(verify::VerifyArgs),
    /// Keep a set whatever the rules say
    Pin(pin::PinArgs),
    /// Remove the sets that no rule keeps
    Prune(prune::PruneArgs),
}

pub(super) async fn run(context: &Context, args: BackupArgs) -> Done {
    match args.verb {
        None => now::run(context, args.now).await,
        Some(BackupVerb::Now(args)) => now::run(context, args).await,
        Some(BackupVerb::List(args)) => list::run(context, args).await,
        Some(BackupVerb::Verify(args)) => verify::run(context, args).await,
        Some(BackupVerb::Pin(args)) => pin::run(context, &args),
        Some(BackupVerb::Prune(args)) => prune::run(context, &args),
    }
}
