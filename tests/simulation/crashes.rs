//! A daemon dies after its first poll, its second, ..., of any of its tasks, in the middle of whatever it
//! does: the next one comes to the same end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use witwd::engine::sim::Foreign;
use witwd::host::Clock as _;
use witwd::model::backup::Work;
use witwd::model::database_snapshot::SnapshotWork;
use witwd::model::wish::Wish;

use super::case::{Ask, Asks, Case, File, of, restore};
use super::client::Place;
use super::end::{End, difference, end};
use super::lives::{AsyncLife, lives};
use super::rig::Flow;

use super::watch::Watch;

/// Something that happens to a stack that runs.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Nothing,
    Dies(&'static str),
    Removed(&'static str),
    Hangs(&'static str),
    /// The app is not well with what is restored.
    IsSick,
    EngineRestarts,
}

/// What is going on while a daemon is killed.
struct Scenario {
    name: &'static str,
    /// What was asked, and done, before.
    before: Vec<Ask>,
    /// What is asked.
    ask: Option<Ask>,
    /// What happens then.
    happens: Happens,
}

fn scenarios() -> Vec<Scenario> {
    let one = |name, before: Option<File>, ask: Option<Ask>, happens| Scenario {
        name,
        before: before.map(Ask::Up).into_iter().collect(),
        ask,
        happens,
    };
    let asked = |name, ask| one(name, Some(File::Two), Some(ask), Happens::Nothing);
    let happens = |name, happens| one(name, Some(File::Two), None, happens);
    vec![
        one("a first up", None, Some(Ask::Up(File::Two)), Happens::Nothing),
        one("an up with a fallback", None, Some(Ask::Up(File::TwoFallback)), Happens::Nothing),
        asked("another image", Ask::Up(File::TwoChanged)),
        asked("another database", Ask::Up(File::TwoTuned)),
        asked("a service less", Ask::Up(File::TwoLess)),
        asked("a file that was saved", Ask::Save(File::TwoChanged)),
        asked("a down", Ask::Down { with_volume: false }),
        asked("a down with a volume", Ask::Down { with_volume: true }),
        asked("a restart by hand", Ask::Hand(Wish::Restart { of: of("app") })),
        asked("a restart of the database by hand", Ask::Hand(Wish::Restart { of: of("db") })),
        asked("a stop by hand", Ask::Hand(Wish::Stop { of: of("app") })),
        asked("a restore", Ask::Databases(restore())),
        one("a restore that the app is not well with", Some(File::Two), Some(Ask::Databases(restore())), Happens::IsSick),
        Scenario {
            name: "an undo",
            before: vec![Ask::Up(File::Two), Ask::Databases(restore())],
            ask: Some(Ask::Databases(Work::Undo)),
            happens: Happens::Nothing,
        },
        asked("a snapshot", Ask::Databases(Work::Snapshot(SnapshotWork::Save { label: "s".parse().expect("a label") }))),
        happens("an app that dies", Happens::Dies("demo-app-1")),
        happens("a database that dies", Happens::Dies("demo-db-1")),
        happens("an app that is removed", Happens::Removed("demo-app-1")),
        happens("an app that hangs", Happens::Hangs("app")),
        happens("an engine that restarts", Happens::EngineRestarts),
    ]
}

/// Until what was asked and what happened is dealt with, and nothing more is done for a while.
#[derive(Clone)]
struct Settling {
    happens: Happens,
}

/// For so long nothing may be done once all is well: longer than a probe takes to find what hangs.
const QUIET: Duration = Duration::from_secs(90);
/// By when all must be well.
const PATIENCE: Duration = Duration::from_secs(900);

impl AsyncLife<Result<(), String>> for Settling {
    async fn live(self, place: Place) -> Result<(), String> {
        let handle = place.live().await;
        if !std::mem::replace(&mut place.progress().happened, true) {
            happen(&place, self.happens);
        }
        let changes = || place.machine.engine.calls().mutating_calls().len();
        let began = place.clock.moment();
        loop {
            let before = changes();
            place.clock.sleep(QUIET).await;
            let status = handle.status();
            if changes() == before && status.converged {
                return Ok(());
            }
            if place.clock.moment().since(began) > PATIENCE {
                return Err(format!("not well after {PATIENCE:?}: {:#?}", status.items));
            }
        }
    }
}

fn happen(place: &Place, happens: Happens) {
    let engine = &place.machine.engine;
    match happens {
        Happens::Nothing | Happens::IsSick => {}
        Happens::Dies(name) => engine.foreign(&Foreign::Kill(name.to_owned())).expect("it is there"),
        Happens::Removed(name) => engine.foreign(&Foreign::Remove(name.to_owned())).expect("it is there"),
        Happens::Hangs(name) => engine.hang(name, true),
        Happens::EngineRestarts => engine.restart_engine(Duration::from_secs(2)),
    }
}

/// What one run came to, and in how many polls.
struct Run {
    end: End,
    broken: Vec<String>,
    polls: usize,
    crashed: bool,
}

/// A scenario whose daemon dies after so many polls of the part that counts.
fn run(scenario: &Scenario, crash_after: usize) -> Run {
    let asks: Asks = scenario.before.iter().map(|ask| (Duration::ZERO, ask.clone())).collect();
    let case = Case { asks: asks.clone(), flaps: false, scripts: Vec::new(), live_restore: false };
    let mut place = Place::new(1, &asks);
    case.furnish(&place.machine);
    if scenario.ask == Some(Ask::Up(File::TwoFallback)) {
        place.machine.engine.add_image("postgres:17");
        place.machine.engine.set_offline(true);
    }
    if let (Happens::IsSick, Work::Restore(wanted)) = (scenario.happens, restore()) {
        place.databases.sicken(&wanted.source.to_string());
    }
    if !scenario.before.is_empty() {
        place.progress().happened = true;
        lives(&place, || Flow::On, &Settling { happens: Happens::Nothing }).expect("it begins well");
        place.progress().happened = false;
    }
    place.ask_more(scenario.ask.iter().map(|ask| (Duration::ZERO, ask.clone())));
    let mut watch = Watch::new(&place);
    let (mut polls, mut crashed) = (0, false);
    let settled = lives(
        &place,
        || {
            polls += 1;
            if polls == crash_after {
                crashed = true;
                return Flow::Crash;
            }
            watch.look();
            Flow::On
        },
        &Settling { happens: scenario.happens },
    );
    let mut broken: Vec<String> = watch.broken.into_iter().collect();
    broken.extend(settled.err());
    broken.extend(place.databases.broken());
    // Where an undo was lost with its daemon, nobody knows of it.
    let is_undo = scenario.ask == Some(Ask::Databases(Work::Undo));
    let databases = if is_undo { Vec::new() } else { place.databases.end() };
    if is_undo && place.databases.live().is_none() {
        broken.push("one-live-database: nobody has the name".to_owned());
    }
    let end = end(&place).into_iter().chain(databases).collect();
    Run { end, broken, polls, crashed }
}

/// Every crash of a scenario, on as many threads as there are processors; how many there were.
fn crash_everywhere(scenario: &Scenario) -> (usize, Vec<String>) {
    let undisturbed = run(scenario, usize::MAX);
    assert_eq!(undisturbed.broken, Vec::<String>::new(), "{}", scenario.name);
    let (next, crashes, found) = (AtomicUsize::new(1), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // It waits for a minute, with little that is new between two probes.
    let every = if matches!(scenario.happens, Happens::IsSick) { 6 } else { 1 };
    let work = || {
        loop {
            let crash_after = next.fetch_add(1, Ordering::SeqCst) * every;
            if crash_after > undisturbed.polls {
                return;
            }
            let run = run(scenario, crash_after);
            crashes.fetch_add(usize::from(run.crashed), Ordering::SeqCst);
            let broken = run.broken.into_iter().chain(difference(&undisturbed.end, &run.end));
            let told = broken.map(|what| format!("{}, killed after {crash_after} polls: {what}", scenario.name));
            found.lock().expect("no panic while findings are held").extend(told);
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    (crashes.into_inner(), found.into_inner().expect("no panic while findings are held"))
}

#[test]
#[expect(clippy::print_stdout, reason = "what was covered is told")]
fn a_daemon_that_dies_at_any_poll_changes_nothing_in_the_end() {
    let (mut all, mut broken) = (0, Vec::new());
    for scenario in scenarios() {
        let (crashes, found) = crash_everywhere(&scenario);
        println!("  {crashes:>6} crashes in {}", scenario.name);
        assert!(crashes > 50, "{}: only {crashes} crashes prove little", scenario.name);
        all += crashes;
        broken.extend(found);
    }
    println!("{all} crashes in all");
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.iter().take(20).cloned().collect::<Vec<_>>().join("\n"));
}
