//! The daemon may die between any two steps: nothing doubles, nothing is lost, no orphan is left.

use std::time::Duration;

use witwd::supervisor::Down;

use super::stacks::{FOUR, stack};
use super::world::{DEMO, Daemon, Machine};

/// A daemon that dies after `steps` calls of the engine, and one that comes after it.
async fn killed_after(machine: &Machine, text: &str, calls: usize) -> bool {
    let demo = stack(text);
    let first = machine.daemon(&demo);
    first.up(&demo).await;
    let already = machine.trace().calls.len();
    let died = loop {
        if machine.trace().calls.len() >= already + calls {
            break true;
        }
        if first.handle.status().converged {
            break false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    first.kill().await;
    let second = machine.daemon(&demo);
    second.up_and_wait(&demo).await;
    died
}

/// Kills an `up` of `text` after its first call, its second, ..., each on a machine that `begin` made
/// ready, until one comes to its end.
async fn killed_after_every_call(text: &str, begin: impl AsyncFn(&Machine)) {
    let mut kills = 0;
    for calls in 1.. {
        let machine = Machine::new();
        begin(&machine).await;
        let died = killed_after(&machine, text, calls).await;
        assert_eq!(machine.containers(), ["demo-app-1 running", "demo-db-1 running"], "killed after {calls} calls");
        assert_eq!(machine.engine.violations(), Vec::<String>::new(), "killed after {calls} calls");
        kills += usize::from(died);
        if !died {
            break;
        }
    }
    assert!(kills > 10, "only {kills} kills: this test proves little");
}

#[tokio::test(start_paused = true)]
async fn a_kill_after_any_call_of_an_up_changes_nothing_in_the_end() {
    killed_after_every_call(DEMO, async |_| ()).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_after_any_call_of_a_recreate_changes_nothing_in_the_end() {
    let changed =
        DEMO.replace("app:1", "app:2").replace("image = \"postgres:17\"", "image = \"postgres:17\"\nsettings.work_mem = \"8MB\"");
    killed_after_every_call(&changed, async |machine| {
        let demo = stack(DEMO);
        let before = machine.daemon(&demo);
        before.up_and_wait(&demo).await;
        before.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_starts_beside_running_containers_adopts_them() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let first = machine.daemon(&demo);
    first.up_and_wait(&demo).await;
    first.kill().await;
    let before = machine.trace().mutating_calls().len();
    let second = machine.daemon(&demo);
    second.up_and_wait(&demo).await;
    assert_eq!(machine.trace().mutating_calls().len(), before);
}

#[tokio::test(start_paused = true)]
async fn down_is_remembered() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let first = machine.daemon(&demo);
    first.up_and_wait(&demo).await;
    first.down_and_wait().await;
    first.kill().await;
    let _second = machine.daemon(&demo);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(machine.containers(), Vec::<String>::new());
}

const FOUR_UP: [&str; 5] =
    ["demo-app-1 running", "demo-app-2 running", "demo-cache-1 running", "demo-db-1 running", "demo-worker-1 running"];

/// Lets a daemon live for so many calls of the engine; whether it had more to do.
async fn lives_for(machine: &Machine, text: &str, calls: usize, down: Option<Down>) -> bool {
    let stack = stack(text);
    let daemon = machine.daemon(&stack);
    let generation = match down {
        Some(down) => daemon.handle.down(down).await.expect("a daemon that lives"),
        None => daemon.up(&stack).await,
    };
    let already = machine.trace().calls.len();
    let mut published = daemon.handle.watch();
    let is_over = |now: &witwd::supervisor::Published| now.generation >= generation && now.looked && now.status.converged;
    let died = loop {
        if machine.trace().calls.len() >= already + calls {
            break true;
        }
        if is_over(&published.borrow_and_update()) {
            break false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    daemon.kill().await;
    died
}

/// Kills a `down` after its first call, its second, ..., until one comes to its end, and lets `check` look
/// at what the next daemon made of it: nobody asks it again.
async fn killed_after_every_call_of_a_down(down: &Down, check: impl AsyncFn(&Machine, &Daemon)) {
    let mut kills = 0;
    for calls in 1.. {
        let machine = Machine::new();
        down.volumes.iter().for_each(|volume| machine.engine.permit_volume_removal(volume));
        let four = stack(FOUR);
        let before = machine.daemon(&four);
        before.up_and_wait(&four).await;
        before.kill().await;
        let died = lives_for(&machine, FOUR, calls, Some(down.clone())).await;
        let after = machine.daemon(&four);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(machine.containers(), Vec::<String>::new(), "killed after {calls} calls");
        check(&machine, &after).await;
        assert_eq!(machine.engine.violations(), Vec::<String>::new(), "killed after {calls} calls");
        kills += usize::from(died);
        if !died {
            break;
        }
    }
    assert!(kills > 10, "only {kills} kills: this test proves little");
}

/// The number of networks, and the volumes.
fn left(machine: &Machine) -> (usize, Vec<String>) {
    machine.engine.with(|world| (world.networks.len(), world.volumes.keys().cloned().collect()))
}

#[tokio::test(start_paused = true)]
async fn a_kill_after_any_call_of_a_down_is_healed_by_the_next_daemon() {
    killed_after_every_call_of_a_down(&Down::default(), async |machine, _| {
        assert_eq!(left(machine), (0, vec!["demo_db-17".to_owned(), "demo_kept".to_owned()]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn volumes_that_a_user_let_go_go_also_when_the_daemon_dies_before_and_a_new_database_begins() {
    let down = Down { volumes: ["demo_db-17".to_owned()].into(), resumed: false };
    killed_after_every_call_of_a_down(&down, async |machine, after| {
        assert_eq!(left(machine), (0, vec!["demo_kept".to_owned()]));
        after.up_and_wait(&stack(FOUR)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_yes_to_the_loss_of_a_volume_ends_with_it() {
    let machine = Machine::new();
    let four = stack(FOUR);
    let before = machine.daemon(&four);
    before.up_and_wait(&four).await;
    machine.engine.permit_volume_removal("demo_kept");
    let down = Down { volumes: ["demo_kept".to_owned()].into(), resumed: false };
    let generation = before.handle.down(down).await.expect("a daemon that lives");
    before.settled(generation, |status| status.converged).await;
    let volume = machine.engine.with(|world| world.volumes["demo_db-17"].clone());
    machine.engine.alter(|world| drop(world.volumes.insert("demo_kept".to_owned(), volume)));
    before.kill().await;
    let _after = machine.daemon(&four);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(left(&machine).1, ["demo_db-17", "demo_kept"]);
}

#[tokio::test(start_paused = true)]
async fn two_kills_anywhere_in_an_up_of_four_change_nothing_in_the_end() {
    for (first, second) in (1..40).step_by(3).flat_map(|first| (1..40).step_by(5).map(move |second| (first, second))) {
        let machine = Machine::new();
        lives_for(&machine, FOUR, first, None).await;
        lives_for(&machine, FOUR, second, None).await;
        let four = stack(FOUR);
        let last = machine.daemon(&four);
        last.up_and_wait(&four).await;
        assert_eq!(machine.containers(), FOUR_UP, "killed after {first} and {second} calls");
        assert_eq!(machine.engine.violations(), Vec::<String>::new(), "killed after {first} and {second} calls");
    }
}
