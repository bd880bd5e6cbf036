//! What `pg_restore --list` says of an archive. Pure.

use std::collections::BTreeSet;

use super::manifest::{Database, TableKind};

/// The contents of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The database it is of.
    pub database: Option<String>,
    /// Entries, as the head says.
    pub entries: Option<u32>,
    /// The version of the server it is of.
    pub server: Option<String>,
    /// The tables whose rows it has, by object id.
    pub rows_of: BTreeSet<u32>,
    /// The materialised views that it fills, by object id.
    pub fills: BTreeSet<u32>,
}

impl Listing {
    /// Takes in the next line.
    pub fn line(&mut self, line: &str) {
        match line.strip_prefix(';') {
            Some(head) => self.head(head.trim_start()),
            None => self.entry(line),
        }
    }

    fn head(&mut self, line: &str) {
        let Some((key, value)) = line.split_once(": ") else { return };
        match key {
            "dbname" => self.database = Some(value.to_owned()),
            "TOC Entries" => self.entries = value.trim().parse().ok(),
            "Dumped from database version" => self.server = Some(value.to_owned()),
            _ => {}
        }
    }

    /// `3346; 0 16386 TABLE DATA public t app`: the third number is the object's id.
    fn entry(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (_, _, oid) = (words.next(), words.next(), words.next());
        let Some(oid) = oid.and_then(|oid| oid.parse().ok()) else { return };
        let rest = line.splitn(4, ' ').nth(3).unwrap_or_default();
        if rest.starts_with("TABLE DATA ") {
            self.rows_of.insert(oid);
        } else if rest.starts_with("MATERIALIZED VIEW DATA ") {
            self.fills.insert(oid);
        }
    }

    /// What differs from what is known of the database, for people; `None`: nothing. `entries` is what the
    /// archive had when it was new, where that is known.
    pub fn difference(&self, database: &Database, version: &str, entries: Option<u32>) -> Option<String> {
        if self.database.as_deref() != Some(shown(&database.name).as_str()) {
            let found = self.database.as_deref().unwrap_or("none");
            return Some(format!("it is an archive of database {found}, not of {}", database.name));
        }
        if self.server.as_deref().is_none_or(|server| !server.starts_with(version)) {
            let found = self.server.as_deref().unwrap_or("nothing");
            return Some(format!("it was dumped from a server {version}, and says {found}"));
        }
        match (self.entries, entries) {
            (None, _) => return Some("it has no table of contents".to_owned()),
            (Some(found), Some(known)) if found != known => {
                return Some(format!("it has {found} entries, and {known} were dumped"));
            }
            _ => {}
        }
        let tables = &database.content.tables;
        // A view over one that was never filled is not filled either by what is dumped.
        let is_filled = !tables.iter().any(|table| table.kind == TableKind::EmptyView);
        let lacks = tables.iter().find(|table| match table.kind {
            TableKind::Table => !self.rows_of.contains(&table.oid),
            TableKind::MaterializedView => is_filled && !self.fills.contains(&table.oid),
            TableKind::Configuration | TableKind::EmptyView => false,
        });
        lacks.map(|table| format!("the rows of {}.{} are not in it", table.schema, table.name))
    }
}

/// A name as the list shows it: on one line.
fn shown(name: &str) -> String {
    name.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::backup::manifest::{Content, Table};

    const LIST: &str = ";\n; Archive created at 2026-11-30 00:00:00 UTC\n;     dbname: app\n;     TOC Entries: 12\n;     Compression: 0\n\
         ;     Dumped from database version: 15.18 (Debian 15.18-0+deb12u1)\n;\n; Selected TOC Entries:\n;\n\
         215; 1259 16386 TABLE public t app\n3346; 0 16386 TABLE DATA public t app\n\
         3350; 0 16400 MATERIALIZED VIEW DATA public m app\n";

    fn listing(text: &str) -> Listing {
        let mut listing = Listing::default();
        text.lines().for_each(|line| listing.line(line));
        listing
    }

    fn database(oids: &[(u32, TableKind)]) -> Database {
        let table = |(oid, kind): &(u32, TableKind)| Table {
            oid: *oid,
            schema: "public".to_owned(),
            name: "t".to_owned(),
            kind: *kind,
            rows: 1,
            exact: true,
        };
        let content = Content { tables: oids.iter().map(table).collect(), ..Content::default() };
        crate::postgres::backup::tests::database("app", content)
    }

    #[test]
    fn an_archive_has_what_was_dumped() {
        type Row<'a> = (&'a str, Vec<(u32, TableKind)>, &'a str, Option<u32>, Option<&'a str>);
        let table = TableKind::Table;
        let rows: [Row<'_>; 8] = [
            (LIST, vec![(16386, table), (16400, TableKind::MaterializedView)], "15.18", Some(12), None),
            (LIST, vec![(16386, table)], "15.18", None, None),
            (LIST, vec![(1, TableKind::Configuration), (2, TableKind::EmptyView)], "15.18", None, None),
            (LIST, vec![(16387, table)], "15.18", None, Some("the rows of public.t are not in it")),
            (LIST, vec![(16386, TableKind::MaterializedView)], "15.18", None, Some("the rows of public.t are not in it")),
            (LIST, vec![], "15.18", Some(13), Some("it has 12 entries, and 13 were dumped")),
            (LIST, vec![], "17.2", None, Some("it was dumped from a server 17.2, and says 15.18 (Debian 15.18-0+deb12u1)")),
            ("", vec![], "15.18", None, Some("it is an archive of database none, not of app")),
        ];
        for (text, oids, version, entries, want) in rows {
            let found = listing(text).difference(&database(&oids), version, entries);
            assert_eq!(found.as_deref(), want, "{oids:?} {entries:?}");
        }
    }

    #[test]
    fn what_a_terminal_did_to_an_archive_is_no_table_of_contents() {
        // `postgres-facts.md`, 3.1: every line feed became two more bytes, and the list ends well.
        let text = ";     dbname: app\n;     TOC Entries: -80568799\n;     Dumped from database version: 15.18\n";
        let found = listing(text).difference(&database(&[]), "15.18", None);
        assert_eq!(found.as_deref(), Some("it has no table of contents"));
    }
}
