//! The roles of a set that a server lacks. Those that are there stay as they are, with their passwords.

use std::collections::BTreeSet;

use super::super::error::BackupError;
use super::super::facts;
use crate::postgres::connect::Session;

/// Makes the roles that are missing, all or none: one that is half made would be taken for one that is there.
pub async fn make_missing(session: &Session, globals: &str) -> Result<(), BackupError> {
    let rows = facts::rows(session, "list roles", "SELECT rolname::text FROM pg_catalog.pg_roles").await?;
    let there: BTreeSet<String> = rows.iter().map(|row| facts::get(row, 0)).collect::<Result<_, _>>()?;
    // Statements that are sent together are one transaction.
    facts::run(session, "make the roles of the set that are missing", &missing(globals, &there).join(";\n")).await
}

/// The statements about roles that are not there, in order. Of memberships: where one of the two was not there.
fn missing(globals: &str, there: &BTreeSet<String>) -> Vec<String> {
    let is_missing = |name: &Option<String>| name.as_ref().is_some_and(|name| !there.contains(name));
    let wanted = statements(globals).into_iter().filter(|statement| {
        let mut words = Words { rest: statement };
        match (words.next().as_deref(), words.next()) {
            (Some("CREATE" | "ALTER"), Some(kind)) if kind == "ROLE" => {
                let name = words.next();
                is_missing(&name) && words.next().as_deref() != Some("IN")
            }
            (Some("COMMENT"), Some(_)) => words.next().as_deref() == Some("ROLE") && is_missing(&words.next()),
            (Some("GRANT"), role) => words.next().as_deref() == Some("TO") && (is_missing(&role) || is_missing(&words.next())),
            _ => false,
        }
    });
    wanted.collect()
}

/// The statements of a dump of globals: `;` in a name or a text ends none.
fn statements(globals: &str) -> Vec<String> {
    let (mut all, mut one, mut quote) = (Vec::new(), String::new(), None);
    for line in globals.lines() {
        if quote.is_none() && one.is_empty() && (line.starts_with("--") || line.starts_with('\\')) {
            continue;
        }
        for letter in line.chars() {
            match (letter, quote) {
                ('\'' | '"', None) => quote = Some(letter),
                (letter, Some(open)) if letter == open => quote = None,
                (';', None) => {
                    all.push(std::mem::take(&mut one).trim().to_owned());
                    continue;
                }
                _ => {}
            }
            one.push(letter);
        }
        if quote.is_some() || !one.trim().is_empty() {
            one.push('\n');
        } else {
            one.clear();
        }
    }
    all
}

/// The words of a statement; a quoted name without its quotes.
struct Words<'a> {
    rest: &'a str,
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            return (!word.is_empty()).then(|| word.to_owned());
        };
        let (mut name, mut letters) = (String::new(), quoted.char_indices().peekable());
        while let Some((at, letter)) = letters.next() {
            if letter != '"' {
                name.push(letter);
            } else if letters.next_if(|(_, next)| *next == '"').is_some() {
                name.push('"');
            } else {
                self.rest = &quoted[at + 1..];
                return Some(name);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_made_and_no_password_of_what_is_there_is_set() {
        let globals = "\\restrict abc\n--\n-- Roles\n--\nSET client_encoding = 'UTF8';\nCREATE ROLE app;\n\
             ALTER ROLE app WITH LOGIN PASSWORD 'SCRAM-SHA-256$old';\nCREATE ROLE \"od;d \"\"role\";\n\
             ALTER ROLE \"od;d \"\"role\" WITH LOGIN PASSWORD 'it''s; new';\nALTER ROLE \"od;d \"\"role\" SET search_path TO 'a', 'b';\n\
             COMMENT ON ROLE \"od;d \"\"role\" IS 'two\n-- lines';\nGRANT app TO \"od;d \"\"role\" GRANTED BY postgres;\n\
             GRANT pg_read_all_data TO app;\n\\unrestrict abc\n";
        let there = ["app", "postgres", "pg_read_all_data"].map(str::to_owned).into();
        let made = missing(globals, &there);
        assert_eq!(
            made,
            [
                "CREATE ROLE \"od;d \"\"role\"",
                "ALTER ROLE \"od;d \"\"role\" WITH LOGIN PASSWORD 'it''s; new'",
                "ALTER ROLE \"od;d \"\"role\" SET search_path TO 'a', 'b'",
                "COMMENT ON ROLE \"od;d \"\"role\" IS 'two\n-- lines'",
                "GRANT app TO \"od;d \"\"role\" GRANTED BY postgres",
            ]
        );
    }
}
