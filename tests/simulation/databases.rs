//! The databases of a server, as far as a restore changes them: they outlive daemons. Each has an object id and holds
//! one thing, and whoever has a name is looked at after every change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use witwd::engine::sim::SimEngine;
use witwd::health::{Outcome, SimProber};
use witwd::host::Clock;
use witwd::model::backup::{Summary, Work, WorkDone, WorkFailed};
use witwd::model::database_snapshot::SnapshotWork;
use witwd::model::observed::ContainerState;
use witwd::model::restore::{Exchange, Restore};
use witwd::model::workload::Workload;
use witwd::postgres::backup::ProgressSink;
use witwd::supervisor::{BackupTask, Backups};

use super::tell::tell;

/// The data directory.
const LINE: &str = "7000";
/// The name that everybody wants.
const NAME: &str = "app";
/// What the database holds that is there from the beginning.
pub const OLD: &str = "what was there";
/// How long what was replaced can be had back, at least.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How long a step takes, in virtual time.
const STEP: Duration = Duration::from_millis(100);

/// A database.
#[derive(Debug, Clone)]
struct Database {
    name: String,
    holds: String,
    /// When it lost its name to another.
    since: Option<Timestamp>,
}

/// What outlives daemons.
#[derive(Debug)]
struct Kept {
    databases: BTreeMap<u32, Database>,
    next: u32,
    broken: Vec<String>,
}

/// The databases of the machine's server.
pub struct Databases {
    kept: Mutex<Kept>,
    clock: Arc<dyn Clock>,
    engine: Arc<SimEngine>,
    prober: Arc<SimProber>,
    /// What the app is not well with.
    sick_with: Mutex<Option<String>>,
}

impl Databases {
    pub fn new(clock: Arc<dyn Clock>, engine: Arc<SimEngine>, prober: Arc<SimProber>) -> Self {
        let first = Database { name: NAME.to_owned(), holds: OLD.to_owned(), since: None };
        let kept = Kept { databases: [(5, first)].into(), next: 6, broken: Vec::new() };
        Self { kept: Mutex::new(kept), clock, engine, prober, sick_with: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no panic while databases are held")
    }

    /// The app is not well with what this is restored from.
    pub fn sicken(&self, with: &str) {
        *self.sick_with.lock().expect("no panic while it is held") = Some(with.to_owned());
    }

    /// What must never be, and was.
    pub fn broken(&self) -> Vec<String> {
        self.kept().broken.clone()
    }

    /// What is there at the end: what the app finds, and whether anything is left that nothing needs.
    pub fn end(&self) -> Vec<String> {
        let kept = self.kept();
        let of = |name: &str| kept.databases.values().filter(|one| one.name.starts_with(name)).count();
        let live = kept.databases.values().find(|one| one.name == NAME).map(|one| one.holds.clone());
        vec![format!("database {live:?}, {} half made", of("witwd_new_"))]
    }

    /// What the app finds.
    pub fn live(&self) -> Option<String> {
        self.kept().databases.values().find(|one| one.name == NAME).map(|one| one.holds.clone())
    }

    fn make(&self, holds: &str) -> u32 {
        let mut kept = self.kept();
        let oid = kept.next;
        kept.next += 1;
        kept.databases.insert(oid, Database { name: format!("witwd_new_{oid}"), holds: holds.to_owned(), since: None });
        oid
    }

    async fn restore(&self, wanted: &Restore) -> WorkDone {
        self.clear(&[]);
        self.clock.sleep(STEP).await;
        let live = self.make(&wanted.source.to_string());
        self.clock.sleep(STEP).await;
        let spare = self.kept().databases.iter().find(|(_, one)| one.name == NAME).map(|(oid, _)| *oid);
        let databases = vec![Exchange { name: NAME.to_owned(), live: Some(live), spare }];
        WorkDone { made: Some((LINE.to_owned(), databases)), ..WorkDone::of_none() }
    }

    fn exchange(&self, databases: &[Exchange]) -> Result<(), WorkFailed> {
        let runs = self.engine.with(|world| {
            let is_up = |name: &str| name == "demo-app-1";
            world.containers.values().any(|one| is_up(&one.name) && matches!(one.state, ContainerState::Running { .. }))
        });
        tell(self.clock.moment(), &format!("names change: {databases:?}, while the app runs: {runs}"));
        let mut kept = self.kept();
        for Exchange { name, live, .. } in databases {
            let holder = kept.databases.iter().find(|(_, one)| one.name == *name).map(|(oid, _)| *oid);
            if holder == *live {
                continue;
            }
            if runs {
                kept.broken.push("names-at-rest: they change while the app runs".to_owned());
            }
            if live.is_some_and(|live| !kept.databases.contains_key(&live)) {
                let words = format!("database {live:?} is not there any more");
                return Err(WorkFailed { reason: "db_unavailable".to_owned(), words });
            }
            if let Some(one) = holder.and_then(|holder| kept.databases.get_mut(&holder)) {
                one.name = format!("witwd_old_{}", holder.unwrap_or_default());
                one.since = Some(self.clock.wall());
            }
            if let Some(one) = live.and_then(|live| kept.databases.get_mut(&live)) {
                one.name.clone_from(name);
            }
        }
        let live = kept.databases.values().find(|one| one.name == NAME).map(|one| one.holds.clone());
        if live.is_none() {
            kept.broken.push("one-live-database: nobody has the name".to_owned());
        }
        drop(kept);
        let sick_with = self.sick_with.lock().expect("no panic while it is held").clone();
        let sick = sick_with.is_some() && live == sick_with;
        let sick = sick.then(|| Outcome::Failure("GET /healthz: 503".to_owned()));
        self.prober.fix(&"app".parse().expect("a name"), sick);
        Ok(())
    }

    fn clear(&self, retired: &[u32]) {
        let mut kept = self.kept();
        let goes = |oid: &u32, one: &Database| {
            one.name.starts_with("witwd_new_") || (retired.contains(oid) && one.name.starts_with("witwd_old_"))
        };
        let now = self.clock.wall();
        let is_young = |one: &Database| one.since.is_some_and(|since| now.duration_since(since) < DAY);
        let lost = kept.databases.iter().any(|(oid, one)| goes(oid, one) && one.holds == OLD && is_young(one));
        let live = kept.databases.values().any(|one| one.name == NAME && one.holds == OLD);
        let restored = kept.databases.values().filter(|one| one.holds != OLD && !one.name.starts_with("witwd_new_")).count();
        // It goes where two restores came after it, and not before.
        if lost && !live && restored < 2 {
            kept.broken.push("kept-for-a-day: what was there before is gone".to_owned());
        }
        kept.databases.retain(|oid, one| !goes(oid, one));
    }
}

#[async_trait]
impl Backups for Databases {
    fn are_kept(&self) -> bool {
        false
    }

    fn look(&self, _: &Workload, _: Timestamp) -> Result<Summary, String> {
        Ok(Summary::default())
    }

    async fn carry_out(&self, task: BackupTask<'_>, _: ProgressSink) -> Result<WorkDone, WorkFailed> {
        let done = WorkDone::of_none();
        match &task.work {
            Work::Restore(wanted) => return Ok(self.restore(wanted).await),
            Work::Exchange { databases, .. } => {
                self.clock.sleep(STEP).await;
                self.exchange(databases)?;
                // It is done, and the answer is still on its way.
                self.clock.sleep(STEP).await;
            }
            Work::Clear { databases, .. } => {
                self.clock.sleep(STEP).await;
                self.clear(databases);
            }
            Work::Snapshot(SnapshotWork::Save { .. }) => {
                self.clear(&[]);
                let oid = self.make("a copy");
                self.clock.sleep(STEP).await;
                self.kept().databases.entry(oid).and_modify(|one| one.name = format!("witwd_snapshot_{oid}"));
                self.clock.sleep(STEP).await;
            }
            // Taken at once, as by who takes none.
            Work::Take { .. } | Work::Verify { .. } | Work::Snapshot(_) | Work::Undo => {}
        }
        Ok(done)
    }
}
