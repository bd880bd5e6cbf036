//! The tree of values that a file holds, each with its place, so that a problem found after files
//! were merged still points into the file that the value came from.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::{Diagnostics, Place, SYNTAX};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What TOML knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A string, not yet interpolated.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Flag(bool),
    /// A date or time.
    Time(String),
    /// An array.
    List(Vec<Node>),
    /// A table.
    Table(Table),
}

/// An entry of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Where its key stands.
    pub key: Place,
    /// Its value.
    pub node: Node,
}

/// A table, in order of keys.
pub(super) type Table = BTreeMap<String, Entry>;

impl Node {
    /// The kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a string",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Flag(_) => "a boolean",
            Value::Time(_) => "a date or time",
            Value::List(_) => "an array",
            Value::Table(_) => "a table",
        }
    }

    /// The table, where it is one.
    pub fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// Parses a file; every syntax error is reported.
pub(super) fn parse(text: &str, file: usize, diagnostics: &Diagnostics) -> Table {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let place = Place { file, start: span.start, end: span.end };
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        diagnostics.error(place, format!("{SYNTAX}{message}"), syntax_hint(&message));
    }
    let convert = Convert { file, diagnostics };
    convert.table(document.get_ref())
}

fn syntax_hint(message: &str) -> &'static str {
    if message.contains("duplicate key") {
        "a key may stand once in a table: keep one of them"
    } else if message.contains("string values must be quoted") || message.contains("missing opening quote") {
        "put the value in double quotes"
    } else if message.contains("unclosed table") {
        "a table header ends with `]`"
    } else if message.contains("missing assignment") || message.contains("key with no value") {
        "write `key = value`; unlike YAML, TOML has no `key: value`"
    } else {
        "a line is `key = value`, or `[table]`: the mark shows where this one is neither"
    }
}

struct Convert<'a> {
    file: usize,
    diagnostics: &'a Diagnostics,
}

impl Convert<'_> {
    fn place(&self, span: std::ops::Range<usize>) -> Place {
        Place { file: self.file, start: span.start, end: span.end }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                let entry = Entry { key: self.place(key.span()), node: self.node(value) };
                (key.get_ref().to_string(), entry)
            })
            .collect()
    }

    fn float(&self, place: Place, text: &str) -> f64 {
        let number: f64 = text.parse().unwrap_or(f64::NAN);
        // What is no number, or too large for one, has no place in what is shown and hashed.
        if !number.is_finite() {
            self.diagnostics.error(place, format!("{text} is no number"), format!("as text it may be anything: {text:?}"));
        }
        number
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_else(|_| {
                    let hint = format!("{} is the largest there is", i64::MAX);
                    self.diagnostics.error(place, format!("{number} is too large a number"), hint);
                    0
                }))
            }
            DeValue::Float(number) => Value::Float(self.float(place, number.as_str())),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { place, value }
    }
}

/// Merges `over` over `base`: tables deep, everything else replaced.
pub(super) fn overlay(base: &mut Table, over: Table) {
    for (key, entry) in over {
        match (base.get_mut(&key).map(|entry| &mut entry.node.value), entry) {
            (Some(Value::Table(under)), Entry { node: Node { value: Value::Table(table), .. }, .. }) => overlay(under, table),
            (_, entry) => {
                base.insert(key, entry);
            }
        }
    }
}

/// The top-level tables whose entries have names: two files may both have such a table.
pub(super) const NAMED: [&str; 5] = ["services", "postgres", "jobs", "secrets", "volumes"];

/// Adds the tables of an included file; what is there already is a clash.
pub(super) fn join(base: &mut Table, more: Table, diagnostics: &Diagnostics) {
    for (key, entry) in more {
        if key.starts_with("x-") {
            continue;
        }
        let named = NAMED.contains(&key.as_str());
        match (base.get_mut(&key), entry) {
            (None, entry) => {
                base.insert(key, entry);
            }
            (
                Some(Entry { node: Node { value: Value::Table(under), .. }, .. }),
                Entry { node: Node { value: Value::Table(table), .. }, .. },
            ) if named => {
                join_names(&key, under, table, diagnostics);
            }
            (Some(first), entry) => clash(&key, first.key, entry.key, diagnostics),
        }
    }
}

fn join_names(table_name: &str, under: &mut Table, table: Table, diagnostics: &Diagnostics) {
    for (name, entry) in table {
        match under.get(&name) {
            Some(_) if name.starts_with("x-") => {}
            Some(first) => clash(&format!("{table_name}.{name}"), first.key, entry.key, diagnostics),
            None => {
                under.insert(name, entry);
            }
        }
    }
}

fn clash(what: &str, first: Place, second: Place, diagnostics: &Diagnostics) {
    let (one, other) = (diagnostics.path(first.file), diagnostics.path(second.file));
    diagnostics.error(
        second,
        format!("`{what}` is in {} and in {}", one.display(), other.display()),
        "keep one of them; to change what an included file says, use a profile",
    );
}
