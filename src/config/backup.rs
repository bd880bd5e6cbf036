//! `[postgres.NAME.backup]`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::postgres::{Backup, BackupSchedule};
use crate::model::template::Template;

use super::draft::Owner;
use super::files::Files;
use super::job::cron;
use super::node::{Entry, Node, Table, Value};
use super::reader::Reader;

/// The longest time between two sets: `schedule` can't be rarer either.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The rules and how many sets each keeps.
const KEEP: [(&str, u32); 5] = [("last", 2), ("hourly", 24), ("daily", 7), ("weekly", 4), ("monthly", 12)];

/// Reads the backups of a postgres.
pub(super) fn backup(postgres: &Reader<'_>, owner: &Owner<'_>, external: bool) -> Backup {
    let empty = Entry { key: owner.place, node: Node { place: owner.place, value: Value::Table(Table::new()) } };
    match postgres.table("backup", "backup") {
        Some(reader) => read(reader, owner, external),
        None => read(Reader::new(postgres.cx, "none", "", &empty.node), owner, external),
    }
}

fn read(reader: Reader<'_>, owner: &Owner<'_>, external: bool) -> Backup {
    let every = reader.duration("every");
    let schedule = reader.filled("schedule").and_then(|text| reader.report(reader.value_place("schedule"), cron(&text)));
    if reader.has("every") && reader.has("schedule") {
        reader.error(reader.key_place("schedule"), "`every` and `schedule` both say when", "keep one of them");
    }
    if every.is_some_and(|every| every < Duration::from_secs(60)) {
        reader.error(reader.value_place("every"), "a set can be taken every minute at most", "write `every = \"1h\"`");
    }
    if every.is_some_and(|every| every > LONGEST) {
        reader.error(reader.value_place("every"), "a set must be taken every year at least", "write `every = \"24h\"`");
    }
    let schedule =
        schedule.map_or_else(|| BackupSchedule::Every(every.unwrap_or(Duration::from_secs(3600))), BackupSchedule::Cron);
    let directory = reader.filled("dir").map_or_else(
        || reader.cx.directory.join("volumes/backups").join(owner.name.as_str()),
        |dir| reader.cx.path(reader.value_place("dir"), &dir),
    );
    let backup = Backup {
        enabled: reader.flag("enabled").unwrap_or(!external),
        schedule,
        keep: keep(&reader),
        trial_restore: reader.choice("verify", &[("restore", true), ("read", false)]).unwrap_or(true),
        min_free: reader.size_or_zero("min_free"),
        offsite: offsite(&reader),
        directory,
    };
    allowed(&reader, &backup);
    reader.finish();
    backup
}

fn allowed(reader: &Reader<'_>, backup: &Backup) {
    let real = Files::canonical(&backup.directory);
    let inside = real.starts_with(&reader.cx.directory) || reader.cx.host_paths.iter().any(|allowed| real.starts_with(allowed));
    if !inside {
        let parent = real.parent().filter(|parent| parent.parent().is_some()).unwrap_or(&real).display();
        reader.error(
            reader.value_place("dir"),
            format!("{} is outside the stack's directory", backup.directory.display()),
            format!("move it beside stack.toml, or allow it at the top of the file: `host_paths = [\"{parent}\"]`"),
        );
    }
}

fn keep(reader: &Reader<'_>) -> BTreeMap<&'static str, u32> {
    let Some(reader) = reader.table("keep", "keep") else { return KEEP.into_iter().collect() };
    let keep: BTreeMap<&'static str, u32> =
        KEEP.into_iter().map(|(rule, default)| (rule, reader.count(rule, 0..=100_000).unwrap_or(default))).collect();
    if keep.values().all(|count| *count == 0) {
        reader.error(reader.place, "no rule keeps any set", "keep at least the last ones: `keep = { last = 2 }`");
    }
    reader.finish();
    keep
}

fn offsite(reader: &Reader<'_>) -> Option<Template> {
    let reader = reader.table("offsite", "offsite")?;
    let url = reader.template("url");
    if !reader.has("url") {
        reader.error(reader.place, format!("`{}` has no `url`", reader.path), "write `url = \"s3://bucket/prefix\"`");
    }
    if let Some(url) = &url
        && !url.to_string().starts_with("s3://")
    {
        reader.error(reader.value_place("url"), "this is not an address of a bucket", "write `url = \"s3://bucket/prefix\"`");
    }
    reader.filled("endpoint");
    reader.filled("region");
    let keys = (reader.template("access_key"), reader.template("secret_key"));
    if keys.0.is_some() != keys.1.is_some() {
        reader.error(
            reader.place,
            "`access_key` and `secret_key` come together",
            "give both, or none for the machine's own role or profile",
        );
    }
    reader.finish();
    url
}
