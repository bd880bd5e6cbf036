//! Seeded faults of all kinds, then none: whatever they did, the same end.

use std::sync::Arc;
use std::time::Duration;

use witwd::engine::sim::FaultPlan;
use witwd::model::stack::Stack;

use super::world::{Machine, stack};

const SEEDS: u64 = 150;

/// Three services on a postgres, one of them in two replicas.
pub const FOUR: &str = r#"
name = "demo"
[services.app]
image = "app:1"
port = 8000
health.http = "/healthz"
replicas = 2
env.DATABASE_URL = "${db.url}"
[services.worker]
image = "app:1"
depends_on = ["app"]
[services.cache]
image = "cache:1"
port = 6379
health.tcp = true
volumes = ["kept:/data"]
[postgres.db]
image = "postgres:17"
[volumes]
kept = {}
"#;

const WANTED: [&str; 5] =
    ["demo-app-1 running", "demo-app-2 running", "demo-cache-1 running", "demo-db-1 running", "demo-worker-1 running"];

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

/// An `up` under the faults of a seed, two minutes long; then none. Returns the machine at rest and
/// the digest of all that was asked of its engine.
async fn storm(seed: u64, stack: &Arc<Stack>) -> (Machine, String) {
    let machine = Machine::new();
    machine.engine.set_faults(FaultPlan::swarm(seed));
    let daemon = machine.daemon(stack);
    daemon.up(stack).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    machine.engine.clear_faults();
    // What was paused by foreign hands stays paused: only a person ends that.
    for name in machine.engine.with(|world| world.containers.values().map(|found| found.name.clone()).collect::<Vec<_>>()) {
        let _ = machine.engine.foreign(&witwd::engine::sim::Foreign::Unpause(name));
    }
    daemon.settled(0, |status| status.converged).await;
    let at_rest = machine.trace().mutating_calls().len();
    // What hung in the storm may still happen once: for as long as that, the world is not at rest.
    tokio::time::sleep(Duration::from_secs(240)).await;
    daemon.settled(0, |status| status.converged).await;
    let settled = machine.trace().mutating_calls().len();
    assert!(settled - at_rest < 20, "seed {seed}: {} calls after it was at rest", settled - at_rest);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(machine.trace().mutating_calls().len(), settled, "seed {seed}");
    let hash = machine.engine.trace_hash();
    (machine, hash)
}

#[test]
fn after_any_storm_the_stack_is_as_without_it() {
    let four = stack(FOUR);
    for seed in 0..SEEDS {
        let (machine, _) = block_on(storm(seed, &four));
        assert_eq!(machine.containers(), WANTED, "seed {seed}");
        assert_eq!(machine.engine.violations(), Vec::<String>::new(), "seed {seed}");
        let volumes: Vec<String> = machine.engine.with(|world| world.volumes.keys().cloned().collect());
        assert_eq!(volumes, ["demo_db-17", "demo_kept"], "seed {seed}");
    }
}

#[test]
fn a_storm_of_one_seed_is_the_same_storm_twice() {
    let four = stack(FOUR);
    for seed in 0..10 {
        let hashes = [(); 2].map(|()| block_on(storm(seed, &four)).1);
        assert_eq!(hashes[0], hashes[1], "seed {seed}");
    }
}
