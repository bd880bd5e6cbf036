//! One run of a seed: faults of the engine and of the disk, kills of the daemon and jumps of the clock for two
//! minutes, then none; and the run without them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use witwd::engine::sim::{FaultKind, FaultPlan, Foreign};
use witwd::host::Clock as _;
use witwd::host::sim::SimRng;
use witwd::model::time::Moment;

use super::case::Case;
use super::client::Place;
use super::coverage::Coverage;
use super::end::{AFTERMATH, End, REST, difference, end};
use super::lives::{AsyncLife, lives};
use super::mischief::{Imp, mischiefs};
use super::rig::Flow;
use super::tell::tell_all;
use super::watch::Watch;

/// How long a storm lasts.
const STORM: Duration = Duration::from_secs(120);
/// By when a run must be over, in virtual time.
const LIMIT: Duration = Duration::from_secs(3 * 3600);
/// Changes that may still come of what was given up in the storm.
const LATE_CHANGES: usize = 40;
/// How often it may still change something before it rests: the bad runs of what was made anew late.
const UNRESTS: usize = 3;

/// What one run came to.
pub struct Run {
    /// What was broken.
    pub broken: BTreeSet<String>,
    /// A digest of every call and every event.
    pub hash: String,
    /// What it covered.
    pub coverage: Coverage,
}

/// The storm is over: no faults, and what was paused by foreign hands goes on, for only a person ends that.
fn calm(place: &Place) {
    let engine = &place.machine.engine;
    engine.clear_faults();
    for name in engine.with(|world| world.containers.values().map(|found| found.name.clone()).collect::<Vec<_>>()) {
        let _ = engine.foreign(&Foreign::Unpause(name));
    }
}

/// Until the storm is over.
#[derive(Clone)]
struct Stormy;

impl AsyncLife<()> for Stormy {
    async fn live(self, place: Place) {
        let left = Moment::at(STORM).since(place.clock.moment());
        let living = async {
            let _handle = place.live().await;
            std::future::pending::<()>().await;
        };
        // A restore waits for a server that somebody paused: for as long as that takes.
        tokio::select! {
            biased;
            () = living => {}
            () = place.clock.sleep(left) => {}
        }
    }
}

/// From the calm on: until it rests, and for as long as it must rest.
#[derive(Clone)]
struct Calm {
    flaps: bool,
}

impl AsyncLife<Result<(), String>> for Calm {
    async fn live(self, place: Place) -> Result<(), String> {
        let handle = place.live().await;
        if self.flaps {
            place.clock.sleep(AFTERMATH + REST).await;
            return Ok(());
        }
        let changes = |place: &Place| place.machine.engine.calls().mutating_calls().len();
        let well = async || {
            let settled = handle.settled(0, |status| status.converged);
            tokio::select! {
                biased;
                settled = settled => settled.map(drop).map_err(|closed| closed.to_string()),
                () = place.clock.sleep(REST * 2) => {
                    let open: Vec<String> = handle.status().items.iter().map(|item| format!("{} {:?} {}", item.name, item.state, item.cause)).collect();
                    Err(format!("not well after {REST:?}: {open:?}"))
                }
            }
        };
        well().await?;
        let before = changes(&place);
        place.clock.sleep(AFTERMATH).await;
        for _ in 0..=UNRESTS {
            well().await?;
            let after = changes(&place);
            if after - before > LATE_CHANGES {
                return Err(format!("{} changes after the storm", after - before));
            }
            place.clock.sleep(REST).await;
            if changes(&place) == after {
                return Ok(());
            }
        }
        Err(format!("{} changes after the storm, and no rest", changes(&place) - before))
    }
}

/// A run of a seed with all its faults.
pub fn storm(seed: u64) -> Run {
    let case = Case::of_seed(seed);
    let place = Place::new(seed, &case.asks);
    case.furnish(&place.machine);
    let faults = FaultPlan::swarm(seed);
    let mut watch = Watch::new(&place);
    // What was given up may be done later, and what is seen may be long over.
    watch.is_misled = [FaultKind::StaleRead, FaultKind::Hang].iter().any(|kind| faults.rates.contains_key(kind));
    place.machine.engine.set_faults(faults);
    let mut imp = Imp::new(&place, mischiefs(&SimRng::new(seed ^ 0x1A4B)));
    lives(
        &place,
        || {
            let flow = imp.act();
            // What a daemon does after its end is not done.
            if flow == Flow::On {
                watch.look();
            }
            watch.was_full |= imp.is_full;
            watch.has_jumped |= imp.has_jumped;
            ends_in_time(&place, &case, seed);
            flow
        },
        &Stormy,
    );
    imp.end();
    calm(&place);
    if imp.is_full {
        // What could not be written may be forgotten, which is told: whoever asked asks again.
        place.progress().ask_again(&place.asks);
    }
    let rested = lives(
        &place,
        || {
            watch.look();
            ends_in_time(&place, &case, seed);
            Flow::On
        },
        &Calm { flaps: case.flaps },
    );
    tell_all(&place, &case);
    let is_misled = watch.is_misled;
    let mut broken = watch.broken;
    broken.extend(rested.err().map(|what| format!("comes-to-rest: {what}")));
    broken.extend(std::mem::take(&mut place.progress().complaints));
    // Who is shown an app as it was before its start takes it for stopped. Its sessions are ended all the same.
    let of_databases = place.databases.broken().into_iter().filter(|what| !(is_misled && what.starts_with("names-at-rest")));
    broken.extend(of_databases);
    if !case.flaps {
        broken.extend(difference(&undisturbed(&case), &end(&place)));
    }
    let mut coverage = imp.coverage;
    coverage.add_engine(&place.machine.engine.effects());
    coverage.add("DiskFull", place.machine.disk.refused());
    Run { broken, hash: place.machine.engine.trace_hash(), coverage }
}

/// Fails where a run takes too long.
fn ends_in_time(place: &Place, case: &Case, seed: u64) {
    if place.clock.moment() >= Moment::at(LIMIT) {
        tell_all(place, case);
        let answered = place.progress().answered;
        let handle = place.progress().handle.clone();
        let status = handle.map(|handle| handle.status());
        panic!("seed {seed} does not end: {answered} answered of {:?}; {status:#?}", case.asks);
    }
}

static UNDISTURBED: LazyLock<Mutex<BTreeMap<String, End>>> = LazyLock::new(Mutex::default);

/// The end of the same requests without any fault.
fn undisturbed(case: &Case) -> End {
    let asks: Vec<_> = case.asks.iter().map(|(_, ask)| ask).collect();
    let key = format!("{asks:?}");
    if let Some(known) = UNDISTURBED.lock().expect("no panic while ends are held").get(&key) {
        return known.clone();
    }
    let place = Place::new(0, &case.asks);
    Case { scripts: Vec::new(), ..case.clone() }.furnish(&place.machine);
    let rested = lives(&place, || Flow::On, &Calm { flaps: false });
    let mut end = end(&place);
    end.extend(rested.err().map(|what| format!("without any fault: {what}")));
    UNDISTURBED.lock().expect("no panic while ends are held").insert(key, end.clone());
    end
}
