//! What holds of every plan, over random worlds.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::Action;
use super::fixture::World;
use super::hand::{restart, scale, stop};

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
    fn the_order_of_what_was_seen_does_not_matter(world in world()) {
        let plan = world.plan();
        let mut turned = world;
        turned.observed.containers.reverse();
        turned.workloads.reverse();
        prop_assert_eq!(plan, turned.plan());
    }

    #[test]
    fn what_is_not_ours_is_never_touched(world in world()) {
        let world = world.foreign("somebody-else");
        let touched = world.plan().actions.iter().any(|planned| planned.to_string().contains("foreign"));
        prop_assert!(!touched);
    }
}
