//! `port`: where the ports of a service or postgres are published on this machine.

use clap::Args;
use serde::Serialize;

use super::Done;
use super::by_hand::{chosen, nameless};
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::ports::{host_text, port_text};
use super::ps;
use crate::model::status::{ItemStatus, PortStatus, Status};
use crate::model::wish::Chosen;

/// Flags of `port`.
#[derive(Debug, Args)]
#[command(
    override_usage = "witwd port [OPTIONS] NAME [PORT]",
    after_help = "With PORT, the addresses alone; without, each port that is published.\n\n\
                  Example:\n  curl \"http://$(witwd port web 8000)/healthz\""
)]
pub struct PortArgs {
    /// The service or postgres; NAME.2 is one replica
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The port in the container
    #[arg(value_name = "PORT")]
    port: Option<u16>,
}

/// A published port, for programs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Published<'s> {
    name: &'s str,
    replica: u32,
    #[serde(flatten)]
    port: &'s PortStatus,
}

pub(super) async fn run(context: &Context, args: PortArgs) -> Done {
    let name = args.name.ok_or_else(|| nameless("port", "`witwd port web 8000` prints where port 8000 of web is published"))?;
    let place = context.place()?;
    let status = ps::status(context, &place).await?;
    let found = published(&status, &chosen(&status, &name)?, args.port)?;
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "items": found }))?;
    } else {
        context.output.data(&text(&found, args.port.is_some()))?;
    }
    Ok(Exit::Done)
}

/// The published ports of what is meant; there is at least one.
pub(super) fn published<'s>(status: &'s Status, of: &Chosen, port: Option<u16>) -> Result<Vec<Published<'s>>, Failure> {
    let meant: Vec<&ItemStatus> = status.items.iter().filter(|item| of.covers(&item.name, item.replica)).collect();
    let ports =
        meant.iter().flat_map(|item| item.ports.iter().map(|port| Published { name: &item.name, replica: item.replica, port }));
    let found: Vec<Published<'s>> = ports.filter(|found| port.is_none_or(|port| found.port.container == port)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    if !meant.iter().any(|item| item.container.is_some()) {
        let failure = Failure::new(Exit::Failed, format!("{of} of stack {} has no container", status.stack));
        return Err(failure.hint(format!("`witwd up -d {}` makes and starts it", of.name)));
    }
    let others: Vec<String> = meant.iter().flat_map(|item| &item.ports).map(port_text).collect();
    let what = port.map_or_else(|| "no port".to_owned(), |port| format!("no port {port}"));
    let failure = Failure::new(Exit::Failed, format!("{of} of stack {} publishes {what} now", status.stack));
    Err(match others.as_slice() {
        [] => failure.hint("`ports = [\"auto:8000\"]` in stack.toml publishes one, while its container runs"),
        others => failure.hint(format!("it publishes {}", others.join(", "))),
    })
}

/// A line for each: the address alone, or with the port that it leads to.
fn text(found: &[Published<'_>], bare: bool) -> String {
    let line = |found: &Published<'_>| {
        let address = host_text(found.port);
        let inner = format!("{}/{}", found.port.container, found.port.protocol.as_str());
        if bare { format!("{address}\n") } else { format!("{inner} -> {address}\n") }
    };
    found.iter().map(line).collect()
}
