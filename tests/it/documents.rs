//! What programs read: the very fields of each document, and where each value of `config` came from.

use expect_test::expect;

use super::cli::witwd;

const FILE: &str = r#"
name = "shop"
[services.web]
image = "web:${env.TAG}"
[services.web.env]
MODE = "${env.MODE}"
REGION = "${env.REGION}"
COLOUR = "${env.COLOUR}"
LEVEL = "${env.LEVEL:-info}"
"#;

/// What the last `up` left: it was run with `TAG` and `MODE`.
const KEPT: &str = r#"{"v":1,"at":"2026-01-01T20:00:00Z","uid":0,"environment":{"TAG":"1","MODE":"kept"},"stack":"shop",
                       "profiles":[],"name":null,"env_files":[]}"#;

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, content) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, content).expect("a file");
    }
    directory
}

/// What a command prints to standard output, its directory as `DIRECTORY`.
fn printed(directory: &tempfile::TempDir, words: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = witwd(directory.path());
    let output = command.args(words).envs(environment.iter().copied()).assert().code(0).get_output().stdout.clone();
    let real = directory.path().canonicalize().expect("a path");
    let text = String::from_utf8(output).expect("text");
    text.replace(&real.display().to_string(), "DIRECTORY").replace(&directory.path().display().to_string(), "DIRECTORY")
}

#[test]
fn an_event_for_programs_has_the_fields_of_the_contract() {
    let written = "{\"at\":\"2026-01-01T20:40:00Z\",\"kind\":\"exit\",\"target\":\"web\",\"cause\":\"it ended\",\"detail\":{\"code\":1}}\n\
                   {\"at\":\"2026-01-01T20:40:01Z\",\"kind\":\"start\",\"target\":\"web\",\"cause\":\"it ended\",\"detail\":null}\n";
    let directory = directory(&[("stack.toml", "name = \"shop\"\n"), (".witwd/events.jsonl", written)]);
    // To the letter: names, and no field more or less.
    assert_eq!(printed(&directory, &["events", "--json"], &[]), written);
}

#[test]
fn a_line_of_a_log_for_programs_has_the_fields_of_the_contract() {
    let written = "2026-01-01T20:40:00.123456Z  INFO it begins\n  a second line of it\n";
    let directory = directory(&[("stack.toml", "name = \"shop\"\n"), (".witwd/daemon.log", written)]);
    expect![[r#"
        {"at":"2026-01-01T20:40:00.123456Z","line":"2026-01-01T20:40:00.123456Z  INFO it begins","name":"witwd","replica":1,"stream":"stderr"}
        {"at":"2026-01-01T20:40:00.123456Z","line":"  a second line of it","name":"witwd","replica":1,"stream":"stderr"}
    "#]].assert_eq(&printed(&directory, &["logs", "witwd", "--json"], &[]));
}

fn sources() -> tempfile::TempDir {
    directory(&[
        ("stack.toml", FILE),
        (".env", "TAG=3\nREGION=north\nCOLOUR=blue\n"),
        ("more.env", "COLOUR=red\n"),
        (".witwd/environment.json", KEPT),
    ])
}

#[test]
fn config_tells_where_each_value_came_from() {
    let words = ["--env-file", "more.env", "config", "--origin"];
    expect![[r#"
        NAME    FROM
        COLOUR  DIRECTORY/more.env
        LEVEL   the default in the file
        MODE    kept of the environment of the last `up`
        REGION  DIRECTORY/.env
        TAG     the environment
    "#]]
    .assert_eq(&printed(&sources(), &words, &[("TAG", "2")]));
    // The nearest source wins, and it is the one that is named.
    let config = printed(&sources(), &["--env-file", "more.env", "config"], &[("TAG", "2")]);
    for value in ["web:2", "\"kept\"", "\"north\"", "\"red\"", "\"info\""] {
        assert!(config.contains(value), "{value}: {config}");
    }
}

#[test]
fn config_tells_programs_where_each_value_came_from() {
    let text = printed(&sources(), &["--json", "--env-file", "more.env", "config"], &[("TAG", "2")]);
    let begin = text.find("\"origins\":").expect("origins");
    let end = begin + text[begin..].find('}').expect("an end") + 1;
    expect![[r#""origins":{"COLOUR":"DIRECTORY/more.env","LEVEL":"the default in the file","MODE":"kept of the environment of the last `up`","REGION":"DIRECTORY/.env","TAG":"the environment"}"#]].assert_eq(&text[begin..end]);
}

#[test]
fn what_was_kept_is_told_apart_from_the_environment() {
    let origin = |environment: &[(&str, &str)]| {
        let text = printed(&sources(), &["config", "--origin"], environment);
        text.lines().find(|line| line.starts_with("TAG")).expect("a line").to_owned()
    };
    assert_ne!(origin(&[("TAG", "2")]), origin(&[]));
}

#[test]
fn the_schema_is_printed_as_it_is_documented() {
    let documented = include_str!("../../docs/stack.schema.json");
    assert_eq!(printed(&sources(), &["schema"], &[]), documented);
}

#[test]
fn name_and_profiles_are_those_of_the_command_line_before_those_of_the_environment() {
    let file = "name = \"shop\"\n[services.web]\nimage = \"web:1\"\n[services.mail]\nimage = \"mail:1\"\nprofiles = [\"dev\"]\n\
                [services.trace]\nimage = \"trace:1\"\nprofiles = [\"debug\"]\n";
    let directory = directory(&[("stack.toml", file)]);
    let seen = |words: &[&str], environment: &[(&str, &str)]| {
        let text = printed(&directory, &[words, &["config", "--json"]].concat(), environment);
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        format!("{} {}", document["stack"].as_str().unwrap_or_default(), document["profiles"])
    };
    assert_eq!(seen(&[], &[]), "shop []");
    assert_eq!(seen(&["--name", "other", "--profile", "dev", "--profile", "debug"], &[]), r#"other ["dev","debug"]"#);
    let environment = [("WITWD_NAME", "another"), ("WITWD_PROFILE", "debug")];
    assert_eq!(seen(&[], &environment), r#"another ["debug"]"#);
    assert_eq!(seen(&["--name", "other", "--profile", "dev"], &environment), r#"other ["dev"]"#);
}
