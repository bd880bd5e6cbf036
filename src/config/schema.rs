//! The JSON schema and the reference page, both made from [`super::tables`].

use std::fmt::Write as _;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::tables::StackFile;

/// The JSON schema of `stack.toml`, draft-07. No key is required, so that it fits profiles and
/// included files too; keys that begin with `x-` are free.
pub fn schema() -> Value {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<StackFile>();
    let mut schema = schema.to_value();
    loosen(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("stack.toml"));
        for named in ["services", "postgres", "jobs", "secrets", "volumes"] {
            free_names(root, named);
        }
    }
    schema
}

/// Takes `required` away and lets only known keys and those of the user's own stand.
fn loosen(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("required").is_some_and(Value::is_array) {
                fields.remove("required");
            }
            if fields.get("properties").is_some_and(Value::is_object) && fields.get("type") == Some(&json!("object")) {
                fields.insert("additionalProperties".to_owned(), json!(false));
                fields.insert("patternProperties".to_owned(), json!({ "^x-": {} }));
            }
            fields.values_mut().for_each(loosen);
        }
        Value::Array(items) => items.iter_mut().for_each(loosen),
        _ => {}
    }
}

/// Lets entries of a table of names that begin with `x-` be anything.
fn free_names(root: &mut Map<String, Value>, named: &str) {
    let table = root.get_mut("properties").and_then(|properties| properties.get_mut(named)).and_then(Value::as_object_mut);
    if let Some(table) = table
        && let Some(inner) = table.remove("additionalProperties")
    {
        table.insert("patternProperties".to_owned(), json!({ "^x-": {}, "^(?!x-)": inner }));
        table.insert("additionalProperties".to_owned(), json!(false));
    }
}

/// Where each table stands, in the order of the reference page.
const ORDER: [(&str, &str); 20] = [
    ("stack", "The file"),
    ("service", "`[services.NAME]`"),
    ("build", "`build`"),
    ("probe", "`health`, `readiness`, `liveness`, `startup`"),
    ("backoff", "`backoff`"),
    ("resources", "`resources`"),
    ("logs", "`logs`"),
    ("hardening", "`hardening`"),
    ("ulimit", "`ulimits.NAME`"),
    ("env_file", "`env_files`"),
    ("postgres", "`[postgres.NAME]`"),
    ("role", "`[postgres.NAME.roles.NAME]`"),
    ("backup", "`[postgres.NAME.backup]`"),
    ("keep", "`[postgres.NAME.backup.keep]`"),
    ("offsite", "`[postgres.NAME.backup.offsite]`"),
    ("job", "`[jobs.NAME]`"),
    ("secret", "`[secrets.NAME]`"),
    ("generate", "`generate`"),
    ("volume", "`[volumes.NAME]`"),
    ("daemon", "`[daemon]`"),
];

const HEAD: &str = "\
# stack.toml

Every table and key. This page is generated from the types that also make `stack.schema.json`.

This version reads all of it and does not carry all of it out: jobs are not run, secrets have no value, and no copy of a backup is sent elsewhere yet. `witwd
up` says so of each that a file has; what waits for one of them is not started.

Durations are `\"500ms\"`, `\"10s\"`, `\"1h\"`, `\"7d\"`; sizes `\"512M\"`, `\"2G\"`. A command is a string, split into
words as a shell would (no shell is run), or an array. Paths are meant from the file that names them. Keys that begin
with `x-` are yours. `${…}` works in every string value:

| reference | is |
|---|---|
| `${env.NAME}`, `${env.NAME:-default}`, `${env.NAME:?message}` | a variable: of the environment, else of `--env-file`, else of `.env` beside the file |
| `${secret.NAME}`, `${secret.NAME.path}` | the value of a secret (only in `env` and passwords); its file |
| `${stack.name}`, `${stack.profile}` | the name; the profiles |
| `${db.url}`, `.host`, `.port`, `.user`, `.password`, `.database` | of `[postgres.db]`; also a dependency on it |
| `${db.databases.NAME.url}`, `${db.roles.NAME.url}` | the same of another database or role |
| `${app.host}`, `${app.port}`, `${app.url}` | of a service with `port` |
| `$${` | a literal `${` |
";

/// The reference page, `docs/stack.md`.
pub fn reference_markdown() -> String {
    let schema = schema();
    let mut page = HEAD.to_owned();
    for (name, title) in ORDER {
        let table = if name == "stack" { &schema } else { &schema["definitions"][name] };
        let about = table["description"].as_str().unwrap_or_default();
        let _ = write!(page, "\n## {title}\n\n{about}\n\n| key | value | meaning |\n|---|---|---|\n");
        for (key, property) in table["properties"].as_object().into_iter().flatten() {
            let about = property["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
            let _ = writeln!(page, "| `{key}` | {} | {about} |", kind(property));
        }
    }
    page
}

/// The kind of value, in a word or two.
fn kind(property: &Value) -> String {
    if let Some(reference) = property["$ref"].as_str().or_else(|| property["allOf"][0]["$ref"].as_str()) {
        return format!("table {}", reference.rsplit('/').next().unwrap_or_default());
    }
    if let Some(choices) = property["anyOf"].as_array() {
        let mut kinds: Vec<String> = choices.iter().map(kind).collect();
        kinds.dedup();
        if let [number, text] = kinds.as_slice()
            && matches!(number.as_str(), "number" | "boolean")
            && text == "string"
        {
            return number.clone();
        }
        return kinds.join(" or ");
    }
    match property["type"].as_str() {
        Some("array") => format!("array of {}", kind(&property["items"])),
        Some("object") if property.get("properties").is_none() => "table".to_owned(),
        Some("integer" | "number") => "number".to_owned(),
        Some(other) => other.to_owned(),
        None => "value".to_owned(),
    }
}
