//! How `backup` ends.

use super::Outcome;
use crate::cli::exit_code::Exit;

const fn failed(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::Failed], message)
}

const fn usage(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::Usage], message)
}

/// What is told of work that the daemon tried.
const TRIED: &[&str] = &[
    "make room, or say with `min_free` of `[postgres.NAME.backup]` how much is to stay free",
    "`witwd ps` shows how the server is",
    "`witwd logs witwd` shows what was tried; `witwd ps` when it is tried again",
];

/// What is told of a restore that the daemon tried.
const TRIED_TO_RESTORE: &[&str] = &[
    "mend that, or say `--without-safety-set`: what is there is kept for 24 hours all the same",
    "nothing was changed; `pg_dump -Fc` makes what is taken, `witwd psql` runs a script",
    "nothing was changed; `witwd snapshot list` shows what there is",
    "nothing was changed; `witwd backup list` shows the other sets",
    "`witwd snapshot list` shows them",
    "`witwd restore latest --to DATABASE` makes a copy to look at; `witwd logs` shows what they said",
    "make room, or say with `min_free` of `[postgres.NAME.backup]` how much is to stay free",
    "`witwd ps` shows how the server is",
    "`witwd logs witwd` shows what was tried; `witwd ps` when it is tried again",
];

pub(super) const ROWS: &[Outcome] = &[
    failed("failed to take a set: {why}").hints(TRIED).means("nothing of it is left, and no old set went"),
    failed("failed to look at the set again: {why}").hints(TRIED).means("nothing is known of the set that was not known before"),
    Outcome::new(&[Exit::Failed, Exit::Usage, Exit::Refused], "failed to restore: {why}")
        .hints(TRIED_TO_RESTORE)
        .means("what was there is there; 6: the set is damaged or does not fit, or no set of what is there could be taken"),
    Outcome::new(&[Exit::Failed, Exit::Refused], "failed to save the snapshot: {why}")
        .hints(&[
            "`witwd snapshot rm` removes it; or choose another name",
            "`witwd ps` shows how the server is",
            "`witwd logs witwd` shows what was tried; `witwd ps` when it is tried again",
        ])
        .means("nothing of it is left; 6: there is one of that name"),
    Outcome::new(&[Exit::Failed, Exit::Usage], "failed to look after snapshots: {why}")
        .hints(&[
            "`witwd snapshot list` shows them",
            "`witwd ps` shows how the server is",
            "`witwd logs witwd` shows what was tried; `witwd ps` when it is tried again",
        ])
        .means("2: there is none of that name"),
    Outcome::new(&[Exit::Refused], "{name} is an external server: no snapshots are made in it")
        .hints(&["`witwd db psql` reaches it"]),
    usage("a snapshot has a label").hints(&["`witwd snapshot list` shows them"]),
    usage("{label} is no name of a snapshot: {rule}"),
    failed("set {set} was taken and read back, but not proven: {why}")
        .hints(&["`witwd backup verify {set}` tries it again"])
        .means("the set is there and counts as one that was read; the trial restore that was due failed"),
    failed("set {set} is not good: {why}")
        .hints(&["`witwd backup list` shows the others; a damaged set is never restored and never removed by a rule"]),
    failed("set {set} was {what} and is not there any more").means("somebody else removed it meanwhile"),
    failed("set {set} is not there any more").means("somebody else removed it meanwhile"),
    failed("set {set} can't be used: {why}").means("another version of witwd took it, or it is damaged"),
    failed("{name} has no good backup set").hints(&["`witwd backup list` shows what is wrong with those that are there"]),
    failed("a set is taken or tried in {directory} just now").hints(&["`witwd ps` shows how far it is; try it again then"]),
    Outcome::new(&[Exit::Failed, Exit::Refused], "{name} is an external server: no sets of it are taken by this version")
        .hints(&["`pg_dump` with the address that `witwd db url` shows takes a dump"]),
    failed("the daemon runs no postgres {name}").hints(&["`witwd up -d` has it run what stack.toml says"]),
    failed("failed to {operation} {path}: {why}").means("the directory of the sets"),
    Outcome::new(&[Exit::Refused], "{some} of {all} sets would go, more than half: nothing was removed")
        .hints(&["`witwd backup prune --dry-run` shows them, `--yes` says that it is meant"]),
    failed("a restore of {name} is under way: {what}").hints(&["`witwd ps` shows how far it is"]),
    failed("there is no restore of {name} that could be undone")
        .hints(&["what a restore replaced is kept for 24 hours; `witwd backup list` shows the sets"]),
    Outcome::new(&[Exit::Refused], "set {set} can't be used: its manifest can't be understood")
        .hints(&["`witwd backup list` shows the others"]),
    Outcome::new(&[Exit::Refused], "a restore takes the place of the data that is there")
        .hints(&["`--yes` says yes without a terminal; `--to DATABASE` makes a copy beside"]),
    Outcome::new(&[Exit::Refused], "nothing was restored").means("the answer was not yes"),
    usage("`witwd restore` needs the ID of a set")
        .hints(&["`witwd backup list` shows them; `witwd restore latest`, `witwd restore --at TIME`"]),
    usage("`undo` takes back the last restore, whatever that was of").hints(&["leave out `--at` and `--file`"]),
    usage("the file {path} can't be read: {why}"),
    usage("{name} is no name for a database: {why}").hints(&["choose another one"]),
    usage("{time} is no time with its zone").hints(&["one looks like 2026-11-20T21:30:00+01:00, or 2026-11-20T20:30:00Z"]),
    usage("{time} has not come yet").hints(&["there are sets from {first} to {last}", "{name} has no good backup set"]),
    usage("no good backup set is as old as {time}")
        .hints(&["there are sets from {first} to {last}", "{name} has no good backup set"]),
    usage("set {set} has no database {name}").hints(&["it has {names}"]),
    usage("which database is to be copied to {name}?").hints(&["`--database` says it: the set has {names}"]),
    usage("`witwd restore undo` takes back the whole of the last restore").hints(&["leave out `--database` and `--to`"]),
    usage("`witwd backup {verb}` needs the ID of a set").hints(&["`witwd backup list` shows them; `witwd backup {verb} latest`"]),
    usage("{name} has no backup set yet").hints(&["`witwd backup now` takes one"]),
    usage("{name} has no backup set {id}").hints(&["the nearest: {names}; `witwd backup list` shows all"]),
    usage("{id} is the beginning of {some} backup sets").hints(&["say more of it: {names}"]),
];
