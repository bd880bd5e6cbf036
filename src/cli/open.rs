//! `open`: the address of a service in the browser; printed in any case, for where there is none.

use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use std::io::IsTerminal as _;

use super::Done;
use super::by_hand::chosen;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::ports::to_open;
use super::ps;
use crate::host::Clock;
use crate::model::wish::Chosen;

/// How long a program that opens addresses is watched for a failure: some stay as long as the browser.
const TO_FAIL: Duration = Duration::from_secs(2);
/// What says that a Linux session has a browser to show something in.
const SCREENS: [&str; 4] = ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"];

/// Flags of `open`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd up -d && witwd open")]
pub struct OpenArgs {
    /// The service; without it the first that publishes a port
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) async fn run(context: &Context, args: OpenArgs) -> Done {
    let place = context.place()?;
    let status = ps::status(context, &place).await?;
    let of = args.name.as_deref().map(|name| chosen(&status, name)).transpose()?;
    let address = to_open(&status, of.as_ref()).ok_or_else(|| nothing_to_open(&status.stack, of.as_ref()))?;
    // Programs and pipes want the address; a person at a terminal wants to see the page.
    let is_person = !context.output.json && std::io::stdout().is_terminal();
    let opened = is_person && has_screen() && show(context.clock.as_ref(), &address).await;
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "address": address, "opened": opened }))?;
    } else {
        context.output.data(&format!("{address}\n"))?;
    }
    if is_person && !opened {
        context.output.note("there is no browser here to open it in");
    }
    Ok(Exit::Done)
}

fn nothing_to_open(stack: &str, of: Option<&Chosen>) -> Failure {
    let who = of.map_or_else(|| format!("no service of stack {stack}"), |of| format!("{of} of stack {stack} is no service that"));
    Failure::new(Exit::Failed, format!("{who} publishes a port now"))
        .hint("`ports = [\"8000\"]` in its [services] table publishes one; `witwd up -d` runs it")
}

fn has_screen() -> bool {
    cfg!(target_os = "macos") || SCREENS.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Shows an address in the person's browser; whether that went well, as far as can be seen.
async fn show(clock: &dyn Clock, address: &str) -> bool {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = tokio::process::Command::new(program)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else { return false };
    tokio::select! {
        biased;
        ended = child.wait() => ended.is_ok_and(|status| status.success()),
        () = clock.sleep(TO_FAIL) => true,
    }
}
