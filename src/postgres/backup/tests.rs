//! Sets without an engine: descriptions, files, rules.

mod daemon;
mod directory;
mod due;
mod due_properties;
mod files;
mod oracle;
mod retention;
mod retention_properties;
mod timetable;

use super::manifest::{Content, Database, Properties, Stored};

/// A database of a set.
pub(super) fn database(name: &str, content: Content) -> Database {
    Database {
        name: name.to_owned(),
        oid: 16_384,
        lsn: "0/1".to_owned(),
        stored: Stored { file: super::names::dump_file(name), ..Stored::default() },
        toc_entries: 0,
        properties: Properties { owner: name.to_owned(), encoding: "UTF8".to_owned(), ..Properties::default() },
        settings: std::collections::BTreeMap::new(),
        extensions: std::collections::BTreeMap::new(),
        content,
    }
}
