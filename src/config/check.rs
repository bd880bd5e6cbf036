//! What can be wrong between workloads: names, dependencies, ports, data directories.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::container::PublishedPort;
use crate::model::job::{Job, JobRun};
use crate::model::name::{VolumeName, WorkloadName};
use crate::model::stack::Volume;
use crate::model::workload::Kind;

use super::diagnostics::{Diagnostics, Place};
use super::draft::Draft;
use super::reader::Reader;
use super::suggest::{did_you_mean, list};

/// Reports everything that is wrong between workloads. `declared` are all names, also of those that
/// could not be read: nothing is said of them twice.
pub(super) fn check(drafts: &[Draft], declared: &BTreeSet<String>, diagnostics: &Diagnostics) {
    names(drafts, diagnostics);
    dependencies(drafts, declared, diagnostics);
    cycles(drafts, diagnostics);
    host_ports(drafts, diagnostics);
    data_volumes(drafts, diagnostics);
}

fn names(drafts: &[Draft], diagnostics: &Diagnostics) {
    let mut seen: BTreeMap<&WorkloadName, &Draft> = BTreeMap::new();
    for draft in drafts {
        if let Some(first) = seen.insert(&draft.workload.name, draft) {
            let kinds = (first.workload.kind_name().as_str(), draft.workload.kind_name().as_str());
            diagnostics.error(
                draft.place,
                format!("`{}` is the name of a {} and of a {}", draft.workload.name, kinds.0, kinds.1),
                "services, postgres and jobs share one namespace: rename one",
            );
        }
    }
}

fn dependencies(drafts: &[Draft], declared: &BTreeSet<String>, diagnostics: &Diagnostics) {
    let find = |name: &WorkloadName| drafts.iter().find(|draft| &draft.workload.name == name);
    for draft in drafts.iter().filter(|draft| draft.active) {
        for (dependency, place) in &draft.depends {
            let on = &dependency.on;
            match find(on) {
                None if declared.contains(on.as_str()) => {}
                None => {
                    let known = || declared.iter().map(String::as_str).filter(|name| *name != draft.workload.name.as_str());
                    let otherwise = match list(known()) {
                        none if none.is_empty() => "there is nothing else in this stack: leave it out".to_owned(),
                        others => format!("this stack has {others}"),
                    };
                    diagnostics.error(
                        *place,
                        format!("there is no service, postgres or job `{on}`"),
                        did_you_mean(on.as_str(), known(), &otherwise),
                    );
                }
                Some(other) if !other.active => diagnostics.error(
                    *place,
                    format!("`{}` depends on `{on}`, which no profile of this run turns on", draft.workload.name),
                    format!("give both the same `profiles`, or take `profiles` away from `{on}`"),
                ),
                Some(other) => manual(draft, other, *place, diagnostics),
            }
        }
    }
}

fn manual(draft: &Draft, other: &Draft, place: Place, diagnostics: &Diagnostics) {
    if matches!(&other.workload.kind, Kind::Job(Job { run: JobRun::Manual, .. })) {
        diagnostics.warning(
            place,
            format!("`{}` waits for `{}`, which runs only by hand", draft.workload.name, other.workload.name),
            "nothing starts it: take the dependency out, or let the job run by itself",
        );
    }
}

/// Reports one circle; the others show once it is mended.
fn cycles(drafts: &[Draft], diagnostics: &Diagnostics) {
    let edges: BTreeMap<&WorkloadName, Vec<(&WorkloadName, Place)>> = drafts
        .iter()
        .filter(|draft| draft.active)
        .map(|draft| (&draft.workload.name, draft.depends.iter().map(|(dependency, place)| (&dependency.on, *place)).collect()))
        .collect();
    let mut done = BTreeSet::new();
    for name in edges.keys() {
        let mut path = Vec::new();
        if let Some(place) = circle(name, &edges, &mut path, &mut done) {
            let names: Vec<&str> = path.iter().map(|name| name.as_str()).collect();
            diagnostics.error(place, format!("dependencies go in a circle: {}", names.join(" -> ")), "take one of them out");
            return;
        }
    }
}

type Edges<'a> = BTreeMap<&'a WorkloadName, Vec<(&'a WorkloadName, Place)>>;

/// The place of the edge that closes a circle; `path` is then the circle. Without recursion: a file
/// may have thousands of services.
fn circle<'a>(
    start: &'a WorkloadName,
    edges: &Edges<'a>,
    path: &mut Vec<&'a WorkloadName>,
    done: &mut BTreeSet<&'a WorkloadName>,
) -> Option<Place> {
    let mut open: Vec<(&WorkloadName, usize)> = vec![(start, 0)];
    while let Some((name, at)) = open.last_mut() {
        let next = edges.get(*name).and_then(|needs| needs.get(*at)).copied();
        *at += 1;
        match next {
            None => {
                done.insert(*name);
                open.pop();
            }
            Some((on, place)) => {
                if let Some(first) = open.iter().position(|(name, _)| *name == on) {
                    path.extend(open[first..].iter().map(|(name, _)| *name).chain([on]));
                    return Some(place);
                }
                if !done.contains(on) {
                    open.push((on, 0));
                }
            }
        }
    }
    None
}

fn host_ports(drafts: &[Draft], diagnostics: &Diagnostics) {
    let mut seen: Vec<(&Draft, &PublishedPort)> = Vec::new();
    for draft in drafts.iter().filter(|draft| draft.active) {
        for (port, place) in &draft.ports {
            if let Some((other, _)) = seen.iter().find(|(_, other)| collide(port, other)) {
                let number = port.host.unwrap_or_default();
                let whose = if other.workload.name == draft.workload.name {
                    "twice".to_owned()
                } else {
                    format!("by `{}` too", other.workload.name)
                };
                let hint = format!(
                    "choose another port of the host: \"{}:{}\", or \"auto:{}\"",
                    number.saturating_add(1),
                    port.container,
                    port.container
                );
                diagnostics.error(*place, format!("port {number} of the host is published {whose}"), hint);
            }
            seen.push((draft, port));
        }
    }
}

fn collide(one: &PublishedPort, other: &PublishedPort) -> bool {
    let addresses = one.address == other.address || one.address.is_unspecified() || other.address.is_unspecified();
    one.host.is_some() && one.host == other.host && one.protocol == other.protocol && addresses
}

/// The old name of a volume that was renamed is nobody else's: two would share its data unawares.
/// `root` is the whole file.
pub(super) fn renamed_volumes(
    volumes: &BTreeMap<VolumeName, Volume>,
    drafts: &[Draft],
    root: &Reader<'_>,
    diagnostics: &Diagnostics,
) {
    let mut seen: BTreeMap<&VolumeName, &VolumeName> = BTreeMap::new();
    for (name, volume) in volumes {
        let Some(old) = &volume.renamed_from else { continue };
        let is_data = |draft: &&Draft| draft.active && draft.workload.postgres().is_some_and(|postgres| &postgres.volume == old);
        let user = drafts.iter().find(is_data).map(|draft| format!("`postgres.{}`", draft.workload.name));
        let first = seen.insert(old, name).map(|first| format!("volume `{first}`"));
        let listed = volumes.contains_key(old).then(|| format!("volume `{old}`"));
        if let Some(other) = user.or(first).or(listed) {
            let message = format!("volume `{name}` would have the data of `{old}`, and so would {other}");
            diagnostics.error(renaming(name, drafts, root), message, "take `renamed_from` or the other one away");
        }
    }
}

/// Where it stands that a volume is renamed: with itself, or with the postgres whose data it is.
fn renaming(name: &VolumeName, drafts: &[Draft], root: &Reader<'_>) -> Place {
    let with_itself = || {
        let volume = root.node("volumes")?.as_table()?.get(name.as_str())?;
        Some(volume.node.as_table()?.get("renamed_from")?.node.place)
    };
    let is_of = |draft: &&Draft| draft.workload.postgres().is_some_and(|postgres| &postgres.volume == name);
    let with_postgres = || drafts.iter().filter(is_of).find_map(|draft| draft.old_volume.as_ref()).map(|(_, place)| *place);
    with_itself().or_else(with_postgres).unwrap_or(root.place)
}

fn data_volumes(drafts: &[Draft], diagnostics: &Diagnostics) {
    let mut seen: BTreeMap<&VolumeName, &WorkloadName> = BTreeMap::new();
    for draft in drafts.iter().filter(|draft| draft.active) {
        let Some(postgres) = draft.workload.postgres().filter(|postgres| !postgres.is_external()) else { continue };
        if let Some(first) = seen.insert(&postgres.volume, &draft.workload.name) {
            diagnostics.error(
                draft.place,
                format!("`{first}` and `{}` would write the same data: volume `{}`", draft.workload.name, postgres.volume),
                "give each a `volume` of its own",
            );
        }
    }
}
