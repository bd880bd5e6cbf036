//! What the supervisor needs of the caretaker of backup sets: the real one, and one that does nothing.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::backup::{SetId, Summary, Work, WorkDone, WorkFailed};
use crate::model::chain::chain;
use crate::model::database_snapshot::SnapshotWork;
use crate::model::name::{ContainerId, ImageId};
use crate::model::stack::Stack;
use crate::model::workload::Workload;
use crate::postgres::backup::{Made, Order, ProgressSink, Pruned, SAFE, Sets, Taken, Wanted, summary};

/// Sets of a Postgres. The real one is [`PostgresBackups`].
#[async_trait]
pub trait Backups: Send + Sync {
    /// Whether sets are looked after at all; where not, nothing is known of any and nothing is done.
    fn are_kept(&self) -> bool {
        true
    }

    /// What lies in the directory of the sets of a Postgres at this time. May wait for a disk.
    fn look(&self, workload: &Workload, now: Timestamp) -> Result<Summary, String>;

    /// Does something with sets, or with the databases that they are of.
    async fn carry_out(&self, task: BackupTask<'_>, progress: ProgressSink) -> Result<WorkDone, WorkFailed>;
}

/// Work that is begun.
#[derive(Debug, Clone)]
pub struct BackupTask<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// The Postgres.
    pub workload: &'a Workload,
    /// Its container, running.
    pub container: ContainerId,
    /// The image of that.
    pub image: ImageId,
    /// What is to be done.
    pub work: Work,
    /// Why, for people.
    pub cause: String,
}

/// Nothing is known of sets, and none is due; what is taken before something else is taken at once: for who only looks
/// ahead.
#[derive(Debug, Default)]
pub struct NoBackups;

#[async_trait]
impl Backups for NoBackups {
    fn are_kept(&self) -> bool {
        false
    }

    fn look(&self, _: &Workload, _: Timestamp) -> Result<Summary, String> {
        Ok(Summary::default())
    }

    async fn carry_out(&self, _: BackupTask<'_>, _: ProgressSink) -> Result<WorkDone, WorkFailed> {
        Ok(WorkDone::of_none())
    }
}

/// Sets of real servers.
pub struct PostgresBackups(pub Sets);

#[async_trait]
impl Backups for PostgresBackups {
    fn look(&self, workload: &Workload, now: Timestamp) -> Result<Summary, String> {
        let sets = self.0.catalog(workload).list();
        sets.map(|sets| summary(&sets, now)).map_err(|error| chain(&error))
    }

    async fn carry_out(&self, task: BackupTask<'_>, progress: ProgressSink) -> Result<WorkDone, WorkFailed> {
        let BackupTask { stack, workload, container, image, work, cause } = task;
        let order = Order { stack, workload, container, image, progress };
        let none = WorkDone::of_none();
        let done = match work {
            Work::Take { slot, before, .. } => {
                let safe_for = before.map(|_| SAFE);
                self.0.take(&order, &Wanted { slot, reason: cause, safe_for }).await.map(|taken| {
                    let Taken { manifest, trial_failed: unproven, pruned: Pruned { gone, held }, troubles } = taken;
                    WorkDone { set: Some(manifest.set_id), unproven, gone, held, troubles, ..none }
                })
            }
            Work::Verify { set, by_restore } => match self.0.verify(&order, set, by_restore).await {
                Ok(Some(checked)) => Ok(WorkDone { set: Some(set), unproven: checked.error, ..none }),
                Ok(None) => return Err(no_set(set)),
                Err(error) => Err(error),
            },
            Work::Restore(wanted) => self.0.restore(&order, &wanted).await.map(|made| {
                let Made { line, databases, safety } = made;
                WorkDone { made: Some((line, databases)), safety, ..none }
            }),
            Work::Exchange { line, databases, initialise } => {
                self.0.exchange(&order, &line, &databases, initialise).await.map(|()| none)
            }
            Work::Clear { line, databases } => self.0.clear(&order, &line, &databases).await.map(|()| none),
            Work::Snapshot(SnapshotWork::Save { label }) => {
                self.0.save_snapshot(&order, &label).await.map(|saved| WorkDone { snapshots: vec![saved], ..none })
            }
            Work::Snapshot(SnapshotWork::List) => self.0.snapshots(&order).await.map(|snapshots| WorkDone { snapshots, ..none }),
            Work::Snapshot(SnapshotWork::Remove { label }) => self.0.remove_snapshot(&order, &label).await.map(|()| none),
            // It is never planned: an exchange is.
            Work::Undo => Ok(none),
        };
        let done = done.map_err(|error| WorkFailed { reason: error.reason().to_owned(), words: chain(&error) })?;
        Ok(WorkDone { summary: self.look(workload, self.0.clock.wall()).ok(), ..done })
    }
}

fn no_set(set: SetId) -> WorkFailed {
    WorkFailed { reason: "no_set".to_owned(), words: format!("there is no set {set} that this witwd understands") }
}
