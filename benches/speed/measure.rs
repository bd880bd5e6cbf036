//! Samples in turns, their medians, the lines of a table, and what was to be reached.

use std::time::{Duration, Instant};

/// How long anything that is waited for may take before the measurement has failed.
pub const LIMIT: Duration = Duration::from_secs(120);

/// How often each contender is measured: the median of fewer than seven is chance.
/// `WITWD_BENCH_ROUNDS` says otherwise, for a try.
pub fn rounds() -> usize {
    number_of("WITWD_BENCH_ROUNDS").unwrap_or(7).max(1)
}

/// Those of the sizes that are not above `WITWD_BENCH_SERVICES`, where that is set, for a try.
pub fn sizes(all: &[usize]) -> Vec<usize> {
    let most = number_of("WITWD_BENCH_SERVICES").unwrap_or(usize::MAX);
    all.iter().copied().filter(|size| *size <= most).collect()
}

fn number_of(variable: &str) -> Option<usize> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: not a number")))
}

/// Who of so many is measured when in a round: in each round another one is first.
pub fn turns(round: usize, contenders: usize) -> impl Iterator<Item = usize> {
    (0..contenders).map(move |turn| (turn + round) % contenders)
}

/// Times of one contender.
pub struct Samples {
    /// Who.
    pub name: String,
    times: Vec<Duration>,
}

impl Samples {
    /// None yet.
    pub fn of(name: impl Into<String>) -> Self {
        Self { name: name.into(), times: Vec::new() }
    }

    /// None yet of each of these.
    pub fn of_all(names: impl IntoIterator<Item = String>) -> Vec<Self> {
        names.into_iter().map(Self::of).collect()
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

    /// How much longer than `other` it takes: 1.0 is as long.
    pub fn ratio_to(&self, other: &Samples) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }

    fn line(&self) -> String {
        let (least, most) = (self.times.iter().min().unwrap(), self.times.iter().max().unwrap());
        format!("  {:<34} {:>9}  ({} to {})", self.name, shown(self.median()), shown(*least), shown(*most))
    }
}

/// Prints what was measured: the first of `all` is ours, each other one is what it is compared with.
pub fn print(what: &str, all: &[Samples]) {
    let (ours, others) = all.split_first().expect("somebody was measured");
    title(what, ours);
    println!("{}", ours.line());
    for other in others {
        println!("{}  witwd / this = {:.2}", other.line(), ours.ratio_to(other));
    }
}

/// Prints what was measured of ours alone, in several cases that nothing is to be learnt from the ratio of.
pub fn print_cases(what: &str, all: &[Samples]) {
    title(what, all.first().expect("something was measured"));
    for case in all {
        println!("{}", case.line());
    }
}

fn title(what: &str, first: &Samples) {
    println!("{what} (median of {})", first.times.len());
}

/// Prints whether a target is met: `what` is the target in words, `measured` what was measured.
pub fn judge(what: &str, measured: &str, is_met: bool) {
    println!("  target: {what}: {measured}, {}", if is_met { "met" } else { "NOT MET" });
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

/// Looks again after each `pause` until `check` holds; fails after [`LIMIT`], saying `what` did not happen.
pub async fn until(what: &str, pause: Duration, mut check: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !check().await {
            tokio::time::sleep(pause).await;
        }
    };
    let came_about = tokio::time::timeout(LIMIT, looking).await.is_ok();
    assert!(came_about, "not within {}: {what}", shown(LIMIT));
}
