//! From any world to the one of the file, in a bounded number of steps, and then nothing more.

mod edits;
mod foreseen;
mod random;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use witwd::engine::sim::{Call, Operation, SimContainer, World};
use witwd::model::stack::Stack;
use witwd::model::status::{ItemStatus, State, Status};

use crate::scenarios::stacks::stack;
use crate::scenarios::world::{Daemon, Machine, instance};
use random::{Case, case};

/// Long enough for everything that must happen: stops with their grace, pulls, first delays.
const ENOUGH: Duration = Duration::from_secs(300);

fn is_ours(container: &SimContainer) -> bool {
    container.identity().is_some_and(|identity| identity.stack.as_str() == "demo" && identity.instance == instance())
}

/// What is not ours, as text: it must be the same before and after.
fn foreign(world: &World) -> Vec<String> {
    let ours = Some(("demo".parse().expect("a name"), instance()));
    let containers = world.containers.values().filter(|container| !is_ours(container));
    let containers = containers.map(|container| format!("{} {} {:?}", container.id, container.name, container.state));
    let networks = world.networks.iter().filter(|(_, network)| network.owner != ours);
    let volumes = world.volumes.iter().filter(|(_, volume)| volume.owner != ours);
    let networks = networks.map(|(id, network)| format!("network {id} {}", network.name));
    containers.chain(networks).chain(volumes.map(|(name, volume)| format!("volume {name} {:?}", volume.owner))).collect()
}

fn running_twice(world: &World) -> Vec<String> {
    let mut running: BTreeMap<String, u32> = BTreeMap::new();
    for container in world.containers.values().filter(|container| container.state.is_up() && is_ours(container)) {
        let key = container.identity().map(|identity| identity.key.to_string());
        *running.entry(key.unwrap_or_default()).or_default() += 1;
    }
    running.into_iter().filter(|(_, count)| *count > 1).map(|(key, _)| key).collect()
}

/// Calls that make or change something; attempts to reach a registry that is away are counted apart.
fn changes(calls: &[Call], offline: bool) -> usize {
    calls.iter().filter(|call| call.mutating && !(offline && call.operation == Operation::Pull)).count()
}

fn told(status: &Status) -> Vec<String> {
    let line = |item: &ItemStatus| format!("{}.{} {:?} {} | {}", item.name, item.replica, item.state, item.ready, item.cause);
    status.items.iter().map(line).collect()
}

fn is_done(item: &ItemStatus) -> bool {
    item.ready || item.state == State::Completed || (item.held && item.state == State::Stopped)
}

/// Whether only a person can go on with it, or it waits for one with which only a person can.
fn waits_for_a_person(status: &Status, offline: bool) -> bool {
    let stuck = |item: &ItemStatus| {
        // What failed and is not to be restarted has done all that the file allows.
        let failed = item.state == State::Failed && (offline || item.last_exit.is_some());
        // Offline, an older container runs on for as long as the image of its successor can't be had.
        let outdated = offline && item.ready && item.cause.starts_with("failed to pull image");
        failed || outdated || matches!(item.state, State::NeedsOperator | State::Paused)
    };
    // What is stopped by hand makes nobody ready either, until it is started.
    let by_hand = status.items.iter().any(|item| item.held && item.state == State::Stopped);
    // Nothing ever makes what is completed ready again: its dependents wait for a person too.
    let root = by_hand || status.items.iter().any(|item| stuck(item) || (item.state == State::Completed && !item.ready));
    let rest = status.items.iter().filter(|item| !is_done(item));
    root && rest.clone().all(|item| stuck(item) || item.state == State::Blocked || item.cause.contains("waiting for"))
}

/// Asks for what a case asks for by hand: it comes to rest after that too, with nothing of what is
/// stopped running. Whether anything was asked.
async fn carry_out_by_hand(case: &Case, machine: &Machine, daemon: &Daemon, stack: &Stack) -> bool {
    let wishes = case.wishes(stack);
    if wishes.is_empty() {
        return false;
    }
    let already = machine.trace().calls.len();
    for wish in &wishes {
        // What makes no sense as things are is refused, and changes nothing.
        drop(daemon.handle.hand(wish.clone()).await);
    }
    tokio::time::sleep(ENOUGH).await;
    let all = machine.trace();
    // A replica costs create, stop, start, remove and rename for each wish at most; an image two.
    let most = wishes.len() * (20 * stack.in_order().count() + 2 * stack.in_order().count());
    assert!(changes(&all.calls[already..], case.offline) <= most, "{wishes:?} {:#?}", all.lines());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let later = machine.trace();
    assert_eq!(changes(&later.calls[all.calls.len()..], case.offline), 0, "it does not rest after {wishes:?}");
    let status = daemon.handle.status();
    let stopped = status.items.iter().filter(|item| item.held && item.state == State::Stopped);
    let keys: Vec<(String, u32)> = stopped.map(|item| (item.name.clone(), item.replica)).collect();
    machine.engine.with(|world| {
        let ours = world.containers.values().filter(|container| container.state.is_up() && is_ours(container));
        for key in ours.filter_map(SimContainer::identity).map(|identity| identity.key) {
            assert!(!keys.contains(&(key.name.to_string(), key.replica)), "{key} runs after {wishes:?}");
        }
    });
    true
}

async fn converges(case: Case) {
    let machine = Machine::new();
    let stack = stack(&case.stack_text());
    case.furnish(&machine, &stack);
    let (before, twice, volumes) =
        machine.engine.with(|world| (foreign(world), running_twice(world), world.volumes.keys().cloned().collect::<Vec<_>>()));
    let bound = random::bound(&machine, &stack);
    let daemon = machine.daemon(&stack);
    daemon.up(&stack).await;
    tokio::time::sleep(ENOUGH).await;
    let calls = machine.trace().calls;
    let made = changes(&calls, case.offline);
    assert!(made <= bound, "{made} changes, at most {bound} were expected: {:#?}", machine.trace().lines());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let all = machine.trace();
    let later = &all.calls[calls.len()..];
    assert_eq!(changes(later, case.offline), 0, "it does not rest: {later:#?}");
    let by_hand = carry_out_by_hand(&case, &machine, &daemon, &stack).await;
    let status = daemon.handle.status();
    assert!(status.converged || waits_for_a_person(&status, case.offline), "{:#?} {:#?}", machine.containers(), told(&status));
    machine.engine.with(|world| {
        assert_eq!(foreign(world), before);
        assert!(case.is_held() || running_twice(world).is_empty(), "{:?}", running_twice(world));
        for volume in &volumes {
            assert!(world.volumes.contains_key(volume), "{volume} was removed");
        }
    });
    if twice.is_empty() {
        assert_eq!(machine.engine.violations(), Vec::<String>::new());
    }
    if status.converged && case.is_ours_alone() && !by_hand {
        let names: Vec<String> =
            machine.containers().iter().map(|told| told.split(' ').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(names, random::wanted(&stack));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn from_any_world_the_loop_comes_to_rest(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(converges(case));
    }
}

#[test]
fn the_same_world_gives_the_same_calls() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::{Config, TestRunner};
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(Config::default().rng_algorithm),
    );
    for _ in 0..20 {
        let case = case().new_tree(&mut runner).expect("a case").current();
        let hashes: Vec<String> = (0..2).map(|_| hash_of(&case)).collect();
        assert_eq!(hashes[0], hashes[1], "{case:?}");
    }
}

fn hash_of(case: &Case) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let machine = Machine::new();
        let stack: Arc<_> = stack(&case.stack_text());
        case.furnish(&machine, &stack);
        let daemon = machine.daemon(&stack);
        daemon.up(&stack).await;
        tokio::time::sleep(ENOUGH).await;
        machine.engine.trace_hash()
    })
}
