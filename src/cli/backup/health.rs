//! What `doctor` says of the sets of each Postgres.

use jiff::{SignedDuration, Timestamp};

use super::choose;
use crate::cli::doctor::{Finding, Level};
use crate::cli::table::age;
use crate::model::backup::Summary;
use crate::model::stack::Stack;
use crate::model::workload::Workload;
use crate::postgres::backup::schedule::Timetable;
use crate::postgres::backup::summary;

/// So many slots without a good set, while a daemon runs, are worth a look (`postgres-facts.md`, 4.11).
const MISSED: u64 = 2;
/// A good set that is older says that something is broken.
const OLD: SignedDuration = SignedDuration::from_hours(26);
/// So long ago a set was restored in a trial at the latest.
const UNPROVEN: SignedDuration = SignedDuration::from_hours(48);

/// What is found of all of them.
pub(in crate::cli) fn findings(stack: &Stack, now: Timestamp, is_kept: bool) -> Vec<Finding> {
    let own = stack.in_order().filter(|workload| workload.postgres().is_some_and(|postgres| !postgres.is_external()));
    own.map(|workload| match choose::catalog(workload).list() {
        Ok(sets) => {
            let summary = summary(&sets, now);
            let missed = summary.last_good.as_ref().map_or(0, |last| missed(stack, workload, last.finished, now));
            let trial = workload.postgres().is_some_and(|postgres| postgres.backup.trial_restore);
            let enabled = workload.postgres().is_some_and(|postgres| postgres.backup.enabled);
            let (level, words, hint) = judge(&summary, now, Rules { is_kept, enabled, trial, missed });
            Finding::new("backups", level, format!("{}: {words}", workload.name), hint)
        }
        Err(error) => {
            let words = format!("{}: {}", workload.name, crate::cli::exit_code::chain(&error));
            Finding::new("backups", Level::Critical, words, "give the directory to the user who runs witwd")
        }
    })
    .collect()
}

/// How many slots came since.
fn missed(stack: &Stack, workload: &Workload, since: Timestamp, now: Timestamp) -> u64 {
    let Some(postgres) = workload.postgres() else { return 0 };
    let name = format!("{}/{}", stack.name(), workload.name);
    Timetable::new(&postgres.backup.schedule, &name).map_or(0, |timetable| timetable.between(since, now))
}

/// What is expected of the sets of one.
#[derive(Debug, Clone, Copy)]
struct Rules {
    /// Whether a daemon runs that takes them.
    is_kept: bool,
    enabled: bool,
    /// Whether they are tried by a restore.
    trial: bool,
    /// How many slots came since the last good one.
    missed: u64,
}

fn judge(summary: &Summary, now: Timestamp, rules: Rules) -> (Level, String, &'static str) {
    let Some(last) = &summary.last_good else {
        let words = if summary.sets == 0 { "no backup yet" } else { "no good backup" };
        let level = if rules.enabled { Level::Warning } else { Level::Ok };
        return (level, words.to_owned(), "`witwd backup now` takes one, and says why where that fails");
    };
    let old = now.duration_since(last.finished);
    let said = format!("the last good backup is {} old", age(last.finished, now));
    if let Some((id, why)) = summary.unusable.iter().next_back() {
        return (Level::Warning, format!("{said}; {id} can't be used: {why}"), "`witwd backup list` shows all of them");
    }
    if let Some(words) = &summary.shrunk {
        return (Level::Warning, format!("{said}, and far smaller than those before it: {words}"), "look at what is gone");
    }
    if rules.enabled && rules.is_kept && rules.missed > MISSED {
        let level = if old > OLD { Level::Critical } else { Level::Warning };
        return (level, format!("{said}: {} are missed since", rules.missed), "`witwd ps` shows why none is taken");
    }
    let proven = summary.proven.as_ref().and_then(|proven| proven.proven_at);
    let is_unproven = proven.is_none_or(|at| now.duration_since(at) > UNPROVEN);
    if rules.enabled && rules.is_kept && rules.trial && is_unproven {
        let hint = "`witwd backup verify latest` tries one, and says why where that fails";
        return (Level::Warning, format!("{said}, and none was restored in a trial for two days"), hint);
    }
    (Level::Ok, said, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backup::{Known, Proof, SetId};

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    fn known(hours: i64, proof: Proof) -> Known {
        Known {
            id: SetId::new(at(hours), 1),
            finished: at(hours),
            proof,
            proven_at: Some(at(hours)),
            rows: 1,
            bytes: 1,
            restore_seconds: None,
            rows_equal: None,
            error: None,
        }
    }

    #[test]
    fn what_is_missing_is_told_by_weight() {
        let good = |hours| Summary {
            sets: 1,
            last_good: Some(known(hours, Proof::Restored)),
            proven: Some(known(hours, Proof::Restored)),
            ..Summary::default()
        };
        let rules = Rules { is_kept: true, enabled: true, trial: true, missed: 0 };
        let unproven = Summary { proven: None, ..good(99) };
        let damaged = Summary { unusable: [(SetId::new(at(1), 1), "cut".to_owned())].into(), ..good(99) };
        let table = [
            (good(99), rules, Level::Ok, "the last good backup is 1h old"),
            (good(97), Rules { missed: 3, ..rules }, Level::Warning, "the last good backup is 3h old: 3 are missed since"),
            (good(70), Rules { missed: 30, ..rules }, Level::Critical, "the last good backup is 30h old: 30 are missed since"),
            (good(70), Rules { missed: 30, is_kept: false, ..rules }, Level::Ok, "the last good backup is 30h old"),
            (Summary::default(), rules, Level::Warning, "no backup yet"),
            (Summary::default(), Rules { enabled: false, ..rules }, Level::Ok, "no backup yet"),
            (unproven, rules, Level::Warning, "the last good backup is 1h old, and none was restored in a trial for two days"),
            (damaged, rules, Level::Warning, "the last good backup is 1h old; 19700101T010000Z can't be used: cut"),
        ];
        for (summary, rules, level, words) in table {
            let (found, said, _) = judge(&summary, at(100), rules);
            assert_eq!((found, said.as_str()), (level, words), "{rules:?}");
        }
    }
}
