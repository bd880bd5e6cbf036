//! What a database has that its archive does not bring back under another name: rights, settings, a limit of
//! connections, a comment (`postgres-facts.md`, M8).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::error::BackupError;
use super::super::facts;
use super::super::manifest::Properties;
use crate::postgres::connect::Session;
use crate::postgres::sql::{identifier, literal};

/// Settings whose value is a list of names: each is spelled by itself.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// Settings of a database by role; `""`: for all.
pub type Settings = BTreeMap<String, Vec<String>>;

/// Gives a database what another one had.
pub async fn give(session: &Session, name: &str, had: &Properties, settings: &Settings) -> Result<(), BackupError> {
    facts::run(session, "give the database its settings", &setting_statements(name, settings)).await?;
    if let Some(rights) = &had.rights {
        give_rights(session, name, had, rights).await?;
    }
    // Last: from here on others get in who know its name.
    facts::run(session, "give the database its properties", &properties(name, had)).await
}

/// The server itself reads what rights mean: `"odd role"=c*T/owner`.
async fn give_rights(session: &Session, name: &str, properties: &Properties, rights: &[String]) -> Result<(), BackupError> {
    const READ: &str = "SELECT a.privilege_type::text, \
         CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END::text, \
         a.is_grantable FROM pg_catalog.aclexplode($1::text[]::aclitem[]) a";
    let rows = session.query(READ, &[&rights]).await;
    let rows = rows.map_err(|error| BackupError::statement("understand the rights of the database", &error))?;
    let (database, owner) = (identifier(name), identifier(&properties.owner));
    let mut statements =
        format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE ALL ON DATABASE {database} FROM {owner};");
    for row in &rows {
        let (privilege, grantee): (String, String) = (facts::get(row, 0)?, facts::get(row, 1)?);
        let option = if facts::get(row, 2)? { " WITH GRANT OPTION" } else { "" };
        let _ = write!(statements, "GRANT {privilege} ON DATABASE {database} TO {grantee}{option};");
    }
    facts::run(session, "give the database its rights", &statements).await
}

fn properties(name: &str, properties: &Properties) -> String {
    let database = identifier(name);
    let template = if properties.is_template { format!("ALTER DATABASE {database} IS_TEMPLATE true;") } else { String::new() };
    let comment = properties.comment.as_deref().map(|words| format!("COMMENT ON DATABASE {database} IS {};", literal(words)));
    let limit = properties.connection_limit;
    format!("{template}{}ALTER DATABASE {database} CONNECTION LIMIT {limit}", comment.unwrap_or_default())
}

fn setting_statements(name: &str, settings: &Settings) -> String {
    let mut statements = String::new();
    for (role, settings) in settings {
        let of = match role.as_str() {
            "" => format!("ALTER DATABASE {}", identifier(name)),
            role => format!("ALTER ROLE {} IN DATABASE {}", identifier(role), identifier(name)),
        };
        for (setting, value) in settings.iter().filter_map(|setting| setting.split_once('=')) {
            // `app.name` is of two names.
            let spelled = setting.split('.').map(identifier).collect::<Vec<_>>().join(".");
            let _ = write!(statements, "{of} SET {spelled} TO {};", spelled_value(setting, value));
        }
    }
    statements
}

fn spelled_value(setting: &str, value: &str) -> String {
    let names = names(value);
    if LISTS.contains(&setting) && !names.is_empty() {
        return names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
    }
    literal(value)
}

/// The names of a list as the server keeps it: `"$user", public`.
fn names(value: &str) -> Vec<String> {
    let (mut all, mut one, mut is_quoted, mut is_begun) = (Vec::new(), String::new(), false, false);
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.next_if_eq(&'"').is_some() => one.push('"'),
            '"' => (is_quoted, is_begun) = (!is_quoted, true),
            ',' if !is_quoted => all.push(std::mem::take(&mut one)),
            letter if letter.is_whitespace() && !is_quoted => {}
            letter => {
                is_begun = true;
                one.push(letter);
            }
        }
    }
    if is_begun {
        all.push(one);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_spelled_so_that_the_server_keeps_what_it_kept_before() {
        let table = [
            (("", "TimeZone=Europe/Zurich"), "ALTER DATABASE \"n\" SET \"TimeZone\" TO 'Europe/Zurich';"),
            (("", "search_path=\"$user\", public"), "ALTER DATABASE \"n\" SET \"search_path\" TO '$user', 'public';"),
            (("", "search_path=\"\""), "ALTER DATABASE \"n\" SET \"search_path\" TO '';"),
            (("odd \"r", "app.name=it's, so"), "ALTER ROLE \"odd \"\"r\" IN DATABASE \"n\" SET \"app\".\"name\" TO 'it''s, so';"),
            (("", "work_mem=4MB"), "ALTER DATABASE \"n\" SET \"work_mem\" TO '4MB';"),
        ];
        for ((role, setting), want) in table {
            let settings = BTreeMap::from([(role.to_owned(), vec![setting.to_owned()])]);
            assert_eq!(setting_statements("n", &settings), want);
        }
    }

    #[test]
    fn who_may_connect_is_said_last() {
        let odd =
            Properties { connection_limit: -1, is_template: true, comment: Some("it's".to_owned()), ..Properties::default() };
        let want =
            "ALTER DATABASE \"n\" IS_TEMPLATE true;COMMENT ON DATABASE \"n\" IS 'it''s';ALTER DATABASE \"n\" CONNECTION LIMIT -1";
        assert_eq!(properties("n", &odd), want);
    }
}
