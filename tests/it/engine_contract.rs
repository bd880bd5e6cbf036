//! The simulated engine keeps the contract that real engines are held to.

use std::sync::Arc;

use witwd::engine::contract::{ASSERTIONS, Bench};
use witwd::engine::sim::SimEngine;
use witwd::host::sim::SimClock;

const IMAGE: &str = "localhost/tiny:1";

async fn check_all() -> Vec<String> {
    let mut broken = Vec::new();
    for (name, assertion) in ASSERTIONS {
        let clock = Arc::new(SimClock::new());
        let engine = SimEngine::new(clock.clone());
        engine.add_image(IMAGE);
        engine.alter(|world| world.images.set_reachable("127.0.0.1:1", false));
        let engine = Arc::new(engine);
        let stack = "contract".parse().expect("a name of a stack");
        let bench = Bench::new(engine.clone(), clock, engine.clone(), IMAGE, stack);
        let outcome = bench.check(*assertion).await;
        eprintln!("{} {name}", if outcome.is_ok() { "ok    " } else { "broken" });
        broken.extend(outcome.err().map(|why| format!("{name}: {why}")));
        let left = engine.with(|world| world.containers.len() + world.networks.len() + world.volumes.len());
        broken.extend((left > 0).then(|| format!("{name}: left {left} things behind")));
    }
    broken
}

#[tokio::test(start_paused = true)]
async fn the_simulated_engine_keeps_the_contract() {
    let broken = check_all().await;
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(ASSERTIONS.len() >= 40, "only {} assertions", ASSERTIONS.len());
}

#[test]
fn every_assertion_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = ASSERTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), ASSERTIONS.len());
}
