//! Tests of the simulated engine: it runs, time passes, and each kind of fault shows its effect.

use std::sync::Arc;
use std::time::Duration;

use super::SimEngine;
use crate::engine::Engine as _;
use crate::engine::request::{CreateContainer, Scope};
use crate::host::sim::SimClock;
use crate::model::name::{ContainerId, InstanceId, ReplicaKey, StackName};
use crate::model::observed::{Container, Identity};
use crate::model::workload::{Hardening, KindName, LogBounds};

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
    }
}

async fn started(engine: &SimEngine, name: &str) -> ContainerId {
    let id = engine.create(&service(name)).await.expect("creating");
    engine.start(&id).await.expect("starting");
    id
}

async fn seen(engine: &SimEngine) -> Vec<Container> {
    let scope = Scope { stack: stack(), images: Vec::new(), volumes: Vec::new() };
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
