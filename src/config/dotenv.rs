//! Dotenv files: `NAME=value`, taken literally. Quotes are taken off; nothing is substituted.

use std::collections::BTreeMap;

use super::diagnostics::{Diagnostics, Place};

/// Reads the variables of a dotenv file; lines that are none are reported.
pub(super) fn parse(text: &str, file: usize, diagnostics: &Diagnostics) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let line = rest.split('\n').next().unwrap_or_default();
        let place = Place { file, start: at, end: at + line.trim_end().len() };
        match assignment(line, rest) {
            Ok(None) => at += line.len() + 1,
            Ok(Some((name, value, used))) => {
                variables.insert(name.to_owned(), value);
                at += used;
                at += text[at.min(text.len())..].find('\n').map_or(text.len(), |end| end + 1);
            }
            Err((message, hint)) => {
                diagnostics.error(place, message, hint);
                at += line.len() + 1;
            }
        }
    }
    variables
}

type Mistake = (&'static str, &'static str);

/// Name, value and how many bytes of `rest` they take; `None` for a line that says nothing.
fn assignment<'a>(line: &'a str, rest: &str) -> Result<Option<(&'a str, String, usize)>, Mistake> {
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Ok(None);
    }
    let Some((left, right)) = line.split_once('=') else {
        return Err(("this line has no `=`", "write NAME=value, or # before a comment"));
    };
    let name = left.trim();
    let name = name.strip_prefix("export ").map_or(name, str::trim_start);
    if !is_name(name) {
        return Err(("this is not a name of a variable", "use letters, digits and _, no digit first"));
    }
    let before = left.len() + 1 + (right.len() - right.trim_start_matches([' ', '\t']).len());
    let value = &rest[before.min(rest.len())..];
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (text, used) = quoted(&value[1..], quote)?;
            let after = value[1 + used..].split('\n').next().unwrap_or_default().trim();
            if !after.is_empty() && !after.starts_with('#') {
                return Err(("there is text after the closing quote", "quote the whole value, or none of it"));
            }
            Ok(Some((name, text, before + 1 + used)))
        }
        _ => Ok(Some((name, bare(right), line.len()))),
    }
}

/// A value without quotes: up to the end of the line or a ` #`.
fn bare(right: &str) -> String {
    let right = right.trim_start();
    let end = if right.starts_with('#') { Some(0) } else { right.find(" #").or_else(|| right.find("\t#")) };
    right[..end.unwrap_or(right.len())].trim_end().to_owned()
}

/// The text up to the closing quote and the bytes it takes. Between double quotes `\n`, `\r`, `\t`,
/// `\"`, `\\` and `\$` are escapes; between single quotes nothing is.
fn quoted(text: &str, quote: char) -> Result<(String, usize), Mistake> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            return Ok((value, at + 1));
        }
        if character != '\\' || quote == '\'' {
            value.push(character);
            continue;
        }
        match characters.next().map(|(_, escaped)| escaped) {
            Some('n') => value.push('\n'),
            Some('r') => value.push('\r'),
            Some('t') => value.push('\t'),
            Some(escaped @ ('"' | '\\' | '$')) => value.push(escaped),
            Some(other) => value.extend(['\\', other]),
            None => break,
        }
    }
    Err(("the quote is not closed", "end the value with the quote it begins with"))
}

/// Whether a text is a name of an environment variable.
pub(super) fn is_name(text: &str) -> bool {
    let body = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    body && !text.is_empty() && !text.starts_with(|first: char| first.is_ascii_digit())
}
