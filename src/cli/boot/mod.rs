//! What starts a stack at boot: a unit of systemd, of the user or of the system, or an agent of launchd.

mod launchd;
mod systemd;
mod unit;

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::background::own_path;
use super::context::{Context, chosen_profiles};
use super::exit_code::{Exit, Failure};
use super::place::Place;
use crate::host::kept::Kept;

pub(super) use launchd::agent;
pub(super) use systemd::{Installed, Systemd, unit_of};
pub(super) use unit::Unit;

/// Variables that say where the engine is and where programs are found: a service manager has its own.
const CARRIED: [&str; 6] = ["PATH", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "WITWD_RUNTIME_DIR", "WITWD_LOG"];

/// As whom a stack is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// By the service manager of the user who asks.
    User,
    /// By that of the system, as root.
    Root,
    /// By that of the system, as the owner of the stack's directory.
    Owner(u32),
}

/// What is started at boot, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boot {
    /// The name of the stack.
    pub stack: String,
    /// The directory of its file.
    pub directory: PathBuf,
    /// As whom.
    pub owner: As,
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What it finds in its environment.
    pub environment: Vec<(String, String)>,
}

impl Boot {
    /// The daemon of this stack as the last `up` asked for it, by this program.
    pub(super) fn of(context: &Context, place: &Place, kept: Option<&Kept>) -> Result<Self, Failure> {
        let stack = match kept {
            Some(kept) => kept.stack.clone(),
            None => context.look(place)?.stack.name().to_string(),
        };
        let carried = CARRIED.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
        Ok(Self {
            stack,
            directory: place.directory.clone(),
            owner: owner(place)?,
            words: daemon_words(context, place, kept)?,
            environment: carried.collect(),
        })
    }
}

/// Root acts for the system: as the owner of the directory, whose files a daemon of root would take away.
fn owner(place: &Place) -> Result<As, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Ok(As::User);
    }
    let facts = std::fs::metadata(&place.directory)
        .map_err(|error| Failure::of(Exit::Failed, &format!("failed to look at {}", place.directory.display()), &error))?;
    Ok(if facts.uid() == 0 { As::Root } else { As::Owner(facts.uid()) })
}

fn daemon_words(context: &Context, place: &Place, kept: Option<&Kept>) -> Result<Vec<String>, Failure> {
    let mut words = vec![text(own_path()?)?, "--file".to_owned(), text(place.file.clone())?];
    let name = context.globals.name.clone().or_else(|| kept.and_then(|kept| kept.name.clone()));
    words.extend(name.into_iter().flat_map(|name| ["--name".to_owned(), name]));
    let profiles = chosen_profiles(&context.globals.profiles, kept);
    words.extend(profiles.into_iter().flat_map(|profile| ["--profile".to_owned(), profile]));
    words.push("daemon".to_owned());
    Ok(words)
}

/// Service managers read text.
fn text(path: PathBuf) -> Result<String, Failure> {
    let refused = |path: PathBuf| {
        let words = format!("{} can't stand in the file of a service manager", path.display());
        Failure::new(Exit::Failed, words).hint("a path of letters, digits, spaces and common signs can")
    };
    match path.to_str() {
        Some(text) if !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(refused(path)),
    }
}

#[cfg(test)]
mod tests;
