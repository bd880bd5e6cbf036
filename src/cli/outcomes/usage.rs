//! Words that make no sense: verbs, names and flags that are not there, requests of another language.

use super::{MISUSED, NO_HINT, Outcome};
use crate::cli::exit_code::Exit;

const fn usage(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::Usage], message)
}

/// What a request that makes no sense is answered with: another version of witwd spoke.
const ANOTHER_LANGUAGE: &[&str] = &["say it with the command line of witwd {version}, which speaks the language of this daemon"];

/// What is told of a name that a stack does not have.
const NAMES: &[&str] = &["did you mean {name}?", "it has {names}", "it has nothing to run yet"];

pub(super) const WORDS: &[Outcome] = &[
    // Verbs and flags
    usage("there is no `witwd {word}`").hints(&[
        "did you mean `witwd {verb}`?",
        "`witwd help` lists the verbs",
        "`witwd ps` shows what runs, and why what does not",
        "`witwd up` applies stack.toml",
        "put the old stack.toml back (`git checkout`) and `witwd up` applies it",
        "`witwd up` applies stack.toml; only what changed is touched",
        "`witwd check` validates stack.toml",
        "`witwd exec NAME` opens a shell in a running container",
        "`witwd exec NAME` opens a shell in a running container, `witwd psql` one in the database",
        "`witwd config` shows the resolved stack, `witwd config --origin` where its values came from",
        "`witwd down` removes the containers of the stack",
        "`witwd stop NAME` stops one, `witwd down` the stack",
        "`witwd exec NAME cat FILE > HERE` copies a file out of a container",
    ]),
    usage("`witwd {word}` is not in this version").hints(&["`witwd help` lists what is; this is witwd {version}"]),
    usage("`witwd db {word}` is not in this version")
        .hints(&["`witwd db psql`, `witwd db url` and `witwd db reset` are what there is"]),
    usage("`witwd db {word}` is not a command")
        .hints(&["`witwd db psql`, `witwd db url` and `witwd db reset` are what there is"]),
    usage("{flag} is not in this version").hints(&["`witwd help VERB` lists what is; this is witwd {version}"]),
    usage("{flag} stands before the verb").hints(&["`witwd {flag} … VERB`; only --json and -q stand in either place"]),
    usage("a verb is missing").hints(&["`witwd help` lists the verbs"]),
    // Files
    usage("there is no {file} in {directory} or above it")
        .hints(&["go to the directory of the stack, or name the file: `witwd -f path/to/stack.toml`"]),
    usage("{path} is no file").means("name a stack.toml behind -f"),
    usage("failed to find {directory}: {why}").means("the directory of the file that -f names"),
    usage("failed to find the directory of the file: {why}").means("`init` makes no directory"),
    // Names
    Outcome::new(MISUSED, "stack {stack} has no {name}").hints(NAMES),
    usage("stack {stack} has no postgres").hints(&["`[postgres.db]` in stack.toml makes one"]),
    usage("in which postgres? stack {stack} has {names}").hints(&["`witwd {verb} {name}`"]),
    usage("{name} is a {kind}, not a postgres").hints(&["stack {stack} has none", "stack {stack} has {names}"]),
    usage("{name} is no postgres and no volume of stack {stack}: `--fresh` is about data")
        .means("name a postgres, a volume or the stack"),
    usage("in which container? `witwd exec NAME [CMD]...`").hints(&[NO_HINT, "NAME is one of {names}"]),
    usage("of which service or job? `witwd run NAME [CMD]...`").hints(&[NO_HINT, "NAME is one of {names}"]),
    usage("`witwd {verb}` needs a NAME").hints(&[
        "`witwd port web 8000` prints where port 8000 of web is published",
        "`witwd up` starts the whole stack",
        "`witwd down` stops the whole stack",
        "a service and its number of replicas: `witwd scale web=3`",
    ]),
    usage("{text} is no time").hints(&["use a duration such as 10m, or a time such as 2026-01-31T12:00:00Z"]),
    usage("`witwd top` is for a person at a terminal").hints(&["`witwd ps` shows the same once"]),
    // build, pull
    usage("{name} has no build: its image is {image}").hints(&["`witwd pull {name}` asks its registry"]),
    usage("{name} is built, not pulled").hints(&["`witwd build {name}` builds its image"]),
    Outcome::new(MISUSED, "{name} says pull = \"never\"").hints(&["`docker pull {image}` asks the registry all the same"]),
    // restart, stop, start, scale
    Outcome::new(MISUSED, "{name} is a job, which does not keep running; this version does not run jobs")
        .hints(&["services and postgres servers are restarted, stopped and started"]),
    Outcome::new(MISUSED, "{name} is an external server: witwd does not run it")
        .hints(&["restart, stop or start it where it runs"]),
    Outcome::new(MISUSED, "{name} has no replicas: stack.toml says `replicas = 0`").hints(&["`witwd scale {name}=1` runs one"]),
    Outcome::new(MISUSED, "there is no {replica}: {name} has {replicas}")
        .hints(&["`witwd ps` shows them, `witwd scale {name}=N` changes their number"]),
    usage("{name} is a {kind}: only services are scaled")
        .hints(&["one server runs on one data directory, and a job has one run at a time"]),
    usage("0 replicas of {name} are none").hints(&["`witwd stop {name}` stops it"]),
    usage("{count} replicas of {name} are too many").hints(&["at most {count}"]),
    usage("{count} replicas of {name} can't share port {port} of the host")
        .hints(&["write \"auto:{port}\" in its `ports`: each replica gets a free port"]),
    // What another version asks of a daemon.
    Outcome::new(MISUSED, "this daemon does not know that verb").hints(ANOTHER_LANGUAGE),
    Outcome::new(MISUSED, "the request makes no sense: {why}").hints(ANOTHER_LANGUAGE),
    Outcome::new(MISUSED, "the request is larger than {count} bytes").hints(ANOTHER_LANGUAGE),
    Outcome::new(MISUSED, "the request did not come within {seconds} s").hints(ANOTHER_LANGUAGE),
    Outcome::new(MISUSED, "the request broke off").hints(ANOTHER_LANGUAGE),
];

const fn refused(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::Usage], message).hints(&["`witwd help VERB` shows how it is used"]).of_library()
}

/// What the library that reads the command line says. A person is shown its own text, with how the verb is used;
/// a program these words.
pub(super) const COMMAND_LINE: &[Outcome] = &[
    refused("unexpected argument '{word}' found"),
    refused("unexpected value '{value}' for '{argument}' found; no more were expected"),
    refused("invalid value '{value}' for '{argument}'").means("it is none of a few that there are"),
    refused("invalid value '{value}' for '{argument}': {why}"),
    refused("a value is required for '{argument}' but none was supplied"),
    refused("the argument '{argument}' cannot be used with '{argument}'"),
    refused("the argument '{argument}' cannot be used multiple times"),
    refused("the following required arguments were not provided:").means("`completions` needs the name of a shell"),
    refused("invalid UTF-8 was detected in one or more arguments"),
];
