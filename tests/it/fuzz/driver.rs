//! Runs a target on what was found earlier and on mutated examples: a certain number of them, or for as long
//! as `make fuzz` says.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use sha2::{Digest as _, Sha256};
use witwd::host::{Clock as _, Rng as _, SystemClock, SystemRng};

use super::mutation::{Case, Corpus, cases};

/// How long to go on, as in `10m`; without it a certain number of cases is run.
const FOR: &str = "WITWD_FUZZ_FOR";
/// The seed to begin with, as it was printed.
const SEED: &str = "WITWD_FUZZ_SEED";
/// The seed of a run that is not told otherwise: the same cases each time.
const USUAL: u64 = 1;
/// How many cases have a seed in common.
const BATCH: u32 = 100;
/// The most changes to one example.
const CHANGES: usize = 8;
/// How often a case that fails is made smaller.
const SHRINKS: u32 = 500;
/// The processor time that a case may take, without optimisation.
const QUICK: Duration = Duration::from_secs(1);
/// What hangs is given up then: longer than the slowest machine takes for [`QUICK`].
const HANGS: Duration = Duration::from_secs(60);
/// The stack of a thread that the daemon works with.
const STACK: usize = 2 << 20;

/// What becomes of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It makes sense.
    Taken,
    /// It was refused, as it should be.
    Refused,
}

/// Something that takes bytes from outside.
pub struct Target {
    /// Its name: that of the directory of what was found.
    pub name: &'static str,
    /// How many cases are run where no time is told.
    pub cases: u32,
    /// What the inputs are made from.
    pub corpus: Corpus,
    /// Tries one; the error is what is wrong with the product.
    pub tries: fn(&[u8]) -> Result<Fate, String>,
}

impl Target {
    /// Runs it; fails with the smallest input that shows what is wrong, which is kept.
    pub fn run(&self) {
        for path in self.found() {
            let input = std::fs::read(&path).expect("what was found");
            self.case(&input).unwrap_or_else(|error| panic!("found again: {}: {error}", path.display()));
        }
        let limit = std::env::var(FOR).ok().map(|text| humantime::parse_duration(&text).expect("a duration, as 10m"));
        let seed = seed(limit.is_some());
        let (clock, mut taken, mut count) = (SystemClock::new(), 0, 0);
        let began = clock.moment();
        let is_over = |count: u32| match limit {
            Some(limit) => clock.moment().since(began) >= limit,
            None => count >= self.cases,
        };
        while !is_over(count) {
            taken += self.batch(seed, u64::from(count));
            count += BATCH;
        }
        let took = clock.moment().since(began).as_secs_f32();
        eprintln!("{}: {SEED}={seed}, {count} cases in {took:.1} s, {taken} of them made sense", self.name);
    }

    /// Runs the cases from `first` on; returns how many made sense.
    fn batch(&self, seed: u64, first: u64) -> u32 {
        let key = Sha256::digest(format!("{seed} {first}"));
        let config = Config { cases: BATCH, failure_persistence: None, max_shrink_iters: SHRINKS, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &key));
        let taken = std::cell::Cell::new(0);
        let ran = runner.run(&cases(CHANGES), |case| {
            let fate = self.case(&case.input(&self.corpus)).map_err(TestCaseError::fail)?;
            taken.set(taken.get() + u32::from(fate == Fate::Taken));
            Ok(())
        });
        match ran {
            Ok(()) => taken.get(),
            Err(TestError::Fail(reason, case)) => self.fails(&case, &format!("{SEED}={seed}, from case {first}: {reason}")),
            Err(error) => panic!("{}: {error}", self.name),
        }
    }

    fn fails(&self, case: &Case, what: &str) -> ! {
        let input = case.input(&self.corpus);
        let name = witwd::model::hash::hex(&Sha256::digest(&input));
        let path = self.directory().join(&name[..16]);
        std::fs::create_dir_all(self.directory()).and_then(|()| std::fs::write(&path, &input)).expect("keeping what was found");
        panic!("{}: {what}\nkept for ever in {}:\n{}", self.name, path.display(), shown(&input));
    }

    /// Tries one in a thread like those of the daemon.
    fn case(&self, input: &[u8]) -> Result<Fate, String> {
        // Where the process itself dies, this is what it died of.
        let last = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", self.name));
        std::fs::write(last, input).expect("writing down the input");
        let (done, end) = channel();
        let (tries, input) = (self.tries, input.to_vec());
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
            let fate = tries(&input);
            let _ = done.send((fate, processor_time()));
        });
        let thread = thread.expect("a thread");
        match end.recv_timeout(HANGS) {
            Ok((_, took)) if took > QUICK => Err(format!("it took {took:?}")),
            Ok((fate, _)) => fate,
            Err(RecvTimeoutError::Timeout) => Err(format!("it hangs: nothing for {HANGS:?}")),
            Err(RecvTimeoutError::Disconnected) => {
                let panicked = thread.join().expect_err("a panic");
                let words = panicked.downcast_ref::<String>().cloned();
                Err(format!(
                    "it panicked: {}",
                    words.or_else(|| panicked.downcast_ref().map(|text: &&str| (*text).to_owned())).unwrap_or_default()
                ))
            }
        }
    }

    fn directory(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fuzz/found").join(self.name)
    }

    /// What was found earlier, in order of name.
    fn found(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> =
            std::fs::read_dir(self.directory()).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        found.sort();
        found
    }
}

/// An input for people, and for a terminal that does nothing strange.
fn shown(input: &[u8]) -> String {
    let letters = String::from_utf8_lossy(input).into_owned();
    letters.chars().map(|letter| if letter == '\n' { "\n".to_owned() } else { letter.escape_debug().to_string() }).collect()
}

fn seed(is_long: bool) -> u64 {
    match std::env::var(SEED) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) if is_long => {
            let mut bytes = [0; 8];
            SystemRng.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        }
        Err(_) => USUAL,
    }
}

/// The time that this thread had a processor; none where the system does not say so.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default())
}
