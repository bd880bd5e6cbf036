//! `schema`: the JSON schema of stack.toml.

use clap::Args;

use super::Done;
use super::assembly;
use super::context::Context;
use super::exit_code::Exit;

/// Flags of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd schema > stack.schema.json")]
pub struct SchemaArgs {}

pub(super) fn run(context: &Context, _: &SchemaArgs) -> Done {
    context.output.data(assembly::schema())?;
    Ok(Exit::Done)
}
