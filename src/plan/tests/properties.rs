//! What holds of every plan, over random worlds.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::Action;
use super::fixture::{World, instance};
use super::hand::{restart, scale, stop};
use crate::model::name::{ContainerId, InstanceId, ReplicaKey, StackName};
use crate::model::observed::{Container, Network};

/// A random world: each of its parts there or not, in one of its states.
fn world() -> impl Strategy<Value = World> {
    let part = prop::sample::select(vec!["none", "created", "running", "ready", "exited", "old", "sick"]);
    let extras = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let wish = prop::sample::select(vec!["none", "none", "restart", "stop db", "stop app", "stop", "scale"]);
    (part.clone(), part, extras, wish).prop_map(|(db, app, (ground, orphan, down, foreign, image), wish)| {
        let mut world = World::demo();
        world = if ground { world.ground() } else { world };
        world = if image { world } else { world.without_image("app:1") };
        for (name, state) in [("db", db), ("app", app)] {
            world = match state {
                "created" => world.created(name),
                "running" => world.running(name),
                "ready" => world.ready(name),
                "exited" => world.exited(name, 1, 2),
                "old" => world.old(name, "running").suffixed(name, "created"),
                "sick" => world.sick(name),
                _ => world,
            };
        }
        world = if orphan { world.orphan("cache", "running") } else { world };
        world = if foreign { world.foreign("demo-cache-7") } else { world };
        world = match wish {
            "restart" => world.asks(&restart("")).looked(),
            "stop db" => world.asks(&stop("db")),
            "stop app" => world.asks(&stop("app")),
            "stop" => world.asks(&stop("app db")),
            "scale" => world.asks(&scale("app", 3)),
            _ => world,
        };
        if down { world.down() } else { world }
    })
}

/// What others have on the same engine, some of it under names of ours.
fn theirs() -> impl Strategy<Value = Vec<&'static str>> {
    let network = prop::sample::select(vec!["none", "network of ours", "network of nobody", "network of another instance"]);
    let volume = prop::sample::select(vec!["none", "volume of nobody", "volume of another instance"]);
    let others = prop::sample::subsequence(vec!["volumes of others", "app of nobody"], 0..=2);
    // Where another instance has containers nothing else is planned: that is one world of four.
    let containers = vec!["app of another instance", "db of another instance", "orphan of another instance"];
    let containers = prop_oneof![3 => Just(Vec::new()), 1 => prop::sample::subsequence(containers, 1..=3)];
    (network, volume, others, containers)
        .prop_map(|(network, volume, others, containers)| [vec![network, volume], others, containers].concat())
}

/// The world with these beside it. Whoever asks for the removal of volumes names all there are.
fn beside(mut world: World, theirs: &[&str]) -> World {
    for words in theirs {
        world = match *words {
            "network of ours" => world.has_network("net", Some(instance())),
            "network of nobody" => world.has_network("net-of-nobody", None),
            "network of another instance" => world.has_network("net-of-another", Some(elsewhere())),
            "volume of nobody" => world.has_volume("demo_db-17", None),
            "volume of another instance" => world.has_volume("demo_db-17", Some(elsewhere())),
            "volumes of others" => world.has_volume("demo_media", None).has_volume("demo_db-16", Some(elsewhere())),
            "app of another instance" => world.other_instance("app"),
            "db of another instance" => world.other_instance("db"),
            "orphan of another instance" => world.other_instance("cache"),
            "app of nobody" => world.foreign("demo-app-1"),
            _ => world,
        };
    }
    world.history.drop_volumes = world.observed.volumes.iter().map(|seen| seen.name.clone()).collect();
    world
}

fn elsewhere() -> InstanceId {
    InstanceId("elsewhere".to_owned())
}

/// Actions that change, use or take the place of what is not of this stack and instance.
fn touched(world: &World) -> Vec<String> {
    let ours = |owner: &Option<(StackName, InstanceId)>| *owner == Some(("demo".parse().expect("a name"), instance()));
    let is_theirs = |id: &ContainerId| {
        let identity = world.observed.containers.iter().find(|seen| &seen.id == id).map(|seen| seen.identity.clone());
        !identity.is_some_and(|identity| ours(&identity.map(|identity| (identity.stack, identity.instance))))
    };
    let network = |is_it: &dyn Fn(&Network) -> bool| world.observed.networks.iter().any(|seen| is_it(seen) && !ours(&seen.owner));
    let volume = |name: &str| world.observed.volumes.iter().any(|seen| seen.name == name && !ours(&seen.owner));
    let used = |key: &ReplicaKey| world.volumes_of(&key.name).iter().any(|name| volume(name));
    let touches = |action: &Action| match action {
        Action::Pull { .. } | Action::Build { .. } | Action::BuildFallback { .. } => false,
        Action::CreateNetwork => network(&|seen| seen.name == "demo"),
        Action::RemoveNetwork { id } => network(&|seen| &seen.id == id),
        Action::CreateVolume { volume: name } => volume(&format!("demo_{name}")),
        Action::RemoveVolume { name } => volume(name),
        Action::Create { key, name, .. } => {
            let held = world.observed.containers.iter().any(|seen| &seen.name == name);
            held || used(key) || network(&|seen| seen.name == "demo")
        }
        Action::Rename { container, name, .. } => {
            let held = world.observed.containers.iter().any(|seen| &seen.name == name && is_theirs(&seen.id));
            held || is_theirs(container)
        }
        Action::Connect { container, .. } => is_theirs(container) || network(&|seen| seen.name == "demo"),
        // What a container of ours mounts was ours when it was made.
        Action::Examine { container, .. }
        | Action::Start { container, .. }
        | Action::Stop { container, .. }
        | Action::Remove { container, .. }
        | Action::Disconnect { container, .. }
        | Action::Provision { container, .. }
        | Action::Backup { container, .. } => is_theirs(container),
    };
    let actions = world.plan().actions;
    actions.iter().filter(|planned| touches(&planned.action)).map(|planned| format!("{:?}", planned.action)).collect()
}

proptest! {
    #[test]
    fn a_plan_has_one_action_a_target_and_never_removes_a_volume(world in world()) {
        let plan = world.plan();
        let targets: BTreeSet<_> = plan.actions.iter().map(|planned| planned.action.target()).collect();
        prop_assert_eq!(targets.len(), plan.actions.len());
        let removes_volume = plan.actions.iter().any(|planned| matches!(planned.action, Action::RemoveVolume { .. }));
        prop_assert!(!removes_volume);
        prop_assert!(plan.actions.iter().all(|planned| !planned.cause.is_empty()));
        prop_assert!(plan.blocked.iter().all(|blocked| !blocked.cause.is_empty()));
    }

    #[test]
    fn nobody_is_started_before_the_others_of_his_replica_have_ended(world in world()) {
        let containers = &world.observed.containers;
        for planned in world.plan().actions {
            let Action::Start { key, container, ended } = planned.action else { continue };
            let is_other = |seen: &&Container| seen.identity.as_ref().is_some_and(|own| own.key == key) && seen.id != container;
            let others: BTreeSet<_> = containers.iter().filter(is_other).map(|seen| seen.id.clone()).collect();
            prop_assert_eq!(ended, others);
        }
    }

    #[test]
    fn the_order_of_what_was_seen_does_not_matter(world in world()) {
        let plan = world.plan();
        let mut turned = world;
        turned.observed.containers.reverse();
        turned.observed.networks.reverse();
        turned.observed.volumes.reverse();
        turned.workloads.reverse();
        prop_assert_eq!(plan, turned.plan());
    }

    #[test]
    fn what_is_not_ours_is_never_touched(world in world(), theirs in theirs()) {
        let world = beside(world.foreign("somebody-else"), &theirs);
        let touched = touched(&world);
        prop_assert!(touched.is_empty(), "{touched:#?}");
    }
}
