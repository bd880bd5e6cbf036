//! The engine forgets a log with its container; what is kept of it, and that no removal is lost for it.

use std::path::Path;
use std::time::Duration;

use witwd::engine::ErrorKind;
use witwd::engine::sim::{Fault, Foreign, Operation, Script};
use witwd::host::{Clock as _, Disk as _};
use witwd::model::name::{ContainerId, ReplicaKey};
use witwd::supervisor::{KeptLog, KeptLogs, Leaving};

use super::stacks::stack;
use super::world::{DEMO, Machine};

const STATE: &str = "/stack/.witwd";

fn kept_of(machine: &Machine, name: &str) -> Vec<KeptLog> {
    KeptLogs::new(machine.disk.clone(), Path::new(STATE)).read(|key| key.name.as_str() == name).expect("the simulated disk reads")
}

fn texts(log: &KeptLog) -> Vec<&str> {
    log.lines.iter().map(|line| line.line.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_log_outlives_its_container_over_a_recreate_and_a_down() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    machine.engine.say("app", "the first");
    let changed = stack(&DEMO.replace("app:1", "app:2"));
    daemon.up_and_wait(&changed).await;
    let kept = kept_of(&machine, "app");
    assert_eq!(kept.iter().map(texts).collect::<Vec<_>>(), [["the first"]]);
    machine.engine.say("app", "the second");
    daemon.down_and_wait().await;
    let kept = kept_of(&machine, "app");
    assert_eq!(kept.iter().map(texts).collect::<Vec<_>>(), [["the first"], ["the second"]]);
}

#[tokio::test(start_paused = true)]
async fn of_a_container_that_ran_twice_the_last_run_can_be_told() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    machine.engine.say("app", "before the end");
    let container = daemon.until("app", |item| item.ready).await.container.expect("a container");
    witwd::engine::Engine::stop(machine.engine.as_ref(), &ContainerId(container), Duration::ZERO).await.expect("stopped");
    daemon.until("app", |item| item.ready && item.restarts == 1).await;
    machine.engine.say("app", "after the start");
    daemon.down_and_wait().await;
    let kept = &kept_of(&machine, "app")[0];
    let from = kept.last_run.expect("it ran twice");
    assert_eq!(texts(kept), ["before the end", "after the start"]);
    assert_eq!(kept.lines.iter().map(|line| line.at >= Some(from)).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_can_not_be_had_or_written_keeps_no_container_from_going() {
    let faults = [
        Some(Fault::FailBefore(ErrorKind::Other)),
        Some(Fault::Hang { limit: Duration::from_secs(600), effect_after: None }),
        None,
    ];
    for fault in faults {
        let machine = Machine::new();
        let demo = stack(DEMO);
        let daemon = machine.daemon(&demo);
        daemon.up_and_wait(&demo).await;
        machine.engine.say("app", "never seen again");
        machine.disk.set_full(fault.is_none());
        let began = machine.clock.moment();
        if let Some(fault) = &fault {
            machine.engine.fail_next(Operation::Logs, fault.clone());
        }
        daemon.down_and_wait().await;
        assert_eq!(machine.containers(), Vec::<String>::new(), "{fault:?}");
        assert_eq!(kept_of(&machine, "app"), Vec::new(), "{fault:?}");
        assert!(machine.clock.moment().since(began) < Duration::from_secs(60), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let line = "x".repeat(1000);
    (0..3000).for_each(|number| machine.engine.say("app", &format!("{number} {line}")));
    let container = ContainerId(daemon.until("app", |item| item.ready).await.container.expect("a container"));
    let logs = KeptLogs::new(machine.disk.clone(), Path::new(STATE));
    let keep = async |name: String, seconds: i64| {
        let key = ReplicaKey { name: name.parse().expect("a name"), replica: 1 };
        let started_at = jiff::Timestamp::from_second(seconds).expect("a time");
        let leaving = Leaving { key, container: container.clone(), started_at, last_run: None };
        logs.keep(machine.engine.as_ref(), machine.clock.as_ref(), &leaving).await;
    };
    for seconds in [7, 3, 1, 2, 6, 4, 5] {
        keep("app".to_owned(), seconds).await;
    }
    let files = || machine.disk.list(&Path::new(STATE).join("logs")).expect("a list");
    let made: Vec<String> = files().iter().map(|name| name.split('.').nth(2).expect("a time").to_owned()).collect();
    assert_eq!(made, [3, 4, 5, 6, 7].map(|seconds: i64| format!("{:015}", seconds * 1000)));
    let kept = kept_of(&machine, "app");
    let size: usize = kept[0].lines.iter().map(|line| line.line.len()).sum();
    assert!(size < 1 << 20 && size > 900_000, "{size}");
    assert!(kept[0].lines.last().is_some_and(|line| line.line.starts_with("2999 ")));
    for number in 0..70 {
        keep(format!("gone-{number}"), 100 + number).await;
    }
    assert_eq!(files().len(), 64);
    assert!(!files().iter().any(|name| name.starts_with("app.") || name.starts_with("gone-5.")));
}

#[tokio::test(start_paused = true)]
async fn what_was_written_last_is_told_with_each_end_and_outlives_the_container() {
    let machine = Machine::new();
    let says = |words: &str| vec![(false, "begins".to_owned()), (true, words.to_owned())];
    let run = |words| Script { says: says(words), ..Script::ends(Duration::from_secs(3), 1) };
    machine.engine.script_runs("app", vec![run("no such table: polls"), run("no such table: users"), Script::default()]);
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    let mut records = daemon.handle.records();
    daemon.up_and_wait(&demo).await;
    daemon.until("app", |item| item.ready && item.restarts == 2).await;
    machine.engine.foreign(&Foreign::Remove("demo-app-1".to_owned())).expect("it is there");
    daemon.down_and_wait().await;
    let told = std::iter::from_fn(|| records.try_recv().ok()).filter(|record| record.target == "app");
    let told: Vec<(String, String)> = told.map(|record| (record.kind, record.cause)).collect();
    let lines: Vec<&str> = told.iter().filter(|(kind, _)| kind == "last-lines").map(|(_, cause)| cause.as_str()).collect();
    // A run is told with its own lines alone, and an end that was asked for with none.
    assert_eq!(lines, ["begins / no such table: polls", "begins / no such table: users"], "{told:#?}");
}
