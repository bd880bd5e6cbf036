//! What a run is about: the stack, what is asked of its daemon, and what its apps do.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use witwd::engine::labels;
use witwd::engine::sim::{Foreign, PullCourse, Script};
use witwd::host::sim::SimRng;
use witwd::model::backup::{SetId, Work};
use witwd::model::name::{InstanceId, ReplicaKey};
use witwd::model::observed::Identity;
use witwd::model::restore::{Restore, Source};
use witwd::model::stack::Stack;
use witwd::model::wish::Wish;
use witwd::model::workload::KindName;
use witwd::supervisor::sim::SimMachine;

use super::stacks::{FOUR, stack};

/// An app and its database: small enough to be killed at every step.
const TWO: &str = r#"
name = "demo"
[services.app]
image = "app:1"
port = 8000
health.http = "/healthz"
env.DATABASE_URL = "${db.url}"
volumes = ["kept:/data"]
[postgres.db]
image = "postgres:17"
[volumes]
kept = {}
"#;

/// One more service, which never lasts.
const FLAPPER: &str = r#"
[services.flapper]
image = "cache:1"
"#;

/// The files that a stack has one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// As it begins.
    First,
    /// Another image for one, another environment for another.
    Changed,
    /// A service less.
    Less,
    /// Other settings of the database.
    Tuned,
    /// With a service that never lasts.
    Flapping,
    /// An app and its database.
    Two,
    /// Another image for the app.
    TwoChanged,
    /// Other settings of the database.
    TwoTuned,
    /// The database alone.
    TwoLess,
    /// An image that no registry has, and how to make it.
    TwoFallback,
}

static STACKS: LazyLock<[Arc<Stack>; 10]> = LazyLock::new(|| {
    let changed = FOUR.replacen("app:1", "app:2", 1).replace("depends_on", "env.LEVEL = \"2\"\ndepends_on");
    let (before, worker_on) = FOUR.split_once("[services.worker]").expect("a worker");
    let (_, after) = worker_on.split_once("[services.cache]").expect("a cache");
    let less = format!("{before}[services.cache]{after}");
    let tuned = FOUR.replace("\"postgres:17\"", "\"postgres:17\"\nsettings.work_mem = \"8MB\"");
    let flapping = FOUR.replace("[postgres.db]", &format!("{FLAPPER}[postgres.db]"));
    let two = TWO.to_owned();
    let two_changed = TWO.replace("app:1", "app:2");
    let two_tuned = TWO.replace("\"postgres:17\"", "\"postgres:17\"\nsettings.work_mem = \"8MB\"");
    let two_less = format!("name = \"demo\"\n[postgres.db]{}", TWO.split_once("[postgres.db]").expect("a database").1);
    let two_fallback = TWO.replace("\"app:1\"", "\"app:1\"\nfallback = { context = \".\" }");
    let all = [FOUR.to_owned(), changed, less, tuned, flapping, two, two_changed, two_tuned, two_less, two_fallback];
    all.map(|text| stack(&text))
});

impl File {
    /// What it says.
    pub fn stack(self) -> &'static Arc<Stack> {
        &STACKS[self as usize]
    }
}

/// What is asked of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Run this.
    Up(File),
    /// This was saved.
    Save(File),
    /// Stop it; with the volume of the cache or without.
    Down {
        /// Whether that volume goes too.
        with_volume: bool,
    },
    /// Something beside the file.
    Hand(Wish),
    /// Something with databases; asked again where nobody knows what came of it, unless it is an undo.
    Databases(Work),
}

/// What is asked, each after so much time.
pub type Asks = Vec<(Duration, Ask)>;

/// The volume that a `down` may name.
pub const KEPT: &str = "demo_kept";
/// The volume with the data of the database.
pub const DATA: &str = "demo_db-17";

/// A name, as a wish has it.
pub fn of(name: &str) -> BTreeSet<witwd::model::wish::Chosen> {
    [name.parse().expect("a name")].into()
}

/// Databases as they were in a set.
pub fn restore() -> Work {
    let source = Source::Set(SetId::new(jiff::Timestamp::UNIX_EPOCH, 1));
    Work::Restore(Restore { source, database: None, to: None, with_safety_set: true })
}

/// From this seed on a quarter of the storms has a restore in it.
const WITH_RESTORES: u64 = 3_000;

/// A run of a seed.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is asked.
    pub asks: Asks,
    /// Whether a service of it never lasts, so that it never comes to rest.
    pub flaps: bool,
    /// What the first runs of an app do.
    pub scripts: Vec<(&'static str, Vec<Script>)>,
    /// Whether containers outlive the engine.
    pub live_restore: bool,
}

impl Case {
    /// The case of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let rng = SimRng::new(seed ^ 0x00C0_FFEE);
        let flaps = rng.below(5) == 0;
        let first = if flaps { File::Flapping } else { File::First };
        let mut asks = vec![(Duration::ZERO, Ask::Up(first))];
        let more = if flaps { 0 } else { rng.below(3) };
        for _ in 0..more {
            let delay = Duration::from_millis(rng.below(60_000));
            asks.extend(ask(&rng).into_iter().map(|ask| (delay, ask)));
        }
        // The seeds before know none: what is planted must stay to be found where it was.
        let dice = SimRng::new(seed ^ 0xDA7A);
        if seed >= WITH_RESTORES && !flaps && dice.below(4) == 0 {
            asks.push((Duration::from_millis(dice.below(60_000)), Ask::Databases(restore())));
        }
        let services = ["app", "worker", "cache", "db"];
        let bad = services.into_iter().filter(|_| rng.below(3) == 0);
        let mut scripts: Vec<_> = bad.map(|name| (name, first_runs(&rng))).collect();
        if flaps {
            let after = if rng.below(2) == 0 { Duration::from_secs(11) } else { Duration::ZERO };
            scripts.push(("flapper", vec![Script::ends(after, 1)]));
        }
        Self { asks, flaps, scripts, live_restore: rng.below(2) == 0 }
    }

    /// A machine for it, with what is not ours on it too.
    pub fn furnish(&self, machine: &SimMachine) {
        let engine = &machine.engine;
        for image in ["app:1", "app:2", "postgres:17", "cache:1"] {
            engine.publish(image, PullCourse::Takes(Duration::from_secs(2)));
        }
        engine.add_image("theirs:1");
        let theirs = |name: &str| Foreign::Create { name: name.to_owned(), image: "theirs:1".to_owned(), command: Vec::new() };
        // Names that look like ours: a name is no sign of whose a thing is.
        for act in [theirs("demo-app-3"), theirs("demo-cache-1-old"), Foreign::CreateVolume("demo_theirs".to_owned())] {
            engine.foreign(&act).expect("foreign hands that can");
        }
        engine.foreign(&Foreign::Start("demo-app-3".to_owned())).expect("foreign hands that can");
        // And one that another witwd keeps, for a stack of its own.
        engine.foreign(&theirs("other-web-1")).expect("foreign hands that can");
        engine.alter(|world| {
            let other = world.containers.values_mut().find(|container| container.name == "other-web-1").expect("just made");
            other.labels = labels::of_container(&of_another_stack());
        });
        engine.foreign(&Foreign::Start("other-web-1".to_owned())).expect("foreign hands that can");
        engine.guard(&"demo".parse().expect("a name"), &SimMachine::instance());
        engine.set_live_restore(self.live_restore);
        for (name, runs) in &self.scripts {
            engine.script_runs(name, runs.clone());
        }
    }
}

fn of_another_stack() -> Identity {
    Identity {
        stack: "other".parse().expect("a name"),
        kind: KindName::Service,
        key: ReplicaKey { name: "web".parse().expect("a name"), replica: 1 },
        spec: None,
        secrets: None,
        instance: InstanceId("there".to_owned()),
        directory: "/there".to_owned(),
    }
}

fn ask(rng: &SimRng) -> Vec<Ask> {
    match rng.below(9) {
        0 => vec![Ask::Up(File::Changed)],
        1 => vec![Ask::Up(File::Less)],
        2 => vec![Ask::Up(File::Tuned)],
        3 => vec![Ask::Save(File::Changed)],
        4 => vec![Ask::Hand(Wish::Restart { of: of("app") })],
        5 => vec![Ask::Hand(Wish::Restart { of: of("db") })],
        6 => vec![Ask::Hand(Wish::Stop { of: of("cache") })],
        7 => vec![Ask::Down { with_volume: false }, Ask::Up(File::First)],
        _ => vec![Ask::Down { with_volume: true }, Ask::Up(File::First)],
    }
}

/// One or two runs that go badly, then one that lasts.
fn first_runs(rng: &SimRng) -> Vec<Script> {
    let seconds = |most: u64| Duration::from_millis(rng.below(most * 1000));
    let mut runs: Vec<Script> = Vec::new();
    for _ in 0..=rng.below(2) {
        runs.push(match rng.below(6) {
            0 => Script::ends(seconds(20), 1),
            1 => Script::ends(seconds(5), 0),
            2 => Script::hangs_at(seconds(60)),
            3 => Script::ready_after(seconds(40)),
            4 => Script { oom: true, ..Script::ends(seconds(30), 137) },
            _ => Script { ignore_sigterm: true, ..Script::default() },
        });
    }
    runs.push(Script::default());
    runs
}
