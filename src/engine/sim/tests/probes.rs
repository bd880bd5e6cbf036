//! The simulated prober answers as the scripts say.

use std::time::Duration;

use super::{engine, started};
use crate::engine::sim::{Foreign, Script, SimEngine};
use crate::health::{Asked, Outcome, Prober as _, SimProber};
use crate::model::name::ContainerId;
use crate::model::observed::RunId;
use crate::model::probe::{Check, Probe};

fn run_of(container: &ContainerId) -> RunId {
    RunId { container: container.clone(), started_at: jiff::Timestamp::UNIX_EPOCH }
}

async fn ask(engine: &SimEngine, id: &ContainerId, check: Check) -> Outcome {
    let asked = Asked::Container { workload: "web".parse().expect("a name"), run: run_of(id) };
    SimProber::new(std::sync::Arc::new(engine.clone())).probe(&asked, &Probe::new(check, Some(8080))).await
}

#[tokio::test(start_paused = true)]
async fn an_app_answers_once_it_is_ready() {
    let engine = engine();
    engine.script("web", Script::ready_after(Duration::from_secs(5)));
    let id = started(&engine, "web").await;
    assert_eq!(ask(&engine, &id, Check::Tcp).await, Outcome::Failure("tcp: connection refused".to_owned()));
    assert!(matches!(ask(&engine, &id, Check::Postgres).await, Outcome::Refused(_)));
    engine.clock().sleep(Duration::from_secs(5)).await;
    assert_eq!(ask(&engine, &id, Check::Tcp).await, Outcome::Success);
    assert_eq!(ask(&engine, &id, Check::Exec(vec!["true".to_owned()])).await, Outcome::Success);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_hangs_or_is_paused_times_out() {
    let engine = engine();
    engine.script("web", Script::hangs_at(Duration::from_secs(5)));
    let id = started(&engine, "web").await;
    engine.clock().sleep(Duration::from_secs(1)).await;
    assert_eq!(ask(&engine, &id, Check::Tcp).await, Outcome::Success);
    engine.foreign(&Foreign::Pause(id.0.clone())).expect("pausing");
    let timed_out = Outcome::Failure("tcp: timed out after 5s".to_owned());
    assert_eq!(ask(&engine, &id, Check::Tcp).await, timed_out);
    engine.foreign(&Foreign::Unpause(id.0.clone())).expect("going on");
    let began = engine.clock().moment();
    assert_eq!(ask(&engine, &id, Check::Tcp).await, timed_out);
    assert_eq!(engine.clock().moment().since(began), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn without_an_engine_there_is_no_verdict() {
    let engine = engine();
    let id = started(&engine, "web").await;
    engine.stop_engine();
    assert!(matches!(ask(&engine, &id, Check::Tcp).await, Outcome::NotMade(_)));
    engine.start_engine();
    assert!(matches!(ask(&engine, &id, Check::Tcp).await, Outcome::NotMade(_)), "its container has ended");
}

#[tokio::test(start_paused = true)]
async fn a_flapping_app_answers_in_turns() {
    let engine = engine();
    engine.script("web", Script { flap: Some(Duration::from_secs(10)), ..Script::default() });
    let id = started(&engine, "web").await;
    engine.clock().sleep(Duration::from_secs(5)).await;
    assert_eq!(ask(&engine, &id, Check::Tcp).await, Outcome::Success);
    engine.clock().sleep(Duration::from_secs(10)).await;
    assert!(matches!(ask(&engine, &id, Check::Tcp).await, Outcome::Failure(_)));
    engine.clock().sleep(Duration::from_secs(10)).await;
    assert_eq!(ask(&engine, &id, Check::Tcp).await, Outcome::Success);
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_fixed() {
    let engine = engine();
    let id = started(&engine, "web").await;
    let prober = SimProber::new(std::sync::Arc::new(engine.clone()));
    let workload: crate::model::name::WorkloadName = "web".parse().expect("a name");
    let asked = Asked::Container { workload: workload.clone(), run: run_of(&id) };
    let probe = Probe::new(Check::Tcp, Some(8080));
    prober.fix(&workload, Some(Outcome::Failure("by hand".to_owned())));
    assert_eq!(prober.probe(&asked, &probe).await, Outcome::Failure("by hand".to_owned()));
    prober.fix(&workload, None);
    engine.clock().sleep(Duration::from_secs(1)).await;
    assert_eq!(prober.probe(&asked, &probe).await, Outcome::Success);
}
