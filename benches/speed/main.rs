//! Speed beside raw engine calls and docker compose: ratios from one run, never a number alone.
//!
//! `make bench` runs all of it; `cargo bench --bench speed -- up crash` only what begins with these
//! words. Everything is measured with the program of `cargo build --release` on the engine of this
//! machine. What is compared is measured in turns, so that a busy moment hits all of them, and each
//! comes first in turn. Where issue 3 names a target, it is printed whether it is met.
//!
//! `WITWD_BENCH_COMPOSE` names the compose to compare with (see `compose.rs`). For a try,
//! `WITWD_BENCH_ROUNDS` says how often each is measured, and `WITWD_BENCH_SERVICES` leaves out the
//! stacks of more services than that.

#![expect(clippy::disallowed_methods, reason = "a measurement asks the real clock")]
#![expect(clippy::print_stdout, reason = "the table is the result")]
#![expect(clippy::unwrap_used, reason = "a measurement that can't go on has failed")]

mod backup;
mod compose;
mod crash;
mod database;
mod idle;
mod leftovers;
mod lifecycle;
mod measure;
#[path = "../../tests/docker/namespaces.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod namespaces;
mod planning;
#[path = "../../tests/docker/private.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod private;
mod program;
mod raw;
mod recipe;
#[path = "../../tests/docker/recorder.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod recorder;
#[path = "../../tests/docker/stack.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod stack;
#[path = "../../tests/simulation/stacks.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod stacks;
#[path = "../../tests/docker/support.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod support;
mod unchanged;
#[path = "../../tests/it/scenarios/world.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod world;

use compose::Compose;

/// What can be measured, by the word it is chosen with.
const ALL: [&str; 9] = ["program", "planning", "up", "unchanged", "idle", "crash", "database", "backup", "build"];

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |word: &str| chosen.is_empty() || chosen.iter().any(|start| word.starts_with(start.as_str()));
    let wanted: Vec<&str> = ALL.into_iter().filter(|word| wants(word)).collect();
    assert!(!wanted.is_empty(), "{chosen:?}: the words are {ALL:?}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let compose = Compose::find();
    println!("{}", compose.as_ref().map_or("docker compose is not installed".to_owned(), Compose::describe));
    if wanted.iter().any(|word| !["planning", "build"].contains(word)) {
        program::as_released();
    }
    for word in wanted {
        match word {
            "program" => program::start_and_size(),
            "planning" => planning::plan_of_a_thousand(),
            "build" => program::release_build(),
            word => runtime.block_on(measured(word, compose.as_ref())),
        }
    }
}

/// The measurements that need an engine.
async fn measured(word: &str, compose: Option<&Compose>) {
    match word {
        "up" => lifecycle::up_and_down(compose).await,
        "unchanged" => unchanged::unchanged(compose).await,
        "idle" => idle::idle().await,
        "crash" => crash::crash_to_running().await,
        "database" => database::database_then_app(compose).await,
        "backup" => backup::backup().await,
        _ => unreachable!("every word of ALL has its measurement"),
    }
}
