//! How sets are told of: for people in words, for programs as the contract says. Pure.

use bytesize::ByteSize;
use jiff::Timestamp;
use serde::Serialize;

use crate::cli::table::age;
use crate::model::backup::{Proof, SetId};
use crate::model::status::BackupStatus;
use crate::postgres::backup::Entry;
use crate::postgres::backup::manifest::{Database, Manifest};
use crate::postgres::backup::retention::{Decision, Verdict};

/// A set, as `backup now|list --json` says it (`cli.md`).
#[derive(Debug, Serialize)]
pub(super) struct Item {
    id: SetId,
    postgres: String,
    dir: String,
    started: Option<Timestamp>,
    seconds: Option<f64>,
    bytes: u64,
    rows: u64,
    server_version: Option<String>,
    proof: Proof,
    proven_at: Option<Timestamp>,
    restore_seconds: Option<f64>,
    rows_equal: Option<u64>,
    databases: Vec<DatabaseItem>,
    skipped: std::collections::BTreeMap<String, String>,
    offsite: &'static str,
    kept_by: Vec<&'static str>,
    verdict: Option<String>,
    pinned: bool,
    /// Why it was taken.
    reason: Option<String>,
    /// Why it can't be used, or is not proven better.
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct DatabaseItem {
    name: String,
    file: String,
    sha256: String,
    bytes: u64,
    tables: usize,
    rows: u64,
}

/// A set for programs.
pub(super) fn item(postgres: &str, entry: &Entry, decision: Option<&Decision>) -> Item {
    let verdict =
        decision.and_then(|decision| decision.verdicts.iter().find(|(id, _)| *id == entry.id)).map(|(_, verdict)| verdict);
    let manifest = entry.manifest.as_ref();
    let verify = manifest.as_ref().ok().map(|manifest| &manifest.verify);
    let damage = verify.and_then(|verify| verify.damaged.clone().or_else(|| verify.error.clone()));
    Item {
        id: entry.id,
        postgres: postgres.to_owned(),
        dir: entry.path.display().to_string(),
        started: manifest.ok().map(|manifest| manifest.started),
        seconds: manifest.ok().map(seconds),
        bytes: manifest.map_or(0, Manifest::bytes),
        rows: manifest.map_or(0, Manifest::rows),
        server_version: manifest.ok().map(|manifest| manifest.server_version.clone()),
        proof: manifest.map_or(Proof::None, proof),
        proven_at: verify.and_then(|verify| verify.at),
        restore_seconds: verify.and_then(|verify| verify.restore_seconds),
        rows_equal: verify.and_then(|verify| verify.rows_equal),
        databases: manifest.map(|manifest| manifest.databases.iter().map(database).collect()).unwrap_or_default(),
        skipped: manifest.map(|manifest| manifest.skipped.clone()).unwrap_or_default(),
        offsite: "off",
        kept_by: kept_by(verdict),
        verdict: verdict.map(Decision::reason_text),
        pinned: manifest.is_ok_and(|manifest| manifest.pinned),
        reason: manifest.ok().map(|manifest| manifest.reason.clone()),
        error: manifest.err().map(ToString::to_string).or(damage),
    }
}

fn database(database: &Database) -> DatabaseItem {
    DatabaseItem {
        name: database.name.clone(),
        file: database.stored.file.clone(),
        sha256: database.stored.sha256_file.clone(),
        bytes: database.stored.bytes_file,
        tables: database.content.tables.len(),
        rows: database.rows(),
    }
}

/// How long it took to dump, in seconds.
fn seconds(manifest: &Manifest) -> f64 {
    let took = manifest.finished.duration_since(manifest.started).as_secs_f64();
    (took * 10.0).round() / 10.0
}

/// The level that a set has now: what was found damaged has none.
fn proof(manifest: &Manifest) -> Proof {
    if manifest.verify.damaged.is_some() { Proof::None } else { manifest.verify.level }
}

fn kept_by(verdict: Option<&Verdict>) -> Vec<&'static str> {
    match verdict {
        Some(Verdict::Kept(reasons)) => reasons.iter().map(|reason| reason.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// `48,211`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1.2 MiB`.
pub(in crate::cli) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// How well a set is proven, for people.
pub(super) fn proof_text(entry: &Entry) -> String {
    match &entry.manifest {
        Err(error) => format!("can't be used: {error}"),
        Ok(manifest) => {
            let verify = &manifest.verify;
            match (&verify.damaged, verify.level, verify.restore_seconds) {
                (Some(words), ..) => format!("damaged: {words}"),
                (None, Proof::Restored, Some(seconds)) => restored(seconds, verify.rows_equal.unwrap_or_default()),
                (None, level, _) => match &verify.error {
                    Some(words) => format!("{level}, but {words}"),
                    None => level.to_string(),
                },
            }
        }
    }
}

fn restored(seconds: f64, rows: u64) -> String {
    format!("restored in a trial: {seconds} s, {} rows equal", thousands(rows))
}

/// What is told of the sets of a Postgres unasked: `last backup 12m ago, restored in a trial: 3.4 s, 48,211 rows
/// equal`, and what is wrong. One line each.
pub(crate) fn status_lines(backup: &BackupStatus, now: Timestamp) -> Vec<String> {
    let mut lines = vec![last(backup, now)];
    if let Some(words) = &backup.under_way {
        let is_restore = words.starts_with("restoring ");
        lines.push(if is_restore { words.clone() } else { format!("backup: {words}") });
    }
    lines.extend(backup.undo_until.map(|until| format!("a restore can be undone for {}: `witwd restore undo`", age(now, until))));
    if let Some(failed) = &backup.failed {
        let next = backup.next.map(|next| format!("; next try in {}", age(now, next))).unwrap_or_default();
        lines.push(format!("backup failed {} ago: {}{next}", age(failed.at, now), failed.words));
    }
    lines.extend(backup.unread.iter().map(|words| format!("backups can't be looked at: {words}")));
    lines.extend(backup.shrunk.iter().map(|words| format!("the newest backup is far smaller: {words}")));
    lines.extend(backup.unusable.iter().map(|(id, words)| format!("backup {id} can't be used: {words}")));
    if !backup.held.is_empty() {
        lines.push(format!(
            "{} backups would go by `keep`, more than half: `witwd backup prune --dry-run` shows them, `--yes` removes them",
            backup.held.len()
        ));
    }
    lines
}

fn last(backup: &BackupStatus, now: Timestamp) -> String {
    let off = if backup.enabled { "" } else { "; backups are turned off" };
    let Some(set) = &backup.set else {
        let none = if backup.sets == 0 { "no backup yet" } else { "no good backup" };
        return format!("{none}{off}");
    };
    let proof = if let (Proof::Restored, Some(seconds)) = (set.proof, set.restore_seconds) {
        restored(seconds, set.rows_equal.unwrap_or_default())
    } else {
        let why = set.error.as_ref().map(|words| format!(" ({words})")).unwrap_or_default();
        let proven = backup.proven.map(|at| format!(", the last trial restore {} ago", age(at, now)));
        format!("read back whole, not restored in a trial{why}{}", proven.unwrap_or_default())
    };
    format!("last backup {} ago, {proof}{off}", age(set.finished, now))
}
