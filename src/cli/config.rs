//! `config`: the stack as it is after profiles, includes and interpolation. Secrets stay holes.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::Done;
use super::context::Context;
use super::exit_code::Exit;
use super::output::Output;
use super::paint::{Ink, paint};
use super::table::table;
use crate::config::{EnvOrigin, Loaded, resolved};

/// Flags of `config`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  witwd --profile prod config --origin")]
pub struct ConfigArgs {
    /// Where each ${env.NAME} came from
    #[arg(long)]
    origin: bool,
}

pub(super) fn run(context: &Context, args: &ConfigArgs) -> Done {
    let place = context.place()?;
    let loaded = context.look(&place)?;
    if context.output.json {
        context.output.document(&document(&loaded))?;
    } else if args.origin {
        context.output.data(&origins_text(&loaded, Output::width().unwrap_or(usize::MAX), context.output.color()))?;
    } else {
        context.output.data(&text(&loaded))?;
    }
    Ok(Exit::Done)
}

fn document(loaded: &Loaded) -> Value {
    let origins: serde_json::Map<String, Value> =
        loaded.env_origins.iter().map(|(name, origin)| (name.clone(), origin_text(origin).into())).collect();
    // What would be read if it were there is not part of the stack.
    let files: Vec<_> = loaded.files.iter().filter(|file| file.is_file()).collect();
    json!({
        "v": 1,
        "stack": loaded.stack.name(),
        "profiles": loaded.stack.profiles(),
        "files": files,
        "document": loaded.document,
        "origins": origins,
    })
}

fn text(loaded: &Loaded) -> String {
    let mut text = format!("# stack {}", loaded.stack.name());
    if !loaded.stack.profiles().is_empty() {
        let _ = write!(text, ", profiles {}", loaded.stack.profiles().join(", "));
    }
    text + "\n" + &resolved(loaded)
}

fn origins_text(loaded: &Loaded, width: usize, color: bool) -> String {
    if loaded.env_origins.is_empty() {
        return paint(color, Ink::Dim, "the file mentions no ${env.…}") + "\n";
    }
    let row = |(name, origin): (&String, &EnvOrigin)| vec![(name.clone(), Ink::Plain), (origin_text(origin), Ink::Plain)];
    let rows: Vec<_> = loaded.env_origins.iter().map(row).collect();
    table(&["NAME", "FROM"], &rows, width, color).join("\n") + "\n"
}

fn origin_text(origin: &EnvOrigin) -> String {
    match origin {
        EnvOrigin::Environment => "the environment".to_owned(),
        EnvOrigin::Kept => "kept of the environment of the last `up`".to_owned(),
        EnvOrigin::File(path) => path.display().to_string(),
        EnvOrigin::Default => "the default in the file".to_owned(),
    }
}
