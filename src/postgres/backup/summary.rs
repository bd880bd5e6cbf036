//! What is told of the sets of one Postgres unasked. Pure.

use jiff::{SignedDuration, Timestamp};

use super::catalog::Entry;
use super::keep::is_good;
use super::manifest::Manifest;
use crate::model::backup::{Known, Proof, SetId, Summary};

/// So many sets before the newest are what is usual.
const USUAL: usize = 7;
/// How far clocks may differ (`postgres-facts.md`, 4.5).
const AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// One set or two say nothing of what is usual.
const ENOUGH: usize = 3;

/// The summary of what is there, newest first. A set of a slot that has not come says nothing of the timetable: a
/// clock that was years ahead for a moment must not end all backups.
pub fn summary(sets: &[Entry], now: Timestamp) -> Summary {
    let known: Vec<&Manifest> = sets.iter().filter_map(|set| set.manifest.as_ref().ok()).collect();
    let counts = |manifest: &&Manifest| is_good(manifest) && !is_of_future(manifest.set_id, now);
    let good: Vec<&Manifest> = known.iter().copied().filter(counts).collect();
    let proven = good.iter().filter(|manifest| manifest.verify.level >= Proof::Restored);
    let why = |set: &Entry| match &set.manifest {
        Err(error) => Some((set.id, error.to_string())),
        Ok(manifest) => manifest.verify.damaged.clone().map(|words| (set.id, words)),
    };
    Summary {
        sets: sets.len(),
        unusable: sets.iter().filter_map(why).collect(),
        last_good: good.first().map(|manifest| of(manifest)),
        proven: proven.max_by_key(|manifest| manifest.verify.at).map(|manifest| of(manifest)),
        last_slot: good.iter().filter_map(|manifest| manifest.slot).filter(|slot| *slot <= soon(now)).max(),
        shrunk: shrunk(&good),
        present: sets.iter().map(|set| set.id).collect(),
    }
}

/// The newest slot that needs no set any more: that of a set which is there, or of one that was taken and went by the
/// rules since, for a newer one of its hour stays in its place. Where no good set is left nothing was ever done.
pub fn last_slot(summary: &Summary, remembered: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    summary.last_good.as_ref()?;
    summary.last_slot.max(remembered.filter(|slot| *slot <= soon(now)))
}

/// Whether a set says that it is of a time that has not come: it is the newest by its name alone.
fn is_of_future(id: SetId, now: Timestamp) -> bool {
    id.slot() > soon(now)
}

/// A slot that comes later than this has not come.
fn soon(now: Timestamp) -> Timestamp {
    now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX)
}

fn of(manifest: &Manifest) -> Known {
    Known {
        id: manifest.set_id,
        finished: manifest.finished,
        proof: manifest.verify.level,
        proven_at: manifest.verify.at,
        rows: manifest.rows(),
        bytes: manifest.bytes(),
        restore_seconds: manifest.verify.restore_seconds,
        rows_equal: manifest.verify.rows_equal,
        error: manifest.verify.error.clone(),
    }
}

/// Whether the newest has less than half of the median of those before it, in rows or in bytes.
fn shrunk(good: &[&Manifest]) -> Option<String> {
    let (newest, before) = good.split_first()?;
    let before: Vec<&&Manifest> =
        before.iter().filter(|other| other.system_identifier == newest.system_identifier).take(USUAL).collect();
    if before.len() < ENOUGH {
        return None;
    }
    let rows = median(before.iter().map(|manifest| manifest.rows()).collect());
    let bytes = median(before.iter().map(|manifest| manifest.bytes_plain()).collect());
    if newest.rows() < rows / 2 {
        return Some(format!("it has {} rows, and those before it had {rows}", newest.rows()));
    }
    let is_small = newest.bytes_plain() < bytes / 2;
    is_small.then(|| format!("it has {} bytes, and those before it had {bytes}", newest.bytes_plain()))
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + hours * 3600).unwrap()
    }

    #[test]
    fn a_slot_whose_set_went_by_the_rules_is_not_made_up_for() {
        let known = |slot: Option<i64>| {
            let id = SetId::new(at(10), 1);
            let (finished, proof) = (at(10), Proof::Read);
            let last_good = Known {
                id,
                finished,
                proof,
                proven_at: None,
                rows: 0,
                bytes: 0,
                restore_seconds: None,
                rows_equal: None,
                error: None,
            };
            Summary { last_good: Some(last_good), last_slot: slot.map(at), ..Summary::default() }
        };
        let table = [
            (known(Some(9)), None, Some(9)),
            (known(Some(9)), Some(10), Some(10)),
            (known(Some(10)), Some(9), Some(10)),
            (known(None), Some(10), Some(10)),
            // The clock was years ahead for a moment.
            (known(Some(9)), Some(30_000), Some(9)),
            // Somebody removed all of them.
            (Summary::default(), Some(10), None),
        ];
        for (summary, remembered, want) in table {
            assert_eq!(last_slot(&summary, remembered.map(at), at(10)), want.map(at), "{summary:?} {remembered:?}");
        }
    }
}
