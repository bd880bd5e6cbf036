//! The list: how its patterns match, that its rows are sane, and that what is made in code is in it.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use clap::Parser as _;
use jiff::Timestamp;

use super::{NO_HINT, Outcome, all, is_known, literals, matches, outside};
use crate::cli::args::Cli;
use crate::cli::entry::{known, refused, verbs};
use crate::cli::exit_code::{Exit, Failure};
use crate::cli::{attach, loader, run, words};
use crate::config::InvalidFile;
use crate::control::protocol::{Fault, Hello};
use crate::control::{ClientError, ConnectError};
use crate::engine::docker;
use crate::engine::{EngineError, ErrorKind};
use crate::host::DiskError;
use crate::host::lock::{Holder, LockError};
use crate::host::runtime::RuntimeError;
use crate::supervisor::PreviewError;

/// How many letters a row must have beside its holes where it begins with one.
const LEAST: usize = 10;

#[test]
fn a_hole_is_any_text_that_is_not_empty() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("", "x", false),
        ("it ended", "it ended", true),
        ("it ended", "it ended.", false),
        ("it ended", "so it ended", false),
        ("failed: {why}", "failed: no room", true),
        ("failed: {why}", "failed: ", false),
        ("failed: {why}", "failed: two\nlines", true),
        ("{name} is no file", "a is no file", true),
        ("{name} is no file", " is no file", false),
        ("{name} is no file", "ä is no file", true),
        ("{name} is no file", "a is no file is no file", true),
        ("{name} of {stack} ended", "a of b ended", true),
        ("{name} of {stack} ended", "a of  ended", false),
        ("{name} of {stack} ended", "x of y of z ended", true),
        ("{a}: 1 problem", "f: 12 problems", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
    }
    assert_eq!(literals("a {b} c {d}"), ["a ", " c ", ""]);
}

#[test]
fn a_row_is_its_code_its_message_and_its_hint() {
    let known = |exit, message, hint| is_known(exit, message, hint);
    let hint = Some("`witwd up -d` starts one");
    assert!(known(Exit::Failed, "no daemon runs for this stack", hint));
    assert!(!known(Exit::Held, "no daemon runs for this stack", hint));
    assert!(!known(Exit::Failed, "no daemon runs for this stack", None));
    assert!(!known(Exit::Failed, "no daemon runs for this stack", Some("")));
    assert!(!known(Exit::Failed, "no daemon runs", hint));
    assert!(known(Exit::Of(137), "", None) && known(Exit::Of(0), "", None) && !known(Exit::Of(1), "it ended", None));
    assert!(known(Exit::Done, "", None) && !known(Exit::TimedOut, "", None));
    let words = outside(&Failure::new(Exit::Held, "nobody wrote this down").hint("nor this")).expect("it is outside");
    for part in ["code 7", "Held", "\"nobody wrote this down\"", "Some(\"nor this\")"] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn every_row_is_sane() {
    let mut seen = BTreeSet::new();
    for row in all() {
        assert!(!row.exits.is_empty(), "{row:?}");
        for exit in row.exits {
            assert!(seen.insert((exit.code(), matches!(exit, Exit::Of(_)), row.message)), "twice: {exit:?} {:?}", row.message);
        }
        let patterns = row.hints.iter().filter(|hint| **hint != NO_HINT).chain([&row.message]);
        for pattern in patterns.filter(|pattern| !pattern.is_empty()) {
            assert!(is_well_formed(pattern), "{pattern:?}");
        }
        assert!(row.message.is_empty() || written(row.message) >= 8, "it says nothing: {row:?}");
        assert!(!row.message.starts_with('{') || written(row.message) >= LEAST, "it could be anything: {row:?}");
        let hints: BTreeSet<&&str> = row.hints.iter().collect();
        assert_eq!(hints.len(), row.hints.len(), "a hint twice: {row:?}");
    }
    assert!(seen.len() > 200, "{}", seen.len());
}

/// How many letters stand beside the holes.
fn written(pattern: &str) -> usize {
    literals(pattern).iter().map(|part| part.chars().count()).sum()
}

/// Whether every hole has a name and an end, and literal text between it and the next.
fn is_well_formed(pattern: &str) -> bool {
    let names = pattern.split('{').skip(1).map(|rest| rest.split_once('}').map(|(name, _)| name));
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase());
    let parts = literals(pattern);
    let between = parts.get(1..parts.len().saturating_sub(1)).unwrap_or_default();
    names.into_iter().all(|name| name.is_some_and(is_name)) && between.iter().all(|part| !part.is_empty())
}

/// What a pattern makes with a word in every hole.
fn sample(pattern: &str) -> String {
    literals(pattern).join("x")
}

#[test]
fn what_a_row_says_is_said_by_no_other_that_is_as_exact() {
    let rows: Vec<&Outcome> = all().collect();
    for row in &rows {
        let message = sample(row.message);
        for exit in row.exits {
            let others = rows.iter().filter(|other| *other != row && other.has(*exit) && other.says(&message));
            let as_exact: Vec<&&Outcome> = others.filter(|other| written(other.message) >= written(row.message)).collect();
            assert!(as_exact.is_empty(), "{row:?}: {as_exact:?}");
        }
        for hint in row.hints.iter().filter(|hint| **hint != NO_HINT) {
            assert!(is_known(row.exits[0], &message, Some(&sample(hint))), "{row:?}");
        }
    }
}

#[track_caller]
fn inside(failure: impl Into<Failure>) {
    assert_eq!(outside(&failure.into()), None);
}

fn broken() -> io::Error {
    io::Error::other("no room")
}

fn hello() -> Hello {
    let (version, since, directory) = ("9.9.9".to_owned(), Timestamp::UNIX_EPOCH, PathBuf::from("/srv/shop"));
    Hello { v: 9, version, pid: 7, since, directory, engine: None }
}

#[test]
fn every_error_that_becomes_a_failure_is_in_the_list() {
    let path = PathBuf::from("/srv/shop");
    for problems in [1, 2] {
        let problem = crate::config::Problem {
            file: path.clone(),
            line: 1,
            column: 1,
            message: String::new(),
            hint: None,
            snippet: String::new(),
        };
        inside(InvalidFile { file: path.clone(), problems: vec![problem; problems], files: [].into() });
    }
    for operation in ["read", "write", "list", "remove", "rename", "make directory"] {
        inside(DiskError::new(operation, &path, broken()));
    }
    inside(LockError::Held { directory: path.clone(), holder: None });
    inside(LockError::Held { directory: path.clone(), holder: Some(Holder { pid: 7, since: Timestamp::UNIX_EPOCH }) });
    inside(LockError::File { path: path.clone(), source: broken() });
    inside(RuntimeError::Make { path: path.clone(), source: broken() });
    for why in ["is no directory", "belongs to another user", "can be written by others"] {
        inside(RuntimeError::Unsafe { path: path.clone(), why });
    }
    inside(RuntimeError::TooLong(path));
    inside(PreviewError::Runtime(broken()));
    inside(PreviewError::Engine(EngineError::new("list", "volumes", ErrorKind::Unavailable, "gone")));
}

#[test]
fn every_word_between_a_command_and_a_daemon_is_in_the_list() {
    let path = PathBuf::from("/srv/shop/s");
    let source = || ClientError::Connection(broken());
    for error in [
        ConnectError::NoDaemon,
        ConnectError::Stale(path.clone()),
        ConnectError::Forbidden(path.clone()),
        ConnectError::Version(hello().into()),
        ConnectError::Silent { socket: path.clone(), source: source() },
        ConnectError::Silent { socket: path, source: ClientError::Silent },
    ] {
        inside(error);
    }
    inside(source());
    inside(ClientError::Silent);
    inside(ClientError::Nonsense("expected value".to_owned()));
    inside(Fault::usage("this daemon does not know that verb"));
    inside(Fault::from(crate::supervisor::Closed));
    inside(Fault::from(crate::supervisor::HandError::from(crate::supervisor::not_up())));
}

#[test]
fn an_engine_that_can_not_be_reached_is_in_the_list() {
    let (path, chosen_by) = (PathBuf::from("/var/run/docker.sock"), "DOCKER_HOST".to_owned());
    let by = || chosen_by.clone();
    let address = "ssh://vm".to_owned();
    for error in [
        docker::ConnectError::Remote { chosen_by: by(), address: address.clone() },
        docker::ConnectError::BadAddress { chosen_by: by(), address },
        docker::ConnectError::BadContext { name: "vm".to_owned(), reason: "it is not there".to_owned() },
        docker::ConnectError::Missing { path: path.clone(), chosen_by: by() },
        docker::ConnectError::Missing { path: path.clone(), chosen_by: "the default".to_owned() },
        docker::ConnectError::Denied { path: path.clone(), chosen_by: by() },
        docker::ConnectError::Refused { path, chosen_by: by() },
        docker::ConnectError::TooOld { version: "19.03".to_owned(), api: (1, 40) },
        EngineError::new("ask", "the engine", ErrorKind::Timeout, "the engine did not answer within 10 s").into(),
    ] {
        inside(crate::cli::assembly::no_engine(&error));
    }
}

#[test]
fn every_look_at_the_engine_is_in_the_list() {
    let container = "container 0123456789ab";
    for (operation, target) in [
        ("ask", "the engine"),
        ("list", "containers"),
        ("list", "networks"),
        ("list", "volumes"),
        ("list", "images"),
        ("inspect", container),
        ("inspect image", "app:1"),
        ("read the log of", container),
        ("reach", container),
    ] {
        for kind in [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Other] {
            inside(EngineError::new(operation, target, kind, "gone"));
            let failure: Failure = EngineError::new(operation, target, kind, "gone").into();
            inside(run::unmet(failure));
        }
    }
    for operation in ["attach to", "run a command in", "wait for", "signal"] {
        inside(attach::not_run(&EngineError::new(operation, container, ErrorKind::Other, "gone")));
    }
    for (operation, target) in [("stop", container), ("remove", container), ("remove image", "sha256:01")] {
        inside(EngineError::new(operation, target, ErrorKind::Other, "gone"));
    }
}

#[test]
fn every_command_line_that_makes_no_sense_is_in_the_list() {
    for line in [
        &[][..],
        &["--json"],
        &["db"],
        &["up", "--wat"],
        &["up", "-d", "-d"],
        &["up", "--timeout", "soon"],
        &["up", "--timeout"],
        &["--color", "blue", "ps"],
        &["--color", "", "ps"],
        &["ps", "extra"],
        &["ps", "--json=yes"],
        &["port", "web", "http"],
        &["port", "web", "80", "81"],
        &["logs", "--previous", "--follow"],
        &["scale", "web"],
        &["completions"],
        &["completions", "csh"],
        &["help", "db", "--wat"],
    ] {
        let error = Cli::try_parse_from([&["witwd"], line].concat()).err().unwrap_or_else(|| panic!("{line:?} makes sense"));
        inside(known(&error).unwrap_or_else(|| refused(&error)));
    }
    let words_of_others = ["status", "deploy", "rollback", "reload", "validate", "shell", "console", "env", "rm", "kill", "cp"];
    for word in words_of_others.into_iter().chain(["backup", "watch", "lgos", "", "xyzzy"]) {
        inside(words::unknown_verb(word, &verbs()));
        inside(words::unknown_verb_of_db(word));
    }
    for flag in ["--host", "-f", "--profile=dev"] {
        inside(words::unknown_flag(flag).expect("it is known"));
    }
    for (name, names) in [("wbe", &["web"][..]), ("", &["web"]), ("web", &[])] {
        let failure = loader::no_such("shop", name, names);
        inside(run::unmet(failure.clone()));
        inside(failure);
    }
}

#[test]
fn the_page_has_every_row() {
    let page = super::outcomes_page();
    let rows: usize = all().map(|row| row.exits.len()).sum();
    assert_eq!(page.lines().filter(|line| line.starts_with("| ")).count(), rows + 11, "a title for each code");
}
