//! Statements that make a database like one of a set. Pure.

use super::manifest::Properties;
use crate::postgres::sql::{identifier, literal};

/// How a database is named to a program that would read an address out of a name: `dbname='odd \' name'`.
pub fn connection(database: &str) -> String {
    let escaped = database.replace('\\', "\\\\").replace('\'', "\\'");
    format!("dbname='{escaped}'")
}

/// Makes an empty database like one of a set, from the template that nobody changes.
pub fn create(name: &str, properties: &Properties, major: u32) -> String {
    let mut words = vec![
        format!("CREATE DATABASE {} TEMPLATE template0", identifier(name)),
        format!("OWNER {}", identifier(&properties.owner)),
        format!("ENCODING {}", literal(&properties.encoding)),
        format!("LC_COLLATE {} LC_CTYPE {}", literal(&properties.collate), literal(&properties.ctype)),
    ];
    let locale = properties.locale.as_deref().map(literal);
    match (properties.locale_provider.as_str(), locale) {
        ("icu", Some(locale)) => words.push(format!("LOCALE_PROVIDER icu ICU_LOCALE {locale}")),
        ("builtin", Some(locale)) => words.push(format!("LOCALE_PROVIDER builtin BUILTIN_LOCALE {locale}")),
        // A template of another provider would hand down its own; before 15 there is but one.
        _ if major >= 15 => words.push("LOCALE_PROVIDER libc".to_owned()),
        _ => {}
    }
    words.extend(properties.icu_rules.as_deref().map(|rules| format!("ICU_RULES {}", literal(rules))));
    format!("{};\n", words.join(" "))
}

/// The same in a trial, where a new server has a `postgres` of its own.
pub fn create_for_trial(name: &str, properties: &Properties, major: u32) -> String {
    // A worker that the image preloads may be connected to it.
    let own = if name == "postgres" { "DROP DATABASE postgres WITH (FORCE);\n" } else { "" };
    format!("{own}{}", create(name, properties, major))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(provider: &str, locale: Option<&str>) -> Properties {
        Properties {
            owner: "The \"App\"".to_owned(),
            encoding: "UTF8".to_owned(),
            locale_provider: provider.to_owned(),
            collate: "de_CH.utf8".to_owned(),
            ctype: "C".to_owned(),
            locale: locale.map(str::to_owned),
            ..Properties::default()
        }
    }

    #[test]
    fn a_database_is_made_like_the_one_it_is_of() {
        let head = "CREATE DATABASE \"a\"\"b\" TEMPLATE template0 OWNER \"The \"\"App\"\"\" ENCODING 'UTF8' LC_COLLATE 'de_CH.utf8' LC_CTYPE 'C'";
        let table = [
            (properties("libc", None), 14, format!("{head};\n")),
            (properties("libc", None), 15, format!("{head} LOCALE_PROVIDER libc;\n")),
            (properties("icu", Some("de-CH")), 15, format!("{head} LOCALE_PROVIDER icu ICU_LOCALE 'de-CH';\n")),
            (properties("builtin", Some("C.UTF-8")), 17, format!("{head} LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8';\n")),
        ];
        for (properties, major, want) in table {
            assert_eq!(create("a\"b", &properties, major), want);
        }
    }

    #[test]
    fn a_name_is_never_read_as_an_address() {
        assert_eq!(connection("host=evil"), "dbname='host=evil'");
        assert_eq!(connection("it's \\ odd"), "dbname='it\\'s \\\\ odd'");
    }
}
