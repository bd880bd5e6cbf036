//! What is restarted, and what is left alone although it does not answer.

use std::time::Duration;

use witwd::health::Outcome;

use super::world::{DEMO, Machine, stack};

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
