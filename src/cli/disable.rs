//! `disable`: start the stack at boot no more. What runs stays as it is.

use clap::Args;

use super::Done;
use super::boot::{Systemd, unit_of};
use super::context::Context;
use super::exit_code::{Exit, Failure};

/// Flags of `disable`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd disable && witwd up -d    kept in the background again, until a reboot")]
pub struct DisableArgs {}

pub(super) async fn run(context: &Context, _: DisableArgs) -> Done {
    let place = context.place()?;
    let systemd = Systemd::running()?;
    let Some(unit) = unit_of(&place) else {
        context.output.note("nothing starts this stack at boot");
        return Ok(Exit::Done);
    };
    if unit.systemd != systemd {
        let (whose, way) = if systemd.is_of_user() {
            ("the system", "`sudo witwd disable`")
        } else {
            ("your own user", "`witwd disable` without root")
        };
        return Err(Failure::new(Exit::Failed, format!("{} is a unit of {whose}", unit.name)).hint(way));
    }
    systemd.uninstall(&unit.name).await?;
    let left = match context.daemon(&place).await? {
        Some(client) => format!("process {} goes on keeping the stack", client.hello().pid),
        None => "the stack is as it was, and nobody keeps it now: `witwd up -d` does".to_owned(),
    };
    context.output.note(&format!("{} is removed; {left}", unit.name));
    Ok(Exit::Done)
}
