//! Tests of reading a stack.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

thread_local! {
    static SEEN: RefCell<BTreeMap<&'static str, BTreeSet<&'static str>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Takes note of the keys that a reader of a kind asked for.
pub(super) fn saw(kind: &'static str, keys: &BTreeSet<&'static str>) {
    SEEN.with(|seen| seen.borrow_mut().entry(kind).or_default().extend(keys));
}

#[test]
fn examples_load() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/test_data");
    for file in ["pollinate", "nextcloud", "supabase-db"] {
        let request = super::LoadRequest { file: directory.join(format!("{file}.toml")), ..Default::default() };
        match super::load(&request) {
            Ok(loaded) => eprintln!("{}", super::resolved(&loaded)),
            Err(error) => panic!("{}", super::render(&error.problems, false)),
        }
    }
}
