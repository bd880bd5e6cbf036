//! What of a saved file waits for `witwd up`: where a save could hurt, it is not a deploy.

use std::collections::BTreeSet;

use super::action::Action;
use crate::model::history::Target;
use crate::model::name::WorkloadName;
use crate::model::stack::Stack;
use crate::model::workload::KindName;

/// From how many services, postgres and jobs on a stack is large enough for "more than half of it".
const LARGE: usize = 6;

/// Why a change from one stack to another waits for a person, one sentence each; none: it is applied
/// at once. `actions` is all that it would take, as a preview shows it.
pub fn held<'a>(old: &Stack, new: &Stack, actions: impl IntoIterator<Item = &'a Action>) -> Vec<String> {
    let actions: Vec<&Action> = actions.into_iter().collect();
    let dropped: Vec<(KindName, &WorkloadName)> = old
        .in_order()
        .filter(|workload| new.workload(&workload.name).is_none_or(|kept| kept.kind_name() != workload.kind_name()))
        .map(|workload| (workload.kind_name(), &workload.name))
        .collect();
    let mut reasons: Vec<String> = dropped.iter().map(|(kind, name)| format!("it drops {} {name}", kind.as_str())).collect();
    reasons.extend(interrupted(old, new, &actions));
    reasons.extend(built(&actions));
    reasons.extend(too_much(old, &actions));
    reasons
}

/// Every postgres that stays in the file and is stopped all the same.
fn interrupted(old: &Stack, new: &Stack, actions: &[&Action]) -> Vec<String> {
    let is_server = |stack: &Stack, name: &WorkloadName| stack.workload(name).is_some_and(|found| found.postgres().is_some());
    let stopped: BTreeSet<&WorkloadName> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Stop { key, .. } if is_server(old, &key.name) && is_server(new, &key.name) => Some(&key.name),
            _ => None,
        })
        .collect();
    let is_made =
        |name: &WorkloadName| actions.iter().any(|action| matches!(action, Action::Create { key, .. } if &key.name == name));
    let words = |name| if is_made(name) { "recreates" } else { "stops" };
    stopped.into_iter().map(|name| format!("it {} postgres {name}", words(name))).collect()
}

/// Every image that is to be built: a save does not build.
fn built(actions: &[&Action]) -> Vec<String> {
    let builds = actions.iter().filter_map(|action| match action {
        Action::Build { workload, .. } => Some(format!("it builds the image of {workload}")),
        _ => None,
    });
    builds.collect()
}

/// Whether more than half of a large stack is touched; what is new is not: nobody uses it yet.
fn too_much(old: &Stack, actions: &[&Action]) -> Option<String> {
    let all = old.in_order().count();
    let touched: BTreeSet<WorkloadName> = actions
        .iter()
        .filter_map(|action| match action.target() {
            Target::Replica(key) => Some(key.name),
            Target::Workload(name) => Some(name),
            Target::Network | Target::Volume(_) | Target::EngineVolume(_) | Target::Backup(_) => None,
        })
        .filter(|name| old.workload(name).is_some())
        .collect();
    (all >= LARGE && touched.len() * 2 > all).then(|| format!("it touches {} of {all}", touched.len()))
}
