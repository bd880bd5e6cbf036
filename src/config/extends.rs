//! `extends`: the keys of a service that another service or a job takes over, merged as a profile
//! is.

use std::collections::BTreeMap;

use super::diagnostics::Diagnostics;
use super::node::{Entry, Node, Table, Value, overlay};
use super::scope::Scope;
use super::suggest::did_you_mean;

/// What is taken over by a service. A job takes over the same, but for `depends_on`.
const TAKEN: [&str; 14] = [
    "image",
    "build",
    "fallback",
    "pull",
    "platform",
    "env",
    "env_files",
    "secrets",
    "volumes",
    "tmpfs",
    "user",
    "workdir",
    "resources",
    "hardening",
];

/// How many services may extend one another in a row.
const DEEPEST: usize = 32;

/// A workload after `extends`.
#[derive(Debug, Clone)]
pub(super) struct Expanded {
    /// The workload, with what it took over.
    pub entry: Entry,
    /// Whose `build` it is: the image is built once, under the name of this service.
    pub builder: String,
    /// The same of its `fallback`.
    pub fallback_builder: String,
}

impl Expanded {
    /// A workload that extends nothing.
    pub fn alone(name: &str, entry: &Entry) -> Self {
        Self { entry: entry.clone(), builder: name.to_owned(), fallback_builder: name.to_owned() }
    }
}

/// The services and jobs after `extends`, by name.
pub(super) struct Expansion {
    /// The services.
    pub services: BTreeMap<String, Expanded>,
    /// The jobs.
    pub jobs: BTreeMap<String, Expanded>,
}

/// Carries out every `extends`. What it names wrongly is reported.
pub(super) fn expand(tree: &Table, scope: &Scope<'_>) -> Expansion {
    let services = named(tree, "services");
    let mut done = BTreeMap::new();
    for name in services.keys() {
        service(name, &services, scope, &mut done, &mut Vec::new());
    }
    let jobs = named(tree, "jobs").into_iter().map(|(name, entry)| (name.clone(), job(&name, entry, &done, scope))).collect();
    Expansion { services: done, jobs }
}

/// The entries of a table of names, without those that begin with `x-`.
pub(super) fn named<'a>(tree: &'a Table, key: &str) -> BTreeMap<String, &'a Entry> {
    let table = tree.get(key).and_then(|entry| entry.node.as_table());
    table.into_iter().flatten().filter(|(name, _)| !name.starts_with("x-")).map(|(name, entry)| (name.clone(), entry)).collect()
}

fn extended(entry: &Entry, scope: &Scope<'_>) -> Option<(String, super::diagnostics::Place)> {
    let node = &entry.node.as_table()?.get("extends")?.node;
    let Value::Text(raw) = &node.value else { return None };
    Some((scope.text(raw, node.place)?, node.place))
}

fn service(
    name: &str,
    all: &BTreeMap<String, &Entry>,
    scope: &Scope<'_>,
    done: &mut BTreeMap<String, Expanded>,
    path: &mut Vec<String>,
) -> Option<Expanded> {
    if let Some(expanded) = done.get(name) {
        return Some(expanded.clone());
    }
    let entry = *all.get(name)?;
    path.push(name.to_owned());
    let mut expanded = Expanded::alone(name, entry);
    if let Some((base, place)) = extended(entry, scope) {
        if let Some(start) = path.iter().position(|before| *before == base) {
            let circle = path[start..].iter().chain([&base]).map(String::as_str).collect::<Vec<_>>().join(" -> ");
            scope.diagnostics.error(place, format!("`extends` goes in a circle: {circle}"), "let one of them stand on its own");
        } else if path.len() > DEEPEST {
            scope.diagnostics.error(
                place,
                format!("`extends` goes deeper than {DEEPEST} services"),
                "extend the first of them directly",
            );
        } else if let Some(base) = service(&base, all, scope, done, path) {
            take_over(&mut expanded, &base, true, scope.diagnostics);
        } else {
            unknown(&base, place, all.keys(), scope);
        }
    }
    path.pop();
    done.insert(name.to_owned(), expanded.clone());
    Some(expanded)
}

fn job(name: &str, entry: &Entry, services: &BTreeMap<String, Expanded>, scope: &Scope<'_>) -> Expanded {
    let mut expanded = Expanded::alone(name, entry);
    if let Some((base, place)) = extended(entry, scope) {
        match services.get(&base) {
            Some(base) => take_over(&mut expanded, base, false, scope.diagnostics),
            None => unknown(&base, place, services.keys(), scope),
        }
    }
    expanded
}

fn unknown<'a>(base: &str, place: super::diagnostics::Place, services: impl Iterator<Item = &'a String>, scope: &Scope<'_>) {
    let hint = did_you_mean(base, services.map(String::as_str), "`extends` names a service of this stack");
    scope.diagnostics.error(place, format!("there is no service `{base}` to extend"), hint);
}

fn take_over(expanded: &mut Expanded, base: &Expanded, with_dependencies: bool, diagnostics: &Diagnostics) {
    let (Some(own), Some(from)) = (expanded.entry.node.as_table(), base.entry.node.as_table()) else { return };
    let taken = |key: &str| TAKEN.contains(&key) || (with_dependencies && key == "depends_on");
    let mut whole: Table = from.iter().filter(|(key, _)| taken(key)).map(|(key, entry)| (key.clone(), entry.clone())).collect();
    if !own.contains_key("build") && whole.contains_key("build") {
        expanded.builder.clone_from(&base.builder);
    }
    if !own.contains_key("fallback") && whole.contains_key("fallback") {
        expanded.fallback_builder.clone_from(&base.fallback_builder);
    }
    if let Some(image) = own.get("image").filter(|_| !own.contains_key("build") && whole.contains_key("build")) {
        let message = "this image is only the tag of the `build` that `extends` takes over";
        diagnostics.warning(image.key, message, "to run another image, do not extend a service that is built");
    }
    overlay(&mut whole, own.clone());
    expanded.entry.node = Node { place: expanded.entry.node.place, value: Value::Table(whole) };
}
