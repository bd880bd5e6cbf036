//! Tests of verdicts and of the monitor, on virtual time. Probes over real sockets: `io_tests`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use proptest::prelude::*;
use tokio::sync::mpsc;

use super::*;
use crate::host::Clock;
use crate::host::sim::SimClock;
use crate::model::health::{Subject, Verdict};
use crate::model::name::ContainerId;
use crate::model::observed::RunId;
use crate::model::probe::{Check, Probe, Probes, Purpose};
use crate::model::time::Moment;

fn probe() -> Probe {
    Probe { start_period: Duration::ZERO, ..Probe::new(Check::Tcp, Some(80)) }
}

fn result(letter: char) -> Outcome {
    match letter {
        '+' => Outcome::Success,
        '-' => Outcome::Failure("bad".to_owned()),
        'r' => Outcome::Refused("not now".to_owned()),
        '?' => Outcome::NotMade("no engine".to_owned()),
        other => panic!("{other} is no result"),
    }
}

/// Feeds results, one a second, to the purposes that are open; tells `started ready alive`.
fn fed(probes: &Probes, results: &str) -> Hysteresis {
    let mut hysteresis = Hysteresis::new(probes);
    for (second, letter) in results.chars().enumerate() {
        let open: Vec<Purpose> = probes.iter().map(|(purpose, _)| purpose).filter(|purpose| hysteresis.wants(*purpose)).collect();
        for purpose in open {
            hysteresis.feed(purpose, &result(letter), Duration::from_secs(second as u64));
        }
    }
    hysteresis
}

fn brief(probes: &Probes, results: &str) -> String {
    let verdict = fed(probes, results).verdict();
    let word = |state: Option<bool>| state.map_or("?", |state| if state { "yes" } else { "no" });
    format!("{} {} {}", word(Some(verdict.started)), word(verdict.ready), word(verdict.alive))
}

#[test]
fn only_consecutive_results_turn_a_verdict() {
    let both = Probes::both(probe());
    for (results, expected) in [
        ("", "yes ? ?"),
        ("+", "yes yes yes"),
        ("--", "yes ? ?"),
        ("---", "yes no no"),
        ("+--", "yes yes yes"),
        ("+--+--", "yes yes yes"),
        ("+---", "yes no no"),
        ("+---+", "yes yes yes"),
        ("---?", "yes no no"),
        ("+--?-", "yes no no"),
        ("+-?-?", "yes yes yes"),
        ("????", "yes ? ?"),
        ("r", "yes ? yes"),
        ("rrr", "yes no yes"),
        ("+rrr", "yes no yes"),
        ("+--r--r", "yes no yes"),
    ] {
        assert_eq!(brief(&both, results), expected, "after {results:?}");
    }
}

#[test]
fn failures_do_not_count_before_the_first_success_of_the_start_period() {
    let both = Probes::both(Probe { start_period: Duration::from_secs(10), ..probe() });
    for (results, expected) in [
        ("----------", "yes ? ?"),
        ("------------", "yes ? ?"),
        ("-------------", "yes no no"),
        ("+---", "yes no no"),
        ("rrrr", "yes ? yes"),
    ] {
        assert_eq!(brief(&both, results), expected, "after {results:?}");
    }
}

#[test]
fn the_startup_probe_holds_the_others_back_and_gives_up_for_good() {
    let probes = Probes { startup: Some(probe()), ..Probes::both(probe()) };
    for (results, expected) in [
        ("", "no ? ?"),
        ("+", "yes ? ?"),
        ("++", "yes yes yes"),
        ("---", "no ? no"),
        ("--r--", "no ? ?"),
        ("rrrrrrr", "no ? ?"),
        ("+---", "yes no no"),
        ("--+--", "yes ? ?"),
    ] {
        assert_eq!(brief(&probes, results), expected, "after {results:?}");
    }
}

#[test]
fn more_successes_are_asked_for_where_the_file_says_so() {
    let both = Probes::both(Probe { successes: 2, ..probe() });
    for (results, expected) in [("+", "yes ? ?"), ("++", "yes yes yes"), ("++---+", "yes no no"), ("+?+", "yes yes yes")] {
        assert_eq!(brief(&both, results), expected, "after {results:?}");
    }
}

#[test]
fn words_are_those_of_what_stands_in_the_way() {
    let both = Probes::both(probe());
    let words = |results: &str| fed(&both, results).verdict().words;
    assert_eq!(words("-").as_deref(), Some("bad"));
    assert_eq!(words("-r").as_deref(), Some("not now"));
    assert_eq!(words("-+"), None);
    assert_eq!(words("+-"), None, "one failure stands in nobody's way");
    assert_eq!(words("+---").as_deref(), Some("bad"));
    assert_eq!(words("?").as_deref(), Some("no engine"));
    assert_eq!(words("+?"), None);
}

#[test]
fn without_a_readiness_probe_ready_means_settled_and_started() {
    let mut alone = Hysteresis::new(&Probes::default());
    assert_eq!(alone.verdict().ready, None);
    alone.settle();
    assert_eq!(alone.verdict(), Verdict { started: true, ready: Some(true), alive: None, words: None, ..Verdict::default() });
    let mut startup = Hysteresis::new(&Probes { startup: Some(probe()), ..Probes::default() });
    startup.settle();
    assert_eq!(startup.verdict().ready, None);
    startup.feed(Purpose::Startup, &Outcome::Success, Duration::ZERO);
    assert_eq!(startup.verdict().ready, Some(true));
}

proptest! {
    #[test]
    fn alternating_results_never_turn_a_verdict(retries in 2_u32..9, successes in 1_u32..9, good in any::<bool>(), length in 1_usize..60) {
        let both = Probes::both(Probe { retries, successes, ..probe() });
        let lead = if good { "+".repeat(successes as usize) } else { "-".repeat(retries as usize) };
        // A single success turns it back where one is enough: then only what is good stays.
        prop_assume!(good || successes >= 2);
        let tail: String = (0..length).map(|index| if index % 2 == 0 { '-' } else { '+' }).collect();
        let before = brief(&both, &lead);
        for end in 1..=length {
            prop_assert_eq!(&brief(&both, &format!("{lead}{}", &tail[..end])), &before);
        }
    }

    #[test]
    fn what_could_not_be_asked_changes_nothing(results in "[-+r?]{0,40}", start in 0_u64..5) {
        let both = Probes::both(Probe { start_period: Duration::from_secs(start), ..probe() });
        let mut with = Hysteresis::new(&both);
        let mut without = Hysteresis::new(&both);
        for (second, letter) in results.chars().enumerate() {
            for purpose in [Purpose::Readiness, Purpose::Liveness] {
                let at = Duration::from_secs(second as u64);
                with.feed(purpose, &result(letter), at);
                if letter != '?' {
                    without.feed(purpose, &result(letter), at);
                }
            }
        }
        let (with, without) = (with.verdict(), without.verdict());
        prop_assert_eq!((with.started, with.ready, with.alive), (without.started, without.ready, without.alive));
    }
}

/// Answers by a script for each container; the last letter goes on for ever. `h` hangs.
struct Scripted {
    clock: Arc<dyn Clock>,
    takes: Duration,
    scripts: Mutex<BTreeMap<String, (String, usize)>>,
    asked: Mutex<Vec<(String, Moment)>>,
    under_way: Mutex<BTreeMap<String, u32>>,
}

impl Scripted {
    fn times(&self, container: &str) -> Vec<u128> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(name, _)| name == container).map(|(_, at)| at.since_start().as_millis()).collect()
    }
}

#[async_trait]
impl Prober for Scripted {
    async fn probe(&self, asked: &Asked, _: &Probe) -> Outcome {
        let name = match asked {
            Asked::Container { run, .. } => run.container.0.clone(),
            Asked::External { workload } => workload.to_string(),
        };
        self.asked.lock().unwrap().push((name.clone(), self.clock.moment()));
        let letter = {
            let mut scripts = self.scripts.lock().unwrap();
            let (script, position) = scripts.get_mut(&name).expect("a script for everybody who is asked");
            let letter = script.as_bytes()[(*position).min(script.len() - 1)];
            *position += 1;
            char::from(letter)
        };
        if letter == 'h' {
            std::future::pending::<()>().await;
        }
        {
            let mut under_way = self.under_way.lock().unwrap();
            let count = under_way.entry(name.clone()).or_default();
            *count += 1;
            assert_eq!(*count, 1, "one probe at a time for each container");
        }
        self.clock.sleep(self.takes).await;
        *self.under_way.lock().unwrap().get_mut(&name).unwrap() -= 1;
        result(letter)
    }
}

struct Bench {
    clock: Arc<SimClock>,
    prober: Arc<Scripted>,
    monitor: Monitor,
    events: mpsc::Receiver<HealthEvent>,
}

fn bench(takes_millis: u64, scripts: &[(&str, &str)]) -> Bench {
    let clock = Arc::new(SimClock::new());
    let scripts = scripts.iter().map(|(name, script)| ((*name).to_owned(), ((*script).to_owned(), 0))).collect();
    let prober = Arc::new(Scripted {
        clock: clock.clone(),
        takes: Duration::from_millis(takes_millis),
        scripts: Mutex::new(scripts),
        asked: Mutex::default(),
        under_way: Mutex::default(),
    });
    let (sender, events) = mpsc::channel(64);
    let monitor = Monitor::new(clock.clone(), prober.clone(), sender);
    Bench { clock, prober, monitor, events }
}

fn run(container: &str, second: i64) -> Subject {
    let started_at = jiff::Timestamp::from_second(second).unwrap();
    Subject::Run(RunId { container: ContainerId(container.to_owned()), started_at })
}

fn watched(probes: Probes, running_secs: u64) -> Watched {
    Watched { workload: "web".parse().unwrap(), probes, running_for: Duration::from_secs(running_secs) }
}

fn standard() -> Probes {
    Probes::both(Probe::new(Check::Tcp, Some(80)))
}

impl Bench {
    async fn pass(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    fn told(&mut self) -> Vec<HealthEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn probing_is_quick_until_the_first_success_and_then_slow() {
    let mut bench = bench(1, &[("a", &format!("{}+", "-".repeat(90)))]);
    bench.monitor.watch(BTreeMap::from([(run("a", 1), watched(standard(), 0))]));
    bench.pass(60).await;
    let times = bench.prober.times("a");
    let gaps: Vec<u128> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[..5].iter().all(|gap| *gap < 60), "every 50 ms at first: {gaps:?}");
    assert!((249..=252).contains(&gaps[89]), "widening to 250 ms: {gaps:?}");
    assert!(gaps[..90].is_sorted_by(|one, next| *one <= next + 1), "{gaps:?}");
    assert!(gaps[90..].iter().all(|gap| *gap == 10_001), "the interval from the first success on: {gaps:?}");
    let told = bench.told();
    let states: Vec<_> = told.iter().map(|event| (event.verdict.ready, event.verdict.words.as_deref())).collect();
    assert_eq!(states, [(None, Some("bad")), (Some(true), None)], "a verdict is sent when it changes");
}

#[tokio::test(start_paused = true)]
async fn one_probe_serves_as_readiness_and_liveness_and_a_hang_is_found() {
    let mut bench = bench(1, &[("a", "+---")]);
    bench.monitor.watch(BTreeMap::from([(run("a", 1), watched(standard(), 0))]));
    bench.pass(31).await;
    assert_eq!(bench.prober.times("a").len(), 4);
    let last = bench.told().pop().expect("events").verdict;
    assert_eq!((last.ready, last.alive, last.words.as_deref()), (Some(false), Some(false), Some("bad")));
}

#[tokio::test(start_paused = true)]
async fn a_prober_that_hangs_stops_nobody_else_and_is_no_verdict() {
    let mut names: Vec<String> = (0..31).map(|number| format!("h{number}")).collect();
    names.push("fine".to_owned());
    let scripts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), if name == "fine" { "+" } else { "h" })).collect();
    let mut bench = bench(1, &scripts);
    bench.monitor.watch(names.iter().map(|name| (run(name, 1), watched(standard(), 0))).collect());
    bench.pass(60).await;
    assert!(bench.prober.times("fine").len() >= 6);
    for event in bench.told() {
        let fine = event.subject == run("fine", 1);
        assert_eq!((event.verdict.ready, event.verdict.alive), if fine { (Some(true), Some(true)) } else { (None, None) });
    }
}

#[tokio::test(start_paused = true)]
async fn who_vanishes_is_not_probed_any_more_and_a_new_run_begins_anew() {
    let mut bench = bench(1, &[("a", "+")]);
    bench.monitor.watch(BTreeMap::from([(run("a", 1), watched(standard(), 0))]));
    bench.pass(1).await;
    assert_eq!(bench.told().len(), 1);
    bench.monitor.watch(BTreeMap::from([(run("a", 2), watched(standard(), 0))]));
    bench.pass(1).await;
    let told = bench.told();
    assert_eq!(told.iter().map(|event| &event.subject).collect::<Vec<_>>(), [&run("a", 2)]);
    bench.monitor.watch(BTreeMap::new());
    let asked = bench.prober.times("a").len();
    bench.pass(100).await;
    assert_eq!((bench.prober.times("a").len(), bench.monitor.watching()), (asked, 0));
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_an_old_run_that_ends_late_says_nothing() {
    let mut bench = bench(2_000, &[("a", "+")]);
    bench.monitor.watch(BTreeMap::from([(run("a", 1), watched(standard(), 0))]));
    bench.pass(1).await;
    bench.prober.under_way.lock().unwrap().clear();
    bench.monitor.watch(BTreeMap::from([(run("a", 2), watched(standard(), 0))]));
    bench.pass(10).await;
    assert!(bench.told().iter().all(|event| event.subject == run("a", 2)));
}

#[tokio::test(start_paused = true)]
async fn without_a_probe_ready_is_told_after_it_has_settled() {
    let mut bench = bench(1, &[]);
    let subjects = [(run("new", 1), watched(Probes::default(), 0)), (run("old", 1), watched(Probes::default(), 7))];
    bench.monitor.watch(BTreeMap::from(subjects));
    bench.clock.sleep(Duration::from_millis(10)).await;
    assert_eq!(bench.told().iter().map(|event| &event.subject).collect::<Vec<_>>(), [&run("old", 1)]);
    bench.clock.sleep(Duration::from_millis(300)).await;
    let told = bench.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].verdict, Verdict { started: true, ready: Some(true), alive: None, words: None, ..Verdict::default() });
    bench.pass(100).await;
    assert!(bench.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_health_check_of_an_image_is_not_ours_to_ask() {
    let mut bench = bench(1, &[]);
    let image = Probes::both(Probe::new(Check::Image, None));
    bench.monitor.watch(BTreeMap::from([(run("a", 1), watched(image, 0))]));
    bench.pass(30).await;
    assert!(bench.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_of_the_daemon_each_has_a_phase_of_its_own() {
    let names: Vec<String> = (0..20).map(|number| format!("container-{number}")).collect();
    let scripts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "+")).collect();
    let mut bench = bench(0, &scripts);
    bench.monitor.watch(names.iter().map(|name| (run(name, 1), watched(standard(), 3600))).collect());
    bench.pass(21).await;
    assert_eq!(bench.told().len(), 20, "all are known at once");
    let second: std::collections::BTreeSet<u128> = names.iter().map(|name| bench.prober.times(name)[1] / 100).collect();
    assert!(second.len() > 15, "the second round is spread over the interval: {second:?}");
    assert!(names.iter().all(|name| bench.prober.times(name)[2] - bench.prober.times(name)[1] == 10_000));
}

#[tokio::test(start_paused = true)]
async fn hastening_asks_at_once() {
    let mut bench = bench(1, &[("a", "rrrrrr+")]);
    let late = Probes::both(Probe { start_period: Duration::ZERO, ..Probe::new(Check::Postgres, None) });
    bench.monitor.watch(BTreeMap::from([(run("a", 1), watched(late, 0))]));
    bench.pass(15).await;
    assert_eq!(bench.prober.times("a").len(), 2);
    bench.monitor.hasten(&run("a", 1));
    bench.monitor.hasten(&run("unknown", 1));
    bench.pass(1).await;
    assert_eq!(bench.told().pop().expect("an event").verdict.ready, Some(true));
    let asked = bench.prober.times("a").len();
    bench.pass(9).await;
    assert_eq!(bench.prober.times("a").len(), asked, "slow again after it passed");
}

#[tokio::test(start_paused = true)]
async fn failures_after_a_sleep_of_the_machine_are_no_verdict() {
    let mut bench = bench(1, &[("a", "+-----------")]);
    bench.monitor.watch(BTreeMap::from([(run("a", 1), watched(standard(), 0))]));
    bench.pass(5).await;
    bench.told();
    // Clocks that are set right are no sleep.
    bench.clock.jump(SignedDuration::from_secs(4));
    bench.pass(9).await;
    bench.clock.jump(SignedDuration::from_hours(8));
    bench.pass(32).await;
    // One failure of before shakes, and turns nothing.
    let states: Vec<_> =
        bench.told().into_iter().map(|event| event.verdict).map(|told| (told.shaken, told.ready, told.alive)).collect();
    assert_eq!(states, [(true, Some(true), Some(true))]);
    bench.pass(30).await;
    assert_eq!(bench.told().pop().expect("an event").verdict.alive, Some(false));
}

#[tokio::test(start_paused = true)]
async fn changed_probes_of_the_same_run_are_taken_up() {
    let mut bench = bench(1, &[("a", "+")]);
    bench.monitor.watch(BTreeMap::from([(run("a", 1), watched(standard(), 0))]));
    bench.pass(1).await;
    let faster = Probes::both(Probe { interval: Duration::from_secs(1), ..Probe::new(Check::Tcp, Some(80)) });
    bench.monitor.watch(BTreeMap::from([(run("a", 1), watched(faster, 1))]));
    bench.pass(10).await;
    assert!(bench.prober.times("a").len() >= 10);
}
