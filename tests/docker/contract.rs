//! The contract that the simulated engine keeps too, on the engine of this machine.

use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use witwd::engine::contract::{ASSERTIONS, Bench, Check, Hand};
use witwd::host::SystemClock;

use crate::support::{TEST, TINY, TestEngine};

/// How many assertions are tried at once: each on a stack of its own.
const AT_ONCE: usize = 4;

/// Foreign hands: the engine's own command line.
struct CommandLine;

#[async_trait]
impl Hand for CommandLine {
    async fn docker(&self, words: &[&str]) -> Result<(), String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let output = tokio::task::spawn_blocking(move || Command::new("docker").args(words).output()).await;
        let output = output.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

async fn check((name, assertion): &(&str, Check)) -> Option<String> {
    // Its guard takes away what an assertion leaves that fails half-way.
    let test = TestEngine::new("contract").await;
    let engine = Arc::new(test.engine.clone());
    let mut bench = Bench::new(engine, Arc::new(SystemClock::new()), Arc::new(CommandLine), TINY, test.stack.clone());
    // Its label lets the guard take away what is half built.
    let recipe = format!("FROM {TINY}\nLABEL {TEST}={}\n", test.stack);
    std::fs::write(test.directory.path().join("Dockerfile"), recipe).unwrap();
    bench.context = test.directory.path().to_owned();
    bench.check(*assertion).await.err().map(|why| format!("{name}: {why}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_of_this_machine_keeps_the_contract() {
    let outcomes: Vec<Option<String>> = stream::iter(ASSERTIONS).map(check).buffer_unordered(AT_ONCE).collect().await;
    let broken: Vec<String> = outcomes.into_iter().flatten().collect();
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), ASSERTIONS.len(), broken.join("\n"));
}
