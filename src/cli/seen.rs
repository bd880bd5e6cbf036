//! How things are where no daemon runs: what the engine holds beside what the file says. Looks
//! only, needs no lock, and claims no verdict of a probe.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::exit_code::Failure;
use super::place::Place;
use crate::config::{InvalidFile, Loaded, load};
use crate::engine::request::Scope;
use crate::model::by_hand::ByHand;
use crate::model::name::{InstanceId, ReplicaKey, StackName};
use crate::model::observed::{Container, ContainerState, Observed, Owner};
use crate::model::probe::Probes;
use crate::model::stack::Stack;
use crate::model::status::{EngineStatus, ExitStatus, FileStatus, Health, ItemStatus, PortStatus, State, Status};
use crate::model::workload::{KindName, Workload};

/// Looks at file and engine.
pub(super) async fn status(context: &Context, place: &Place) -> Result<Status, Failure> {
    let request = context.request_to_look(place)?;
    let loaded = load(&request);
    let kept: Option<StackName> = context.kept(place)?.and_then(|kept| kept.stack.parse().ok());
    let name = match (&loaded, kept) {
        (Ok(loaded), _) => loaded.stack.name().clone(),
        (Err(_), Some(kept)) => kept,
        (Err(invalid), None) => return Err(invalid.clone().into()),
    };
    let engine = context.engine().await?;
    let observed = engine.observe(&Scope { stack: name.clone(), images: Vec::new(), volumes: Vec::new() }).await?;
    let mut status = describe(&name, &place.instance()?, loaded.as_ref().ok(), &observed);
    hold(&mut status, &super::assembly::held_by_hand(context.disk.clone(), place));
    status.file = file_status(place, loaded.as_ref().err());
    Ok(status)
}

pub(super) fn file_status(place: &Place, invalid: Option<&InvalidFile>) -> FileStatus {
    let problems = invalid.map(|invalid| invalid.problems.as_slice()).unwrap_or_default();
    let errors = problems.iter().filter_map(|problem| serde_json::to_value(problem).ok()).collect();
    FileStatus { path: place.file.display().to_string(), ok: invalid.is_none(), pending: false, reasons: Vec::new(), errors }
}

/// What an observation says of a stack.
pub(super) fn describe(name: &StackName, instance: &InstanceId, loaded: Option<&Loaded>, observed: &Observed) -> Status {
    let stack = loaded.map(|loaded| &loaded.stack);
    let mut found: BTreeMap<&ReplicaKey, &Container> = BTreeMap::new();
    for container in observed.containers.iter().filter(|container| container.owner(name, instance) == Owner::Ours) {
        let Some(identity) = container.identity.as_ref().filter(|identity| keeps_running(identity.kind)) else { continue };
        let known = found.entry(&identity.key).or_insert(container);
        if container.state.is_up() && !known.state.is_up() {
            *known = container;
        }
    }
    let declared: BTreeSet<ReplicaKey> = stack.map(declared).unwrap_or_default();
    let keys: BTreeSet<&ReplicaKey> = found.keys().copied().chain(&declared).collect();
    let items = keys.into_iter().map(|key| item(key, found.get(key).copied(), stack)).collect();
    Status {
        v: 1,
        stack: name.to_string(),
        profiles: stack.map(|stack| stack.profiles().to_vec()).unwrap_or_default(),
        file: FileStatus { path: String::new(), ok: true, pending: false, reasons: Vec::new(), errors: Vec::new() },
        daemon: None,
        engine: EngineStatus::Up,
        converged: false,
        items,
        notes: Vec::new(),
    }
}

/// Shows what the next daemon will not start.
pub(super) fn hold(status: &mut Status, by_hand: &ByHand) {
    for item in status.items.iter_mut().filter(|item| item.state == State::Stopped) {
        let Ok(name) = item.name.parse() else { continue };
        item.held = by_hand.is_stopped(&ReplicaKey { name, replica: item.replica });
    }
}

fn keeps_running(kind: KindName) -> bool {
    matches!(kind, KindName::Service | KindName::Postgres | KindName::Job)
}

fn declared(stack: &Stack) -> BTreeSet<ReplicaKey> {
    let keys = |workload: &Workload| {
        let name = workload.name.clone();
        (1..=workload.replicas()).map(move |replica| ReplicaKey { name: name.clone(), replica })
    };
    stack.in_order().flat_map(keys).collect()
}

fn item(key: &ReplicaKey, container: Option<&Container>, stack: Option<&Stack>) -> ItemStatus {
    let workload = stack.and_then(|stack| stack.workload(&key.name));
    let seen_kind = container.and_then(|container| container.identity.as_ref()).map(|identity| identity.kind);
    let kind = workload.map(Workload::kind_name).or(seen_kind).unwrap_or(KindName::Service);
    let (state, mut cause) = container.map_or((State::Stopped, String::new()), |container| state_of(kind, &container.state));
    if workload.is_none() && stack.is_some() {
        "no longer in stack.toml".clone_into(&mut cause);
    }
    let has_probe = workload.is_some_and(|workload| has_probe(workload.probes()));
    let runs = state == State::Running;
    ItemStatus {
        name: key.name.to_string(),
        kind,
        replica: key.replica,
        state,
        protects_data: false,
        held: false,
        restart_asked: false,
        waits_for_hand: false,
        health: if has_probe && runs { Health::Unknown } else { Health::None },
        ready: runs && !has_probe,
        restarts: 0,
        attempt: 0,
        cause,
        container: container.map(|container| container.id.0.clone()),
        image: image_of(container, workload),
        digest: container.map(|container| container.image.0.clone()),
        port: None,
        ports: container.map(ports_of).unwrap_or_default(),
        since: container.map(since_of),
        next: None,
        last_exit: container.and_then(exit_of),
        backup: None,
    }
}

fn has_probe(probes: &Probes) -> bool {
    probes.startup.is_some() || probes.readiness.is_some() || probes.liveness.is_some()
}

fn image_of(container: Option<&Container>, workload: Option<&Workload>) -> String {
    let declared = || workload.map(|workload| workload.image.reference.clone());
    container.map(|container| container.image_reference.clone()).or_else(declared).unwrap_or_default()
}

fn state_of(kind: KindName, state: &ContainerState) -> (State, String) {
    match state {
        ContainerState::Created => (State::Stopped, "never started".to_owned()),
        ContainerState::Running { .. } => (State::Running, String::new()),
        ContainerState::Paused { .. } => (State::Paused, "paused by hand".to_owned()),
        ContainerState::Restarting => (State::Starting, String::new()),
        ContainerState::Removing => (State::Stopping, "is being removed".to_owned()),
        ContainerState::Dead => (State::Failed, "half removed by the engine".to_owned()),
        ContainerState::Exited { exit, .. } if kind == KindName::Job && exit.code == 0 => (State::Completed, String::new()),
        ContainerState::Exited { exit, .. } if kind == KindName::Job => (State::Failed, exit.to_string()),
        ContainerState::Exited { exit, .. } => (State::Stopped, exit.to_string()),
    }
}

fn since_of(container: &Container) -> jiff::Timestamp {
    match &container.state {
        ContainerState::Running { started_at } | ContainerState::Paused { started_at } => *started_at,
        ContainerState::Exited { exit, .. } => exit.at,
        _ => container.created_at,
    }
}

fn exit_of(container: &Container) -> Option<ExitStatus> {
    let ContainerState::Exited { exit, .. } = &container.state else { return None };
    Some(ExitStatus { code: exit.code, signal: exit.signal(), oom: exit.oom, at: exit.at })
}

fn ports_of(container: &Container) -> Vec<PortStatus> {
    let port = |seen: &crate::model::observed::PublishedSeen| PortStatus {
        address: seen.address.to_string(),
        host: seen.host,
        container: seen.container,
        protocol: seen.protocol,
    };
    container.published.iter().map(port).collect()
}
