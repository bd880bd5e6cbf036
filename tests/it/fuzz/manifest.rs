//! What a backup set says of itself: it is understood or refused, and whatever it says, the daemon goes on and no
//! path leads out of its directory.

use std::path::PathBuf;

use jiff::Timestamp;
use witwd::model::backup::SetId;
use witwd::postgres::backup::manifest::Manifest;
use witwd::postgres::backup::{Entry, Scope, judged, summary};

use super::driver::{Fate, Target};
use super::mutation::Corpus;
use crate::scenarios::stacks::stack;
use crate::scenarios::world::DEMO;

/// A set of one database, as it is written.
const EXAMPLE: &str = r#"{
  "format_version": 1,
  "set_id": "20261120T210000Z",
  "slot": "2026-11-20T21:00:00Z",
  "started": "2026-11-20T21:00:12.5Z",
  "finished": "2026-11-20T21:00:17.25Z",
  "reason": "hourly",
  "safe_until": "2026-11-27T21:00:00Z",
  "pinned": false,
  "witwd_version": "0.3.0",
  "stack": "demo",
  "postgres": "db",
  "system_identifier": "7312345678901234567",
  "image": "postgres:17",
  "image_digest": "sha256:1",
  "server_version_num": 170002,
  "server_version": "17.2",
  "server_settings": { "block_size": "8192" },
  "bootstrap_role": "postgres",
  "databases": [{
    "name": "app", "oid": 16384, "lsn": "0/1A2B3C4", "file": "app.dump.zst", "sha256_plain": "ab", "sha256_file": "cd",
    "bytes_plain": 1048576, "bytes_file": 262144, "toc_entries": 12,
    "properties": { "owner": "app", "encoding": "UTF8", "locale_provider": "c", "collate": "C", "ctype": "C",
                    "rights": ["app=CTc/app"], "connection_limit": -1, "is_template": false, "comment": "ours" },
    "settings": { "": ["timezone=Europe/Zurich"] }, "extensions": { "plpgsql": "1.0", "postgis": "3.5.2" },
    "tables": [{ "oid": 16390, "schema": "public", "name": "t", "kind": "table", "rows": 48211, "exact": true },
               { "oid": 16396, "schema": "public", "name": "m", "kind": "materialized_view", "rows": 1, "exact": true }],
    "large_objects": 1, "indexes": 3
  }],
  "skipped": { "closed": "it lets nobody connect" },
  "globals": { "file": "globals.sql.zst", "sha256_plain": "ab", "sha256_file": "cd", "bytes_plain": 700, "bytes_file": 300 },
  "verify": { "level": "restored", "at": "2026-11-20T21:00:21Z", "restore_seconds": 3.4, "rows_equal": 48211 }
}"#;

/// What is likely to hurt a reader of it.
const SHARP: [&str; 20] = [
    "\"format_version\": 2",
    "\"../app.dump.zst\"",
    "\"/etc/passwd\"",
    "\"manifest.json\"",
    "\"..\"",
    "18446744073709551615",
    "18446744073709551616",
    "4294967295",
    "-1",
    "1e999",
    "null",
    "true",
    "\"none\"",
    "\"-009999-01-01T00:00:00Z\"",
    "\"9999-12-30T22:00:00Z\"",
    "[",
    "]",
    "{",
    "}",
    ",",
];

fn set() -> SetId {
    "20261120T210000Z".parse().expect("a name of a set")
}

fn tries(input: &[u8]) -> Result<Fate, String> {
    let now: Timestamp = "2026-11-21T00:00:00Z".parse().expect("a time");
    let parsed = Manifest::parse(set(), input);
    if parsed.as_ref().is_err_and(|error| error.to_string().trim().is_empty()) {
        return Err("it is refused without a word".to_owned());
    }
    let taken = if parsed.is_ok() { Fate::Taken } else { Fate::Refused };
    if let Ok(manifest) = &parsed {
        let out = manifest.files().find(|stored| stored.file.contains('/') || stored.file.starts_with('.'));
        if let Some(stored) = out {
            return Err(format!("{:?} leads out of its directory", stored.file));
        }
        let written = serde_json::to_vec(manifest).map_err(|error| error.to_string())?;
        let again = Manifest::parse(set(), &written).map_err(|error| format!("written again it is refused: {error}"))?;
        // A number of seconds may lose its last digit.
        let of = |manifest: &Manifest| (manifest.set_id, manifest.rows(), manifest.bytes(), manifest.databases.clone());
        if of(manifest) != of(&again) {
            return Err(format!("written again it is another: {manifest:?}\n{again:?}"));
        }
    }
    // Among others: enough of them that what is usual is known.
    let entry = |parsed: &Result<Manifest, _>| Entry { id: set(), path: PathBuf::from("/sets/one"), manifest: parsed.clone() };
    let entries: Vec<Entry> = std::iter::repeat_with(|| entry(&parsed)).take(5).collect();
    summary(&entries, now);
    let stack = stack(DEMO);
    let workload = stack.workload(&"db".parse().expect("a name")).expect("it is declared");
    judged(&entries, Scope { workload, line: "7312345678901234567", now }).ok_or("nothing is judged")?;
    Ok(taken)
}

#[test]
fn a_manifest_is_understood_or_refused_and_ends_nobody() {
    assert_eq!(tries(EXAMPLE.as_bytes()), Ok(Fate::Taken));
    let words = SHARP.map(|word| word.as_bytes().to_vec()).to_vec();
    Target { name: "manifest", cases: 2_000, corpus: Corpus { examples: vec![EXAMPLE.as_bytes().to_vec()], words }, tries }.run();
}
