//! Many seeds.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use witwd::host::{Clock as _, SystemClock};

use super::coverage::Coverage;
use super::found::FOUND;
use super::storm::storm;

/// How many seeds CI runs.
const SEEDS: u64 = 5_000;
/// How often each kind of fault must have had an effect in them.
const LEAST: u64 = 200;
/// Of a hundred runs, how many must have met an effect whose answer was lost.
const EFFECT_THEN_ERROR: u64 = 30;

/// The seeds to run: `WITWD_SEEDS=FROM..TO`, else all of CI.
fn seeds() -> std::ops::Range<u64> {
    let told = std::env::var("WITWD_SEEDS").ok();
    let told = told.as_deref().map(|told| {
        let (from, to) = told.split_once("..").expect("WITWD_SEEDS=FROM..TO");
        from.parse().expect("a number")..to.parse().expect("a number")
    });
    told.unwrap_or(0..SEEDS)
}

/// Runs seeds on as many threads as there are processors; what was broken, by seed, and what was covered.
fn run_all(seeds: std::ops::Range<u64>) -> (Vec<String>, Coverage) {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new((Vec::new(), Coverage::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end {
                        return;
                    }
                    let run = storm(seed);
                    let mut found = found.lock().expect("no panic while findings are held");
                    found.0.extend(run.broken.into_iter().map(|what| format!("seed {seed}: {what}")));
                    found.1.merge(&run.coverage);
                }
            });
        }
    });
    found.into_inner().expect("no panic while findings are held")
}

/// The first few of what was broken, of each invariant: `seed 7: NAME: ...`.
fn first_of_each(broken: &[String]) -> Vec<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut first = Vec::new();
    for line in broken {
        let count = seen.entry(line.split(": ").nth(1).unwrap_or_default()).or_default();
        *count += 1;
        if *count <= 5 {
            first.push(line.clone());
        }
    }
    first
}

#[test]
#[expect(clippy::print_stdout, reason = "what was covered is told")]
fn after_any_storm_the_stack_is_as_without_it_and_nothing_was_broken_on_the_way() {
    let seeds = seeds();
    let is_all = seeds == (0..SEEDS);
    let (broken, coverage) = run_all(seeds);
    println!("{coverage}");
    assert!(broken.is_empty(), "{} broken, the first of each kind:\n{}", broken.len(), first_of_each(&broken).join("\n"));
    if is_all {
        assert_eq!(coverage.rare(LEAST), Vec::<&str>::new(), "these had an effect fewer than {LEAST} times");
        assert!(coverage.effect_then_error * 100 >= EFFECT_THEN_ERROR * coverage.runs, "{coverage}");
    }
}

/// New seeds until the time is over that `WITWD_SOAK` tells: `make soak FOR=1h`.
#[test]
#[ignore = "as long as it is told: make soak"]
#[expect(clippy::print_stdout, reason = "what was covered is told")]
fn new_seeds_for_as_long_as_it_is_told() {
    let told = std::env::var("WITWD_SOAK").expect("WITWD_SOAK=10m");
    let limit = humantime::parse_duration(&told).expect("a duration");
    let (clock, batch) = (SystemClock::new(), 1_000);
    let began = clock.moment();
    // Other seeds each time, and none of CI.
    let first = u64::try_from(clock.wall().as_second()).unwrap_or_default() * 1_000_000;
    let mut all = Coverage::default();
    for from in (first..).step_by(1_000) {
        let (broken, coverage) = run_all(from..from + batch);
        all.merge(&coverage);
        println!("seeds {from}..{}: {} broken", from + batch, broken.len());
        assert!(broken.is_empty(), "{}", broken.join("\n"));
        if clock.moment().since(began) >= limit {
            break;
        }
    }
    println!("{all}");
}

#[test]
fn what_was_found_once_stays_mended() {
    for (seed, what) in FOUND {
        assert_eq!(storm(*seed).broken, std::collections::BTreeSet::new(), "seed {seed}: {what}");
    }
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    for seed in 0..20 {
        let (first, second) = (storm(seed), storm(seed));
        assert_eq!((first.hash, first.coverage), (second.hash, second.coverage), "seed {seed}");
    }
}
