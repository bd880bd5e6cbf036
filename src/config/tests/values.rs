//! What becomes of every key: each value of a file that has all of them, in the stack.

use std::collections::BTreeSet;

use expect_test::expect_file;

use super::{Stack, test_data};

/// A file with a value for every key that the schema has.
fn everything() -> Stack {
    let text = std::fs::read_to_string(test_data().join("everything.toml")).expect("a file");
    [("init.sql", ""), ("conf/web.conf", "a"), ("cache/File", "FROM scratch"), ("token", "t"), (".env.web", "B=c\n")]
        .iter()
        .fold(Stack::of(&text), |stack, (file, content)| stack.with(file, content))
}

#[test]
fn every_value_reaches_the_stack() {
    let all = everything();
    let stack = all.loaded().stack;
    let workloads = stack.in_order().map(|workload| format!("{workload:#?}\n"));
    let rest = format!("{:#?}\n{:#?}\n{:#?}\n", stack.volumes(), stack.secrets(), stack.daemon());
    let text = workloads.collect::<String>() + &rest;
    expect_file![test_data().join("everything.txt")].assert_eq(&all.plain(&text));
}

/// What says where values come from, or is tested where both probes are.
const ELSEWHERE: [&str; 3] = ["extends", "renamed_from", "health"];

#[test]
fn the_file_that_has_everything_lacks_no_key() {
    let text = std::fs::read_to_string(test_data().join("everything.toml")).expect("a file");
    let file: toml::Table = text.parse().expect("TOML");
    let schema = crate::config::schema();
    let keys_of = |kind: &str| -> BTreeSet<String> {
        schema["definitions"][kind]["properties"].as_object().expect("keys").keys().cloned().collect()
    };
    let of_service = keys_of("service");
    for (part, kind) in
        [("services", "service"), ("postgres", "postgres"), ("jobs", "job"), ("secrets", "secret"), ("volumes", "volume")]
    {
        let tables = file[part].as_table().expect("a table").values().filter_map(toml::Value::as_table);
        let there: BTreeSet<&String> = tables.flat_map(|table| table.keys()).collect();
        // What a job or a postgres shares with a service is read by the same code.
        let shared = |key: &String| kind != "service" && of_service.contains(key);
        let known = keys_of(kind);
        let lacking = known.iter().filter(|key| !there.contains(key) && !shared(key) && !ELSEWHERE.contains(&key.as_str()));
        assert_eq!(lacking.collect::<Vec<_>>(), Vec::<&String>::new(), "{kind}");
    }
}
