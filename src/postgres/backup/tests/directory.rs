//! The directory of sets: whole ones are seen, half ones are not, and what goes is gone at once.

use jiff::Timestamp;

use crate::model::backup::{Proof, SetId};
use crate::postgres::backup::catalog::Lock;
use crate::postgres::backup::manifest::{FORMAT, Manifest, ManifestError, Stored, Verified};
use crate::postgres::backup::{Catalog, Entry, summary};

/// A set that was read back.
pub(super) fn manifest(id: SetId) -> Manifest {
    Manifest {
        format_version: FORMAT,
        set_id: id,
        slot: Some(id.slot()),
        started: id.slot(),
        finished: id.slot(),
        reason: "a test".to_owned(),
        safe_until: None,
        pinned: false,
        witwd_version: "0".to_owned(),
        stack: "demo".to_owned(),
        postgres: "db".to_owned(),
        system_identifier: "1".to_owned(),
        image: "postgres:17".to_owned(),
        image_digest: "sha256:1".to_owned(),
        server_version_num: 170_002,
        server_version: "17.2".to_owned(),
        server_settings: std::collections::BTreeMap::new(),
        bootstrap_role: "postgres".to_owned(),
        databases: Vec::new(),
        skipped: std::collections::BTreeMap::new(),
        globals: Stored { file: "globals.sql.zst".to_owned(), ..Stored::default() },
        verify: Verified { level: Proof::Read, ..Verified::default() },
    }
}

struct Place {
    directory: tempfile::TempDir,
    catalog: Catalog,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { catalog: Catalog::at(directory.path().join("volumes/backups/db")), directory }
    }

    fn lock(&self) -> Lock {
        self.catalog.lock(self.directory.path()).expect("a directory").expect("nobody else has it")
    }

    fn publish(&self, lock: &Lock, second: i64) -> SetId {
        let draft = self.catalog.begin(lock, at(second)).expect("a draft");
        std::fs::write(draft.path.join("globals.sql.zst"), "x").expect("it is ours");
        self.catalog.publish(lock, &draft, &manifest(draft.id)).expect("it is whole");
        draft.id
    }

    fn names(&self) -> Vec<String> {
        self.catalog.list().expect("a directory").iter().map(|set| set.id.to_string()).collect()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).expect("a time")
}

#[test]
fn no_directory_is_no_set() {
    assert!(Place::new().names().is_empty());
}

#[test]
fn a_set_is_seen_once_it_is_published_and_two_of_one_second_have_two_names() {
    let place = Place::new();
    let lock = place.lock();
    let draft = place.catalog.begin(&lock, at(0)).expect("a draft");
    assert!(place.names().is_empty(), "half of it is seen");
    place.catalog.publish(&lock, &draft, &manifest(draft.id)).expect("it is whole");
    place.publish(&lock, 0);
    place.publish(&lock, 60);
    assert_eq!(place.names(), ["20260528T202740Z", "20260528T202640Z-2", "20260528T202640Z"]);
}

#[test]
fn one_takes_sets_at_a_time() {
    let place = Place::new();
    let lock = place.lock();
    assert!(place.catalog.lock(place.directory.path()).expect("a directory").is_none());
    drop(lock);
    place.lock();
}

#[test]
fn what_was_half_written_or_half_removed_goes_and_whole_ones_stay() {
    let place = Place::new();
    let lock = place.lock();
    place.publish(&lock, 0);
    place.catalog.begin(&lock, at(60)).expect("a draft");
    let trash = place.catalog.directory().join(".trash/20260528T202640Z");
    std::fs::create_dir_all(&trash).expect("it is ours");
    place.catalog.clear(&lock).expect("it is ours");
    assert_eq!(place.names(), ["20260528T202640Z"]);
    assert!(!trash.exists());
}

#[test]
fn a_set_that_is_removed_is_gone_and_one_that_is_gone_is_no_trouble() {
    let place = Place::new();
    let lock = place.lock();
    let id = place.publish(&lock, 0);
    assert!(place.catalog.remove(&lock, id).expect("it is ours"));
    assert!(!place.catalog.remove(&lock, id).expect("it is gone"));
    assert!(place.names().is_empty());
}

#[test]
fn a_set_that_is_not_understood_says_why_and_what_is_no_set_is_left_alone() {
    let place = Place::new();
    let lock = place.lock();
    let file = |id: SetId| place.catalog.directory().join(id.to_string()).join("manifest.json");
    let (newer, broken, moved, gone) =
        (place.publish(&lock, 0), place.publish(&lock, 1), place.publish(&lock, 2), place.publish(&lock, 3));
    std::fs::write(file(newer), "{\"format_version\": 2}").expect("it is ours");
    std::fs::write(file(broken), "{").expect("it is ours");
    std::fs::copy(file(gone), file(moved)).expect("it is ours");
    std::fs::remove_file(file(gone)).expect("it is ours");
    std::fs::create_dir(place.catalog.directory().join("notes")).expect("it is ours");
    let found: Vec<_> = place.catalog.list().expect("a directory").into_iter().map(|set| set.manifest).collect();
    assert!(matches!(found[0], Err(ManifestError::Nonsense(_))), "{:?}", found[0]);
    assert_eq!(found[1], Err(ManifestError::OfAnother(gone)));
    assert!(matches!(found[2], Err(ManifestError::Nonsense(_))), "{:?}", found[2]);
    assert_eq!(found[3], Err(ManifestError::Format(2)));
}

#[test]
fn a_set_of_a_time_that_has_not_come_is_not_the_last() {
    let entry = |second: i64| {
        let id = SetId::new(at(second), 1);
        Entry { id, path: "/sets".into(), manifest: Ok(manifest(id)) }
    };
    let (now, hour) = (at(0), 3600);
    let table = [
        (vec![entry(hour * 24 * 365), entry(-hour)], Some(-hour)),
        // Clocks may differ by minutes.
        (vec![entry(60), entry(-hour)], Some(60)),
        (vec![entry(hour)], None),
    ];
    for (sets, last) in table {
        let found = summary(&sets, now);
        assert_eq!(found.last_good.map(|known| known.id), last.map(|second| SetId::new(at(second), 1)));
        assert_eq!(found.sets, sets.len());
    }
}
