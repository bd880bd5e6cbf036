//! The text of a stack.toml, written as a person would: short lines, a word beside what is not plain.

use toml::Value;

/// The column of remarks beside a value.
const REMARKS: usize = 40;

/// A table of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Section {
    /// What stands between the brackets; empty for the lines on top.
    pub title: String,
    lines: Vec<String>,
}

impl Section {
    /// A table of this title.
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), lines: Vec::new() }
    }

    /// A key and its value.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.lines.push(format!("{} = {}", path(key), value.into()));
    }

    /// The same with a remark beside it.
    pub(super) fn set_with(&mut self, key: &str, value: impl Into<Value>, remark: &str) {
        let line = format!("{} = {}", path(key), value.into());
        self.lines.push(format!("{line:REMARKS$}  # {remark}"));
    }

    /// A remark on a line of its own. Several lines become several.
    pub(super) fn say(&mut self, remark: &str) {
        self.lines.extend(remark.lines().map(|line| format!("# {line}").trim_end().to_owned()));
    }

    /// The text.
    pub(super) fn text(&self) -> String {
        let title = if self.title.is_empty() { String::new() } else { format!("[{}]\n", self.title) };
        self.lines.iter().fold(title, |text, line| text + line + "\n")
    }
}

/// The text of a file of these tables.
pub(super) fn file(sections: &[Section]) -> String {
    sections.iter().map(Section::text).collect::<Vec<_>>().join("\n")
}

/// `env.NAME`: what is no bare key in TOML is quoted.
fn path(key: &str) -> String {
    let (table, name) = key.split_once('.').map_or((None, key), |(table, name)| (Some(table), name));
    let name = if is_bare(name) { name.to_owned() } else { Value::from(name).to_string() };
    table.map_or_else(|| name.clone(), |table| format!("{table}.{name}"))
}

fn is_bare(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// A name by the rules of host names that is as near as can be; `None` where nothing of it remains.
pub(super) fn host_name(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let mapped: String =
        lower.chars().map(|letter| if letter.is_ascii_lowercase() || letter.is_ascii_digit() { letter } else { '-' }).collect();
    let words: Vec<&str> = mapped.split('-').filter(|word| !word.is_empty()).collect();
    let joined = words.join("-");
    let from_letter = joined.trim_start_matches(|letter: char| !letter.is_ascii_lowercase());
    let short = from_letter.get(..41).unwrap_or(from_letter).trim_end_matches('-');
    (!short.is_empty()).then(|| short.to_owned())
}
