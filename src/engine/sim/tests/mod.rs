//! Tests of the simulated engine: it runs, time passes, and each kind of fault shows its effect.

mod faults;
mod probes;
mod safety;

use std::sync::Arc;
use std::time::Duration;

use super::{Foreign, PullCourse, Script, SimEngine};
use crate::engine::request::{CreateContainer, CreateNetwork, PullImage, Scope, Streams};
use crate::engine::{Engine as _, ErrorKind};
use crate::host::sim::SimClock;
use crate::model::container::{Hardening, LogBounds};
use crate::model::name::{ContainerId, InstanceId, ReplicaKey, StackName};
use crate::model::observed::{Container, ContainerState, Identity};
use crate::model::workload::KindName;

fn stack() -> StackName {
    "shop".parse().expect("a name of a stack")
}

fn instance() -> InstanceId {
    InstanceId("here".to_owned())
}

fn engine() -> SimEngine {
    let engine = SimEngine::new(Arc::new(SimClock::new()));
    engine.add_image("app:1");
    engine
}

fn service(name: &str) -> CreateContainer {
    let identity = Identity {
        stack: stack(),
        kind: KindName::Service,
        key: ReplicaKey { name: name.parse().expect("a name of a workload"), replica: 1 },
        spec: None,
        secrets: None,
        instance: instance(),
        directory: "/srv/shop".to_owned(),
    };
    CreateContainer {
        data_name: stack(),
        name: format!("shop-{name}-1"),
        image: "app:1".to_owned(),
        platform: None,
        identity,
        labels: std::collections::BTreeMap::default(),
        env: std::collections::BTreeMap::default(),
        command: None,
        entrypoint: None,
        workdir: None,
        user: None,
        hostname: name.to_owned(),
        network: None,
        aliases: Vec::new(),
        extra_hosts: Vec::new(),
        ports: Vec::new(),
        remembered: Vec::new(),
        asked: std::collections::BTreeSet::new(),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        shm_size: None,
        ulimits: std::collections::BTreeMap::default(),
        memory: None,
        milli_cpus: None,
        stop_signal: None,
        stop_grace: Duration::from_secs(10),
        logs: Some(LogBounds::default()),
        hardening: Hardening::default(),
        streams: Streams::Log,
    }
}

async fn started(engine: &SimEngine, name: &str) -> ContainerId {
    let id = engine.create(&service(name)).await.expect("creating");
    engine.start(&id).await.expect("starting");
    id
}

async fn seen(engine: &SimEngine) -> Vec<Container> {
    let scope = Scope::of(&stack());
    engine.observe(&scope).await.expect("observing").containers
}

async fn words(engine: &SimEngine) -> Vec<&'static str> {
    seen(engine).await.iter().map(|container| container.state.word()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_container_is_made_started_stopped_and_removed() {
    let engine = engine();
    let id = started(&engine, "web").await;
    assert_eq!(words(&engine).await, ["running"]);
    engine.stop(&id, Duration::from_secs(10)).await.expect("stopping");
    assert_eq!(words(&engine).await, ["exited"]);
    engine.remove(&id).await.expect("removing");
    assert!(words(&engine).await.is_empty());
    assert_eq!(engine.calls().mutating_calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_at_its_time_and_wait_wakes_then() {
    let engine = engine();
    engine.script_runs("web", vec![Script::ends(Duration::from_secs(3600), 3), Script::default()]);
    let id = engine.create(&service("web")).await.expect("creating");
    let began = engine.clock().moment();
    let (waited, started) = futures_util::join!(engine.wait(&id), engine.start(&id));
    started.expect("starting");
    assert_eq!(waited.expect("waiting").code, 3);
    let took = engine.clock().moment().since(began);
    assert!(took >= Duration::from_secs(3600) && took < Duration::from_secs(3601), "{took:?}");
    engine.start(&id).await.expect("the second run");
    engine.clock().sleep(Duration::from_secs(7200)).await;
    assert_eq!(words(&engine).await, ["running"], "the second run has a script of its own");
}

#[tokio::test(start_paused = true)]
async fn an_app_without_memory_shows_it() {
    let engine = engine();
    engine.script("web", Script { oom: true, ..Script::ends(Duration::from_secs(1), 0) });
    started(&engine, "web").await;
    engine.clock().sleep(Duration::from_secs(2)).await;
    let seen = seen(&engine).await;
    let ContainerState::Exited { exit, .. } = seen[0].state else { panic!("{:?}", seen[0].state) };
    assert_eq!((exit.code, exit.oom), (137, true));
}

#[tokio::test(start_paused = true)]
async fn a_hung_app_is_stopped_only_by_the_kill() {
    let engine = engine();
    let id = started(&engine, "web").await;
    engine.hang("web", true);
    let began = engine.clock().moment();
    engine.stop(&id, Duration::from_secs(10)).await.expect("stopping");
    assert!(engine.clock().moment().since(began) >= Duration::from_secs(10));
    assert_eq!(words(&engine).await, ["exited"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_removal_is_told_that_one_is_in_progress() {
    let engine = engine();
    let id = engine.create(&service("web")).await.expect("creating");
    engine.alter(|world| world.slow_removals.insert("shop-web-1".to_owned(), Duration::from_secs(600)));
    let second = async {
        engine.clock().sleep(Duration::from_secs(1)).await;
        assert_eq!(words(&engine).await, ["removing"]);
        engine.remove(&id).await
    };
    let (first, second) = futures_util::join!(engine.remove(&id), second);
    assert_eq!(first.expect_err("it takes too long").kind, ErrorKind::Timeout);
    assert_eq!(second.expect_err("one is under way").kind, ErrorKind::RemovalInProgress);
    engine.clock().sleep(Duration::from_secs(600)).await;
    assert!(words(&engine).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn networks_run_out() {
    let engine = engine();
    for number in 1..31 {
        engine.foreign(&Foreign::CreateNetwork(format!("n{number}"))).expect("room for another");
    }
    let request = CreateNetwork { name: "shop".to_owned(), stack: stack(), instance: instance(), directory: String::new() };
    let error = engine.create_network(&request).await.expect_err("no room");
    assert!(error.message.contains("address pool"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_observation_becomes_a_world_that_looks_the_same() {
    let engine = engine();
    started(&engine, "web").await;
    let ended = started(&engine, "cron").await;
    engine.stop(&ended, Duration::from_secs(1)).await.expect("stopping");
    let scope = Scope { images: vec!["app:1".to_owned()], ..Scope::of(&stack()) };
    let observed = engine.observe(&scope).await.expect("observing");
    let copy = SimEngine::from_observed(Arc::new(SimClock::new()), &observed, &stack());
    assert_eq!(copy.observe(&scope).await.expect("observing"), observed);
    copy.start(&ended).await.expect("it can be started");
    let pulled = PullImage { reference: "other:2".to_owned(), platform: None, inactivity: Duration::from_secs(60) };
    copy.pull(&pulled, Arc::new(|_| ())).await.expect("its registries have everything");
}

#[tokio::test(start_paused = true)]
async fn pulls_go_as_the_registry_says() {
    let engine = engine();
    let pull = async |reference: &str| {
        let request = PullImage { reference: reference.to_owned(), platform: None, inactivity: Duration::from_secs(60) };
        engine.pull(&request, Arc::new(|_| ())).await.map_err(|error| error.kind)
    };
    engine.publish("fine:1", PullCourse::Takes(Duration::from_secs(9)));
    engine.publish("stalls:1", PullCourse::Stalls);
    engine.publish("breaks:1", PullCourse::Breaks(Duration::from_secs(1)));
    let first = pull("fine:1").await.expect("pulling");
    assert_eq!(pull("fine:1").await, Ok(first.clone()));
    engine.publish("fine:1", PullCourse::Takes(Duration::from_secs(1)));
    assert_ne!(pull("fine:1").await.expect("pulling again"), first, "the tag has moved");
    assert_eq!(pull("stalls:1").await, Err(ErrorKind::Timeout));
    assert_eq!(pull("breaks:1").await, Err(ErrorKind::Other));
    assert_eq!(pull("unknown:1").await, Err(ErrorKind::ImageDenied));
    engine.set_offline(true);
    assert_eq!(pull("fine:1").await, Err(ErrorKind::RegistryUnreachable));
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_counted() {
    let engine = engine();
    let (a, b, c) = (service("a"), service("b"), service("c"));
    let made = futures_util::join!(engine.create(&a), engine.create(&b), engine.create(&c));
    assert!(made.0.is_ok() && made.1.is_ok() && made.2.is_ok());
    engine.create(&service("d")).await.expect("creating");
    assert_eq!(engine.calls().max_in_flight(), 3);
}
