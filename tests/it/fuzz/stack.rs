//! The file of a stack: read, checked and planned on an empty world.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::Value;
use witwd::config::{LoadRequest, Loaded, Problem, load, render, resolved, schema};
use witwd::model::family::Families;
use witwd::model::history::History;
use witwd::model::name::InstanceId;
use witwd::model::observed::Observed;
use witwd::model::time::Moment;
use witwd::plan::{Containers, InFlight, Inputs, plan};

use super::driver::{Fate, Target};
use super::mutation::Corpus;

/// What is likely to hurt a reader of TOML, of references, of paths and of numbers.
const SHARP: [&str; 48] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "#",
    "\n",
    "\r\n",
    "\t",
    "\\u0000",
    "\\",
    "${",
    "${env.",
    "${env.NOT:-",
    "${secret.key}",
    "${db.url}",
    "${web.port}",
    "}",
    "$$",
    "true",
    "0",
    "-1",
    "65536",
    "9223372036854775807",
    "9223372036854775808",
    "1e400",
    "nan",
    "0x",
    "1979-05-27",
    "\"0s\"",
    "\"584542046y\"",
    "\"99999999999999999999G\"",
    "\"*/0 * * * *\"",
    "\"..\"",
    "\"/dev/zero\"",
    "\"**\"",
    "\u{202e}",
    "\u{0}",
    "\u{feff}",
    "ä",
];

/// Files that the examples speak of.
const BESIDE: [(&str, &str); 10] = [
    ("nginx.conf", ""),
    ("db/schema.rb", ""),
    ("db/migrate/1.rb", ""),
    (".env.shop", ""),
    (".env.web", "B=c\n"),
    ("init.sql", ""),
    ("conf/web.conf", "a"),
    ("cache/File", "FROM scratch"),
    ("token", "t"),
    ("more.toml", ""),
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn corpus() -> Corpus {
    let read = |path: PathBuf| std::fs::read_to_string(path).expect("an example");
    let data = repository().join("src/config/test_data");
    let names = ["everything", "daily-ranking", "django-celery", "nextcloud", "pollinate", "rails-sidekiq", "supabase-db"];
    let mut examples: Vec<String> = names.iter().map(|name| read(data.join(format!("{name}.toml")))).collect();
    examples.push(read(repository().join("stack.toml")));
    // As often as there are mistakes.
    examples = vec![examples; 8].concat();
    let mistakes = read(data.join("mistakes.toml"));
    examples.extend(mistakes.split("#--- ").skip(1).filter_map(|block| Some(block.split_once('\n')?.1.to_owned())));
    let words = keys(&schema()).into_iter().chain(SHARP.map(str::to_owned));
    Corpus { examples: examples.into_iter().map(String::into_bytes).collect(), words: words.map(String::into_bytes).collect() }
}

/// Every key that the schema knows, and every word that it lets a value be.
fn keys(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                let properties = fields.get("properties").and_then(Value::as_object);
                found.extend(properties.into_iter().flat_map(|properties| properties.keys().cloned()));
                let words = fields.get("enum").and_then(Value::as_array);
                found.extend(words.into_iter().flatten().filter_map(|word| Some(format!("{:?}", word.as_str()?))));
                open.extend(fields.values());
            }
            Value::Array(values) => open.extend(values),
            _ => {}
        }
    }
    found
}

/// A directory of a stack, the same for all cases.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, content) in BESIDE {
            let path = directory.path().join("demo").join(name);
            std::fs::create_dir_all(path.parent().expect("a parent"))
                .and_then(|()| std::fs::write(path, content))
                .expect("a file");
        }
        directory
    });
    directory.path()
}

fn tries(input: &[u8]) -> Result<Fate, String> {
    let file = directory().join("demo/stack.toml");
    std::fs::write(&file, input).expect("a file");
    let environment = BTreeMap::from([("TAG".to_owned(), "1".to_owned()), ("A".to_owned(), "${env.B}".to_owned())]);
    match load(&LoadRequest { file, environment, ..LoadRequest::default() }) {
        Ok(loaded) => {
            is_told(&loaded.warnings)?;
            is_planned(&loaded)?;
            agrees(input, &loaded)?;
            Ok(Fate::Taken)
        }
        Err(invalid) if invalid.problems.is_empty() => Err("it is refused without a word".to_owned()),
        Err(invalid) => is_told(&invalid.problems).map(|()| Fate::Refused),
    }
}

/// Each problem has a place, words and a way out.
fn is_told(problems: &[Problem]) -> Result<(), String> {
    let is_well = |problem: &&Problem| {
        problem.line > 0
            && problem.column > 0
            && !problem.message.trim().is_empty()
            && problem.hint.as_ref().is_some_and(|hint| !hint.trim().is_empty())
    };
    match problems.iter().find(|problem| !is_well(problem)) {
        Some(problem) => Err(format!("a problem without place, words or hint: {problem:?}")),
        None if !problems.is_empty() && render(problems, false).trim().is_empty() => Err("nothing is rendered".to_owned()),
        None => Ok(()),
    }
}

/// It can be planned where nothing is there, and the same again.
fn is_planned(loaded: &Loaded) -> Result<(), String> {
    let (observed, history, instance) = (Observed::default(), History::default(), InstanceId("fuzz".to_owned()));
    let containers = Containers::of(&observed, loaded.stack.name(), &instance);
    let inputs = Inputs {
        stack: &loaded.stack,
        instance: &instance,
        observed: &observed,
        containers: &containers,
        history: &history,
        verdicts: &BTreeMap::new(),
        fingerprints: &BTreeMap::new(),
        provisions: &BTreeMap::new(),
        backups: &BTreeMap::new(),
        families: &Families::new(),
        in_flight: &InFlight::new(),
        now: Moment::default(),
        wall: Timestamp::UNIX_EPOCH,
    };
    let (one, other) = (plan(&inputs).text(Moment::default()), plan(&inputs).text(Moment::default()));
    if one == other { Ok(()) } else { Err(format!("two plans of one file:\n{one}\n{other}")) }
}

/// What is taken is taken by the schema too, and what `config` shows is TOML.
fn agrees(input: &[u8], loaded: &Loaded) -> Result<(), String> {
    static SCHEMA: OnceLock<jsonschema::Validator> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| jsonschema::draft7::new(&schema()).expect("a schema"));
    let text = std::str::from_utf8(input).map_err(|_| "it is taken and no text".to_owned())?;
    let document: Value = toml::from_str(text).map_err(|error| format!("it is taken and no TOML: {error}"))?;
    if let Some(error) = schema.iter_errors(&document).next() {
        return Err(format!("the schema has a word against it: {}: {error}", error.instance_path()));
    }
    let shown = resolved(loaded);
    match toml::from_str::<toml::Table>(&shown) {
        Ok(table) if table.get("name").and_then(toml::Value::as_str) == Some(loaded.stack.name().as_str()) => Ok(()),
        Ok(_) => Err(format!("what is shown is another file: {shown:?}")),
        Err(error) => Err(format!("what is shown is no TOML: {error}\n{shown}")),
    }
}

#[test]
fn a_file_is_taken_or_refused_with_place_and_hint() {
    Target { name: "stack", cases: 1_000, corpus: corpus(), tries }.run();
}
