//! From the death of a service to its next process, beside the engine's own restart policy.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::lifecycle::waiting;
use crate::measure::{ROUNDS, Samples, print, timed};
use crate::raw::{Made, Raw, Recipe};
use crate::stack::TestStack;

/// The engine forgets its own growing delay after ten seconds of good running; ours asks for a
/// minute. Each round has new containers, so that every death is the first.
pub async fn crash_to_running() {
    let raw = Raw::new();
    let mut recipe = Recipe::of("bench-crash", &waiting(1)).await;
    recipe.adjust("s1", |body| body["HostConfig"]["RestartPolicy"] = json!({"Name": "always"}));
    let mut all = [Samples::of("witwd"), Samples::of("the engine's restart=always")];
    for _ in 0..ROUNDS {
        let stack = TestStack::new("bench-crash", &waiting(1)).await;
        stack.done(&["up", "-d"]);
        let container = stack.item("s1")["container"].as_str().unwrap().to_owned();
        all[0].add(from_death_to_life(&raw, &container).await);
        stack.done(&["down"]);
        let made: Made = recipe.up(&raw).await;
        all[1].add(from_death_to_life(&raw, &made.containers[0]).await);
        made.down(&raw).await;
    }
    print("a crashed service until it runs again", &all);
}

/// Kills the container's first process from outside, as a crash would end it.
async fn from_death_to_life(raw: &Raw, container: &str) -> Duration {
    let state = async || raw.json("GET", &format!("/containers/{container}/json"), None::<Bytes>).await["State"].clone();
    let before = state().await["Pid"].clone();
    let killed = std::process::Command::new("kill").args(["-9", &before.to_string()]).status().unwrap();
    assert!(killed.success(), "the process can't be killed: this measurement needs root");
    let alive = |state: &Value| state["Running"] == true && state["Pid"] != before && state["Pid"] != 0;
    timed(async {
        while !alive(&state().await) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .0
}
