//! The stack's file: what it says now, what was accepted last, and what is wrong with it. Whoever goes
//! on without a person asks here, for a broken file stops nothing that runs.

use super::paint::printable;
use super::place::Place;
use crate::config::{self, InvalidFile, LoadRequest, Loaded};
use crate::host::group;
use crate::host::kept::Kept;
use crate::model::status::FileStatus;

/// A stack that can be run, and what speaks against the file as it is now.
#[derive(Clone)]
pub(super) struct Reading {
    /// How the stack was read.
    pub request: LoadRequest,
    /// The stack.
    pub loaded: Loaded,
    /// What is wrong with the file now: the stack is then the one that was accepted last.
    pub invalid: Option<InvalidFile>,
}

/// Reads a file as it is now, and finds whom it names on this machine.
pub(super) fn load(request: &LoadRequest) -> Result<Loaded, InvalidFile> {
    let loaded = config::load(request)?;
    let group = loaded.stack.daemon().group.as_deref();
    match &loaded.unknown_group {
        Some(problem) if group.is_some_and(|name| group::find(name).is_none()) => {
            Err(InvalidFile { file: request.file.clone(), problems: vec![problem.clone()], files: loaded.files })
        }
        _ => Ok(loaded),
    }
}

/// Reads the file as it is now. Where it can't be used, what was accepted last is read instead; where
/// nothing was, the file's own problems are returned.
pub(super) fn read(now: LoadRequest, kept: Option<&Kept>) -> Result<Reading, InvalidFile> {
    let invalid = match load(&now) {
        Ok(loaded) => return Ok(Reading { request: now, loaded, invalid: None }),
        Err(invalid) => invalid,
    };
    let Some(request) = kept.and_then(|kept| accepted(&now, kept)) else { return Err(invalid) };
    // Whatever else it needs was there then, and is asked for where it is used.
    match config::load(&request) {
        Ok(loaded) => Ok(Reading { request, loaded, invalid: Some(invalid) }),
        Err(_) => Err(invalid),
    }
}

/// Reads what was accepted last, and what speaks against the file as it is now; the file itself where
/// nothing is remembered of it.
pub(super) fn resume(now: LoadRequest, kept: &Kept) -> Result<Reading, InvalidFile> {
    let remembered = accepted(&now, kept).and_then(|request| Some((config::load(&request).ok()?, request)));
    match remembered {
        Some((loaded, request)) => Ok(Reading { request, loaded, invalid: load(&now).err() }),
        None => read(now, None),
    }
}

/// How what was accepted last is read again: from memory, under the surroundings of that time.
fn accepted(now: &LoadRequest, kept: &Kept) -> Option<LoadRequest> {
    let memory = (!kept.snapshot.is_empty()).then(|| kept.snapshot.clone());
    memory.map(|memory| LoadRequest { memory: Some(memory), ..surroundings(kept, now.file.with_file_name(&kept.file)) })
}

/// The surroundings of the last `up`, for reading `file`.
pub(super) fn surroundings(kept: &Kept, file: std::path::PathBuf) -> LoadRequest {
    LoadRequest {
        file,
        name: kept.name.clone(),
        profiles: kept.profiles.clone(),
        environment: kept.environment.clone(),
        env_files: kept.env_files.clone(),
        ..LoadRequest::default()
    }
}

/// What a user is shown of the file.
pub(super) fn status(place: &Place, invalid: Option<&InvalidFile>) -> FileStatus {
    let problems = invalid.map(|invalid| invalid.problems.as_slice()).unwrap_or_default();
    let errors = problems.iter().filter_map(|problem| serde_json::to_value(problem).ok()).collect();
    FileStatus { ok: invalid.is_none(), errors, ..FileStatus::applied(place.file.display().to_string()) }
}

/// What is said of a file that can't be used, with the first that is wrong with it.
pub(super) fn unusable(file: &FileStatus) -> String {
    let name = std::path::Path::new(&file.path).file_name().map(|name| name.to_string_lossy().into_owned());
    let first = file.errors.first().and_then(|error| error["message"].as_str());
    let why = first.map(|words| format!(": {}", printable(words))).unwrap_or_default();
    let name = name.unwrap_or_default();
    format!("{name} can't be used{why}. The last accepted one is kept; `witwd check` shows what is wrong.")
}
