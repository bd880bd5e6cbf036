//! A fallback takes the place of a registry that does not answer, not of an answer that a person
//! should read.

use std::time::Duration;

use witwd::engine::sim::{Operation, PullCourse};
use witwd::model::status::State;
use witwd::model::time::Moment;

use super::stacks::stack;
use super::world::Machine;

const APP: &str = "name = \"demo\"\n[services.app]\nimage = \"app:3\"\nfallback = { context = \".\" }\n";

/// How often a fallback was built within ten minutes of a registry that does this, and what is shown
/// of the service.
async fn with_registry(course: Option<PullCourse>, offline: bool) -> (usize, State, String) {
    let machine = Machine::new();
    if let Some(course) = course {
        machine.engine.publish("app:3", course);
    }
    machine.engine.set_offline(offline);
    let app = stack(APP);
    let daemon = machine.daemon(&app);
    daemon.up(&app).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let trace = machine.trace();
    assert!(!trace.of(Operation::Pull).is_empty(), "nobody was asked");
    let status = daemon.handle.status();
    let item = status.items.iter().find(|item| item.name == "app").expect("it is declared");
    (trace.of(Operation::Build).len(), item.state, item.cause.clone())
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_denies_an_image_is_an_answer_and_the_fallback_is_not_built() {
    let (builds, state, cause) = with_registry(None, false).await;
    assert_eq!(builds, 0, "{state:?} {cause}");
    assert_ne!(state, State::Running, "{cause}");
    assert!(cause.contains("pull access denied, or the image does not exist"), "{cause}");
    // The same without any registry: that is what a fallback is for.
    let (builds, state, cause) = with_registry(None, true).await;
    assert_eq!((builds, state), (1, State::Running), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_breaks_or_stalls_is_tried_again_and_the_fallback_is_not_built() {
    for course in [PullCourse::Breaks(Duration::from_secs(1)), PullCourse::Stalls] {
        let (builds, state, cause) = with_registry(Some(course), false).await;
        assert_eq!(builds, 0, "{course:?}: {state:?} {cause}");
        assert_ne!(state, State::Running, "{course:?}: {cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_stalls_is_given_up_after_a_minute_and_tried_again_ever_more_seldom() {
    let machine = Machine::new();
    machine.engine.publish("app:3", PullCourse::Stalls);
    let app = stack("name = \"demo\"\n[services.app]\nimage = \"app:3\"\n");
    let daemon = machine.daemon(&app);
    daemon.up(&app).await;
    tokio::time::sleep(Duration::from_secs(900)).await;
    let trace = machine.trace();
    let begun: Vec<Moment> = trace.of(Operation::Pull).iter().map(|call| call.at).collect();
    let between: Vec<f64> = begun.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
    assert!(between.len() > 6, "{between:?}");
    // A minute of silence, then 1 s, doubling to 60 s.
    let delays = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
    for (between, delay) in between.iter().zip(delays) {
        assert!((60.0 + delay..61.5 + delay).contains(between), "{between} where {delay} is due");
    }
}
