//! What is restarted, and what is left alone although it does not answer.

use std::time::Duration;

use witwd::engine::sim::{FaultKind, FaultPlan, Foreign, Operation};
use witwd::health::Outcome;
use witwd::host::Clock as _;

use witwd::supervisor::{Occasion, Up};

use super::stacks::stack;
use super::world::{DEMO, Machine};

#[tokio::test(start_paused = true)]
async fn a_save_that_was_read_before_an_up_does_not_undo_it() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let (earlier, later) = (stack(&DEMO.replace("app:1", "cache:1")), stack(&DEMO.replace("app:1", "app:2")));
    let read =
        |stack: &std::sync::Arc<witwd::model::stack::Stack>, reading, occasion| Up { reading, occasion, ..Up::of(stack.clone()) };
    daemon.handle.up(read(&later, 2, Occasion::Asked)).await.expect("a daemon that lives");
    let generation = daemon.handle.up(read(&earlier, 1, Occasion::Saved)).await.expect("a daemon that lives");
    let status = daemon.settled(generation, |status| status.converged).await;
    assert_eq!(status.items.iter().find(|item| item.name == "app").expect("the app").image, "app:2");
    // Nor does an `up` that read the file before another; what else it asks for is done.
    let generation = daemon.handle.up(read(&earlier, 1, Occasion::Asked)).await.expect("a daemon that lives");
    let status = daemon.settled(generation, |status| status.converged).await;
    assert_eq!(status.items.iter().find(|item| item.name == "app").expect("the app").image, "app:2");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_was_away_for_long_restarts_nobody_when_it_is_back() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let (app, db) = ("app".parse().expect("a name"), "db".parse().expect("a name"));
    let away = || Some(Outcome::Failure("no answer".to_owned()));
    // The server hangs, and its app answers 503 for as long. It is not found at the same moment.
    machine.prober.fix(&db, Some(Outcome::Refused("57P03 the database system is starting up".to_owned())));
    tokio::time::sleep(Duration::from_secs(25)).await;
    machine.prober.fix(&app, away());
    daemon.until("db", |item| !item.ready).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    machine.prober.fix(&db, None);
    daemon.until("db", |item| item.ready).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    machine.prober.fix(&app, None);
    assert_eq!(daemon.until("app", |item| item.ready).await.restarts, 0);
    // One that stays sick while its database is well is restarted as ever.
    machine.prober.fix(&app, away());
    daemon.until("app", |item| item.restarts == 1).await;
}

/// An app that is asked ten times as often as its database.
const HASTY: &str = r#"
name = "demo"
[services.app]
image = "app:1"
port = 8000
health.http = "/healthz"
health.interval = "1s"
env.DATABASE_URL = "${db.url}"
[postgres.db]
image = "postgres:17"
"#;

#[tokio::test(start_paused = true)]
async fn who_fails_with_its_database_before_that_was_asked_is_left_alone() {
    let machine = Machine::new();
    let hasty = stack(HASTY);
    let daemon = machine.daemon(&hasty);
    daemon.up_and_wait(&hasty).await;
    let (app, db) = ("app".parse().expect("a name"), "db".parse().expect("a name"));
    // At whatever moment between two looks at the database.
    for moment in 0..10 {
        tokio::time::sleep(Duration::from_millis(60_000 + moment * 1_000)).await;
        machine.prober.fix(&db, Some(Outcome::Failure("query: timed out".to_owned())));
        machine.prober.fix(&app, Some(Outcome::Failure("GET /healthz: 503".to_owned())));
        tokio::time::sleep(Duration::from_secs(25)).await;
        machine.prober.fix(&db, None);
        tokio::time::sleep(Duration::from_secs(1)).await;
        machine.prober.fix(&app, None);
        assert_eq!(daemon.until("app", |item| item.ready).await.restarts, 0, "after {moment} s");
    }
    // Who fails alone is restarted as soon as its database has said that it is well.
    machine.prober.fix(&app, Some(Outcome::Failure("GET /healthz: 503".to_owned())));
    let failed = machine.clock.moment();
    daemon.until("app", |item| item.restarts == 1).await;
    let took = machine.clock.moment().since(failed);
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn dependents_are_looked_at_at_once_when_their_database_is_back() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let (app, db) = ("app".parse().expect("a name"), "db".parse().expect("a name"));
    // At whatever moment between two looks at the app.
    for moment in 0..10 {
        machine.prober.fix(&db, Some(Outcome::Failure("query: timed out".to_owned())));
        machine.prober.fix(&app, Some(Outcome::Failure("GET /healthz: 503".to_owned())));
        daemon.until("app", |item| !item.ready).await;
        tokio::time::sleep(Duration::from_millis(60_000 + moment * 1_000)).await;
        machine.prober.fix(&app, None);
        machine.prober.fix(&db, None);
        daemon.until("db", |item| item.ready).await;
        let back = machine.clock.moment();
        assert_eq!(daemon.until("app", |item| item.ready).await.restarts, 0);
        let took = machine.clock.moment().since(back);
        assert!(took < Duration::from_secs(1), "after {moment} s: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_no_event_can_come_it_is_looked_every_few_seconds() {
    let machine = Machine::new();
    let deaf = FaultPlan { only: [Operation::Events].into(), ..FaultPlan::one(1, FaultKind::FailBefore, 1000) };
    machine.engine.set_faults(deaf);
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    // Long after anything was to be done, and far from the next probe.
    tokio::time::sleep(Duration::from_secs(301)).await;
    machine.engine.foreign(&Foreign::Kill("demo-db-1".to_owned())).expect("it is there");
    let killed = machine.clock.moment();
    daemon.until("db", |item| item.restarts == 1).await;
    let took = machine.clock.moment().since(killed);
    assert!(took <= Duration::from_secs(5), "{took:?}");
}
