//! Cold `up` and `down`, beside the engine's own calls and compose.

use std::fmt::Write as _;
use std::time::Duration;

use witwd::model::probe::SETTLED;

use crate::compose::{Compose, Project};
use crate::measure::{Samples, judge, print, rounds, shown, sizes, timed, timed_blocking, turns};
use crate::raw::Raw;
use crate::recipe::Recipe;
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

/// Stacks of 2, 10 and 50 services.
pub async fn up_and_down(compose: Option<&Compose>) {
    for services in sizes(&[2, 10, 50]) {
        let [ups, downs] = of_so_many(services, compose).await;
        print(&format!("cold up of {services} services"), &ups);
        beside_up(&ups, services == 50, compose);
        print(&format!("down of {services} services"), &downs);
    }
}

async fn of_so_many(services: usize, compose: Option<&Compose>) -> [Vec<Samples>; 2] {
    let (raw, name, text) = (Raw::new(), format!("bench-{services}"), waiting(services));
    let recipe = Recipe::of(&name, &text).await;
    let project = compose.map(|compose| Project::waiting(compose, &name, services));
    let contenders = |ours: &str, theirs: &str| {
        let beside = compose.map(|compose| compose.called(theirs));
        Samples::of_all([format!("witwd {ours}"), "raw engine calls".to_owned()].into_iter().chain(beside))
    };
    let mut all = [contenders("up -d", "up -d"), contenders("down", "down")];
    for round in 0..rounds() {
        for who in turns(round, all[0].len()) {
            let times = match (who, &project) {
                (0, _) => by_witwd(&name, &text).await,
                (2, Some(project)) => by_compose(project),
                _ => by_calls(&recipe, &raw).await,
            };
            all[0][who].add(times[0]);
            all[1][who].add(times[1]);
        }
    }
    all
}

async fn by_witwd(name: &str, text: &str) -> [Duration; 2] {
    let stack = TestStack::new(name, text).await;
    [&["up", "-d"][..], &["down"]].map(|words| timed_blocking(|| stack.done(words)).0)
}

async fn by_calls(recipe: &Recipe, raw: &Raw) -> [Duration; 2] {
    let (up, made) = timed(recipe.up(raw)).await;
    [up, timed(made.down(raw)).await.0]
}

fn by_compose(project: &Project<'_>) -> [Duration; 2] {
    [&["up", "-d"][..], &["down"]].map(|words| timed_blocking(|| project.run(words)).0)
}

/// What the figures of `up` don't say by themselves, and whether they are what they are to be.
fn beside_up(ups: &[Samples], has_target: bool, compose: Option<&Compose>) {
    let waited = shown(SETTLED);
    let (ours, raw) = (&ups[0], &ups[1]);
    let without = ours.median().saturating_sub(SETTLED).as_secs_f64() / raw.median().as_secs_f64();
    println!(
        "  witwd calls a service without a probe ready when it has run for {waited}; raw calls and compose don't wait for that"
    );
    println!("  without these {waited}: witwd / raw calls = {without:.2}");
    if has_target {
        let ratio = ours.ratio_to(raw);
        judge("at most 1.08 of the raw calls", &format!("{ratio:.2}"), ratio <= 1.08);
    }
    match (has_target, ups.get(2).filter(|_| compose.is_some_and(|found| !found.is_old()))) {
        (false, _) => {}
        (true, None) => println!("  target: below compose: not measured, for there is no version 2 of it here"),
        (true, Some(theirs)) => {
            judge("below compose", &format!("{:.2} of it", ours.ratio_to(theirs)), ours.median() < theirs.median());
        }
    }
}
