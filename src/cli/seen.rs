//! How things are where no daemon runs: what the engine holds beside what the file says. Looks
//! only, needs no lock, and claims no verdict of a probe.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::exit_code::Failure;
use super::file;
use super::place::Place;
use crate::config::Loaded;
use crate::engine::request::Scope;
use crate::model::by_hand::ByHand;
use crate::model::history::History;
use crate::model::name::{InstanceId, ReplicaKey, StackName};
use crate::model::observed::{Container, ContainerState, Observed, Owner};
use crate::model::postgres::Postgres;
use crate::model::probe::Probes;
use crate::model::stack::Stack;
use crate::model::status::{EngineStatus, ExitStatus, FileStatus, Health, ItemStatus, PortStatus, State, Status};
use crate::model::workload::{Kind, KindName, Workload};
use crate::supervisor::{JOBS_ARE_NOT_RUN, port_of, sorted};

/// Looks at file and engine.
pub(super) async fn status(context: &Context, place: &Place) -> Result<Status, Failure> {
    let kept = context.kept(place);
    let read = file::read(context.request_to_look(place)?, kept.as_ref());
    let known: Option<StackName> = kept.and_then(|kept| kept.stack.parse().ok());
    let name = match (&read, known) {
        (Ok(reading), _) => reading.loaded.stack.name().clone(),
        (Err(_), Some(known)) => known,
        (Err(invalid), None) => return Err(invalid.clone().into()),
    };
    let engine = context.engine().await?;
    let observed = engine.observe(&Scope::of(&name)).await?;
    let loaded = read.as_ref().ok().map(|reading| &reading.loaded);
    let mut status = describe(&name, &place.instance()?, loaded, &observed);
    let history = super::assembly::kept_history(context.disk.clone(), place);
    hold(&mut status, &history.by_hand);
    count(&mut status, &history);
    status.file = file::status(place, read.as_ref().map_or_else(Some, |reading| reading.invalid.as_ref()));
    Ok(status)
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
    let declared: Vec<ReplicaKey> = stack.map(declared).unwrap_or_default();
    let keys: BTreeSet<&ReplicaKey> = found.keys().copied().chain(&declared).collect();
    let items = keys.into_iter().map(|key| item(key, found.get(key).copied(), stack)).collect();
    Status {
        v: 1,
        stack: name.to_string(),
        profiles: stack.map(|stack| stack.profiles().to_vec()).unwrap_or_default(),
        file: FileStatus::applied(String::new()),
        daemon: None,
        engine: EngineStatus::Up,
        converged: false,
        reached: false,
        others: Vec::new(),
        items: sorted(items),
        notes: loaded.map(|loaded| loaded.not_carried_out.clone()).unwrap_or_default(),
    }
}

/// Shows what the next daemon will not start.
pub(super) fn hold(status: &mut Status, by_hand: &ByHand) {
    for item in status.items.iter_mut().filter(|item| item.state == State::Stopped) {
        let Ok(name) = item.name.parse() else { continue };
        item.held = by_hand.is_stopped(&ReplicaKey { name, replica: item.replica });
    }
}

/// Shows what was counted: the number only grows, also while no daemon can be asked.
fn count(status: &mut Status, history: &History) {
    for item in &mut status.items {
        let Ok(name) = item.name.parse() else { continue };
        let known = history.replicas.get(&ReplicaKey { name, replica: item.replica });
        item.restarts = known.map(|replica| replica.restarts).unwrap_or_default();
    }
}

fn keeps_running(kind: KindName) -> bool {
    matches!(kind, KindName::Service | KindName::Postgres | KindName::Job)
}

/// What the file names, each of it: also what has no container of its own.
fn declared(stack: &Stack) -> Vec<ReplicaKey> {
    let keys = |workload: &Workload| {
        let name = workload.name.clone();
        // What has no container of its own is shown once.
        let shown = if matches!(workload.kind, Kind::Service(_)) { workload.replicas() } else { 1 };
        (1..=shown).map(move |replica| ReplicaKey { name: name.clone(), replica })
    };
    stack.in_order().flat_map(keys).collect()
}

/// What is said of a workload that has no container.
fn without_container(workload: Option<&Workload>) -> (State, String) {
    match workload.map(|workload| &workload.kind) {
        Some(Kind::Postgres(postgres)) if postgres.is_external() => {
            (State::Pending, "external server: nobody asks it while no daemon runs".to_owned())
        }
        Some(Kind::Job(_)) => (State::Pending, JOBS_ARE_NOT_RUN.to_owned()),
        _ => (State::Stopped, String::new()),
    }
}

fn item(key: &ReplicaKey, container: Option<&Container>, stack: Option<&Stack>) -> ItemStatus {
    let workload = stack.and_then(|stack| stack.workload(&key.name));
    let seen_kind = container.and_then(|container| container.identity.as_ref()).map(|identity| identity.kind);
    let kind = workload.map(Workload::kind_name).or(seen_kind).unwrap_or(KindName::Service);
    let (state, mut cause) = container.map_or_else(|| without_container(workload), |container| state_of(kind, &container.state));
    if workload.is_none() && stack.is_some() {
        "no longer in stack.toml".clone_into(&mut cause);
    }
    let has_probe = workload.is_some_and(|workload| has_probe(workload.probes()));
    let runs = state == State::Running;
    let is_asked_by_nobody = runs || workload.is_some_and(is_external);
    ItemStatus {
        name: key.name.to_string(),
        kind,
        replica: key.replica,
        state,
        meant: true,
        protects_data: false,
        held: false,
        health: if has_probe && is_asked_by_nobody { Health::Unknown } else { Health::None },
        stopped_as: None,
        restart_asked: false,
        waits_for_hand: false,
        ready: runs && !has_probe,
        restarts: 0,
        attempt: 0,
        cause,
        container: container.map(|container| container.id.0.clone()),
        image: image_of(container, workload),
        digest: container.map(|container| container.image.0.clone()),
        port: workload.and_then(port_of),
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

fn is_external(workload: &Workload) -> bool {
    workload.postgres().is_some_and(Postgres::is_external)
}

fn image_of(container: Option<&Container>, workload: Option<&Workload>) -> String {
    let declared = || workload.filter(|workload| !is_external(workload)).map(|workload| workload.image.reference.clone());
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
