//! A file that is invalid, a wait that is over, what is refused to protect data, what another one holds.

use super::Outcome;
use crate::cli::exit_code::Exit;

const fn invalid(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::InvalidFile], message)
}

const fn refused(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::Refused], message)
}

const fn held(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::Held], message)
}

pub(super) const ROWS: &[Outcome] = &[
    // The file
    invalid("{file} is invalid: 1 problem").means("it is shown above, with its place"),
    invalid("{file} is invalid: {count} problems").means("they are shown above, each with its place"),
    invalid("{file} has warnings, and --strict was given").means("they are shown above"),
    invalid("failed to open the control socket to the group {group}: this machine has no such group")
        .means("make the group, or name another one in `daemon.group`"),
    // The wait
    Outcome::new(&[Exit::TimedOut], "stack {stack} is not down yet: {why}").hints(&[
        "the daemon goes on with it; `witwd down` again waits for that",
        "that it is to be down is remembered; `witwd down` again goes on where it stands",
    ]),
    // Data
    refused("the data in {volumes} will be lost").hints(&["`witwd down --volumes --yes` says yes without a terminal"]),
    refused("nothing was removed").means("the answer was not yes"),
    refused("nothing was reset").means("the answer was not yes"),
    refused("all data in {databases} of {name} goes").hints(&["`--yes` says yes without a terminal"]),
    refused("{name} is an external server: it is not reset").hints(&["`witwd db psql` reaches it"]),
    refused("no last set of {name} can be taken: its database does not run")
        .hints(&["`witwd up -d` starts it; `--without-last-set` goes on without one"]),
    refused("no last set of {name} can be taken: its data is in {volume}, and the file names no such Postgres")
        .hints(&["name it in the file and `witwd up -d`; `--without-last-set` goes on without one"])
        .means("nothing was removed"),
    refused("no last set of {name} can be taken: its database is not ready")
        .hints(&["`witwd ps` shows how it is; `--without-last-set` goes on without one"]),
    refused("no last set of {name} could be taken: {why}")
        .hints(&["mend that; `--without-last-set` goes on without one"])
        .means("nothing was removed"),
    refused("the stack of this directory runs under the name {name}, and its data with it: {name} would begin with none")
        .hints(&["put the old name back, or end that one first: `witwd --name {name} down`"]),
    // Another one
    held("the stack in {directory} is held by {who}").hints(&[
        "`witwd up` joins a daemon that answers; `witwd down` ends it and its stack",
        "`sudo systemctl restart {unit}` starts its daemon",
    ]),
    held(
        "stack {stack} runs already ({containers}), made from this directory, but what was known of it is gone: .witwd holds no \
         earlier `up`",
    )
    .hints(&["`witwd up --take-over` goes on with it: containers and data stay, passwords of databases are made anew"]),
    held("a stack named {stack} belongs to {whose}: {things}").hints(&[
        "that one is gone: `witwd up --take-over` takes over what it left; containers and data stay",
        "`witwd down` there frees the name; `witwd --name NAME up` takes another one here",
    ]),
    held("witwd {version} (process {pid}) was asked to end and still holds the stack")
        .hints(&["`kill {pid}` ends it and leaves the stack running; then `witwd up` again"]),
    held("{unit} keeps this stack with witwd {version}, and this is witwd {version}")
        .hints(&["`systemctl restart {unit}` after an upgrade in place; `witwd enable` has it run this program"]),
    held("{unit} {whose} starts this stack already")
        .hints(&["`systemctl --user disable --now` it first", "`sudo witwd enable` renews it, `sudo witwd disable` removes it"]),
    held("there is a unit {unit} that is not of this directory").hints(&["`{systemctl} cat {unit}` shows whose it is"]),
];
