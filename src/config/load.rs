//! The stages of reading a stack, in order.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::name::{StackName, WorkloadName};
use crate::model::stack::{Stack, StackParts, Volume};

use super::catalog::{Catalog, Facts};
use super::diagnostics::Diagnostics;
use super::draft::{Draft, Owner};
use super::extends::{Expanded, Expansion, expand, named};
use super::files::Files;
use super::job::job;
use super::node::{Entry, Node, Table, Value};
use super::postgres::{facts, postgres};
use super::reader::{Context, Reader};
use super::scope::Scope;
use super::service::service;
use super::sources::{self, Sources};
use super::suggest::near_name;
use super::{InvalidFile, LoadRequest, Loaded, Problem, check, not_yet, renamed, show, suggest, top};

/// Reads, merges, interpolates and validates a stack. It reads files and nothing else: no engine is
/// asked, nothing is written.
pub fn load(request: &LoadRequest) -> Result<Loaded, InvalidFile> {
    let (diagnostics, files) = (Diagnostics::default(), Files::of(request));
    diagnostics.add_source(&request.file, "");
    let environment = sources::environment(request, &diagnostics, &files);
    let mut scope = Scope::new(&diagnostics, &environment);
    let sources = sources::read(request, &scope, &files);
    if diagnostics.has_syntax_errors() || (diagnostics.has_errors() && sources.tree.is_empty()) {
        return Err(invalid(request, &diagnostics, &files));
    }
    let loading = Loading { request, sources: &sources, diagnostics: &diagnostics, files: &files };
    let whole = loading.whole(&mut scope);
    if let Some(whole) = &whole {
        sources::check_profiles(request, &sources, &whole.listed, &diagnostics);
    }
    match whole {
        Some(whole) if !diagnostics.has_errors() => {
            let loaded = loading.finish(whole, &scope);
            loaded.ok_or_else(|| invalid(request, &diagnostics, &files))
        }
        _ => Err(invalid(request, &diagnostics, &files)),
    }
}

fn invalid(request: &LoadRequest, diagnostics: &Diagnostics, files: &Files) -> InvalidFile {
    InvalidFile { file: request.file.clone(), problems: diagnostics.finish().0, files: files.asked() }
}

struct Loading<'a> {
    request: &'a LoadRequest,
    sources: &'a Sources,
    diagnostics: &'a Diagnostics,
    files: &'a Files,
}

/// A workload that is to be read.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    kind: &'static str,
    name: &'a str,
    names: Names<'a>,
}

/// The name of the stack, and the one that its data lies under.
type Names<'a> = (&'a StackName, &'a StackName);

/// What was read, before it is a [`Stack`].
struct Whole {
    parts: StackParts,
    drafts: Vec<Draft>,
    document: serde_json::Value,
    listed: BTreeSet<String>,
    unknown_group: Option<Problem>,
}

impl<'a> Loading<'a> {
    fn context<'s>(&'s self, scope: &'s Scope<'s>, diagnostics: &'s Diagnostics) -> Context<'s> {
        let file = Files::absolute(&self.request.file);
        Context {
            scope,
            diagnostics,
            files: self.files,
            directory: file.parent().map(Files::canonical).unwrap_or_default(),
            host_paths: Vec::new(),
            volumes: named(&self.sources.tree, "volumes").into_keys().collect(),
            secrets: BTreeMap::new(),
        }
    }

    /// Reads everything; `None` where there is not even a name to go on with.
    fn whole(&self, scope: &mut Scope<'a>) -> Option<Whole> {
        let tree = &self.sources.tree;
        let place = super::diagnostics::Place::default();
        let name = {
            let cx = self.context(scope, self.diagnostics);
            top::name(&Reader::of_table(&cx, "stack", "", tree, place), self.request.name.as_deref())
        };
        let stand_in: StackName = "demo".parse().ok()?;
        let stack = name.unwrap_or(stand_in);
        scope.name = Some(stack.to_string());
        scope.profile = self.sources.profiles.join(",");
        let expansion = expand(tree, scope);
        let renamed_from = {
            let cx = self.context(scope, self.diagnostics);
            top::renamed_from(&Reader::of_table(&cx, "stack", "", tree, place), self.request.name.as_deref(), &stack)
        };
        let data_name = renamed_from.as_ref().unwrap_or(&stack);
        scope.catalog = Some(self.catalog(scope, &expansion, data_name));
        let mut cx = self.context(scope, self.diagnostics);
        let root = Reader::of_table(&cx, "stack", "", tree, place);
        root.text("name");
        let (host_paths, secrets) = (top::host_paths(&root), top::secrets(&root));
        cx.host_paths = host_paths;
        cx.secrets.clone_from(&secrets);
        let root = Reader::of_table(&cx, "stack", "", tree, place);
        top::requires(&root);
        let mut volumes = top::volumes(&root);
        let drafts = self.drafts(&cx, &root, &expansion, (&stack, data_name));
        let postgres = named(tree, "postgres");
        let declared = expansion.services.keys().chain(expansion.jobs.keys()).chain(postgres.keys()).cloned().collect();
        check::check(&drafts, &declared, self.diagnostics);
        renamed::declare(&mut volumes, &drafts, self.diagnostics);
        check::renamed_volumes(&volumes, &drafts, &root, self.diagnostics);
        let (daemon, unknown_group) = top::daemon(&root);
        for key in ["name", "include", "host_paths", "secrets", "renamed_from"] {
            root.entry(key);
        }
        root.list("include");
        let document = show::document(&root, &expansion, &stack);
        root.finish();
        let directory = cx.directory.clone();
        let profiles = self.sources.profiles.clone();
        let parts =
            StackParts { name: stack, renamed_from, directory, profiles, workloads: Vec::new(), volumes, secrets, daemon };
        Some(Whole { parts, drafts, document, listed: listed_profiles(&expansion, tree, &cx), unknown_group })
    }

    /// What references may mean. Problems are left for the reading in earnest.
    fn catalog(&self, scope: &Scope<'_>, expansion: &Expansion, data_name: &StackName) -> Catalog {
        let silent = Diagnostics::default();
        let mut inner = Scope::new(&silent, scope.environment);
        inner.name.clone_from(&scope.name);
        inner.profile.clone_from(&scope.profile);
        let cx = self.context(&inner, &silent);
        let postgres = named(&self.sources.tree, "postgres")
            .into_iter()
            .map(|(name, entry)| {
                let facts = facts(&Reader::new(&cx, "none", name.as_str(), &entry.node), data_name.as_str());
                (name, facts)
            })
            .collect();
        let services = expansion
            .services
            .iter()
            .map(|(name, expanded)| {
                let reader = Reader::new(&cx, "none", name.as_str(), &expanded.entry.node);
                let port = reader.port("port").or_else(|| super::ports::ports(&reader).first().map(|(port, _)| port.container));
                (name.clone(), port)
            })
            .collect();
        Catalog {
            postgres,
            services,
            jobs: expansion.jobs.keys().cloned().collect(),
            secrets: named(&self.sources.tree, "secrets").into_keys().collect(),
        }
    }

    fn drafts<'c>(&self, cx: &'c Context<'c>, root: &Reader<'c>, expansion: &'c Expansion, names: Names<'_>) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for key in ["services", "postgres", "jobs"] {
            root.entries(key, &format!("write `[{key}.NAME]`"));
        }
        for (name, expanded) in &expansion.services {
            drafts.extend(self.one(cx, Wanted { kind: "service", name, names }, expanded));
        }
        for (name, entry) in named(&self.sources.tree, "postgres") {
            let expanded = Expanded::alone(&name, entry);
            drafts.extend(self.one(cx, Wanted { kind: "postgres", name: &name, names }, &expanded));
        }
        for (name, expanded) in &expansion.jobs {
            drafts.extend(self.one(cx, Wanted { kind: "job", name, names }, expanded));
        }
        drafts
    }

    fn one(&self, cx: &Context<'_>, wanted: Wanted<'_>, expanded: &Expanded) -> Option<Draft> {
        let Entry { key, node } = &expanded.entry;
        let Wanted { kind, name, names: (stack, data_name) } = wanted;
        let parsed = name.parse::<WorkloadName>();
        if let Err(error) = &parsed {
            self.diagnostics.error(*key, error.to_string(), near_name::<WorkloadName>(name));
        }
        let is_named = parsed.is_ok();
        let name_or = parsed.or_else(|_| "unnamed".parse()).ok()?;
        let owner = Owner { name: name_or, place: *key, stack, data_name, expanded, profiles: &self.sources.profiles };
        cx.scope.uses.take();
        let (table, read): (_, fn(Reader<'_>, &Owner<'_>) -> Option<Draft>) = match kind {
            "service" => ("services", service),
            "job" => ("jobs", job),
            _ => ("postgres", postgres),
        };
        let draft = read(Reader::new(cx, kind, format!("{table}.{name}"), node), &owner);
        cx.scope.dormant.set(false);
        draft.filter(|_| is_named)
    }

    fn finish(&self, whole: Whole, scope: &Scope<'_>) -> Option<Loaded> {
        let Whole { mut parts, drafts, mut document, unknown_group, .. } = whole;
        let postgres = scope.catalog.iter().flat_map(|catalog| catalog.postgres.values());
        let passwords: Vec<String> = postgres.flat_map(Facts::password_in_clear).collect();
        show::hide_passwords(&mut document, &passwords);
        let not_carried_out = not_yet::sentences(&parts, &drafts);
        let mut definitions = BTreeMap::new();
        for draft in drafts.into_iter().filter(|draft| draft.active) {
            let (mut workload, mut definition) = (draft.workload, draft.definition);
            show::hide_passwords(&mut definition, &passwords);
            workload.dependencies = draft.depends.into_iter().map(|(dependency, _)| dependency).collect();
            workload.dependencies.sort();
            definitions.insert(workload.name.clone(), definition);
            if let Some(postgres) = workload.postgres().filter(|postgres| !postgres.is_external()) {
                parts.volumes.entry(postgres.volume.clone()).or_insert_with(Volume::default);
            }
            parts.workloads.push(workload);
        }
        let stack = Stack::new(parts)
            .map_err(|error| {
                self.diagnostics.error(
                    super::diagnostics::Place::default(),
                    error.to_string(),
                    "a fault of witwd: please report it with this file",
                );
            })
            .ok()?;
        Some(Loaded {
            stack,
            warnings: self.diagnostics.finish().1,
            not_carried_out,
            env_origins: scope.environment.origins.take(),
            mentioned: sources::mentioned(&self.sources.tree),
            files: self.files.asked(),
            unknown_group,
            snapshot: self.files.answers(),
            definitions,
            document,
        })
    }
}

/// Every profile that a workload lists.
fn listed_profiles(expansion: &Expansion, tree: &Table, cx: &Context<'_>) -> BTreeSet<String> {
    let services = expansion.services.values().map(|expanded| &expanded.entry);
    let jobs = expansion.jobs.values().map(|expanded| &expanded.entry);
    let postgres = named(tree, "postgres");
    let entries = services.chain(jobs).chain(postgres.values().copied());
    let mut listed = BTreeSet::new();
    for node in entries.filter_map(|entry| entry.node.as_table()?.get("profiles")).map(|entry| &entry.node) {
        let Value::List(items) = &node.value else { continue };
        listed.extend(items.iter().filter_map(|item| text(item, cx)));
    }
    if listed.contains("none") {
        let place = super::diagnostics::Place::default();
        cx.diagnostics.error(
            place,
            "a profile can't be named `none`",
            suggest::did_you_mean("none", [], "`--profile none` means: no profile"),
        );
    }
    listed
}

fn text(node: &Node, cx: &Context<'_>) -> Option<String> {
    let Value::Text(raw) = &node.value else { return None };
    cx.scope.text(raw, node.place)
}
