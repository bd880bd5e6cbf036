//! `up`, `down`, an `up` that changes nothing, `ps`.

use std::fmt::Write as _;

use crate::compose::{Compose, project};
use crate::measure::{ROUNDS, Samples, print, timed, timed_blocking};
use crate::raw::{Raw, Recipe};
use crate::recorder::Recorder;
use crate::stack::TestStack;

/// A stack of so many services that only wait, and end at SIGTERM.
pub fn waiting(services: usize) -> String {
    let mut text = "name = \"NAME\"\n".to_owned();
    for number in 1..=services {
        write!(text, "[services.s{number}]\nimage = \"TINY\"\nentrypoint = []\ncommand = [\"/tiny\", \"sleep\", \"24h\"]\n")
            .unwrap();
    }
    text
}

/// Cold `up -d` and `down`, beside the engine's own calls and compose.
pub async fn up_and_down(compose: Option<&Compose>) {
    let raw = Raw::new();
    for services in [2, 10, 50] {
        let text = waiting(services);
        let recipe = Recipe::of(&format!("bench-{services}"), &text).await;
        let directory = tempfile::tempdir().unwrap();
        let name = format!("t-bench-compose-{}-{services}", std::process::id());
        project(directory.path(), &name, services);
        let mut ups = [Samples::of("witwd up -d"), Samples::of("raw engine calls"), Samples::of("docker compose up -d")];
        let mut downs = [Samples::of("witwd down"), Samples::of("raw engine calls"), Samples::of("docker compose down")];
        for _ in 0..ROUNDS {
            let stack = TestStack::new(&format!("bench-{services}"), &text).await;
            ups[0].add(timed_blocking(|| stack.done(&["up", "-d"])).0);
            downs[0].add(timed_blocking(|| stack.done(&["down"])).0);
            drop(stack);
            let (time, made) = timed(recipe.up(&raw)).await;
            ups[1].add(time);
            downs[1].add(timed(made.down(&raw)).await.0);
            if let Some(compose) = compose {
                ups[2].add(timed_blocking(|| compose.run(directory.path(), &["up", "-d"])).0);
                downs[2].add(timed_blocking(|| compose.run(directory.path(), &["down"])).0);
            }
        }
        let shown = if compose.is_some() { 3 } else { 2 };
        print(&format!("cold up of {services} services"), &ups[..shown]);
        print(&format!("down of {services} services"), &downs[..shown]);
    }
}

/// An `up -d` that changes nothing, and `ps`. Compose has no daemon: it must look at everything anew;
/// so must ours, and that it did is asserted on the recorded calls.
pub async fn unchanged(compose: Option<&Compose>) {
    for services in [2, 50, 200] {
        let text = waiting(services);
        let scratch = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(scratch.path());
        let mut stack = TestStack::new(&format!("bench-same-{services}"), &text).await;
        stack.docker_host = Some(format!("unix://{}", recorder.socket.display()));
        stack.done(&["up", "-d", "--timeout", "10m"]);
        let lists = || recorder.seen().iter().filter(|line| line.ends_with("/containers/json")).count();
        let mut same = [Samples::of("witwd up -d"), Samples::of("docker compose up -d")];
        let mut shown = [Samples::of("witwd ps"), Samples::of("docker compose ps")];
        let directory = tempfile::tempdir().unwrap();
        project(directory.path(), &format!("t-bench-same-{}-{services}", std::process::id()), services);
        if let Some(compose) = compose {
            compose.run(directory.path(), &["up", "-d"]);
        }
        for _ in 0..ROUNDS {
            let before = lists();
            same[0].add(timed_blocking(|| stack.done(&["up", "-d"])).0);
            assert!(lists() > before, "it answered without a look at the engine");
            shown[0].add(timed_blocking(|| stack.done(&["ps"])).0);
            if let Some(compose) = compose {
                same[1].add(timed_blocking(|| compose.run(directory.path(), &["up", "-d"])).0);
                shown[1].add(timed_blocking(|| compose.run(directory.path(), &["ps"])).0);
            }
        }
        if let Some(compose) = compose {
            compose.run(directory.path(), &["down"]);
        }
        stack.done(&["down"]);
        let contenders = if compose.is_some() { 2 } else { 1 };
        print(&format!("unchanged up of {services} services"), &same[..contenders]);
        print(&format!("ps of {services} services"), &shown[..contenders]);
    }
}
