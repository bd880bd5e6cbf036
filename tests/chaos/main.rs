//! Random faults under a stack with a database, for as long as it is told: `make chaos FOR=10m SEED=1`.
//!
//! An engine of its own runs an app, a worker, a Postgres and somebody else's container. One fault after the
//! other is chosen by the seed; after each all must be well again, and all oracles are asked. Where docker
//! compose is named (`WITWD_BENCH_COMPOSE`, see `benches/speed/compose.rs`), the same faults fall upon the
//! same images under `restart: always`, as long again.
//!
//! | variable | meaning |
//! |---|---|
//! | `WITWD_CHAOS_FOR` | how long, as `3m`; without it nothing is done |
//! | `WITWD_CHAOS_SEED` | which faults in which order; 1 |
//! | `WITWD_CHAOS_ONLY` | only faults whose name has this in it |
//! | `WITWD_CHAOS_PAGE` | the page whose table is written anew |
//!
//! It ends with code 1 where a row is lost or there twice, a bystander was touched, or something that witwd
//! keeps did not heal.

#![expect(clippy::disallowed_methods, reason = "a measurement asks the real clock")]
#![expect(clippy::print_stdout, reason = "the table is the result")]
#![expect(clippy::unwrap_used, reason = "a run that can't go on has failed")]

mod faults;
mod keeper;
#[path = "../docker/namespaces.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod namespaces;
#[path = "../docker/oracles/mod.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod oracles;
#[path = "../docker/private.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod private;
#[path = "../docker/recorder.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod recorder;
#[path = "../docker/stack.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod stack;
#[path = "../docker/support.rs"]
#[expect(dead_code, reason = "shared with the tests, which ask it more")]
mod support;
mod table;
mod world;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use faults::Fault;
use table::{Row, Run};
use world::World;

fn main() -> ExitCode {
    let Ok(span) = std::env::var("WITWD_CHAOS_FOR") else {
        println!("nothing to do: `make chaos FOR=10m` says for how long");
        return ExitCode::SUCCESS;
    };
    let span = humantime::parse_duration(&span).unwrap_or_else(|error| panic!("WITWD_CHAOS_FOR={span}: {error}"));
    if !rustix::process::geteuid().is_root() {
        return as_root();
    }
    let seed = std::env::var("WITWD_CHAOS_SEED").map_or(1, |seed| seed.parse().expect("WITWD_CHAOS_SEED: a number"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runs = vec![runtime.block_on(run(keeper::Kind::Witwd, span, seed))];
    if std::env::var_os(keeper::COMPOSE).is_some() {
        runs.push(runtime.block_on(run(keeper::Kind::Compose, span, seed)));
    }
    let text = table::text(&runs);
    println!("\n{text}");
    if let Ok(page) = std::env::var("WITWD_CHAOS_PAGE") {
        table::write(page.as_ref(), &text);
    }
    let failures = runs[0].failures();
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Only root starts an engine.
fn as_root() -> ExitCode {
    let mut command = Command::new("sudo");
    command.args(["--preserve-env", "env"]).arg(std::env::current_exe().expect("our own program"));
    let status = command.status().expect("sudo");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Faults, each kind once before any comes again, until the time is over.
async fn run(kind: keeper::Kind, span: Duration, seed: u64) -> Run {
    println!("{}: faults for {}, seed {seed}", kind.name(), humantime::format_duration(span));
    let mut world = World::up(kind).await;
    let mut random = Random(seed);
    let only = std::env::var("WITWD_CHAOS_ONLY").unwrap_or_default();
    let mut rows: Vec<Row> = Fault::all(kind).into_iter().filter(|fault| fault.name().contains(&only)).map(Row::of).collect();
    let (begun, mut deck) = (Instant::now(), Vec::new());
    while begun.elapsed() < span {
        if deck.is_empty() {
            deck = random.shuffled(rows.len());
        }
        let Some(row) = deck.pop().and_then(|number| rows.get_mut(number)) else { break };
        let outcome = world.suffer(row.fault).await;
        println!("{:>6.1} s  {:<44} {}", begun.elapsed().as_secs_f64(), row.fault.name(), outcome.in_words());
        row.outcomes.push(outcome);
    }
    world.end(rows, seed, begun.elapsed())
}

/// Numbers that are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut keyed: Vec<(u64, usize)> = (0..count).map(|number| (self.next(), number)).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, number)| number).collect()
    }
}
