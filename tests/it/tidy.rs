//! The invariants of the architecture that the text of the sources shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The hard limit of a file, without tests.
const LONGEST_FILE: usize = 600;

struct Source {
    /// Path below the repository.
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The code without comments and without what follows `#[cfg(test)]` in the file.
    fn code(&self) -> String {
        let lines =
            self.text.lines().take_while(|line| line.trim() != "#[cfg(test)]" || self.text.contains("#[cfg(test)]\nmod tests;"));
        lines.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push(path);
        }
    }
}

fn sources(below: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for directory in below {
        collect(&repository().join(directory), &mut paths);
    }
    paths.sort();
    let rust = paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    rust.map(|path| Source {
        text: std::fs::read_to_string(&path).expect("a source"),
        path: path.strip_prefix(repository()).expect("below the repository").display().to_string(),
    })
    .collect()
}

/// Where one of `words` stands in the code of `sources`.
fn found(sources: &[Source], words: &[&str]) -> Vec<String> {
    let mut places = Vec::new();
    for source in sources {
        let code = source.code();
        for word in words.iter().filter(|word| code.contains(**word)) {
            places.push(format!("{}: {word}", source.path));
        }
    }
    places
}

#[test]
fn what_is_pure_knows_no_world() {
    let rules = ["retention", "schedule", "manifest", "listing", "globals", "statements", "names", "summary"];
    let rules: Vec<String> = rules.iter().map(|rule| format!("src/postgres/backup/{rule}.rs")).collect();
    let is_rule = |source: &Source| rules.contains(&source.path);
    let of_sets: Vec<Source> = sources(&["src/postgres/backup"]).into_iter().filter(is_rule).collect();
    assert_eq!(of_sets.len(), rules.len());
    let pure = sources(&["src/model", "src/plan"]).into_iter().filter(|source| !source.is_test());
    let pure: Vec<Source> = pure.chain(of_sets).collect();
    assert!(pure.len() > 10);
    let words = [
        "async fn",
        ".await",
        "tokio",
        "bollard",
        "std::fs",
        "std::process",
        "std::env",
        "getrandom",
        "reqwest",
        "HashMap",
        "HashSet",
        "Instant",
        "SystemTime",
        "Timestamp::now",
        "Zoned::now",
    ];
    let mut places = found(&pure, &words);
    // Addresses are data; sockets are not.
    places.extend(found(&pure, &["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "ToSocketAddrs", "std::net::*"]));
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn reading_a_file_needs_no_runtime_and_has_one_order() {
    let config: Vec<Source> = sources(&["src/config"]).into_iter().filter(|source| !source.is_test()).collect();
    let words =
        ["async fn", ".await", "tokio", "bollard", "HashMap", "HashSet", "Timestamp::now", "std::net::Tcp", "std::net::Udp"];
    let places = found(&config, &words);
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn only_the_adapter_names_bollard() {
    let others: Vec<Source> =
        sources(&["src"]).into_iter().filter(|source| !source.path.starts_with("src/engine/docker")).collect();
    let places = found(&others, &["bollard"]);
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn labels_are_spelled_in_one_place() {
    let word = concat!("dev.", "witwd.");
    let places = ["src/engine/labels.rs", "src/model/name.rs"];
    let is_other = |source: &Source| !places.contains(&source.path.as_str()) && !source.is_test();
    let others: Vec<Source> = sources(&["src"]).into_iter().filter(is_other).collect();
    let places = found(&others, &[word]);
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn clocks_are_read_in_one_place() {
    let is_other = |source: &Source| !source.path.starts_with("src/host/");
    let others: Vec<Source> = sources(&["src"]).into_iter().filter(is_other).collect();
    let places = found(&others, &["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now"]);
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("db", "g!("),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
    ];
    let all = sources(&["src", "tests", "demo/src"]);
    let left = |source: &Source| {
        words
            .iter()
            .filter(|word| source.text.contains(**word))
            .map(|word| format!("{}: {word}", source.path))
            .collect::<Vec<_>>()
    };
    let places: Vec<String> = all.iter().flat_map(left).collect();
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn files_stay_readable() {
    let is_long = |source: &&Source| !source.is_test() && source.text.lines().count() > LONGEST_FILE;
    let long: Vec<String> = sources(&["src"]).iter().filter(is_long).map(|source| source.path.clone()).collect();
    assert!(long.is_empty(), "longer than {LONGEST_FILE} lines: {long:#?}");
}

#[test]
fn the_main_file_is_short() {
    let main = std::fs::read_to_string(repository().join("src/main.rs")).expect("main.rs");
    assert!(main.lines().count() <= 40);
}

#[test]
fn the_table_of_modules_is_the_list_of_directories() {
    let page = std::fs::read_to_string(repository().join("src/lib.rs")).expect("lib.rs");
    let row = |line: &str| Some(line.strip_prefix("//! | [`")?.split('`').next()?.to_owned());
    let named: BTreeSet<String> = page.lines().filter_map(row).collect();
    let entries = std::fs::read_dir(repository().join("src")).expect("src").map(|entry| entry.expect("an entry"));
    let directories = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert_eq!(named, directories.collect::<BTreeSet<String>>());
}

/// The modules of the table, each with those that it may use.
fn may_use() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(repository().join("src/lib.rs")).expect("lib.rs");
    let rows: Vec<(&str, &str)> = page.lines().filter_map(row_of).collect();
    let names: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
    let allowed = |number: usize, words: &str| -> BTreeSet<String> {
        let is_word = |name: &&&str| words.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == **name);
        let all_above = if words == "all above" { &names[..number] } else { &[] };
        all_above.iter().chain(names.iter().filter(is_word)).map(|name| (*name).to_owned()).collect()
    };
    rows.iter().enumerate().map(|(number, (name, words))| ((*name).to_owned(), allowed(number, words))).collect()
}

/// Name and last column of a row of the table.
fn row_of(line: &str) -> Option<(&str, &str)> {
    let name = line.strip_prefix("//! | [`")?.split('`').next()?;
    Some((name, line.trim_end_matches(" |").rsplit(" | ").next()?))
}

/// Modules of this crate that a source names, its own left out.
fn used_by(source: &Source, own: &str, modules: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let code = source.code();
    let after = |start: &str| -> Vec<String> {
        let rest = code.split(start).skip(1);
        rest.map(|rest| rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()).collect()
    };
    let named = [after("crate::"), after("super::super::")].concat().into_iter();
    named.filter(|name| name != own && modules.contains_key(name)).collect()
}

#[test]
fn modules_use_what_the_table_says_they_may() {
    let table = may_use();
    let of = |name: &str| table[name].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!((of("model"), of("plan"), of("engine")), (vec![], vec!["model"], vec!["host", "model"]));
    let (mut places, mut uses) = (Vec::new(), 0);
    for (own, allowed) in &table {
        for source in sources(&[&format!("src/{own}")]).iter().filter(|source| !source.is_test()) {
            assert!(!source.code().contains("crate::{"), "{}: one module a line", source.path);
            let used = used_by(source, own, &table);
            uses += used.len();
            places.extend(used.difference(allowed).map(|other| format!("{}: {other}", source.path)));
        }
    }
    assert!(uses > 300, "only {uses} uses were found");
    assert!(places.is_empty(), "{places:#?}");
}

/// How many lines of code the entry of a module may have: one function that leads into it.
const MOST_OF_AN_ENTRY: usize = 8;

/// Lines that are neither words nor attributes nor the names of modules.
fn lines_of_code(source: &Source) -> usize {
    let is_name = |line: &str| {
        let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
        line.starts_with("mod ") || line.starts_with("use ")
    };
    let code = source.code();
    let (mut count, mut within_names) = (0, false);
    for line in code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let is_named = within_names || is_name(line);
        within_names = is_named && !line.ends_with(';');
        count += usize::from(!is_named);
    }
    count
}

#[test]
fn the_entry_of_a_module_is_words_and_names() {
    let entries: Vec<Source> = sources(&["src"]).into_iter().filter(|source| is_entry(&source.path)).collect();
    assert_eq!(entries.len(), may_use().len());
    let is_long = |source: &&Source| lines_of_code(source) > MOST_OF_AN_ENTRY;
    let long: Vec<String> =
        entries.iter().filter(is_long).map(|source| format!("{}: {}", source.path, lines_of_code(source))).collect();
    assert!(long.is_empty(), "more than {MOST_OF_AN_ENTRY} lines of code: {long:#?}");
}

fn is_entry(path: &str) -> bool {
    path.ends_with("/mod.rs") && path.split('/').count() == 3
}

#[test]
fn only_the_loader_of_files_asks_the_machine() {
    let is_pure = |source: &Source| !source.is_test() && source.path != "src/config/files.rs";
    let config: Vec<Source> = sources(&["src/config"]).into_iter().filter(is_pure).collect();
    let places = found(&config, &["std::fs", "std::net", "std::process", "std::env", "tokio"]);
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn tests_that_keep_invariants_are_there() {
    let page = std::fs::read_to_string(repository().join("src/lib.rs")).expect("the page");
    let rows = page.split("//! | invariant | kept by |").nth(1).expect("the table").lines().skip(2);
    let names: Vec<&str> =
        rows.filter_map(|row| row.rsplit('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 10, "{names:?}");
    let all = sources(&["src", "tests"]);
    let is_there = |name: &&&str| all.iter().any(|source| source.text.contains(&format!("fn {name}(")));
    let gone: Vec<&&str> = names.iter().filter(|name| !is_there(name)).collect();
    assert!(gone.is_empty(), "no test has this name: {gone:?}");
}

#[test]
fn tests_that_hold_promises_are_there() {
    let page = std::fs::read_to_string(repository().join("docs/reliability.md")).expect("the page");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && line.contains("| `")).collect();
    let names = rows.iter().filter_map(|row| row.rsplit('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 25, "{names:?}");
    let all = sources(&["src", "tests"]);
    let is_there = |name: &&&str| all.iter().any(|source| source.text.contains(&format!("fn {name}(")));
    let gone: Vec<&&str> = names.iter().filter(|name| !is_there(name)).collect();
    assert!(gone.is_empty(), "no test has this name: {gone:?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<String> =
        sources(&["src"]).iter().filter(|source| !source.text.starts_with("//! ")).map(|source| source.path.clone()).collect();
    assert!(silent.is_empty(), "no module documentation: {silent:#?}");
}

#[test]
fn no_file_names_a_path_of_a_machine() {
    let mut paths = Vec::new();
    for directory in ["src", "tests", "docs", "examples", "images", "demo/src"] {
        collect(&repository().join(directory), &mut paths);
    }
    let words = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];
    let named = |path: &PathBuf| std::fs::read_to_string(path).is_ok_and(|text| words.iter().any(|word| text.contains(word)));
    let places: Vec<&PathBuf> = paths.iter().filter(|path| named(path)).collect();
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn every_planted_bug_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of = |directory: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(root.join(directory)).expect("planted bugs").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.extension().is_some_and(|end| end == "patch")).collect()
    };
    let (patches, levels) = (of("tests/planted"), of("tests/planted/levels"));
    assert!(patches.len() >= 12 && levels.len() == 4, "{patches:?} {levels:?}");
    let patches = patches.into_iter().chain(levels);
    for patch in patches {
        // A tree within another repository is none of its own.
        let mut git = std::process::Command::new("git");
        git.current_dir(root).env("GIT_CEILING_DIRECTORIES", root.parent().expect("a parent"));
        let output = git.args(["apply", "--check"]).arg(&patch).output().expect("git");
        assert!(output.status.success(), "{}: {}", patch.display(), String::from_utf8_lossy(&output.stderr));
    }
}
