//! `enable`: have this machine start the stack at boot. A unit of systemd keeps the daemon from then on;
//! one that runs hands the stack over, and no container is touched.

use clap::Args;
use tokio::process::Command;

use super::Done;
use super::boot::{Boot, Installed, Systemd, Unit, agent, unit_of};
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::handover::hand_to_unit;
use super::place::Place;

/// Flags of `enable`.
#[derive(Debug, Args)]
#[command(after_help = "Without root it is a unit of your own systemd, which starts at boot once your user lingers\n\
                        (`loginctl enable-linger`). As root it is a unit of the system, and its daemon runs as the owner\n\
                        of the stack's directory: give that user the engine (group docker), or the directory to root.\n\n\
                        Examples:\n  witwd enable            start this stack at boot, and keep it from now on\n  \
                        witwd enable --print    the unit, without doing anything")]
pub struct EnableArgs {
    /// Only show what would be installed
    #[arg(long)]
    print: bool,
}

pub(super) async fn run(context: &Context, args: EnableArgs) -> Done {
    let place = context.place()?;
    let kept = context.kept(&place);
    let boot = Boot::of(context, &place, kept.as_ref())?;
    let is_mac = cfg!(target_os = "macos");
    if args.print {
        let text = if is_mac { agent(&boot) } else { Unit::of(&boot)?.text };
        context.output.data(&text)?;
        return Ok(Exit::Done);
    }
    if is_mac {
        return Err(Failure::new(Exit::Failed, "this version does not speak to launchd itself").hint(format!(
            "`witwd enable --print > ~/Library/LaunchAgents/witwd.{0}.plist`, then `launchctl load ~/Library/LaunchAgents/witwd.{0}.plist`",
            boot.stack
        )));
    }
    let systemd = Systemd::running()?;
    if kept.is_none() {
        return Err(Failure::new(Exit::Failed, "this stack was never up here: a boot would not know what to run it with")
            .hint("`witwd up -d`, then `witwd enable`"));
    }
    install(context, &place, &systemd, &Unit::of(&boot)?).await?;
    if systemd.is_of_user() {
        linger(context).await;
    }
    Ok(Exit::Done)
}

async fn install(context: &Context, place: &Place, systemd: &Systemd, unit: &Unit) -> Result<(), Failure> {
    let before = unit_of(place);
    refuse(systemd, unit, before.as_ref())?;
    let is_same = before.as_ref().is_some_and(|before| before.name == unit.name);
    if let Some(renamed) = before.as_ref().filter(|_| !is_same) {
        systemd.uninstall(&renamed.name).await?;
    }
    let has_changed = systemd.text(&unit.name).as_ref() != Some(&unit.text);
    systemd.install(unit).await?;
    let installed = Installed { systemd: systemd.clone(), name: unit.name.clone(), is_enabled: true };
    if let Err(failure) = hand_to_unit(context, place, &installed, has_changed).await {
        if !is_same && let Err(left) = systemd.uninstall(&unit.name).await {
            context.output.error(&left.message);
        }
        return Err(failure);
    }
    context.output.note(&format!(
        "{} keeps the stack in {} and starts it at boot; `{} status {}` shows it",
        unit.name,
        place.directory.display(),
        systemd.command(),
        unit.name.trim_end_matches(".service"),
    ));
    Ok(())
}

/// What speaks against it.
fn refuse(systemd: &Systemd, unit: &Unit, before: Option<&Installed>) -> Result<(), Failure> {
    match before {
        Some(before) if before.systemd != *systemd => {
            let (whose, way) = if before.systemd.is_of_user() {
                ("of your own systemd", "`systemctl --user disable --now` it first")
            } else {
                ("of the system", "`sudo witwd enable` renews it, `sudo witwd disable` removes it")
            };
            Err(Failure::new(Exit::Held, format!("{} {whose} starts this stack already", before.name)).hint(way))
        }
        Some(before) if before.name == unit.name => Ok(()),
        _ if systemd.text(&unit.name).is_some() => {
            let words = format!("there is a unit {} that is not of this directory", unit.name);
            Err(Failure::new(Exit::Held, words).hint(format!("`{} cat {}` shows whose it is", systemd.command(), unit.name)))
        }
        _ => Ok(()),
    }
}

/// A user's own systemd starts at boot only for users who linger.
async fn linger(context: &Context) {
    // By its number: without one a session is meant, and not every login has one.
    let user = rustix::process::geteuid().as_raw().to_string();
    let output = Command::new("loginctl").args(["--no-ask-password", "enable-linger", &user]).output().await;
    if !output.is_ok_and(|output| output.status.success()) {
        context.output.note(&format!(
            "until your user lingers this starts when you log in, not at boot: `sudo loginctl enable-linger {user}`"
        ));
    }
}
