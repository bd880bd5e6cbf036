//! From what is known to what a user is shown: pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::backups::Care;
use super::by_hand::{self, Part};
use super::told_sets;
use crate::model::health::Verdict;
use crate::model::history::{Goal, Target};
use crate::model::name::{ReplicaKey, WorkloadName};
use crate::model::observed::{Container, ContainerState, PublishedSeen};
use crate::model::status::{
    DaemonStatus, EngineStatus, ExitStatus, FileStatus, Health, ItemStatus, OtherStatus, PortStatus, State, Status,
};
use crate::model::time::Moment;
use crate::model::workload::{Kind, KindName, Workload};
use crate::plan::{Action, Inputs, Plan, is_ready, restart, verdict_of, words_of};

/// What a status is made from.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// What the plan was derived from.
    pub inputs: &'a Inputs<'a>,
    /// The plan.
    pub plan: &'a Plan,
    /// What is known of backup sets.
    pub care: &'a Care,
    /// Progress of pulls, builds and sets, in words.
    pub progress: &'a BTreeMap<Target, String>,
    /// Whether the engine answers.
    pub engine: EngineStatus,
    /// Who keeps the stack; `None` where nobody does.
    pub daemon: Option<&'a DaemonStatus>,
    /// The file behind it.
    pub file: &'a FileStatus,
    /// Parts of the file that are not carried out.
    pub notes: &'a [String],
}

/// The status of a stack.
pub fn report(report: &Report<'_>) -> Status {
    let inputs = report.inputs;
    let items: Vec<ItemStatus> = inputs.stack.in_order().flat_map(|workload| items_of(report, workload)).collect();
    Status {
        v: 1,
        stack: inputs.stack.name().to_string(),
        profiles: inputs.stack.profiles().to_vec(),
        file: report.file.clone(),
        daemon: report.daemon.cloned(),
        engine: report.engine,
        converged: is_so(report, &items, |_| true),
        reached: is_so(report, &items, |item| item.meant),
        others: others(report, &items),
        items: sorted(items),
        notes: report.notes.to_vec(),
    }
}

/// Whether nothing is left to do for those items that count, and for what is not of one item alone.
fn is_so(report: &Report<'_>, items: &[ItemStatus], counts: impl Fn(&ItemStatus) -> bool) -> bool {
    let inputs = report.inputs;
    // A set that is taken holds nobody up.
    let under_way = inputs.in_flight.keys().filter(|target| !matches!(target, Target::Backup(_)));
    let open = report.plan.blocked.iter().map(|blocked| &blocked.target).chain(under_way);
    let (counted, others): (Vec<&ItemStatus>, Vec<&ItemStatus>) = items.iter().partition(|item| counts(item));
    let is_of = |target: &Target, some: &[&ItemStatus]| some.iter().any(|item| is_about(inputs, target, item));
    let mut open = open.filter(|target| is_of(target, &counted) || !is_of(target, &others));
    let is_settled = report.engine == EngineStatus::Up && open.next().is_none();
    let is_there =
        |item: &ItemStatus| item.kind == KindName::Job || item.ready || matches!(item.state, State::Completed | State::Stopped);
    is_settled && (inputs.history.goal == Goal::Down || counted.into_iter().all(is_there))
}

/// Whether a target is of this item and its workload alone.
fn is_about(inputs: &Inputs<'_>, target: &Target, item: &ItemStatus) -> bool {
    match target {
        Target::Replica(ReplicaKey { name, .. }) | Target::Workload(name) => name.as_str() == item.name,
        Target::Volume(_) => item.name.parse().is_ok_and(|name| volumes_of(inputs, &name).contains(target)),
        Target::Network | Target::EngineVolume(_) | Target::Backup(_) => false,
    }
}

/// What is in the way and shown by no item; also while it is tried again.
fn others(report: &Report<'_>, items: &[ItemStatus]) -> Vec<OtherStatus> {
    let inputs = report.inputs;
    let is_shown = |target: &Target| items.iter().any(|item| is_about(inputs, target, item) || waits_for(inputs, target, item));
    let failed = inputs.history.failures.iter().map(|(target, failure)| (target, &failure.error));
    let blocked = report.plan.blocked.iter().map(|blocked| (&blocked.target, &blocked.cause));
    let causes: BTreeMap<&Target, &String> = failed.chain(blocked).filter(|(target, _)| !is_shown(target)).collect();
    let other = |(target, cause): (&Target, &String)| OtherStatus { target: target.to_string(), cause: cause.clone() };
    causes.into_iter().map(other).collect()
}

/// Whether an item that is not there yet tells what stands in the way of the network.
fn waits_for(inputs: &Inputs<'_>, target: &Target, item: &ItemStatus) -> bool {
    *target == Target::Network && inputs.history.goal == Goal::Up && item.meant && !item.ready
}

/// Postgres first, then services, then jobs, each by name: what is looked for is in one place.
pub fn sorted(mut items: Vec<ItemStatus>) -> Vec<ItemStatus> {
    let rank = |kind| match kind {
        KindName::Postgres => 0,
        KindName::Service => 1,
        _ => 2,
    };
    items.sort_by(|one, other| (rank(one.kind), &one.name, one.replica).cmp(&(rank(other.kind), &other.name, other.replica)));
    items
}

fn items_of(report: &Report<'_>, workload: &Workload) -> Vec<ItemStatus> {
    match &workload.kind {
        Kind::Job(_) => vec![job_item(report, workload)],
        Kind::Postgres(postgres) if postgres.is_external() => vec![external_item(report, workload)],
        _ => {
            let wanted = 1..=report.inputs.replicas(workload);
            wanted
                .chain(by_hand::surplus(report.inputs, workload))
                .map(|replica| replica_item(report, workload, replica))
                .collect()
        }
    }
}

fn blank(report: &Report<'_>, workload: &Workload, replica: u32) -> ItemStatus {
    let key = ReplicaKey { name: workload.name.clone(), replica };
    let history = report.inputs.history.replicas.get(&key);
    ItemStatus {
        name: workload.name.to_string(),
        kind: workload.kind_name(),
        replica,
        state: State::Pending,
        meant: report.inputs.is_meant(&workload.name),
        protects_data: false,
        held: false,
        stopped_as: None,
        restart_asked: false,
        waits_for_hand: false,
        health: Health::None,
        ready: false,
        restarts: history.map_or(0, |history| history.restarts),
        attempt: history.map_or(0, |history| history.attempt),
        cause: String::new(),
        container: None,
        image: workload.image.reference.clone(),
        digest: None,
        port: port_of(workload),
        ports: Vec::new(),
        since: None,
        next: None,
        last_exit: history.and_then(|history| history.last_exit.as_ref()).map(|last| ExitStatus {
            code: last.exit.code,
            signal: last.exit.signal(),
            oom: last.exit.oom,
            at: last.exit.at,
        }),
        backup: told_sets::backup_status(report, workload),
    }
}

/// What a workload listens on inside.
pub fn port_of(workload: &Workload) -> Option<u16> {
    match &workload.kind {
        Kind::Service(service) => service.port,
        Kind::Postgres(_) => Some(5432),
        Kind::Job(_) => None,
    }
}

/// Why a job waits.
pub const JOBS_ARE_NOT_RUN: &str = "jobs are not run by this version";

fn job_item(report: &Report<'_>, workload: &Workload) -> ItemStatus {
    ItemStatus { cause: JOBS_ARE_NOT_RUN.to_owned(), ..blank(report, workload, 1) }
}

fn external_item(report: &Report<'_>, workload: &Workload) -> ItemStatus {
    let subject = crate::model::health::Subject::External(workload.name.clone());
    let verdict = report.inputs.verdicts.get(&subject).cloned().unwrap_or_default();
    if report.inputs.history.goal == Goal::Down {
        let cause = "an external server: it is left alone".to_owned();
        return ItemStatus { state: State::Stopped, cause, image: String::new(), ..blank(report, workload, 1) };
    }
    let ready = verdict.ready == Some(true);
    let state = match verdict {
        _ if ready => State::Running,
        Verdict { needs_operator: true, .. } => State::NeedsOperator,
        _ => State::Starting,
    };
    let cause = verdict
        .words
        .clone()
        .unwrap_or_else(|| if ready { "external server" } else { "external server: no answer yet" }.to_owned());
    ItemStatus { state, ready, health: health_of(&verdict, true), cause, image: String::new(), ..blank(report, workload, 1) }
}

fn replica_item(report: &Report<'_>, workload: &Workload, replica: u32) -> ItemStatus {
    let inputs = report.inputs;
    let mut item = blank(report, workload, replica);
    let key = ReplicaKey { name: workload.name.clone(), replica };
    let containers = inputs.of_replica(&key);
    let shown = containers.iter().max_by_key(|container| (container.state.is_up(), container.created_at));
    if let Some(container) = shown {
        show_container(&mut item, inputs, workload, container);
    }
    let explained = explain(report, &key);
    by_hand::show(&mut item, inputs, workload, containers);
    item.protects_data = matches!(explained, Explained::Blocked { protects_data: true, .. });
    item.state = state_of(report, &item, shown.copied(), &explained);
    if let (State::Backoff | State::CrashLoop, Explained::Blocked { until: Some(until), .. }) = (item.state, &explained) {
        item.next = inputs.wall.checked_add(until.since(inputs.now)).ok();
    }
    if item.state == State::Stopped && inputs.history.goal == Goal::Up {
        item.cause = by_hand::way_back(inputs, &key);
    }
    item.waits_for_hand = by_hand::waits(inputs, workload, &item);
    let quiet = item.ready && matches!(explained, Explained::Nothing);
    if let (false, Some(cause)) = (quiet, explained.cause()) {
        item.cause = cause;
    }
    // Nothing else is about to be done, so nothing else tells.
    if item.state == State::Failed && item.cause.is_empty() {
        item.cause = shown.and_then(|container| how_it_ended(container)).unwrap_or_default();
    }
    item
}

fn how_it_ended(container: &Container) -> Option<String> {
    match &container.state {
        ContainerState::Exited { exit, .. } => Some(exit.to_string()),
        _ => None,
    }
}

fn show_container(item: &mut ItemStatus, inputs: &Inputs<'_>, workload: &Workload, container: &Container) {
    let verdict = verdict_of(inputs, workload, container);
    item.container = Some(container.id.0.clone());
    item.digest = Some(container.image.0.clone());
    if !container.image_reference.starts_with("sha256:") {
        item.image.clone_from(&container.image_reference);
    }
    item.ready = is_ready(inputs, workload, container);
    item.since = Some(since(container));
    item.ports = container
        .published
        .iter()
        .filter(|port| is_for_others(workload, port))
        .map(|port| PortStatus {
            address: port.address.to_string(),
            host: port.host,
            container: port.container,
            protocol: port.protocol,
        })
        .collect();
    if container.state.is_up() {
        let probed = !workload.probes().is_empty() || container.image_health.is_some();
        item.health = health_of(&verdict, probed);
        item.cause = words_of(inputs, workload, container).unwrap_or_default();
    }
}

/// Whether a port is published because the file says so, and not only for our own probes.
fn is_for_others(workload: &Workload, port: &PublishedSeen) -> bool {
    let is_declared = workload.container.ports.iter().any(|declared| declared.container == port.container);
    is_declared || !workload.probes().ports().contains(&port.container)
}

fn since(container: &Container) -> Timestamp {
    match &container.state {
        ContainerState::Running { started_at } | ContainerState::Paused { started_at } => *started_at,
        ContainerState::Exited { exit, .. } => exit.at,
        _ => container.created_at,
    }
}

fn health_of(verdict: &Verdict, probed: bool) -> Health {
    match (probed, verdict.ready, verdict.started) {
        (false, ..) => Health::None,
        (_, Some(true), _) => Health::Healthy,
        (_, Some(false), true) => Health::Unhealthy,
        (_, Some(false), false) | (_, None, _) => Health::Starting,
    }
}

/// Why a replica is not where it should be.
enum Explained {
    Nothing,
    UnderWay(Action, Option<String>),
    Blocked { cause: String, needs_operator: bool, protects_data: bool, failed: bool, until: Option<Moment> },
}

impl Explained {
    fn cause(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::UnderWay(_, words) => words.clone(),
            Self::Blocked { cause, .. } => Some(cause.clone()),
        }
    }
}

/// What is under way or in the way: of the replica itself, else of its workload, volumes or network.
fn explain(report: &Report<'_>, key: &ReplicaKey) -> Explained {
    let inputs = report.inputs;
    let own = [Target::Replica(key.clone()), Target::Workload(key.name.clone())];
    if let Some((target, action)) = own.iter().find_map(|target| Some((target, inputs.in_flight.get(target)?))) {
        return Explained::UnderWay(action.clone(), report.progress.get(target).cloned());
    }
    let mut targets = vec![Target::Workload(key.name.clone())];
    targets.extend(volumes_of(inputs, &key.name));
    targets.extend([Target::Network, Target::Replica(key.clone())]);
    let found = targets.iter().find_map(|target| report.plan.blocked.iter().find(|blocked| &blocked.target == target));
    // Network or volumes are being made: what waits for them is under way too.
    let grounds = targets.iter().find_map(|target| inputs.in_flight.get(target));
    if let (Some(action), false) = (grounds, found.is_some_and(|blocked| blocked.needs_operator)) {
        return Explained::UnderWay(action.clone(), None);
    }
    found.map_or(Explained::Nothing, |blocked| Explained::Blocked {
        cause: blocked.cause.clone(),
        needs_operator: blocked.needs_operator,
        protects_data: blocked.protects_data,
        until: blocked.until,
        failed: inputs
            .history
            .failures
            .get(&blocked.target)
            .is_some_and(|failure| failure.attempts > 1 && failure.error == blocked.cause),
    })
}

fn volumes_of(inputs: &Inputs<'_>, name: &WorkloadName) -> Vec<Target> {
    let mounts = inputs.stack.workload(name).map(|workload| workload.container.mounts.clone()).unwrap_or_default();
    let volume = |mount: crate::model::container::Mount| match mount.source {
        crate::model::container::MountSource::Volume(volume) => Some(Target::Volume(volume)),
        crate::model::container::MountSource::Bind(_) => None,
    };
    mounts.into_iter().filter_map(volume).collect()
}

fn state_of(report: &Report<'_>, item: &ItemStatus, shown: Option<&Container>, explained: &Explained) -> State {
    let up = shown.is_some_and(|container| container.state.is_up());
    let part = by_hand::part_of(report.inputs, item);
    match explained {
        Explained::UnderWay(Action::Pull { .. }, _) if !up => return State::Pulling,
        Explained::UnderWay(Action::Build { .. } | Action::BuildFallback { .. }, _) if !up => return State::Building,
        Explained::UnderWay(Action::Stop { .. }, _) => return State::Stopping,
        Explained::UnderWay(Action::Start { .. } | Action::Provision { .. }, _) => return State::Starting,
        // What ended before says nothing of its successor.
        Explained::UnderWay(Action::Create { .. }, _) if !up => return State::Starting,
        Explained::Blocked { needs_operator: true, .. } => return State::NeedsOperator,
        Explained::Blocked { failed: true, .. } if !item.ready => return State::Failed,
        _ if part == Part::Surplus => return State::Stopping,
        _ if part == Part::Stopped => return if up { State::Stopping } else { State::Stopped },
        _ => {}
    }
    let blocked = matches!(explained, Explained::Blocked { .. });
    match shown.map(|container| &container.state) {
        Some(ContainerState::Running { .. }) if item.ready || item.health == Health::Unhealthy => State::Running,
        Some(ContainerState::Running { .. } | ContainerState::Restarting) => State::Starting,
        Some(ContainerState::Paused { .. }) => State::Paused,
        Some(ContainerState::Exited { exit, .. }) => ended(report, item, exit.code, blocked),
        Some(ContainerState::Removing) if report.inputs.history.goal == Goal::Up => State::Stopping,
        Some(_) | None if report.inputs.history.goal == Goal::Down => State::Stopped,
        None if !item.meant => State::Stopped,
        Some(_) | None if blocked => State::Blocked,
        Some(_) => State::Starting,
        None => State::Pending,
    }
}

fn ended(report: &Report<'_>, item: &ItemStatus, code: i64, blocked: bool) -> State {
    let inputs = report.inputs;
    if inputs.history.goal == Goal::Down {
        return State::Stopped;
    }
    let key = item.name.parse().ok().map(|name| ReplicaKey { name, replica: item.replica });
    let looping =
        key.and_then(|key| inputs.history.replicas.get(&key)).is_some_and(|history| restart::is_crash_loop(history, inputs.wall));
    match (looping, blocked, code) {
        // It is to be started: what it waits for is another.
        (_, true, _) if item.restart_asked => State::Blocked,
        (true, ..) => State::CrashLoop,
        (_, true, _) => State::Backoff,
        (_, false, 0) => State::Completed,
        (_, false, _) => State::Failed,
    }
}
