//! The files of a stack: the file itself, what it includes, its profiles, the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::diagnostics::{Diagnostics, Place};
use super::dotenv;
use super::files::{Files, MISSING, normal};
use super::interpolate::env_names;
use super::node::{self, Node, Table, Value};
use super::scope::{Environment, Scope};
use super::suggest::did_you_mean;
use super::{EnvOrigin, LoadRequest};

/// How deep files may include one another.
const DEEPEST: usize = 16;

/// The tree of all files of a stack.
pub(super) struct Sources {
    /// All tables, merged.
    pub tree: Table,
    /// The profiles that were asked for, `none` taken out.
    pub profiles: Vec<String>,
    /// Those of them that have a file.
    pub with_file: BTreeSet<String>,
}

/// The variables that `${env.…}` may mean: the caller's, those kept of it, then the files.
pub(super) fn environment(request: &LoadRequest, diagnostics: &Diagnostics, files: &Files) -> Environment {
    let mut layers = vec![(EnvOrigin::Environment, request.environment.clone()), (EnvOrigin::Kept, request.kept.clone())];
    for path in request.env_files.iter().rev() {
        layers.extend(dotenv_file(path, true, diagnostics, files));
    }
    let beside = request.file.parent().map(|parent| parent.join(".env")).unwrap_or_default();
    layers.extend(dotenv_file(&beside, false, diagnostics, files));
    Environment { layers, ..Environment::default() }
}

fn dotenv_file(
    path: &Path,
    needed: bool,
    diagnostics: &Diagnostics,
    files: &Files,
) -> Option<(EnvOrigin, BTreeMap<String, String>)> {
    match files.text(path) {
        Ok(text) => {
            let file = diagnostics.add_source(path, &text);
            Some((EnvOrigin::File(path.to_owned()), dotenv::parse(&text, file, diagnostics)))
        }
        Err(why) if why == MISSING && !needed => None,
        Err(why) => {
            let file = diagnostics.add_source(path, "");
            let message = format!("the environment file can't be read: {why}");
            diagnostics.error(
                Place { file, ..Place::default() },
                message,
                "it is read as you: see who may, and that it is a text",
            );
            None
        }
    }
}

/// Reads the stack's file, what it includes and the files of its profiles.
pub(super) fn read(request: &LoadRequest, scope: &Scope<'_>, files: &Files) -> Sources {
    let mut loader = Loader { scope, files, open: Vec::new(), done: BTreeSet::new() };
    let mut tree = loader.file(&request.file, None).unwrap_or_default();
    let profiles: Vec<String> = request.profiles.iter().filter(|profile| *profile != "none").cloned().collect();
    let mut with_file = BTreeSet::new();
    for profile in &profiles {
        let path = profile_file(&request.file, profile);
        if is_profile(profile) && files.exists(&path) {
            with_file.insert(profile.clone());
            node::overlay(&mut tree, loader.file(&path, None).unwrap_or_default());
        }
    }
    Sources { tree, profiles, with_file }
}

/// `stack.prod.toml` beside `stack.toml`.
pub(super) fn profile_file(file: &Path, profile: &str) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}.{profile}.toml"))
}

fn is_profile(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// Reports profiles that neither have a file nor turn anything on.
pub(super) fn check_profiles(request: &LoadRequest, sources: &Sources, listed: &BTreeSet<String>, diagnostics: &Diagnostics) {
    for profile in sources.profiles.iter().filter(|profile| !sources.with_file.contains(*profile) && !listed.contains(*profile)) {
        let file = profile_file(&request.file, profile);
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hint = did_you_mean(
            profile,
            listed.iter().map(String::as_str),
            &format!("make {name}, or list {profile:?} in the `profiles` of a service"),
        );
        diagnostics.error(
            Place::default(),
            format!("the profile `{profile}` does nothing: there is no {name}, and nothing lists it in `profiles`"),
            hint,
        );
    }
}

struct Loader<'a> {
    scope: &'a Scope<'a>,
    files: &'a Files,
    open: Vec<PathBuf>,
    done: BTreeSet<PathBuf>,
}

impl Loader<'_> {
    /// The tables of a file and of what it includes. `named` is the place that asks for it.
    fn file(&mut self, path: &Path, named: Option<Place>) -> Option<Table> {
        let diagnostics = self.scope.diagnostics;
        let real = Files::canonical(&Files::absolute(path));
        let text = match self.files.text(path) {
            Ok(text) => text,
            Err(why) => {
                let place = named.unwrap_or_else(|| Place { file: diagnostics.add_source(path, ""), ..Place::default() });
                let hint = match named {
                    None if why == MISSING => "`-f FILE` names another file",
                    None => "it is read as you, and is a text in UTF-8 of at most 1 MiB",
                    Some(_) => "a path in `include` is meant from the file that names it",
                };
                let what = if named.is_some() { path.display().to_string() } else { "the file".to_owned() };
                diagnostics.error(place, format!("{what} can't be read: {why}"), hint);
                return None;
            }
        };
        if !self.done.insert(real.clone()) {
            return None;
        }
        let file = diagnostics.add_source(path, &text);
        let mut table = node::parse(&text, file, diagnostics);
        self.open.push(real);
        for (wanted, place) in self.included(&table) {
            let target = normal(&path.parent().unwrap_or_else(|| Path::new("")).join(wanted));
            if self.open.contains(&Files::canonical(&Files::absolute(&target))) {
                diagnostics.error(place, "this file includes itself", "take it out of `include`");
            } else if self.open.len() > DEEPEST {
                let message = format!("files include one another deeper than {DEEPEST}");
                diagnostics.error(place, message, "include the last of them from stack.toml itself");
            } else if let Some(more) = self.file(&target, Some(place)) {
                node::join(&mut table, more, diagnostics);
            }
        }
        self.open.pop();
        if named.is_some() {
            table.remove("include");
        }
        Some(table)
    }

    /// What `include` names; what else stands there is reported when the tree is read.
    fn included(&self, table: &Table) -> Vec<(String, Place)> {
        match table.get("include").map(|entry| &entry.node.value) {
            Some(Value::List(items)) => items.iter().filter_map(|item| self.text(item)).collect(),
            _ => Vec::new(),
        }
    }

    fn text(&self, node: &Node) -> Option<(String, Place)> {
        let Value::Text(raw) = &node.value else { return None };
        Some((self.scope.text(raw, node.place)?, node.place))
    }
}

/// Names of `${env.…}` that the merged files of a stack mention, in defaults too.
pub fn mentioned(tree: &Table) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect_table(tree, &mut names);
    names
}

fn collect_table(table: &Table, names: &mut BTreeSet<String>) {
    for entry in table.values() {
        collect(&entry.node, names);
    }
}

fn collect(node: &Node, names: &mut BTreeSet<String>) {
    match &node.value {
        Value::Text(raw) => names.extend(env_names(raw)),
        Value::List(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Table(table) => collect_table(table, names),
        _ => {}
    }
}
