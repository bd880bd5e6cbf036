//! What of an archive of others is restored, by its table of contents. Pure.

use super::super::facts::Server;
use super::super::listing::Listing;

/// `7; 3079 16385 EXTENSION - postgis `: what an entry is, behind its numbers.
fn described(line: &str) -> &str {
    line.split_once("; ").and_then(|(_, rest)| rest.splitn(3, ' ').nth(2)).unwrap_or_default()
}

/// The extension that an entry makes.
pub fn extension(line: &str) -> Option<&str> {
    described(line).strip_prefix("EXTENSION - ")?.split(' ').next().filter(|name| !name.is_empty())
}

/// Whether an entry is restored: extensions are made before, and what is said of them may be said by their owner alone.
pub fn is_restored(line: &str) -> bool {
    let described = described(line);
    let is_of_extension = ["EXTENSION - ", "COMMENT - EXTENSION "].iter().any(|begin| described.starts_with(begin));
    !line.starts_with(';') && !described.is_empty() && !is_of_extension
}

/// Whether an entry makes one of these schemas, or says something of it: an extension brought it, or every database
/// has it.
pub fn is_of_schema(line: &str, schemas: &[String]) -> bool {
    let described = described(line);
    let name = described.strip_prefix("SCHEMA - ").or(described.strip_prefix("COMMENT - SCHEMA "));
    let is_it = |schema: &String, name: &str| name.strip_prefix(schema.as_str()).is_some_and(|rest| rest.starts_with(' '));
    name.is_some_and(|name| schemas.iter().any(|schema| is_it(schema, name)))
}

/// What keeps an archive from being restored.
pub fn lacking(listing: &Listing, server: &Server) -> Option<String> {
    if listing.entries.is_none_or(|entries| entries == 0) {
        return Some("it has no table of contents".to_owned());
    }
    let of = listing.server.as_deref().unwrap_or_default();
    let major = of.split(['.', ' ']).next().and_then(|major| major.parse::<u32>().ok());
    let is_newer = major.is_some_and(|major| major > server.major());
    is_newer.then(|| format!("it is of PostgreSQL {of}, and the server is {}", server.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_made_by_who_may_and_are_not_commented_on() {
        let lines = [
            (";     dbname: app", None, false),
            ("2; 3079 16385 EXTENSION - postgis ", Some("postgis"), false),
            ("4000; 0 0 COMMENT - EXTENSION postgis ", None, false),
            ("215; 1259 16386 TABLE public EXTENSION - app", None, true),
            ("3346; 0 16386 TABLE DATA public t app", None, true),
            ("", None, false),
        ];
        for (line, name, restored) in lines {
            assert_eq!((extension(line), is_restored(line)), (name, restored), "{line}");
        }
    }

    #[test]
    fn schemas_that_are_there_are_not_made() {
        let schemas = ["public".to_owned(), "topology".to_owned()];
        let lines = [
            ("7; 2615 2200 SCHEMA - topology app", true),
            ("8; 0 0 COMMENT - SCHEMA public app", true),
            ("7; 2615 2200 SCHEMA - topology2 app", false),
            ("7; 2615 2200 TABLE topology SCHEMA - public app", false),
        ];
        for (line, want) in lines {
            assert_eq!(is_of_schema(line, &schemas), want, "{line}");
        }
    }

    #[test]
    fn what_has_no_contents_or_is_of_a_newer_server_is_refused() {
        let server = Server {
            system_identifier: String::new(),
            version_num: 150_018,
            version: "15.18".to_owned(),
            bootstrap_role: String::new(),
            settings: std::collections::BTreeMap::new(),
            databases: std::collections::BTreeMap::new(),
            bytes: 0,
        };
        let listing = |entries, server: &str| Listing { entries, server: Some(server.to_owned()), ..Listing::default() };
        let table = [
            (listing(None, "15.18"), Some("it has no table of contents")),
            (listing(Some(0), "15.18"), Some("it has no table of contents")),
            (listing(Some(3), "17.2 (Debian)"), Some("it is of PostgreSQL 17.2 (Debian), and the server is 15.18")),
            (listing(Some(3), "9.6.24"), None),
            (listing(Some(3), "15.2"), None),
        ];
        for (listing, want) in table {
            assert_eq!(lacking(&listing, &server).as_deref(), want, "{listing:?}");
        }
    }
}
