//! `init`: a first stack.toml from what is in the directory. What is written is decided in
//! [`proposal`], from [`facts`] alone.

mod compose;
mod compose_service;
mod compose_values;
mod facts;
mod proposal;
mod recognise;
#[cfg(test)]
mod tests;
mod text;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::Done;
use super::context::{Context, environment, working_directory};
use super::exit_code::{Exit, Failure};
use crate::config::{self, LoadRequest};
use facts::Facts;
use proposal::{Proposal, propose};

/// Flags of `init`.
#[derive(Debug, Args)]
#[command(
    after_help = "Recognises a compose file, a Dockerfile, a Procfile, Django, Rails, Node, Go, Rust and Python. Lines that \
                        .gitignore and .dockerignore lack are added to them. A stack.toml that is there is left alone.\n\n\
                        Examples:\n  witwd init            write stack.toml here\n  \
                        witwd init --print    only show it"
)]
pub struct InitArgs {
    /// Show the file and write nothing
    #[arg(long)]
    print: bool,
}

pub(super) fn run(context: &Context, args: &InitArgs) -> Done {
    let named = context.globals.file.clone().unwrap_or_else(|| "stack.toml".into());
    let file = working_directory()?.join(named);
    let directory = file.parent().unwrap_or(Path::new("/")).canonicalize();
    let directory = directory.map_err(|error| Failure::of(Exit::Usage, "failed to find the directory of the file", &error))?;
    let facts = Facts::of(&directory)?;
    let proposal = propose(&facts, context.globals.name.as_deref()).map_err(|message| {
        Failure::new(Exit::Failed, message)
            .hint("mend it, or move it aside: without it, `init` looks at the rest of the directory")
    })?;
    if args.print {
        return show(context, &file, &proposal, false);
    }
    create(&file, &proposal.text)?;
    for (name, lines) in [(".gitignore", &proposal.gitignore), (".dockerignore", &proposal.dockerignore)] {
        let path = directory.join(name);
        append_missing(&path, lines)
            .map_err(|error| Failure::of(Exit::Failed, &format!("failed to write {}", path.display()), &error))?;
    }
    show(context, &file, &proposal, true)
}

/// Writes a file that is not there yet.
fn create(file: &Path, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    let written = opened.and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new(Exit::Failed, format!("{} is there already; nothing was changed", file.display()))
                .hint("`witwd check` says what is wrong with it, `witwd init --print` shows what would be written")
        }
        _ => Failure::of(Exit::Failed, &format!("failed to write {}", file.display()), &error),
    })
}

/// Adds the lines that a file lacks at its end; what is in it stays byte for byte.
fn append_missing(path: &Path, lines: &[&str]) -> io::Result<()> {
    let before = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    let added = missing(&before, lines);
    if added.is_empty() {
        return Ok(());
    }
    OpenOptions::new().append(true).create(true).open(path)?.write_all(added.as_bytes())
}

/// What is to be added to a file of ignored paths, with the line ends that it has.
fn missing(before: &[u8], lines: &[&str]) -> String {
    let text = String::from_utf8_lossy(before);
    let plain = |line: &str| line.trim().trim_matches('/').to_owned();
    let has = |line: &str| text.lines().any(|own| plain(own) == plain(line));
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let added = lines.iter().filter(|line| !has(line)).fold(String::new(), |added, line| added + line + end);
    let gap = if text.is_empty() || text.ends_with('\n') || added.is_empty() { "" } else { end };
    format!("{gap}{added}")
}

fn show(context: &Context, file: &Path, proposal: &Proposal, written: bool) -> Done {
    let output = context.output;
    let mut notes = proposal.notes.clone();
    if written {
        notes.extend(open_problems(file));
    }
    if output.json {
        let ignore = json!({ ".gitignore": proposal.gitignore, ".dockerignore": proposal.dockerignore });
        let document =
            json!({ "v": 1, "file": file, "written": written, "text": proposal.text, "ignore": ignore, "notes": notes });
        output.document(&document)?;
        return Ok(Exit::Done);
    }
    if !written {
        output.data(&proposal.text)?;
    }
    for note in &notes {
        output.note(&format!("note: {note}"));
    }
    if written {
        output.note(&format!("wrote {}; look at it, then `witwd up`", file.display()));
    }
    Ok(Exit::Done)
}

/// What a person has to mend before the file that was written can be used: variables that the compose file
/// demands, for example.
fn open_problems(file: &Path) -> Vec<String> {
    let request = LoadRequest { file: file.to_owned(), environment: environment(), ..LoadRequest::default() };
    let problems = config::load(&request).err().map(|invalid| invalid.problems).unwrap_or_default();
    problems.iter().map(|problem| format!("line {}: {}", problem.line, problem.message)).collect()
}
