//! From the death of a service to its next process, beside the engine's own restart policy.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lifecycle::waiting;
use crate::measure::{Samples, judge, print, rounds, shown, timed, turns, until};
use crate::raw::Raw;
use crate::recipe::Recipe;
use crate::stack::TestStack;

/// The engine forgets its own growing delay after ten seconds of good running; ours asks for a
/// minute. Each round has new containers, so that every death is the first. The engine's policy is
/// also what compose would use.
pub async fn crash_to_running() {
    let raw = Raw::new();
    let mut recipe = Recipe::of("bench-crash", &waiting(1)).await;
    recipe.body("s1")["HostConfig"]["RestartPolicy"] = json!({"Name": "always"});
    let mut all = [Samples::of("witwd"), Samples::of("the engine's restart=always")];
    for round in 0..rounds() {
        for who in turns(round, all.len()) {
            let time = if who == 0 { ours(&raw).await } else { of_the_engine(&raw, &recipe).await };
            all[who].add(time);
        }
    }
    print("a crashed service until it runs again", &all);
    let (own, engines) = (all[0].median(), all[1].median());
    judge("at most the engine's own", &format!("{} to {}", shown(own), shown(engines)), own <= engines);
}

async fn ours(raw: &Raw) -> Duration {
    let stack = TestStack::new("bench-crash", &waiting(1)).await;
    stack.done(&["up", "-d"]);
    let container = stack.item("s1")["container"].as_str().unwrap().to_owned();
    let time = from_death_to_life(raw, &container).await;
    stack.done(&["down"]);
    time
}

async fn of_the_engine(raw: &Raw, recipe: &Recipe) -> Duration {
    let made = recipe.up(raw).await;
    let time = from_death_to_life(raw, &made.containers[0]).await;
    made.down(raw).await;
    time
}

/// Kills the container's first process from outside, as a crash would end it.
async fn from_death_to_life(raw: &Raw, container: &str) -> Duration {
    let state = async || raw.container(container).await["State"].clone();
    let before = state().await["Pid"].clone();
    let killed = std::process::Command::new("kill").args(["-9", &before.to_string()]).status().unwrap();
    assert!(killed.success(), "the process can't be killed: this measurement needs root");
    let alive = |state: &Value| state["Running"] == true && state["Pid"] != before && state["Pid"] != 0;
    let again = until("the crashed service runs again", Duration::from_millis(2), async || alive(&state().await));
    timed(again).await.0
}
