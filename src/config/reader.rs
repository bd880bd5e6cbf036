//! Reads the keys of one table: each getter reports what is wrong with its value and goes on, so
//! that one pass finds every problem.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::model::name::SecretName;
use crate::model::stack::Secret;
use crate::model::template::Template;

use super::diagnostics::{Diagnostics, Place};
use super::files::{Files, normal};
use super::node::{Entry, Node, Table, Value};
use super::scope::Scope;
use super::suggest::{
    did_you_mean, foreign_inner, foreign_key, foreign_table, list, list_from_table, nearest, reserved, wrong_kind,
};
use super::values::{self, Mistake};

/// What every reader has at hand.
pub(super) struct Context<'a> {
    /// What `${…}` means.
    pub scope: &'a Scope<'a>,
    /// Where problems go.
    pub diagnostics: &'a Diagnostics,
    /// The disk.
    pub files: &'a Files,
    /// The directory of the stack, links followed.
    pub directory: PathBuf,
    /// Directories below which binds may lie, links followed.
    pub host_paths: Vec<PathBuf>,
    /// The volumes of the file.
    pub volumes: BTreeSet<String>,
    /// The secrets of the file.
    pub secrets: BTreeMap<SecretName, Secret>,
}

impl Context<'_> {
    /// A path as it is meant in the file that names it, absolute.
    pub fn path(&self, place: Place, text: &str) -> PathBuf {
        let file = Files::absolute(&self.diagnostics.path(place.file));
        let directory = file.parent().map(Files::canonical).unwrap_or_default();
        normal(&directory.join(text))
    }

    /// A secret as part of a definition: its name and, where the file says more, who may read it.
    pub fn secret_file(&self, name: &SecretName) -> serde_json::Value {
        match self.secrets.get(name) {
            Some(Secret { uid, gid, mode, .. }) if uid.is_some() || gid.is_some() || mode.is_some() => {
                serde_json::json!({ "name": name, "uid": uid, "gid": gid, "mode": mode })
            }
            _ => serde_json::json!(name),
        }
    }
}

static EMPTY: Table = BTreeMap::new();

/// A text and where it stands.
pub(super) type Placed = (String, Place);

/// Reads one table.
pub(super) struct Reader<'a> {
    /// What every reader has at hand.
    pub cx: &'a Context<'a>,
    /// Where the table stands.
    pub place: Place,
    /// Its name for messages: `services.web.health`.
    pub path: String,
    kind: &'static str,
    table: &'a Table,
    seen: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Reader<'a> {
    /// A reader of a table of this kind (as [`super::suggest`] and the schema name it).
    pub fn new(cx: &'a Context<'a>, kind: &'static str, path: impl Into<String>, node: &'a Node) -> Self {
        let path = path.into();
        let table = node.as_table().unwrap_or_else(|| {
            let message = format!("`{path}` must be a table, this is {}", node.kind());
            cx.diagnostics.error(node.place, message, format!("write `[{path}]`, and its keys in the lines below"));
            &EMPTY
        });
        Self { cx, place: node.place, path, kind, table, seen: RefCell::default() }
    }

    /// A reader of a table that has no node of its own.
    pub fn of_table(cx: &'a Context<'a>, kind: &'static str, path: impl Into<String>, table: &'a Table, place: Place) -> Self {
        Self { cx, place, path: path.into(), kind, table, seen: RefCell::default() }
    }

    /// The name of a key for messages.
    pub fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The entry of a key, which is known from here on.
    pub fn entry(&self, key: &'static str) -> Option<&'a Entry> {
        self.seen.borrow_mut().insert(key);
        self.table.get(key)
    }

    /// The value of a key.
    pub fn node(&self, key: &'static str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Whether the key is there, without reading it.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether it reads a table of this kind.
    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// Everything that is written in the table.
    pub fn written(&self) -> &'a Table {
        self.table
    }

    /// Where a key stands, else the table.
    pub fn key_place(&self, key: &str) -> Place {
        self.table.get(key).map_or(self.place, |entry| entry.key)
    }

    /// Where the value of a key stands, else the table.
    pub fn value_place(&self, key: &str) -> Place {
        self.table.get(key).map_or(self.place, |entry| entry.node.place)
    }

    /// Reports an error.
    pub fn error(&self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.cx.diagnostics.error(place, message, hint);
    }

    fn wrong_type(&self, key: &str, node: &Node, wanted: &str, hint: &str) {
        self.error(node.place, format!("`{}` must be {wanted}, this is {}", self.name(key), node.kind()), hint);
    }

    /// Reports what a value's text is not.
    pub fn report<T>(&self, place: Place, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.error(place, mistake.message, mistake.hint)).ok()
    }

    /// A string without secrets.
    pub fn text(&self, key: &'static str) -> Option<String> {
        let node = self.node(key)?;
        let Value::Text(raw) = &node.value else {
            self.wrong_type(key, node, "a string", "put it in double quotes");
            return None;
        };
        self.cx.scope.text(raw, node.place)
    }

    /// A string without secrets that is not empty.
    pub fn filled(&self, key: &'static str) -> Option<String> {
        let text = self.text(key)?;
        if text.trim().is_empty() {
            self.error(self.value_place(key), format!("`{}` is empty", self.name(key)), "give it a value, or leave the key out");
            return None;
        }
        Some(text)
    }

    /// A string that may hold secrets.
    pub fn template(&self, key: &'static str) -> Option<Template> {
        let node = self.node(key)?;
        let Value::Text(raw) = &node.value else {
            self.wrong_type(key, node, "a string", "put it in double quotes");
            return None;
        };
        self.cx.scope.template(raw, node.place)
    }

    /// A boolean, or a string that is one after interpolation.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        let text = match &node.value {
            Value::Flag(flag) => return Some(*flag),
            Value::Text(raw) => self.cx.scope.text(raw, node.place)?,
            _ => {
                self.wrong_type(key, node, "true or false", &format!("write `{key} = true` or `{key} = false`"));
                return None;
            }
        };
        let flag = text.parse().ok();
        if flag.is_none() {
            let message = format!("`{}` must be true or false, not {text:?}", self.name(key));
            self.error(node.place, message, format!("write `{key} = true` or `{key} = false`"));
        }
        flag
    }

    /// A whole number within bounds, or a string that is one after interpolation.
    pub fn number(&self, key: &'static str, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let node = self.node(key)?;
        let number = match &node.value {
            Value::Integer(number) => Some(*number),
            Value::Text(raw) => self.cx.scope.text(raw, node.place)?.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            let hint = "write its digits alone, without a point or a unit";
            self.error(node.place, format!("`{}` must be a whole number", self.name(key)), hint);
            return None;
        };
        if bounds.contains(&number) {
            return Some(number);
        }
        let range = if *bounds.end() == i64::MAX {
            format!("at least {}", bounds.start())
        } else {
            format!("{} to {}", bounds.start(), bounds.end())
        };
        let nearest = number.clamp(*bounds.start(), *bounds.end());
        let hint = format!("the nearest that it can be is {nearest}");
        self.error(node.place, format!("`{}` is {number}: it must be {range}", self.name(key)), hint);
        None
    }

    /// A whole number that fits 32 bits.
    pub fn count(&self, key: &'static str, bounds: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let number = self.number(key, i64::from(*bounds.start())..=i64::from(*bounds.end()))?;
        u32::try_from(number).ok()
    }

    /// A port.
    pub fn port(&self, key: &'static str) -> Option<u16> {
        u16::try_from(self.number(key, 1..=65535)?).ok()
    }

    /// A duration that is not zero.
    pub fn duration(&self, key: &'static str) -> Option<Duration> {
        let duration = self.duration_or_zero(key)?;
        if duration.is_zero() {
            let message = format!("`{}` must be longer than nothing", self.name(key));
            self.error(self.value_place(key), message, format!("write for example `{key} = \"5s\"`, or leave it out"));
            return None;
        }
        Some(duration)
    }

    /// A duration.
    pub fn duration_or_zero(&self, key: &'static str) -> Option<Duration> {
        let node = self.node(key)?;
        if let Value::Integer(number) = node.value {
            self.wrong_type(key, node, "a duration", &format!("write it with its unit: `{key} = \"{number}s\"`"));
            return None;
        }
        let text = self.text(key)?;
        self.report(node.place, values::duration(&text))
    }

    /// A size in bytes, not zero.
    pub fn size(&self, key: &'static str) -> Option<u64> {
        let size = self.size_or_zero(key)?;
        if size == 0 {
            let message = format!("`{}` must be more than nothing", self.name(key));
            self.error(self.value_place(key), message, format!("write for example `{key} = \"64M\"`, or leave it out"));
            return None;
        }
        Some(size)
    }

    /// A size in bytes.
    pub fn size_or_zero(&self, key: &'static str) -> Option<u64> {
        let node = self.node(key)?;
        if let Value::Integer(number) = node.value {
            self.wrong_type(key, node, "a size", &format!("write it with its unit: `{key} = \"{number}M\"`"));
            return None;
        }
        let text = self.text(key)?;
        self.report(node.place, values::size(&text))
    }

    /// A command: a string split into words, or an array of words.
    pub fn command(&self, key: &'static str) -> Option<Vec<String>> {
        let node = self.node(key)?;
        match &node.value {
            Value::Text(raw) => {
                let text = self.cx.scope.text(raw, node.place)?;
                let words = self.report(node.place, values::words(&text))?;
                if let Some(operator) = values::shell_operator(&words) {
                    self.cx.diagnostics.warning(
                        self.cx.diagnostics.within(node.place, operator),
                        format!("no shell runs this command: `{operator}` is handed to the program as a word"),
                        format!("for a shell write `{key} = [\"sh\", \"-c\", \"...\"]`"),
                    );
                }
                Some(words)
            }
            Value::List(items) if items.is_empty() => Some(Vec::new()),
            Value::List(_) => Some(self.list(key).into_iter().map(|(word, _)| word).collect()),
            _ => {
                self.wrong_type(
                    key,
                    node,
                    "a string or an array of strings",
                    &format!("write `{key} = \"...\"` or `{key} = [\"...\"]`"),
                );
                None
            }
        }
    }

    /// An array of strings, with their places.
    pub fn list(&self, key: &'static str) -> Vec<Placed> {
        self.items(key)
            .iter()
            .filter_map(|item| {
                if let Value::Text(raw) = &item.value {
                    Some((self.cx.scope.text(raw, item.place)?, item.place))
                } else {
                    self.error(
                        item.place,
                        format!("`{}` holds strings, this is {}", self.name(key), item.kind()),
                        "put it in double quotes",
                    );
                    None
                }
            })
            .collect()
    }

    /// The items of an array.
    pub fn items(&self, key: &'static str) -> &'a [Node] {
        match self.node(key) {
            None => &[],
            Some(Node { value: Value::List(items), .. }) => items,
            Some(node) => {
                let hint = match &node.value {
                    Value::Text(text) => format!("put it in brackets: `{key} = [\"{text}\"]`"),
                    Value::Integer(number) => format!("write `{key} = [\"{number}\"]`"),
                    Value::Table(table) => list_from_table(key, table),
                    _ => format!("write `{key} = [\"...\"]`"),
                };
                self.wrong_type(key, node, "an array", &hint);
                &[]
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let hint = match (key, text.as_str()) {
            ("restart", "unless-stopped") => {
                "write `restart = \"always\"` or leave it out: what was stopped by hand stays stopped anyway".to_owned()
            }
            ("restart", "no") => "write `restart = \"never\"`".to_owned(),
            ("pull", "if_not_present" | "IfNotPresent") => "write `pull = \"missing\"`".to_owned(),
            _ => did_you_mean(&text, words.iter().copied(), &format!("for example `{key} = \"{}\"`", words[0])),
        };
        self.error(self.value_place(key), format!("`{}` is {text:?}: it must be one of {}", self.name(key), list(words)), hint);
        None
    }

    /// A table below this one.
    pub fn table(&self, key: &'static str, kind: &'static str) -> Option<Reader<'a>> {
        let node = self.node(key)?;
        Some(Reader::new(self.cx, kind, self.name(key), node))
    }

    /// The entries of a table whose keys are names: those that begin with `x-` are left out where
    /// `reserved_x` says so.
    pub fn entries(&self, key: &'static str, hint: &str) -> Vec<(&'a str, &'a Entry)> {
        match self.node(key) {
            None => Vec::new(),
            Some(Node { value: Value::Table(table), .. }) => table.iter().map(|(name, entry)| (name.as_str(), entry)).collect(),
            Some(node) => {
                self.wrong_type(key, node, "a table", hint);
                Vec::new()
            }
        }
    }

    /// A table of strings without secrets; numbers and booleans are taken as they are written.
    pub fn strings(&self, key: &'static str) -> BTreeMap<String, String> {
        let hint = format!("write `{key} = {{ name = \"value\" }}`");
        self.entries(key, &hint)
            .into_iter()
            .filter_map(|(name, entry)| {
                let node = &entry.node;
                let text = match &node.value {
                    Value::Text(raw) => self.cx.scope.text(raw, node.place)?,
                    _ => self.scalar(&self.name(key), name, node)?,
                };
                Some((name.to_owned(), text))
            })
            .collect()
    }

    /// A number or boolean as text.
    pub fn scalar(&self, table: &str, name: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Flag(flag) => Some(flag.to_string()),
            _ => {
                let message = format!("`{table}.{name}` must be a string, a number or a boolean, this is {}", node.kind());
                self.error(node.place, message, format!("write `{name} = \"value\"`"));
                None
            }
        }
    }

    /// Reports every key that no getter asked for. To be called last.
    pub fn finish(self) {
        let seen = self.seen.borrow();
        #[cfg(test)]
        super::tests::saw(self.kind, &seen);
        for (key, entry) in self.table.iter().filter(|(key, _)| !seen.contains(key.as_str()) && !key.starts_with("x-")) {
            let (message, hint) = self.unknown(key, &seen);
            self.cx.diagnostics.error(entry.key, message, hint);
        }
    }

    fn unknown(&self, key: &str, seen: &BTreeSet<&'static str>) -> (String, String) {
        let whole = self.name(key);
        let foreign = match self.kind {
            "stack" => foreign_table(key),
            "service" | "postgres" | "job" => wrong_kind(self.kind, key).or_else(|| foreign_key(key)),
            kind => foreign_inner(kind, key),
        };
        if reserved(self.kind).contains(&key) {
            let message = format!("`{whole}` is reserved for a later version, this one does not carry it out");
            return (
                message,
                foreign.unwrap_or("leave it out, or keep it as a note under a name that begins with `x-`").to_owned(),
            );
        }
        let near = nearest(key, seen.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let all = || format!("known are {}", list(seen.iter().copied()));
        let hint = foreign.map(str::to_owned).or(near).unwrap_or_else(all);
        let owner = if self.path.is_empty() { "stack.toml".to_owned() } else { format!("`{}`", self.path) };
        (format!("`{key}` is not a key of {owner}"), hint)
    }
}
