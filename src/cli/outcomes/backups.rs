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

pub(super) const ROWS: &[Outcome] = &[
    failed("failed to take a set: {why}").hints(TRIED).means("nothing of it is left, and no old set went"),
    failed("failed to look at the set again: {why}").hints(TRIED).means("nothing is known of the set that was not known before"),
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
    failed("{name} is an external server: no sets of it are taken by this version")
        .hints(&["`pg_dump` with the address that `witwd db url` shows takes a dump"]),
    failed("the daemon runs no postgres {name}").hints(&["`witwd up -d` has it run what stack.toml says"]),
    failed("failed to {operation} {path}: {why}").means("the directory of the sets"),
    Outcome::new(&[Exit::Refused], "{some} of {all} sets would go, more than half: nothing was removed")
        .hints(&["`witwd backup prune --dry-run` shows them, `--yes` says that it is meant"]),
    usage("`witwd backup {verb}` needs the ID of a set").hints(&["`witwd backup list` shows them; `witwd backup {verb} latest`"]),
    usage("{name} has no backup set yet").hints(&["`witwd backup now` takes one"]),
    usage("{name} has no backup set {id}").hints(&["the nearest: {names}; `witwd backup list` shows all"]),
    usage("{id} is the beginning of {some} backup sets").hints(&["say more of it: {names}"]),
];
