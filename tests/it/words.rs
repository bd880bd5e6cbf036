//! What is said names only what is there, and every end has its code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::cli::witwd;

/// Verbs that the help does not list.
const HIDDEN: [&str; 1] = ["__guardian"];

/// What clap lists: the verbs of a help text.
fn listed(help: &str) -> BTreeSet<String> {
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let indented = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    indented.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

fn help(words: &[&str]) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = witwd(directory.path()).args(words).arg("--help").assert().code(0).get_output().stdout.clone();
    String::from_utf8(output).expect("text")
}

fn collect(path: &Path, into: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("a directory");
        entries.for_each(|entry| collect(&entry.expect("an entry").path(), into));
    } else if path.extension().is_none_or(|end| ["rs", "md", "toml", "bash", "sh"].iter().any(|known| end == *known)) {
        into.push(path.to_owned());
    }
}

/// The text of a source without its comments; of a page, only what stands in code.
fn said(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a text");
    if path.extension().is_some_and(|end| end == "rs") {
        return text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    }
    text
}

/// A command that a text tells to use.
struct Told {
    words: Vec<String>,
    /// Whether it stands between backquotes: then it is no sentence that begins with our name.
    is_quoted: bool,
}

/// The commands that a text tells to use: what follows `witwd ` at the begin of a piece of code, of
/// a line, or after a shell's `&&`.
fn commands(text: &str) -> Vec<Told> {
    let starts = text.match_indices("witwd ").filter(|(at, _)| {
        let before = text[..*at].trim_end_matches(' ');
        before.is_empty() || before.ends_with(['`', '\n', '"']) || before.ends_with("&&") || before.ends_with("\\n")
    });
    let words = |line: &str| line.split([' ', '`', '"', '\\', '…', '\n']).map(str::to_owned).collect::<Vec<_>>();
    let told = |(at, found): (usize, &str)| {
        let words = words(text[at + found.len()..].split(['`', '\n', '"']).next().unwrap_or_default());
        Told { words, is_quoted: text[..at].ends_with('`') }
    };
    starts.map(told).collect()
}

/// The first word that is no flag and no value of one.
fn verb(words: &[String]) -> Option<(usize, &str)> {
    let mut skip = false;
    for (at, word) in words.iter().enumerate() {
        if std::mem::take(&mut skip) {
            continue;
        }
        match word.as_str() {
            "-f" | "--file" | "--name" | "--profile" | "--env-file" | "--color" => skip = true,
            flag if flag.starts_with('-') => {}
            verb => return Some((at, verb)),
        }
    }
    None
}

#[test]
fn no_text_names_a_command_or_flag_that_is_not_there() {
    let verbs = listed(&help(&[]));
    assert!(verbs.len() > 10, "{verbs:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for part in ["src", "docs", "README.md", "stack.toml", "Makefile", "images", "demo", "benches", ".ci"] {
        collect(&root.join(part), &mut paths);
    }
    let sources = paths.iter().filter(|path| {
        !path.ends_with("tests.rs")
            && !path.components().any(|part| ["tests", "test_data"].iter().any(|of_tests| part.as_os_str() == *of_tests))
    });
    let (mut seen, mut wrong) = (0, Vec::new());
    for path in sources {
        for Told { words, is_quoted } in commands(&said(path)) {
            let Some((at, verb)) = verb(&words) else { continue };
            let is_verb = verb.chars().all(|letter| letter.is_ascii_lowercase()) && !verb.is_empty();
            let is_sentence =
                !is_quoted && !words.iter().any(|word| word.starts_with('-')) && !verbs.contains(verb) && words.len() > 3;
            if !is_verb || is_sentence || HIDDEN.contains(&verb) {
                continue;
            }
            seen += 1;
            let below = words.get(at + 1).map_or("", String::as_str);
            let own = match verb {
                "help" => help(&[]),
                "db" | "backup" if listed(&help(&[verb])).contains(below) => help(&[verb]) + &help(&[verb, below]),
                verb if verbs.contains(verb) => help(&[verb]),
                _ => String::new(),
            };
            let flags = words[at + 1..].iter().take_while(|word| *word != "--" && *word != "&&" && *word != "|");
            let unknown =
                flags.filter(|word| word.starts_with("--") && !own.contains(word.trim_end_matches(['.', ',', ';', ':'])));
            wrong.extend(unknown.map(|flag| format!("{}: witwd {verb} {flag}", path.display())));
            let is_unknown = verb == "db" && !["", "{word}"].contains(&below) && !listed(&own).contains(below);
            if own.is_empty() || is_unknown {
                wrong.push(format!("{}: witwd {verb} {below}", path.display()));
            }
        }
    }
    assert!(seen > 60, "{seen}");
    assert_eq!(wrong, Vec::<String>::new());
}

/// The code and the answer of a command beside a file of this text.
fn end_of(text: Option<&str>, words: &[&str]) -> (i32, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    if let Some(text) = text {
        std::fs::write(directory.path().join("stack.toml"), text).expect("a file");
    }
    let output = witwd(directory.path()).args(words).output().expect("it runs");
    let word = serde_json::from_slice::<serde_json::Value>(&output.stdout).ok();
    let word = word.and_then(|document| Some(document["error"]["code"].as_str()?.to_owned())).unwrap_or_default();
    (output.status.code().expect("a code"), word)
}

#[test]
fn every_end_without_an_engine_has_its_code_and_its_word() {
    let good = "name = \"shop\"\n[services.web]\nimage = \"app:1\"\n";
    let outside = "name = \"shop\"\n[postgres.db]\nurl = \"postgresql://a:b@127.0.0.1:1/c\"\n";
    for (text, words, code, word) in [
        (Some(good), &["--json", "check"][..], 0, ""),
        (Some(good), &["events", "-f", "--json"], 1, "failed"),
        (Some(good), &["doctor", "--json"], 1, ""),
        (Some(good), &["up", "--wat", "--json"], 2, "usage"),
        (Some(good), &["--json", "up", "--name", "x"], 2, "usage"),
        (Some(good), &["--json", "backup"], 2, "usage"),
        (Some("name = 1"), &["plan", "--json"], 3, "invalid_file"),
        (Some(good), &["--json", "plan"], 4, "engine_unavailable"),
        (Some(good), &["--json", "logs", "--since", "soon"], 2, "usage"),
        (Some(good), &["--json", "run"], 2, "usage"),
        (Some(good), &["--json", "run", "wbe"], 125, "not_run"),
        (Some(good), &["--json", "run", "web"], 4, "engine_unavailable"),
        (Some(outside), &["--json", "run", "db"], 125, "not_run"),
        (Some(good), &["--json", "build", "web"], 2, "usage"),
        (Some(outside), &["--json", "pull", "db"], 4, "engine_unavailable"),
        (Some(good), &["--json", "pull"], 4, "engine_unavailable"),
        (Some(good), &["--json", "port"], 2, "usage"),
        (Some(good), &["--json", "db", "url"], 2, "usage"),
        (Some(outside), &["db", "url", "--json"], 0, ""),
        (None, &["ls", "--json"], 4, "engine_unavailable"),
        (None, &["ps", "--json"], 2, "usage"),
        (Some(good), &["top", "--json"], 2, "usage"),
        (Some("name = 1"), &["--json", "up"], 3, "invalid_file"),
        (Some("name = 1"), &["config", "--json"], 3, "invalid_file"),
        (Some("name = 1"), &["check", "--json"], 3, ""),
        (Some(good), &["--json", "up", "-d"], 4, "engine_unavailable"),
        (Some(good), &["ps", "--json"], 4, "engine_unavailable"),
        (Some(good), &["--json", "exec", "web", "ls"], 4, "engine_unavailable"),
        (Some(outside), &["psql", "--json"], 4, "engine_unavailable"),
        (Some(outside), &["psql", "--superuser", "--json"], 125, "not_run"),
    ] {
        assert_eq!(end_of(text, words), (code, word.to_owned()), "{words:?}");
    }
}

#[test]
fn flags_of_the_program_stand_before_the_verb_and_two_in_either_place() {
    let good = Some("name = \"shop\"\n");
    for words in
        [&["--json", "check"][..], &["check", "--json"], &["-q", "check"], &["check", "-q"], &["--color", "never", "check"]]
    {
        assert_eq!(end_of(good, words).0, 0, "{words:?}");
    }
    for words in [&["check", "-f", "stack.toml"][..], &["check", "--name", "x"], &["ps", "--profile=dev"]] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let output = witwd(directory.path()).args(words).assert().code(2).get_output().stderr.clone();
        let said = String::from_utf8_lossy(&output).into_owned();
        assert!(said.contains("stands before the verb") && said.contains("hint: `witwd -"), "{said}");
    }
}

#[test]
fn what_is_not_in_this_version_is_said_wherever_it_is_asked() {
    for (words, expected) in [
        (&["db", "upgrade"][..], "`witwd db upgrade` is not in this version"),
        (&["db", "wat"], "`witwd db wat` is not a command"),
        (&["help", "secret"], "`witwd secret` is not in this version"),
        (&["help", "lgos"], "did you mean `witwd logs`?"),
    ] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let output = witwd(directory.path()).args(words).assert().code(2).get_output().stderr.clone();
        let said = String::from_utf8_lossy(&output).into_owned();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_file_without_anything_is_valid_and_one_that_is_not_there_is_named_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("stack.toml"), "name = \"shop\"\n").expect("a file");
    let output = witwd(directory.path()).arg("check").assert().code(0).get_output().stderr.clone();
    assert_eq!(String::from_utf8_lossy(&output), "stack shop is valid: it has nothing to run yet\n");
    let output = witwd(directory.path()).args(["-f", "nope.toml", "check"]).assert().code(3).get_output().stderr.clone();
    assert!(String::from_utf8_lossy(&output).contains("nope.toml:1:1: the file can't be read: it is not there\n"));
}
