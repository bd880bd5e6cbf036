//! The schema, the reference page and the readers say the same.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{SEEN, Stack};
use crate::config::{reference_markdown, schema};

/// A file that has every table, so that every reader is asked.
const EVERYTHING: &str = r#"
name = "all"
[services.web]
build = { context = "." }
health = { http = "/" }
port = 80
backoff = {}
resources = {}
logs = {}
hardening = {}
ulimits.nofile = { soft = 1, hard = 2 }
env_files = [{ path = "none", optional = true }]
[postgres.db]
image = "postgres:17"
roles.reader = {}
backup = { keep = {}, offsite = { url = "s3://bucket" } }
[jobs.migrate]
extends = "web"
[secrets]
key.generate = { bytes = 32 }
[volumes]
data = {}
[daemon]
"#;

/// What we take an editor takes too: fails where the schema has a word against this text.
pub fn accepts(text: &str) {
    thread_local! {
        static SCHEMA: jsonschema::Validator = jsonschema::draft7::new(&schema()).expect("a schema");
    }
    let document: Value = toml::from_str(text).expect("TOML");
    let said: Vec<String> =
        SCHEMA.with(|schema| schema.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect());
    assert!(said.is_empty(), "{text}\n{said:#?}");
}

#[test]
fn an_editor_sees_a_key_and_a_kind_that_are_wrong() {
    for text in ["[services.web]\nimages = \"web:1\"", "[services.web]\nreplicas = []", "[servces.web]"] {
        assert!(std::panic::catch_unwind(|| accepts(text)).is_err(), "{text}");
    }
}

#[test]
fn readers_ask_for_the_keys_of_the_schema() {
    Stack::of(EVERYTHING).loaded();
    let schema = schema();
    SEEN.with(|seen| {
        let seen = seen.borrow();
        for (kind, keys) in seen.iter().filter(|(kind, _)| **kind != "none") {
            let table = if *kind == "stack" { &schema } else { &schema["definitions"][kind] };
            let known: BTreeSet<&str> =
                table["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
            assert_eq!(keys, &known, "{kind}");
        }
        let tables = schema["definitions"].as_object().map_or(0, serde_json::Map::len) + 1;
        assert_eq!(seen.keys().filter(|kind| **kind != "none").count(), tables);
    });
}

#[test]
fn docs_are_fresh() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let text = format!("{}\n", serde_json::to_string_pretty(&schema()).expect("JSON"));
    for (name, text) in [("stack.schema.json", text), ("stack.md", reference_markdown())] {
        let file = docs.join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(&docs).expect("a directory");
            std::fs::write(&file, &text).expect("a file");
        }
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(there == text, "docs/{name} is stale: run the tests with UPDATE_DOCS=1");
    }
}

#[test]
fn no_key_of_the_schema_is_required() {
    fn required(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.get("required").is_some_and(Value::is_array) || fields.values().any(required),
            Value::Array(items) => items.iter().any(required),
            _ => false,
        }
    }
    let schema = schema();
    assert!(!required(&schema));
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
}
