//! Which Postgres, and which of its sets, the words of a command mean.

use jiff::Timestamp;

use crate::cli::context::Context;
use crate::cli::db;
use crate::cli::exit_code::{Exit, Failure, chain};
use crate::config::Loaded;
use crate::model::backup::SetId;
use crate::model::workload::Workload;
use crate::postgres::backup::{Catalog, Entry, Lock, summary};

/// How many names are shown where one can't be told.
const SHOWN: usize = 5;

/// The file, read for a verb that only looks at the stack.
pub(super) fn look(context: &Context) -> Result<Loaded, Failure> {
    context.look(&context.place()?)
}

/// A Postgres whose sets lie on this machine.
pub(super) fn postgres<'a>(loaded: &'a Loaded, name: Option<&str>, verb: &str) -> Result<&'a Workload, Failure> {
    let (workload, settings) = db::postgres(&loaded.stack, name, verb)?;
    if settings.is_external() {
        let words = format!("{} is an external server: no sets of it are taken by this version", workload.name);
        let hint = "`pg_dump` with the address that `witwd db url` shows takes a dump";
        let exit = if verb == "restore" { Exit::Refused } else { Exit::Failed };
        return Err(Failure::new(exit, words).hint(hint));
    }
    Ok(workload)
}

/// `[NAME] ID`, as they stand on the command line.
pub(super) fn words(words: &[String], verb: &str) -> Result<(Option<String>, String), Failure> {
    match words {
        [id] => Ok((None, id.clone())),
        [name, id] => Ok((Some(name.clone()), id.clone())),
        _ => {
            let failure = Failure::new(Exit::Usage, format!("`witwd backup {verb}` needs the ID of a set"));
            Err(failure.hint(format!("`witwd backup list` shows them; `witwd backup {verb} latest`")))
        }
    }
}

/// The sets of a Postgres.
pub(super) fn catalog(workload: &Workload) -> Catalog {
    Catalog::at(workload.postgres().map(|postgres| postgres.backup.directory.clone()).unwrap_or_default())
}

/// All sets of a Postgres, newest first.
pub(super) fn sets(catalog: &Catalog) -> Result<Vec<Entry>, Failure> {
    catalog.list().map_err(|error| Failure::new(Exit::Failed, chain(&error)))
}

/// The set that a word means: `latest`, an ID, or the beginning of one.
pub(super) fn set(sets: &[Entry], word: &str, workload: &Workload, now: Timestamp) -> Result<SetId, Failure> {
    if sets.is_empty() {
        let failure = Failure::new(Exit::Usage, format!("{} has no backup set yet", workload.name));
        return Err(failure.hint("`witwd backup now` takes one"));
    }
    if word == "latest" {
        let none = || {
            let failure = Failure::new(Exit::Failed, format!("{} has no good backup set", workload.name));
            failure.hint("`witwd backup list` shows what is wrong with those that are there")
        };
        return summary(sets, now).last_good.map(|good| good.id).ok_or_else(none);
    }
    let meant: Vec<SetId> = sets.iter().map(|set| set.id).filter(|id| id.to_string().starts_with(word)).collect();
    match meant.as_slice() {
        [id] => Ok(*id),
        [] => Err(unknown(sets, word, workload)),
        // One of two in the same second begins as the other.
        several => several.iter().copied().find(|id| id.to_string() == word).ok_or_else(|| ambiguous(several, word)),
    }
}

fn unknown(sets: &[Entry], word: &str, workload: &Workload) -> Failure {
    let nearest = nearest(sets, word);
    let failure = Failure::new(Exit::Usage, format!("{} has no backup set {word}", workload.name));
    failure.hint(format!("the nearest: {}; `witwd backup list` shows all", list(&nearest)))
}

fn ambiguous(several: &[SetId], word: &str) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("{word} is the beginning of {} backup sets", several.len()));
    failure.hint(format!("say more of it: {}", list(several)))
}

/// The sets whose names are most like a word.
fn nearest(sets: &[Entry], word: &str) -> Vec<SetId> {
    let common = |id: &SetId| id.to_string().bytes().zip(word.bytes()).take_while(|(one, other)| one == other).count();
    let mut ids: Vec<SetId> = sets.iter().map(|set| set.id).collect();
    ids.sort_by_key(|id| std::cmp::Reverse(common(id)));
    ids
}

fn list(ids: &[SetId]) -> String {
    let shown: Vec<String> = ids.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if ids.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// The lock of the sets of a Postgres, for a verb that changes something there.
pub(super) fn lock(context: &Context, catalog: &Catalog) -> Result<Lock, Failure> {
    let place = context.place()?;
    let lock = catalog.lock(&place.directory).map_err(|error| Failure::new(Exit::Failed, chain(&error)))?;
    lock.ok_or_else(|| {
        let words = format!("a set is taken or tried in {} just now", catalog.directory().display());
        Failure::new(Exit::Failed, words).hint("`witwd ps` shows how far it is; try it again then")
    })
}
