//! `[jobs.NAME]`.

use std::time::Duration;

use crate::model::hash::SpecHash;
use crate::model::job::{Job, JobRun, Overlap};
use crate::model::workload::{Kind, Workload};

use super::container::{common, full, inputs};
use super::definition::{Shape, definition};
use super::draft::{Draft, Owner, dependencies, is_active};
use super::image::image;
use super::reader::Reader;
use super::values::{Mistake, mistake};

/// Reads a job.
pub(super) fn job(reader: Reader<'_>, owner: &Owner<'_>) -> Option<Draft> {
    let active = is_active(&reader, owner.profiles);
    reader.cx.scope.dormant.set(!active);
    let image = image(&reader, owner);
    reader.text("extends");
    let mut container = common(&reader, "job");
    full(&reader, &mut container);
    container.stop_grace = reader.duration_or_zero("stop_grace").unwrap_or(Duration::from_secs(10));
    let run = run(&reader);
    let timed = matches!(run, JobRun::Schedule { .. } | JobRun::Every { .. });
    let job = Job {
        run,
        timeout: reader.duration("timeout").or(timed.then_some(Duration::from_secs(3600))),
        retries: reader.count("retries", 0..=1000).unwrap_or(0),
        history: reader.count("history", 1..=100_000).unwrap_or(20),
    };
    let inputs = inputs(&reader);
    let depends = dependencies(&reader, owner);
    if image.is_none() && !["image", "build", "extends"].iter().any(|key| reader.has(key)) {
        reader.error(
            owner.place,
            format!("`{}` has no image", reader.path),
            "give it `extends = \"SERVICE\"`, `image = \"name:tag\"` or `build = \".\"`",
        );
    }
    let Some(image) = image else {
        reader.finish();
        return None;
    };
    let definition = definition(&reader, &Shape { container: &container, image: &image, inputs });
    reader.finish();
    let workload = Workload {
        name: owner.name.clone(),
        kind: Kind::Job(job),
        image,
        container,
        dependencies: Vec::new(),
        spec: SpecHash::of(&definition),
    };
    Some(Draft {
        workload,
        place: owner.place,
        active,
        depends,
        ports: Vec::new(),
        definition,
        old_volume: None,
        left_out: Vec::new(),
    })
}

#[derive(Clone, Copy)]
enum Plain {
    Changed,
    Always,
    Manual,
}

fn run(reader: &Reader<'_>) -> JobRun {
    let plain = reader.choice("run", &[("changed", Plain::Changed), ("always", Plain::Always), ("manual", Plain::Manual)]);
    let cron = reader.filled("schedule").and_then(|text| reader.report(reader.value_place("schedule"), cron(&text)));
    let interval = reader.duration("every");
    let timezone = reader.filled("timezone").and_then(|text| reader.report(reader.value_place("timezone"), timezone(&text)));
    let overlap =
        reader.choice("overlap", &[("forbid", Overlap::Forbid), ("allow", Overlap::Allow), ("replace", Overlap::Replace)]);
    let catch_up = reader.flag("catch_up").unwrap_or(true);
    let given: Vec<&str> = ["run", "schedule", "every"].into_iter().filter(|key| reader.has(key)).collect();
    if let [first, second, ..] = given.as_slice() {
        reader.error(
            reader.key_place(second),
            format!("`{first}` and `{second}` both say when it runs"),
            "keep one of `run`, `schedule`, `every`",
        );
    }
    let timed = reader.has("schedule") || reader.has("every");
    for (key, fits) in [("timezone", reader.has("schedule")), ("overlap", timed), ("catch_up", timed)] {
        if reader.has(key) && !fits {
            let with = if key == "timezone" { "`schedule`" } else { "`schedule` or `every`" };
            let hint = if key == "timezone" { "`schedule = \"0 3 * * *\"`" } else { "`every = \"1h\"`" };
            let message = format!("`{}` has a meaning only beside {with}", reader.name(key));
            reader.error(reader.key_place(key), message, format!("leave it out, or say when the job runs: {hint}"));
        }
    }
    let overlap = overlap.unwrap_or(Overlap::Forbid);
    match (cron, interval, plain) {
        (Some(cron), ..) => JobRun::Schedule { cron, timezone: timezone.unwrap_or_else(|| "UTC".to_owned()), overlap, catch_up },
        (_, Some(interval), _) => JobRun::Every { interval, overlap, catch_up },
        (.., Some(Plain::Always)) => JobRun::Always,
        (.., Some(Plain::Manual)) => JobRun::Manual,
        (.., Some(Plain::Changed) | None) => JobRun::Changed,
    }
}

/// A cron expression of five fields.
pub(super) fn cron(text: &str) -> Result<String, Mistake> {
    let fields = text.split_whitespace().count();
    if fields != 5 && !text.starts_with('@') {
        return mistake(
            format!("{text:?} has {fields} fields, a schedule has five"),
            "minute, hour, day of month, month, day of week: \"*/2 * * * *\"",
        );
    }
    match text.parse::<croner::Cron>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => mistake(
            format!("{text:?} is not a schedule: {error}"),
            "minute, hour, day of month, month, day of week: \"*/2 * * * *\"",
        ),
    }
}

fn timezone(text: &str) -> Result<String, Mistake> {
    let unknown = jiff::tz::TimeZone::get(text).is_err() && !jiff::tz::db().is_definitively_empty();
    if unknown {
        return mistake(format!("there is no time zone {text:?}"), "write a name of the IANA database: \"Europe/Berlin\"");
    }
    Ok(text.to_owned())
}
