//! What is told of the sets of a Postgres unasked: pure.

use super::backups::Care;
use super::report::Report;
use crate::model::backup::{Due, Proof};
use crate::model::history::Target;
use crate::model::status::BackupStatus;
use crate::model::workload::Workload;

/// The sets of a Postgres of ours; `None` for what has none.
pub(super) fn backup_status(report: &Report<'_>, workload: &Workload) -> Option<BackupStatus> {
    let postgres = workload.postgres().filter(|postgres| !postgres.is_external())?;
    let care: &Care = report.care;
    let target = Target::Backup(workload.name.clone());
    let history = report.inputs.history.backups.get(&workload.name).cloned().unwrap_or_default();
    let summary = care.summaries.get(&workload.name).cloned().unwrap_or_default();
    let is_under_way = report.inputs.in_flight.contains_key(&target);
    let restoring = history.restoring.as_ref().map(ToString::to_string);
    let words = || report.progress.get(&target).cloned().or(restoring.clone()).unwrap_or_else(|| "begins".to_owned());
    let next = care.due.get(&workload.name).and_then(|due| match due {
        Due::Later(at) => Some(*at),
        Due::Now { .. } => None,
    });
    // Whoever meant it has removed them since.
    let held = summary.of_these(&history.held);
    let restored = summary.proven.filter(|proven| proven.proof >= Proof::Restored);
    Some(BackupStatus {
        last_good: summary.last_good.as_ref().map(|known| known.finished),
        proven: restored.and_then(|proven| proven.proven_at),
        offsite: None,
        enabled: postgres.backup.enabled,
        sets: summary.sets,
        set: summary.last_good,
        under_way: if is_under_way { Some(words()) } else { restoring },
        failed: history.failed,
        next,
        missed: history.missed,
        unusable: summary.unusable,
        held,
        shrunk: summary.shrunk,
        undo_until: history.undoable.map(|undoable| undoable.until),
        unread: care.unread.get(&workload.name).cloned(),
    })
}
