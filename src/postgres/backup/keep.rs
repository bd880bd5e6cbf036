//! Which sets stay, which go, and whether those that stay are what they were.

use jiff::{SignedDuration, Timestamp};

use super::catalog::{Catalog, Entry, Lock};
use super::check;
use super::error::BackupError;
use super::manifest::{Manifest, Verified};
use super::retention::{Candidate, Decision, Policy, decide};
use super::schedule::Timetable;
use crate::model::backup::{Proof, SetId};
use crate::model::chain::chain;
use crate::model::workload::Workload;

/// Every set is read anew within this time.
const SCRUB: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What became of old sets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pruned {
    /// Those that went.
    pub gone: Vec<SetId>,
    /// Those that would have gone, and are held back: more than half of all.
    pub held: Vec<SetId>,
}

/// Whether a set is one that could be restored: read whole, and not found damaged since.
pub fn is_good(manifest: &Manifest) -> bool {
    manifest.verify.level >= Proof::Read && manifest.verify.damaged.is_none()
}

/// Whose sets the rules are for, and when.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The Postgres.
    pub workload: &'a Workload,
    /// The data directory: sets of another one are left alone.
    pub line: &'a str,
    /// The wall clock.
    pub now: Timestamp,
}

/// What the rules say of every set, newest first.
pub fn judged(sets: &[Entry], scope: Scope<'_>) -> Option<Decision> {
    let policy = Policy::new(&scope.workload.postgres()?.backup.keep).ok()?;
    let candidates: Vec<Candidate> = sets.iter().map(candidate).collect();
    Some(decide(&candidates, &policy, scope.now, scope.line))
}

fn candidate(set: &Entry) -> Candidate {
    let blank = Candidate {
        id: set.id,
        proof: Proof::None,
        pinned: false,
        safe_until: None,
        in_use: false,
        line: String::new(),
        unusable: None,
    };
    match &set.manifest {
        Err(error) => Candidate { unusable: Some(error.to_string()), ..blank },
        Ok(manifest) => Candidate {
            proof: manifest.verify.level,
            pinned: manifest.pinned,
            safe_until: manifest.safe_until,
            line: manifest.system_identifier.clone(),
            unusable: manifest.verify.damaged.clone(),
            ..blank
        },
    }
}

/// Removes the sets that no rule keeps. A plan that takes more than half is held back unless `meant`.
pub fn prune(catalog: &Catalog, lock: &Lock, scope: Scope<'_>, meant: bool) -> Result<Pruned, BackupError> {
    let Some(decision) = judged(&catalog.list()?, scope) else { return Ok(Pruned::default()) };
    let goes: Vec<SetId> = decision.goes().collect();
    if decision.held && !meant {
        return Ok(Pruned { gone: Vec::new(), held: goes });
    }
    let mut gone = Vec::new();
    for id in goes {
        // One that somebody else removed meanwhile is no trouble.
        if catalog.remove(lock, id)? {
            gone.push(id);
        }
    }
    Ok(Pruned { gone, held: Vec::new() })
}

/// Reads a share of the old sets anew, those first that were not read for the longest time. One that can't be read
/// just now is noted, and holds up no other.
pub(super) async fn scrub(catalog: &Catalog, lock: &Lock, workload: &Workload, now: Timestamp) -> Result<(), BackupError> {
    let sets = catalog.list()?;
    for manifest in to_scrub(&sets, runs_in_time(workload, now), now) {
        let set = catalog.directory().join(manifest.set_id.to_string());
        let before = manifest.verify.clone();
        let verify = match read_anew(&set, manifest).await {
            Ok(()) => Verified { read_at: Some(now), ..before },
            Err(error @ BackupError::Damaged { .. }) => {
                Verified { read_at: Some(now), damaged: Some(error.to_string()), ..before }
            }
            Err(error) => Verified { read_at: Some(now), error: Some(chain(&error)), ..before },
        };
        // One that somebody removed meanwhile is no trouble.
        if set.is_dir() {
            catalog.rewrite(lock, &Manifest { verify, ..manifest.clone() })?;
        }
    }
    Ok(())
}

async fn read_anew(set: &std::path::Path, manifest: &Manifest) -> Result<(), BackupError> {
    for stored in manifest.files() {
        check::stored(set, stored).await?;
    }
    Ok(())
}

/// How many sets are taken by the timetable within [`SCRUB`].
fn runs_in_time(workload: &Workload, now: Timestamp) -> u64 {
    let schedule = workload.postgres().map(|postgres| &postgres.backup.schedule);
    let timetable = schedule.and_then(|schedule| Timetable::new(schedule, workload.name.as_str()).ok());
    let since = now.saturating_sub(SCRUB).unwrap_or(Timestamp::MIN);
    timetable.map_or(1, |timetable| timetable.between(since, now)).max(1)
}

/// The sets whose turn it is: enough each time that all are read within [`SCRUB`].
fn to_scrub(sets: &[Entry], runs: u64, now: Timestamp) -> Vec<&Manifest> {
    let mut known: Vec<&Manifest> = sets.iter().filter_map(|set| set.manifest.as_ref().ok()).filter(|set| is_good(set)).collect();
    known.sort_by_key(|manifest| manifest.verify.read_at);
    let share = known.len().div_ceil(usize::try_from(runs).unwrap_or(usize::MAX)).max(1);
    // What was read within the hour was read as it was written.
    let is_old = |manifest: &&&Manifest| {
        manifest.verify.read_at.is_none_or(|at| at > now || now.duration_since(at) >= SignedDuration::from_hours(1))
    };
    known.iter().filter(is_old).take(share).copied().collect()
}
