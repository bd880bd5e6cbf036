//! Values of a compose file in the words of ours: variables, commands, ports, mounts. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

/// A string of a compose file in which `${NAME}` is a reference. An unset variable is empty there and
/// an error here: one that nothing gives a value gets the empty default.
pub(super) fn interpolated(text: &str, known: &BTreeSet<&str>) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        written.push_str(&rest[..at]);
        let (value, used) = reference(&rest[at..], known);
        written.push_str(&value);
        rest = &rest[at + used..];
    }
    written + rest
}

/// What stands at the beginning of `text`, which begins with `$`, and how many bytes of it that is.
fn reference(text: &str, known: &BTreeSet<&str>) -> (String, usize) {
    let after = &text[1..];
    if after.starts_with("${") {
        return ("$${".to_owned(), 3);
    }
    if after.starts_with('$') {
        return ("$".to_owned(), 2);
    }
    let Some(inner) = after.strip_prefix('{') else {
        let name = name(after);
        return if name.is_empty() { ("$".to_owned(), 1) } else { (variable(name, "", known), 1 + name.len()) };
    };
    let Some(end) = closing(inner) else { return ("$".to_owned(), 1) };
    let name = name(&inner[..end]);
    (variable(name, &inner[name.len()..end], known), end + 3)
}

fn name(text: &str) -> &str {
    let end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).unwrap_or(text.len());
    &text[..end]
}

/// Where the brace is that closes one before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn variable(name: &str, modifier: &str, known: &BTreeSet<&str>) -> String {
    let operator = modifier.trim_start_matches(':');
    match operator.chars().next() {
        Some('-') => format!("${{env.{name}:-{}}}", interpolated(&operator[1..], known)),
        Some('?') => format!("${{env.{name}:?{}}}", interpolated(&operator[1..], known)),
        _ if known.contains(name) => format!("${{env.{name}}}"),
        _ => format!("${{env.{name}:-}}"),
    }
}

/// `text` at its colons, those within `${…}` apart.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ':' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// A number or a string as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A list, or one value in its place.
pub(super) fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(scalar).collect(),
        other => scalar(other).into_iter().collect(),
    }
}

/// `KEY: value` or `- KEY=value`, in order; a key without a value has none.
pub(super) fn pairs(value: &Value) -> Vec<(String, Option<String>)> {
    match value {
        Value::Object(table) => table.iter().map(|(key, value)| (key.clone(), scalar(value))).collect(),
        other => list(other).into_iter().map(|line| assignment(&line)).collect(),
    }
}

fn assignment(line: &str) -> (String, Option<String>) {
    match line.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (line.to_owned(), None),
    }
}

/// A published port in our words; `None` for ranges, which ours does not have.
pub(super) fn port(value: &Value, known: &BTreeSet<&str>) -> Option<String> {
    let text = match value {
        Value::Object(table) => {
            let target = scalar(table.get("target")?)?;
            let published = table.get("published").and_then(scalar).unwrap_or_else(|| "auto".to_owned());
            let address = table.get("host_ip").and_then(Value::as_str).map(|address| format!("{address}:")).unwrap_or_default();
            let protocol = table.get("protocol").and_then(Value::as_str).filter(|protocol| *protocol != "tcp");
            let end = protocol.map(|protocol| format!("/{protocol}")).unwrap_or_default();
            format!("{address}{published}:{target}{end}")
        }
        other => {
            let text = interpolated(&scalar(other)?, known).trim_end_matches("/tcp").to_owned();
            // A port that only the container names is published on a free one.
            if parts(&text).len() == 1 { format!("auto:{text}") } else { text }
        }
    };
    let is_range = parts(&text).iter().any(|part| !part.contains("${") && part.contains('-'));
    if is_range {
        return None;
    }
    match parts(&text).as_slice() {
        [host, container] if host == container => Some((*host).to_owned()),
        _ => Some(text),
    }
}

/// What is mounted where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MountFound {
    /// A volume by its name.
    Volume(String),
    /// A path beside the file.
    Beside(String),
    /// A path of the machine.
    Machine(String),
    /// What our file can't say.
    Other,
}

/// Source, path in the container and whether it is read-only.
pub(super) fn mount(value: &Value, known: &BTreeSet<&str>) -> (MountFound, String, bool) {
    let (source, target, read_only) = match value {
        Value::Object(table) => {
            let text = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default();
            let source = if text("type") == "tmpfs" { "" } else { text("source") };
            (source.to_owned(), text("target").to_owned(), table.get("read_only") == Some(&Value::Bool(true)))
        }
        other => short_mount(&interpolated(&scalar(other).unwrap_or_default(), known)),
    };
    let found = match source.as_str() {
        "" => MountFound::Other,
        source if source.starts_with("./") || source == "." => MountFound::Beside(source.to_owned()),
        source if source.starts_with('/') => MountFound::Machine(source.to_owned()),
        source if source.contains(['/', '~', '$']) || source.starts_with('.') => MountFound::Other,
        name => MountFound::Volume(name.to_owned()),
    };
    (found, target, read_only)
}

fn short_mount(text: &str) -> (String, String, bool) {
    match parts(text).as_slice() {
        [source, target] => ((*source).to_owned(), (*target).to_owned(), false),
        [source, target, options] => {
            ((*source).to_owned(), (*target).to_owned(), options.split(',').any(|option| option == "ro"))
        }
        _ => (String::new(), text.to_owned(), false),
    }
}

/// A size as ours are written, `512m` and `1gb` included.
pub(super) fn size(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim().to_uppercase();
    let text = text.trim_end_matches('B');
    let number = text.strip_suffix(['K', 'M', 'G'])?;
    number.parse::<u64>().ok().map(|_| text.to_owned())
}
