//! Samples in turns, their medians, and the line of a table.

use std::time::{Duration, Instant};

/// How often each contender is measured at least: the median of fewer is chance.
pub const ROUNDS: usize = 7;

/// Times of one contender.
pub struct Samples {
    /// Who.
    pub name: &'static str,
    times: Vec<Duration>,
}

impl Samples {
    /// None yet.
    pub fn of(name: &'static str) -> Self {
        Self { name, times: Vec::new() }
    }

    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.times.push(time);
    }

    /// The one in the middle.
    pub fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times[times.len() / 2]
    }

    fn spread(&self) -> (Duration, Duration) {
        (*self.times.iter().min().unwrap(), *self.times.iter().max().unwrap())
    }
}

/// Prints what was measured: the first of `all` is ours, each other one is what it is compared with.
pub fn print(what: &str, all: &[Samples]) {
    let ours = &all[0];
    let rounds = ours.times.len();
    println!("{what} (median of {rounds})");
    for samples in all {
        let (least, most) = samples.spread();
        let ratio = ours.median().as_secs_f64() / samples.median().as_secs_f64();
        let beside = if samples.name == ours.name { String::new() } else { format!("  witwd / this = {ratio:.2}") };
        println!("  {:<28} {:>9}  ({} to {}){beside}", samples.name, shown(samples.median()), shown(least), shown(most));
    }
}

/// A time with the unit that suits it.
pub fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 0.001 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{:.1} us", seconds * 1e6),
    }
}

/// How long it takes.
pub async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let begun = Instant::now();
    let done = work.await;
    (begun.elapsed(), done)
}

/// How long it takes, where it blocks.
pub fn timed_blocking<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let done = work();
    (begun.elapsed(), done)
}
