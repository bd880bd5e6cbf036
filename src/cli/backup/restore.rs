//! `restore`: databases as they were in a set, in the place of those that are there or beside them; and back again.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::{choose, restore_file, tell};
use crate::cli::Done;
use crate::cli::confirm::agree;
use crate::cli::context::Context;
use crate::cli::errand;
use crate::cli::exit_code::{Exit, Failure};
use crate::cli::table::age;
use crate::model::backup::{Errand, SetId, Work, WorkDone};
use crate::model::restore::{Restore, Source};
use crate::model::workload::Workload;
use crate::postgres::backup::manifest::Manifest;
use crate::postgres::backup::{Entry, is_good};

/// Flags of `restore`.
#[derive(Debug, Args)]
#[command(after_help = "What is restored is made beside what is there and compared with the set. Only then those who need the \
                  database are stopped, the names change hands at once, and they are started again; where they do not come \
                  up, the names change back. What was there before is kept for 24 hours.\n\n\
                  Examples:\n  witwd restore latest\n  witwd restore db 20261120T21\n  \
                  witwd restore --at 2026-11-20T21:30:00+01:00\n  \
                  witwd restore latest --to app_yesterday   a copy beside, to look at first\n  \
                  witwd restore --file legacy.dump          what pg_dump -Fc made elsewhere\n  \
                  witwd restore undo                        what was there before, within 24 hours")]
pub struct RestoreArgs {
    /// The newest set that was taken by then: a time with its zone
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// An archive of `pg_dump -Fc` from elsewhere, as it is or through gzip or zstd, in the place of the app's database
    #[arg(long, value_name = "PATH", conflicts_with = "at")]
    file: Option<PathBuf>,
    /// Only this database of the set; of a file, the one whose place it takes
    #[arg(long, value_name = "DATABASE")]
    pub(super) database: Option<String>,
    /// A copy beside the others under this name; nothing else changes
    #[arg(long, value_name = "DATABASE")]
    pub(super) to: Option<String>,
    /// Without a set of what is there now
    #[arg(long)]
    pub(super) without_safety_set: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
    /// The postgres, where there are several, and what is wanted: latest, an ID, the beginning of one, or undo
    #[arg(value_name = "[NAME] ID|undo")]
    words: Vec<String>,
}

pub(in crate::cli) async fn run(context: &Context, args: RestoreArgs) -> Done {
    let (name, word) = words(&args)?;
    let loaded = choose::look(context)?;
    let workload = choose::postgres(&loaded, name, "restore")?;
    if word == Some("undo") {
        return undo(context, &args, workload).await;
    }
    if let Some(path) = &args.file {
        return restore_file::run(context, &args, path, workload).await;
    }
    let sets = choose::sets(&choose::catalog(workload))?;
    let now = context.clock.wall();
    let set = match (&args.at, word) {
        (Some(at), _) => by_time(&sets, at, now, workload)?,
        (None, word) => choose::set(&sets, word.unwrap_or_default(), workload, now)?,
    };
    let entry = sets.iter().find(|entry| entry.id == set);
    let manifest = entry.and_then(|entry| entry.manifest.as_ref().ok()).ok_or_else(|| unusable(set))?;
    let wanted = Restore {
        source: Source::Set(set),
        database: which(&args, manifest, workload)?,
        to: args.to.clone(),
        with_safety_set: !args.without_safety_set,
    };
    tell_what_comes(context, &wanted, manifest, now);
    agreed(context, args.yes || wanted.to.is_some())?;
    let done = errand::carry_out(context, Errand { of: workload.name.clone(), work: Work::Restore(wanted.clone()) }).await?;
    told(context, &wanted, &done)
}

/// `[NAME] ID`; a time or a file stands for the ID.
fn words(args: &RestoreArgs) -> Result<(Option<&str>, Option<&str>), Failure> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    match (words.as_slice(), args.at.is_some() || args.file.is_some()) {
        (["undo"] | [_, "undo"], true) => {
            Err(Failure::new(Exit::Usage, "`undo` takes back the last restore, whatever that was of")
                .hint("leave out `--at` and `--file`"))
        }
        ([], true) => Ok((None, None)),
        ([name], true) => Ok((Some(name), None)),
        ([word], false) => Ok((None, Some(word))),
        ([name, word], false) => Ok((Some(name), Some(word))),
        _ => {
            let failure = Failure::new(Exit::Usage, "`witwd restore` needs the ID of a set");
            Err(failure.hint("`witwd backup list` shows them; `witwd restore latest`, `witwd restore --at TIME`"))
        }
    }
}

/// The newest good set of a time.
fn by_time(sets: &[Entry], at: &str, now: Timestamp, workload: &Workload) -> Result<SetId, Failure> {
    let time: Timestamp = at.parse().map_err(|_| {
        let failure = Failure::new(Exit::Usage, format!("{at:?} is no time with its zone"));
        failure.hint("one looks like 2026-11-20T21:30:00+01:00, or 2026-11-20T20:30:00Z")
    })?;
    let good = || sets.iter().filter_map(|set| set.manifest.as_ref().ok()).filter(|manifest| is_good(manifest));
    let range = || match (good().map(|manifest| manifest.finished).min(), good().map(|manifest| manifest.finished).max()) {
        (Some(first), Some(last)) => format!("there are sets from {first:.0} to {last:.0}"),
        _ => format!("{} has no good backup set", workload.name),
    };
    if time > now {
        return Err(Failure::new(Exit::Usage, format!("{at} has not come yet")).hint(range()));
    }
    let by_then = good().filter(|manifest| manifest.started <= time).max_by_key(|manifest| manifest.started);
    let none = || Failure::new(Exit::Usage, format!("no good backup set is as old as {at}")).hint(range());
    by_then.map(|manifest| manifest.set_id).ok_or_else(none)
}

/// Which database is meant; a copy is of one: that of the file where nothing else is said.
fn which(args: &RestoreArgs, manifest: &Manifest, workload: &Workload) -> Result<Option<String>, Failure> {
    let names: Vec<&str> = manifest.databases.iter().map(|database| database.name.as_str()).collect();
    if let Some(name) = &args.database {
        let is_there = names.contains(&name.as_str());
        let none = || Failure::new(Exit::Usage, format!("set {} has no database {name}", manifest.set_id));
        return if is_there { Ok(Some(name.clone())) } else { Err(none().hint(format!("it has {}", names.join(", ")))) };
    }
    let own = workload.postgres().map(|postgres| postgres.database.as_str()).filter(|own| names.contains(own));
    match (&args.to, own) {
        (None, _) => Ok(None),
        (Some(_), Some(own)) => Ok(Some(own.to_owned())),
        (Some(to), None) => {
            let failure = Failure::new(Exit::Usage, format!("which database is to be copied to {to}?"));
            Err(failure.hint(format!("`--database` says it: the set has {}", names.join(", "))))
        }
    }
}

fn unusable(set: SetId) -> Failure {
    let failure = Failure::new(Exit::Refused, format!("set {set} can't be used: its manifest can't be understood"));
    failure.hint("`witwd backup list` shows the others")
}

/// What will be there, and what not any more.
fn tell_what_comes(context: &Context, wanted: &Restore, manifest: &Manifest, now: Timestamp) {
    let old = age(manifest.finished, now);
    let (size, rows) = (tell::size(manifest.bytes()), tell::thousands(manifest.rows()));
    let proof = match (manifest.verify.restore_seconds, manifest.verify.level) {
        (Some(seconds), _) => format!("restored in a trial in {seconds} s"),
        (None, level) => format!("proof: {level}"),
    };
    context.output.note(&format!("{}, {old} old: {size}, {rows} rows, {proof}", wanted.source));
    if let Some(to) = &wanted.to {
        return context.output.note(&format!("it becomes database {to}, beside the others"));
    }
    let names: Vec<&str> = match &wanted.database {
        Some(name) => vec![name],
        None => manifest.databases.iter().map(|database| database.name.as_str()).filter(|name| *name != "postgres").collect(),
    };
    let names = names.join(", ");
    context.output.note(&format!("what was written to {names} since {:.0} ({old} ago) is not in it", manifest.started));
    let safety = if wanted.with_safety_set { "a set of what is there now is taken first; " } else { "" };
    context.output.note(&format!("{safety}what is there now is kept for 24 hours: `witwd restore undo`"));
}

/// A yes to what takes the place of data.
pub(in crate::cli) fn agreed(context: &Context, yes: bool) -> Result<(), Failure> {
    let unasked = Failure::new(Exit::Refused, "a restore takes the place of the data that is there")
        .hint("`--yes` says yes without a terminal; `--to DATABASE` makes a copy beside");
    agree(context, yes, unasked, Failure::new(Exit::Refused, "nothing was restored"))
}

async fn undo(context: &Context, args: &RestoreArgs, workload: &Workload) -> Done {
    if args.database.is_some() || args.to.is_some() {
        let failure = Failure::new(Exit::Usage, "`witwd restore undo` takes back the whole of the last restore");
        return Err(failure.hint("leave out `--database` and `--to`"));
    }
    context.output.note("what was there before the last restore comes back; what is there now is kept for 24 hours");
    agreed(context, args.yes)?;
    errand::carry_out(context, Errand { of: workload.name.clone(), work: Work::Undo }).await?;
    if context.output.json {
        context.output.document(&serde_json::json!({ "v": 1, "undone": true }))?;
    } else {
        context.output.data("what was there before is back; `witwd restore undo` changes it again, for 24 hours\n")?;
    }
    Ok(Exit::Done)
}

/// What came of a restore, whatever it was of.
pub(in crate::cli) fn told(context: &Context, wanted: &Restore, done: &WorkDone) -> Done {
    let names: Vec<&str> = done.made.iter().flat_map(|(_, all)| all).map(|exchange| exchange.name.as_str()).collect();
    if context.output.json {
        let (key, of) = match &wanted.source {
            Source::Set(set) => ("set", serde_json::json!(set)),
            Source::Snapshot(label) => ("snapshot", serde_json::json!(label)),
            Source::File(path) => ("file", serde_json::json!(path)),
            Source::Nothing => ("reset", serde_json::json!(true)),
        };
        let document = serde_json::json!({ "v": 1, key: of, "databases": names, "to": wanted.to, "safety_set": done.safety });
        context.output.document(&document)?;
        return Ok(Exit::Done);
    }
    let source = &wanted.source;
    let words = if let Some(to) = &wanted.to {
        format!("database {to} is {source}\n")
    } else {
        let safety = done.safety.map(|safety| format!("what was there is set {safety}, and ")).unwrap_or_default();
        let names = names.join(", ");
        format!("restored {names} from {source}; {safety}`witwd restore undo` brings it back within 24 hours\n")
    };
    context.output.data(&words)?;
    Ok(Exit::Done)
}
