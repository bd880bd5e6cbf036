//! The daemon may die between any two steps: nothing doubles, nothing is lost, no orphan is left.

use std::time::Duration;

use super::world::{DEMO, Machine, stack};

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

#[tokio::test(start_paused = true)]
async fn a_kill_after_any_call_of_an_up_changes_nothing_in_the_end() {
    let mut kills = 0;
    for calls in 1.. {
        let machine = Machine::new();
        let died = killed_after(&machine, DEMO, calls).await;
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
async fn a_kill_after_any_call_of_a_recreate_changes_nothing_in_the_end() {
    let changed =
        DEMO.replace("app:1", "app:2").replace("image = \"postgres:17\"", "image = \"postgres:17\"\nsettings.work_mem = \"8MB\"");
    let mut kills = 0;
    for calls in 1.. {
        let machine = Machine::new();
        let demo = stack(DEMO);
        let before = machine.daemon(&demo);
        before.up_and_wait(&demo).await;
        before.kill().await;
        let died = killed_after(&machine, &changed, calls).await;
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
