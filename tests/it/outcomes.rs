//! The list of how a command can end: the page made of it, and that it is the list of what the sources say.

use std::fs;
use std::path::{Path, PathBuf};

use witwd::cli::exit_code::Exit;
use witwd::cli::outcomes::{Outcome, all, literals};

/// Words that are shorter than this beside their holes are put together elsewhere.
const SHORTEST: usize = 12;

/// How far before a failure the words that it is given may be made.
const NEAR: usize = 900;

#[test]
fn outcomes_page_is_fresh() {
    let page = root().join("docs/outcomes.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, witwd::cli::outcomes_page()).expect("writing the page");
    }
    let fresh = fs::read_to_string(&page).is_ok_and(|text| text == witwd::cli::outcomes_page());
    assert!(fresh, "docs/outcomes.md is stale: UPDATE_DOCS=1 cargo test -p witwd --test it outcomes_page");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The sources of the product, but for tests and the list itself: text as the compiler sees it, lines that go on joined.
fn sources() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    paths.sort();
    let texts = paths.into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a source");
        (path.strip_prefix(root()).expect("below").display().to_string(), code(&text))
    });
    texts.filter(|(path, _)| !path.contains("/tests") && !path.starts_with("src/cli/outcomes")).collect()
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    for path in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
}

/// A source without its comments and its own tests. A text that goes on in the next line is one.
fn code(text: &str) -> String {
    let is_own = |line: &&str| line.trim() != "#[cfg(test)]" || text.contains("#[cfg(test)]\nmod tests;");
    let lines = text.lines().take_while(is_own).filter(|line| !line.trim_start().starts_with("//"));
    let mut code = String::new();
    for line in lines {
        let line = if code.ends_with('\\') { line.trim_start() } else { line };
        if code.ends_with('\\') {
            code.pop();
        } else {
            code.push('\n');
        }
        code.push_str(line);
    }
    code
}

/// The text that a literal at the begin of `code` means, with a word in each hole of a format; `None` where
/// there is no literal.
fn literal(code: &str) -> Option<String> {
    let code = code.trim_start().trim_start_matches('&');
    let (is_format, code) = match code.strip_prefix("format!(") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, code),
    };
    let text = quoted(code.strip_prefix('"')?);
    if !is_format {
        return Some(text);
    }
    let filled = literals(&text).join("x");
    (filled.chars().count() - (literals(&text).len() - 1) >= SHORTEST).then_some(filled)
}

/// What stands before the closing quote.
fn quoted(code: &str) -> String {
    let mut text = String::new();
    let mut letters = code.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => match letters.next() {
                Some('n') => text.push('\n'),
                Some(other) => text.push(other),
                None => break,
            },
            other => text.push(other),
        }
    }
    text
}

/// The words that an argument at the begin of `code` stands for: its own, or those of the variable that it names.
fn words(code: &str, before: &str) -> Option<String> {
    let name: String =
        code.trim_start().trim_start_matches('&').chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() || name == "format" {
        return literal(code);
    }
    let near: usize = before.char_indices().rev().nth(NEAR).map_or(0, |(at, _)| at);
    let made = before[near..].rfind(&format!("let {name} ="))? + near;
    literal(before[made..].split_once('=')?.1)
}

/// A code that a source names.
fn exit(name: &str) -> Option<Exit> {
    use Exit::{Changes, Done, Failed, Held, InvalidFile, NoEngine, NotRun, Refused, TimedOut, Usage};
    let all = [Done, Failed, Usage, InvalidFile, NoEngine, TimedOut, Refused, Held, Changes, NotRun];
    all.into_iter().find(|exit| format!("{exit:?}") == name)
}

/// What makes a failure, with its code where that is no argument, and whether a cause follows the words.
const MAKERS: [(&str, Option<Exit>, bool); 6] = [
    ("Failure::new(", None, false),
    ("Failure::of(", None, true),
    ("Fault::usage(", Some(Exit::Usage), false),
    ("Fault::new(\"failed\",", Some(Exit::Failed), false),
    ("Refusal::usage(", Some(Exit::Usage), false),
    ("Refusal::state(", Some(Exit::Failed), false),
];

/// Code and words of every failure that is made with a code and words that can be read where it is made.
fn made(code: &str) -> Vec<(Exit, String)> {
    let mut found = Vec::new();
    for (maker, fixed, has_cause) in MAKERS {
        for (at, _) in code.match_indices(maker) {
            let arguments = code[at + maker.len()..].trim_start();
            let (named, rest) = match fixed {
                Some(exit) => (Some(exit), arguments),
                None => match arguments.strip_prefix("Exit::").and_then(|rest| rest.split_once(',')) {
                    Some((name, rest)) => (exit(name), rest),
                    None => continue,
                },
            };
            let (Some(exit), Some(words)) = (named, words(rest, &code[..at])) else { continue };
            found.push((exit, if has_cause { words + ": x" } else { words }));
        }
    }
    found
}

#[test]
fn what_a_source_says_of_a_failure_is_in_the_list() {
    let (mut seen, mut missing) = (0, Vec::new());
    for (path, code) in sources() {
        for (exit, message) in made(&code) {
            seen += 1;
            if !all().any(|row| row.has(exit) && row.says(&message)) {
                missing.push(format!("{path}: {exit:?} {message:?}"));
            }
        }
    }
    assert!(seen > 110, "only {seen} were found");
    assert!(missing.is_empty(), "no row of src/cli/outcomes: {missing:#?}");
}

#[test]
fn the_words_of_a_failure_are_found_where_it_is_made() {
    let source = r#"
        let first = Failure::new(Exit::Held, "a \"b\" c");
        let words = format!("{name} is not where {it} was");
        Failure::new(Exit::Usage, words).hint("x");
        Failure::of(Exit::Failed, &format!("failed to look at {}", path), &error);
        Failure::new(exit, "not with this code");
        Failure::new(Exit::Failed, format!("{a} {b}"));
        Refusal::state("it is not up, and long", "hint");
    "#;
    let mut found = made(&code(source));
    found.sort_by_key(|(exit, _)| exit.code());
    let failed = |text: &str| (Exit::Failed, text.to_owned());
    let expected = [
        failed("failed to look at x: x"),
        failed("it is not up, and long"),
        (Exit::Usage, "x is not where x was".to_owned()),
        (Exit::Held, "a \"b\" c".to_owned()),
    ];
    assert_eq!(found, expected);
    assert_eq!(code("a \\\n    b // c\n// d\ne"), "\na b // c\ne");
}

#[test]
fn what_a_source_tells_to_do_is_in_the_list() {
    let (mut seen, mut missing) = (0, Vec::new());
    for (path, code) in sources() {
        for (at, maker) in code.match_indices(".hint(") {
            let Some(hint) = words(&code[at + maker.len()..], &code[..at]) else { continue };
            seen += 1;
            if !all().any(|row| !row.hints.is_empty() && row.tells(Some(&hint))) {
                missing.push(format!("{path}: {hint:?}"));
            }
        }
    }
    assert!(seen > 60, "only {seen} were found");
    assert!(missing.is_empty(), "no row of src/cli/outcomes: {missing:#?}");
}

/// The longest literal part of a pattern, without the signs at its ends.
fn longest(pattern: &str) -> String {
    let part = literals(pattern).into_iter().max_by_key(|part| part.len()).unwrap_or_default();
    part.trim_matches(|letter: char| !letter.is_alphanumeric()).to_owned()
}

/// Whether some source says this, as it is or as an operation and its target: `failed to list containers` is made
/// of `"list", "containers"`.
fn is_said(words: &str, sources: &str) -> bool {
    let Some(operation) = words.strip_prefix("failed to ") else { return sources.contains(words) };
    let (verb, target) = operation.split_once(' ').unwrap_or((operation, ""));
    let without_target = operation.trim_end_matches(" container");
    sources.contains(words)
        || [format!("\"{verb}\", \"{target}\""), format!("\"{operation}\""), format!("\"{without_target}\"")]
            .iter()
            .any(|made| sources.contains(made.as_str()))
}

#[test]
fn what_a_row_says_is_said_by_a_source() {
    let all_of_it: String = sources().into_iter().map(|(_, code)| code.replace("\\\"", "\"")).collect();
    let silent = |pattern: &&str| {
        let words = longest(pattern);
        !is_said(&words, &all_of_it) && !is_said(words.split('\n').next().unwrap_or_default(), &all_of_it)
    };
    let ours = all().filter(|row| !row.is_of_library);
    let patterns = |row: &'static Outcome| row.hints.iter().copied().chain([row.message]);
    let gone: Vec<&str> = ours.flat_map(patterns).filter(|pattern| silent(pattern)).collect();
    assert!(gone.is_empty(), "nobody says this any more: {gone:#?}");
}
