//! What must never happen is noticed, even when it is soon over.

use std::time::Duration;

use super::{engine, instance, service, stack, started};
use crate::engine::Engine as _;
use crate::engine::request::{CreateVolume, MountFrom, MountRequest};
use crate::engine::sim::Foreign;
use crate::model::workload::KindName;

fn volume(name: &str) -> CreateVolume {
    CreateVolume {
        name: name.to_owned(),
        volume: "data".to_owned(),
        stack: stack(),
        instance: instance(),
        directory: String::new(),
        of_image: false,
        data_of: None,
        trial_of: None,
        driver: None,
        options: std::collections::BTreeMap::default(),
        labels: std::collections::BTreeMap::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_container_of_a_replica_is_noticed() {
    let engine = engine();
    started(&engine, "web").await;
    let mut second = service("web");
    second.name = "shop-web-1-new".to_owned();
    let second = engine.create(&second).await.expect("creating");
    assert!(engine.violations().is_empty(), "created is not running");
    engine.start(&second).await.expect("starting");
    engine.stop(&second, Duration::from_secs(1)).await.expect("stopping");
    let violations = engine.violations();
    assert!(violations.len() == 1 && violations[0].contains("shop web runs more than once"), "{violations:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_writer_of_a_data_directory_is_noticed() {
    let engine = engine();
    engine.create_volume(&volume("shop_data")).await.expect("creating");
    for name in ["db", "other"] {
        let mut request = service(name);
        request.identity.kind = KindName::Postgres;
        let source = MountFrom::Volume("shop_data".to_owned());
        request.mounts = vec![MountRequest { source, target: "/data".to_owned(), read_only: false }];
        let id = engine.create(&request).await.expect("creating");
        engine.start(&id).await.expect("starting");
    }
    let violations = engine.violations();
    assert!(violations.len() == 1 && violations[0].contains("shop_data"), "{violations:?}");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_what_is_not_ours_is_noticed() {
    let engine = engine();
    engine.guard(&stack(), &instance());
    engine.foreign(&Foreign::Create { name: "x".to_owned(), image: "app:1".to_owned(), command: Vec::new() }).expect("creating");
    let id = engine.with(|world| world.by_name("x").map(|container| container.id.clone())).expect("it is there");
    engine.start(&id).await.expect("the engine itself does not mind");
    assert_eq!(engine.violations().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_removed_only_by_permission() {
    let engine = engine();
    engine.guard(&stack(), &instance());
    engine.create_volume(&volume("shop_a")).await.expect("creating");
    engine.create_volume(&volume("shop_b")).await.expect("creating");
    engine.write_to_volume("shop_a", "1");
    assert_eq!(engine.volume_entries("shop_a"), Some(vec!["1".to_owned()]));
    engine.permit_volume_removal("shop_a");
    engine.remove_volume("shop_a").await.expect("removing");
    assert!(engine.violations().is_empty());
    engine.remove_volume("shop_b").await.expect("removing");
    assert_eq!(engine.violations(), ["remove volume shop_b that no command of the user names"]);
}
