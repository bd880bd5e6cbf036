//! Many hands: what several people ask at once is taken one after another, and the end is that of the same
//! requests in that order, each waited for before the next: the last that was accepted wins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use witwd::engine::sim::violations;
use witwd::host::Clock as _;
use witwd::host::sim::SimRng;
use witwd::model::wish::Wish;
use witwd::supervisor::Handle;

use super::case::{Ask, Case, File, of};
use super::client::{Place, send};
use super::end::{End, difference, end};
use super::lives::{AsyncLife, lives};
use super::rig::Flow;

/// How many times the hands meet.
const MEETINGS: u64 = 100;
/// How many ask at once, and how often each.
const HANDS: (u64, u64) = (4, 5);
/// What is pending when nobody asks any more is done by then.
const PATIENCE: Duration = Duration::from_secs(900);

/// What was accepted, by the number of its request.
type Accepted = BTreeMap<u64, Ask>;

/// What a hand asks, and how long it waits before.
fn ask(rng: &SimRng) -> (Duration, Ask) {
    // Some come at the same moment, some while the last is half done, some when all is over.
    let longest = [1, 500, 20_000][usize::try_from(rng.below(3)).unwrap_or_default()];
    let hand = |wish| Ask::Hand(wish);
    let ask = match rng.below(9) {
        0 | 1 => Ask::Up(File::First),
        2 => Ask::Up(File::Changed),
        3 => Ask::Up(File::Less),
        4 | 5 => Ask::Down { with_volume: false },
        6 => hand(Wish::Restart { of: of("app") }),
        7 => hand(Wish::Stop { of: of("cache") }),
        _ => hand(Wish::Start { of: of("cache") }),
    };
    (Duration::from_millis(rng.below(longest)), ask)
}

/// All hands at once; what was accepted.
#[derive(Clone)]
struct AtOnce {
    seed: u64,
}

impl AsyncLife<Result<Accepted, String>> for AtOnce {
    async fn live(self, place: Place) -> Result<Accepted, String> {
        let handle = place.begin().await;
        let hands = (0..HANDS.0).map(|hand| {
            let (place, handle) = (place.clone(), handle.clone());
            let rng = SimRng::new((self.seed << 8) + hand);
            tokio::spawn(async move {
                let mut accepted = Vec::new();
                for _ in 0..HANDS.1 {
                    let (delay, ask) = ask(&rng);
                    place.clock.sleep(delay).await;
                    let number = send(&handle, &ask).await.expect("a daemon that lives");
                    accepted.extend(number.map(|number| (number, ask)));
                }
                accepted
            })
        });
        let (mut accepted, mut count) = (Accepted::new(), 0);
        for hand in hands.collect::<Vec<_>>() {
            let asked = hand.await.expect("a hand that does not panic");
            count += asked.len();
            accepted.extend(asked);
        }
        if accepted.len() != count {
            return Err("two were accepted as one request".to_owned());
        }
        settle(&place, &handle, accepted.keys().last().copied().unwrap_or_default()).await?;
        Ok(accepted)
    }
}

/// One after another, each waited for.
#[derive(Clone)]
struct OneByOne {
    asks: Accepted,
}

impl AsyncLife<Result<(), String>> for OneByOne {
    async fn live(self, place: Place) -> Result<(), String> {
        let handle = place.begin().await;
        for ask in self.asks.values() {
            let number = send(&handle, ask).await.expect("a daemon that lives");
            let number = number.ok_or_else(|| format!("{ask:?} is refused where it was accepted before"))?;
            settle(&place, &handle, number).await?;
        }
        Ok(())
    }
}

/// Until what request `number` is about is done.
async fn settle(place: &Place, handle: &Handle, number: u64) -> Result<(), String> {
    tokio::select! {
        biased;
        settled = handle.settled(number, |status| status.converged) => settled.map(drop).map_err(|closed| closed.to_string()),
        () = place.clock.sleep(PATIENCE) => {
            let status = handle.status();
            let open: Vec<_> = status.items.iter().map(|item| format!("{} {:?} {}", item.name, item.state, item.cause)).collect();
            Err(format!("request {number} not done after {PATIENCE:?}: {open:?}"))
        }
    }
}

/// Runs to its end on a new machine; what it returned, how that machine is then, and what was broken.
fn meet<T: Send + 'static>(seed: u64, hands: &impl AsyncLife<Result<T, String>>) -> (Option<T>, End, BTreeSet<String>) {
    let case = Case { asks: Vec::new(), flaps: false, scripts: Vec::new(), live_restore: false };
    let place = Place::new(seed, &case.asks);
    case.furnish(&place.machine);
    let (mut broken, mut seen) = (BTreeSet::new(), (0, 0));
    let over = lives(
        &place,
        || {
            let engine = &place.machine.engine;
            if std::mem::replace(&mut seen, engine.count()) != engine.count() {
                broken.extend(engine.with(violations));
            }
            Flow::On
        },
        hands,
    );
    let is_up = place.machine.engine.with(|world| !world.of_workload("db").is_empty());
    // What was taken down before it was whole has fewer volumes, and those stay.
    let lasts = |line: &String| is_up || !line.starts_with("volume ");
    let found = end(&place).into_iter().filter(lasts).collect();
    broken.extend(over.as_ref().err().cloned());
    (over.ok(), found, broken)
}

/// What was wrong with one meeting, and how many of its requests were accepted.
fn meeting(seed: u64) -> (usize, Vec<String>) {
    let (accepted, found, mut broken) = meet(seed, &AtOnce { seed });
    let asks = accepted.unwrap_or_default();
    let count = asks.len();
    let (_, wanted, worse) = meet(seed, &OneByOne { asks: asks.clone() });
    broken.extend(worse.into_iter().map(|what| format!("one by one: {what}")));
    broken.extend(difference(&wanted, &found));
    let told = broken.into_iter().map(|what| format!("meeting {seed}: {what}\n{asks:?}"));
    (count, told.collect())
}

#[test]
#[expect(clippy::print_stdout, reason = "what was covered is told")]
fn of_many_hands_at_once_the_last_that_was_accepted_wins() {
    let (next, found) = (AtomicU64::new(0), Mutex::new((0, Vec::new())));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= MEETINGS {
                return;
            }
            let (count, broken) = meeting(seed);
            let mut found = found.lock().expect("no panic while findings are held");
            found.0 += count;
            found.1.extend(broken);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let (accepted, broken) = found.into_inner().expect("no panic while findings are held");
    println!("  {MEETINGS} meetings, {accepted} requests accepted");
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.iter().take(5).cloned().collect::<Vec<_>>().join("\n"));
    // Some make no sense where the stack is down: most do.
    assert!(accepted as u64 > MEETINGS * HANDS.0 * HANDS.1 / 2, "{accepted} requests");
}
