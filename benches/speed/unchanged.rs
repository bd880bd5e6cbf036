//! An `up -d` that changes nothing, and `ps`.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::compose::{Compose, Project};
use crate::lifecycle::waiting;
use crate::measure::{Samples, judge, print, rounds, shown, sizes, timed, timed_blocking, turns};
use crate::raw::Raw;
use crate::recorder::Recorder;
use crate::stack::TestStack;

/// Stacks of 2, 50 and 200 services. Compose has no daemon: it must look at everything anew; so must
/// ours, which is proved on recorded calls first, and then timed with nothing in its way.
pub async fn unchanged(compose: Option<&Compose>) {
    for services in sizes(&[2, 50, 200]) {
        looks_after_accepting(services).await;
        let [ups, shows] = of_so_many(services, compose).await;
        print(&format!("unchanged up of {services} services"), &ups);
        println!("  witwd's daemon lists the containers anew after it has accepted the request: seen on recorded calls");
        println!("  compose has no daemon, and must look at everything anew");
        if services == 50 {
            let ours = ups[0].median();
            judge("below 15 ms", &shown(ours), ours < Duration::from_millis(15));
        }
        print(&format!("ps of {services} services"), &shows);
    }
}

async fn of_so_many(services: usize, compose: Option<&Compose>) -> [Vec<Samples>; 2] {
    let name = format!("bench-same-{services}");
    let stack = TestStack::new(&name, &waiting(services)).await;
    stack.done(&["up", "-d", "--timeout", "10m"]);
    let project = compose.map(|compose| Project::waiting(compose, &name, services));
    if let Some(project) = &project {
        project.run(&["up", "-d"]);
    }
    let verbs = [&["up", "-d"][..], &["ps"]];
    let mut all = verbs.map(|verb| {
        let verb = verb.join(" ");
        let beside = compose.map(|compose| compose.called(&verb));
        let raw = "one list of its containers, raw".to_owned();
        Samples::of_all([format!("witwd {verb}"), raw].into_iter().chain(beside))
    });
    let raw = Raw::new();
    for round in 0..rounds() {
        for who in turns(round, all[0].len()) {
            for (samples, verb) in all.iter_mut().zip(verbs) {
                samples[who].add(match who {
                    0 => timed_blocking(|| drop(stack.done(verb))).0,
                    1 => timed(raw.json("GET", &list(&stack.name), None)).await.0,
                    _ => timed_blocking(|| project.as_ref().expect("a project").run(verb)).0,
                });
            }
        }
    }
    if let Some(project) = &project {
        project.run(&["down"]);
    }
    stack.done(&["down"]);
    all
}

/// The one call that neither verb can do without: the list of a stack's containers, stopped ones too.
fn list(stack: &str) -> String {
    format!("/containers/json?all=true&filters=%7B%22label%22%3A%5B%22dev.witwd.stack%3D{stack}%22%5D%7D")
}

/// Fails where an `up -d` that changes nothing is answered without a look at the engine that began after
/// the daemon had accepted it. The command's own look at whose the containers are comes before that.
async fn looks_after_accepting(services: usize) {
    let scratch = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(scratch.path());
    let mut stack = TestStack::new(&format!("bench-look-{services}"), &waiting(services)).await;
    stack.docker_host = Some(format!("unix://{}", recorder.socket.display()));
    stack.done(&["up", "-d", "--timeout", "10m"]);
    for _ in 0..3 {
        let begun = Timestamp::now();
        stack.done(&["up", "-d"]);
        let asked = recorder.asked();
        let accepted = last_accepted(&stack);
        assert!(accepted > begun, "the request of {begun} is not among the events; the last one: {accepted}");
        let lists = asked.iter().filter(|asked| asked.method == "GET" && asked.path().ends_with("/containers/json"));
        let times: Vec<Timestamp> = lists.map(|list| list.at).filter(|at| *at > begun).collect();
        assert!(times.iter().any(|at| *at > accepted), "accepted at {accepted}, but looked at {times:?}");
    }
    stack.done(&["down"]);
}

/// When the daemon accepted the last `up`, by its own events.
fn last_accepted(stack: &TestStack) -> Timestamp {
    let events = stack.done(&["events", "--json"]);
    let mut events = events.lines().rev().map(|line| serde_json::from_str::<Value>(line).expect("JSON of events"));
    let accepted = events.find(|event| event["kind"] == "up").expect("an accepted up");
    accepted["at"].as_str().expect("a time").parse().expect("a time")
}
