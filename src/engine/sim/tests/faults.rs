//! Each kind of fault shows its effect, and equal seeds give equal runs.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::{engine, instance, seen, service, stack, started, words};
use crate::engine::sim::{EventFault, Fault, FaultKind, FaultPlan, Foreign, Operation, SimEngine};
use crate::engine::{Engine as _, ErrorKind, EventStream};

const GRACE: Duration = Duration::from_secs(10);

/// What arrives until nothing has for a minute.
async fn heard(engine: &SimEngine, mut events: EventStream) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        tokio::select! {
            biased;
            event = events.next() => match event {
                Some(Ok(event)) => heard.push(event.action),
                Some(Err(error)) => heard.push(format!("{:?}", error.kind)),
                None => return heard,
            },
            () = engine.clock().sleep(Duration::from_secs(60)) => return heard,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_effect_has_none() {
    let engine = engine();
    engine.fail_next(Operation::Create, Fault::FailBefore(ErrorKind::Unavailable));
    let error = engine.create(&service("web")).await.expect_err("a fault");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(words(&engine).await.is_empty());
    engine.create(&service("web")).await.expect("the fault was for one call");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_has_its_effect() {
    let engine = engine();
    engine.fail_next(Operation::Create, Fault::LostAck(ErrorKind::Timeout));
    assert!(engine.create(&service("web")).await.is_err());
    assert_eq!(words(&engine).await, ["created"]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_can_be_set_for_one_call_by_its_number() {
    let engine = engine();
    engine.at_call(1, Fault::FailBefore(ErrorKind::Other));
    let id = engine.create(&service("web")).await.expect("call 0");
    assert!(engine.start(&id).await.is_err(), "call 1");
    engine.start(&id).await.expect("call 2");
}

#[tokio::test(start_paused = true)]
async fn a_delay_delays() {
    let engine = engine();
    let id = engine.create(&service("web")).await.expect("creating");
    engine.fail_next(Operation::Start, Fault::Delay(Duration::from_secs(90)));
    let began = engine.clock().moment();
    engine.start(&id).await.expect("starting");
    assert!(engine.clock().moment().since(began) >= Duration::from_secs(90));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_may_have_its_effect_later_or_never() {
    for (effect_after, state) in [(None, "created"), (Some(Duration::from_secs(20)), "running")] {
        let engine = engine();
        let id = engine.create(&service("web")).await.expect("creating");
        engine.fail_next(Operation::Start, Fault::Hang { limit: Duration::from_secs(30), effect_after });
        let error = engine.start(&id).await.expect_err("it hangs");
        assert_eq!(error.kind, ErrorKind::Timeout);
        assert_eq!(words(&engine).await, ["created"]);
        engine.clock().sleep(Duration::from_secs(25)).await;
        assert_eq!(words(&engine).await, [state]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_read_shows_what_was() {
    let engine = engine();
    let id = started(&engine, "web").await;
    assert_eq!(words(&engine).await, ["running"]);
    engine.clock().sleep(Duration::from_secs(1)).await;
    engine.stop(&id, GRACE).await.expect("stopping");
    engine.fail_next(Operation::Observe, Fault::StaleRead(Duration::from_millis(500)));
    assert_eq!(words(&engine).await, ["running"]);
    assert_eq!(words(&engine).await, ["exited"]);
}

#[tokio::test(start_paused = true)]
async fn events_are_lost_doubled_or_late() {
    let late = EventFault::Late(Duration::from_secs(5));
    let cases: [(Option<EventFault>, &[&str]); 4] = [
        (None, &["create", "start"]),
        (Some(EventFault::Lose), &["start"]),
        (Some(EventFault::Double), &["create", "create", "start"]),
        (Some(late), &["start", "create"]),
    ];
    for (fault, wanted) in cases {
        let engine = engine();
        let events = engine.events(&stack()).await.expect("following");
        if let Some(fault) = fault {
            engine.fault_next_event(fault);
        }
        started(&engine, "web").await;
        assert_eq!(heard(&engine, events).await, wanted, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_loses_events() {
    let engine = engine();
    let events = engine.events(&stack()).await.expect("following");
    for number in 0..1500 {
        engine.foreign(&Foreign::CreateNetwork(format!("n{number}"))).ok();
        let id = engine.with(|world| world.network(&format!("n{number}")).map(|(id, _)| id.clone()));
        engine.remove_network(&id.expect("a network")).await.expect("removing");
    }
    assert_eq!(heard(&engine, events).await.len(), 1024);
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_engine_cuts_streams_and_ends_containers() {
    for (live_restore, state) in [(false, "exited"), (true, "running")] {
        let engine = engine();
        engine.set_live_restore(live_restore);
        let id = started(&engine, "web").await;
        let events = engine.events(&stack()).await.expect("following");
        let restart = async {
            engine.clock().sleep(Duration::from_secs(1)).await;
            engine.restart_engine(Duration::from_secs(5));
        };
        let (waited, ()) = futures_util::join!(engine.wait(&id), restart);
        assert_eq!(waited.expect_err("the connection is cut").kind, ErrorKind::Unavailable);
        assert_eq!(engine.info().await.expect_err("it is away").kind, ErrorKind::Unavailable);
        assert_eq!(heard(&engine, events).await.last().map(String::as_str), Some("Unavailable"));
        engine.clock().sleep(Duration::from_secs(5)).await;
        assert_eq!(words(&engine).await, [state]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_a_restart_cuts_leaves_a_dead_container() {
    let engine = engine();
    let id = engine.create(&service("web")).await.expect("creating");
    engine.alter(|world| world.slow_removals.insert("shop-web-1".to_owned(), Duration::from_secs(30)));
    let restart = async {
        engine.clock().sleep(Duration::from_secs(1)).await;
        engine.restart_engine(Duration::from_secs(1));
    };
    let (removed, ()) = futures_util::join!(engine.remove(&id), restart);
    assert_eq!(removed.expect_err("it was cut").kind, ErrorKind::Unavailable);
    engine.clock().sleep(Duration::from_secs(2)).await;
    assert_eq!(words(&engine).await, ["dead"]);
    engine.alter(|world| world.slow_removals.clear());
    engine.remove(&id).await.expect("a dead one can be removed");
    assert!(words(&engine).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restart_within_a_call_loses_its_answer() {
    let engine = engine();
    let id = engine.create(&service("web")).await.expect("creating");
    engine.fail_next(Operation::Start, Fault::RestartEngine { down: Duration::from_secs(3) });
    assert_eq!(engine.start(&id).await.expect_err("it is away").kind, ErrorKind::Unavailable);
    engine.clock().sleep(Duration::from_secs(4)).await;
    engine.start(&id).await.expect("it is back");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_answers_nobody_until_it_goes_on() {
    let engine = engine();
    engine.hang_engine(true);
    assert_eq!(engine.info().await.expect_err("it hangs").kind, ErrorKind::Timeout);
    let goes_on = async {
        engine.clock().sleep(Duration::from_secs(10)).await;
        engine.hang_engine(false);
    };
    let (info, ()) = futures_util::join!(engine.info(), goes_on);
    info.expect("it goes on");
}

#[tokio::test(start_paused = true)]
async fn foreign_hands_are_quicker() {
    let engine = engine();
    let id = engine.create(&service("web")).await.expect("creating");
    engine.fail_next(Operation::Start, Fault::Foreign(Foreign::Remove("shop-web-1".to_owned())));
    let error = engine.start(&id).await.map_err(|error| error.kind);
    assert!(matches!(error, Err(ErrorKind::NotFound | ErrorKind::Conflict)), "{error:?}");
    engine.foreign(&Foreign::GrabPort(8000)).expect("grabbing");
    let mut request = service("port");
    request.ports = vec!["127.0.0.1".parse().map(|address| port(address, 8000)).expect("an address")];
    let id = engine.create(&request).await.expect("creating");
    assert_eq!(engine.start(&id).await.expect_err("the port is taken").kind, ErrorKind::PortInUse);
    engine.foreign(&Foreign::FreePort(8000)).expect("freeing");
    engine.start(&id).await.expect("the port is free");
}

fn port(address: std::net::IpAddr, host: u16) -> crate::model::container::PublishedPort {
    let protocol = crate::model::container::Protocol::Tcp;
    crate::model::container::PublishedPort { address, host: Some(host), container: 80, protocol }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_early_changed_nothing_and_later_lost_the_answer() {
    for (patience, there) in [(Duration::from_millis(5), 0), (Duration::from_millis(50), 1)] {
        let engine = engine();
        let request = service("web");
        tokio::select! {
            biased;
            _ = engine.create(&request) => panic!("a create takes longer"),
            () = engine.clock().sleep(patience) => {}
        }
        assert_eq!(seen(&engine).await.len(), there, "after {patience:?}");
        let calls = engine.calls();
        assert!(calls.calls[0].outcome.is_none() && calls.calls[0].finished_at.is_some());
    }
}

/// A few rounds of work that goes on whatever fails.
async fn rounds(plan: FaultPlan) -> (String, usize) {
    let engine = engine();
    engine.guard(&stack(), &instance());
    engine.set_faults(plan);
    let events = engine.events(&stack()).await;
    for number in 0..12 {
        let name = format!("w{number}");
        if let Ok(id) = engine.create(&service(&name)).await {
            let _ = engine.start(&id).await;
            let _ = engine.observe(&crate::engine::request::Scope::of(&stack())).await;
            let _ = engine.stop(&id, GRACE).await;
            let _ = engine.remove(&id).await;
        }
        engine.clock().sleep(Duration::from_secs(20)).await;
    }
    drop(events);
    assert_eq!(engine.violations(), Vec::<String>::new());
    let failed = engine.calls().calls.iter().filter(|call| matches!(call.outcome, Some(Err(_)))).count();
    (engine.trace_hash(), failed)
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_give_equal_runs_and_others_differ() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let first = rounds(FaultPlan::swarm(seed)).await;
        let second = rounds(FaultPlan::swarm(seed)).await;
        assert_eq!(first, second, "seed {seed}");
        hashes.insert(first.0);
    }
    assert!(hashes.len() > 30, "only {} different runs of 40 seeds", hashes.len());
}

#[tokio::test(start_paused = true)]
async fn rates_are_kept_and_only_the_named_primitives_are_hit() {
    let (_, none) = rounds(FaultPlan::default()).await;
    assert_eq!(none, 0);
    let mut plan = FaultPlan::one(1, FaultKind::FailBefore, 1000);
    plan.only.insert(Operation::Start);
    let (_, some) = rounds(plan).await;
    assert_eq!(some, 12);
}
