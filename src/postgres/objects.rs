//! Roles, databases and extensions: made when they are missing, never taken away.

use std::collections::BTreeMap;

use super::SUPERUSER;
use super::connect::Session;
use super::error::PostgresError;
use super::provision::Work;
use super::sql::{identifier, literal};
use crate::model::postgres::Postgres;

/// A role as the file wants it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct WantedRole {
    pub superuser: bool,
    pub createdb: bool,
    pub grant: Vec<String>,
}

/// The roles that the file wants, by name: the app's own among them.
pub(super) fn wanted_roles(postgres: &Postgres) -> BTreeMap<String, WantedRole> {
    let of = |role: &crate::model::postgres::Role| WantedRole {
        superuser: role.superuser,
        createdb: role.createdb,
        grant: role.grant.clone(),
    };
    let mut wanted: BTreeMap<String, WantedRole> =
        postgres.roles.iter().map(|(name, role)| (name.to_string(), of(role))).collect();
    wanted.entry(postgres.user.to_string()).or_default().createdb = true;
    // Ours, made with the server; what it may do is not for the file to say.
    if let Some(own) = wanted.get_mut(SUPERUSER) {
        (own.superuser, own.createdb) = (false, false);
    }
    wanted
}

/// Makes what is missing.
pub(super) async fn make(work: &mut Work<'_>, session: &Session) -> Result<(), PostgresError> {
    let wanted = wanted_roles(work.postgres);
    make_roles(work, session, &wanted).await?;
    make_grants(work, session, &wanted).await?;
    make_databases(work, session).await?;
    fit_passwords(work, session, &wanted).await?;
    make_extensions(work).await
}

/// What a role of the server may do.
struct Seen {
    login: bool,
    createdb: bool,
    superuser: bool,
}

async fn make_roles(work: &mut Work<'_>, session: &Session, wanted: &BTreeMap<String, WantedRole>) -> Result<(), PostgresError> {
    let seen = seen_roles(work, session).await?;
    for (name, role) in wanted {
        let (statement, what) = match seen.get(name) {
            None => (create_role(name, role, &work.verifier(name)?), format!("role {name}")),
            Some(seen) => match alter_role(name, role, seen) {
                Some(statement) => (statement, format!("rights of role {name}")),
                None => continue,
            },
        };
        work.execute(session, &format!("make {what}"), &statement).await?;
        work.done.created.push(what);
    }
    Ok(())
}

async fn seen_roles(work: &Work<'_>, session: &Session) -> Result<BTreeMap<String, Seen>, PostgresError> {
    let rows = session.query("SELECT rolname::text, rolcanlogin, rolcreatedb, rolsuper FROM pg_catalog.pg_roles", &[]).await;
    let rows = rows.map_err(|error| work.failed("list roles", &error))?;
    Ok(rows.iter().map(|row| (row.get(0), Seen { login: row.get(1), createdb: row.get(2), superuser: row.get(3) })).collect())
}

fn create_role(name: &str, role: &WantedRole, verifier: &str) -> String {
    let superuser = if role.superuser { "SUPERUSER" } else { "NOSUPERUSER" };
    let createdb = if role.createdb { "CREATEDB" } else { "NOCREATEDB" };
    format!("CREATE ROLE {} LOGIN {superuser} {createdb} PASSWORD {}", identifier(name), literal(verifier))
}

/// Only what is missing: nobody loses a right here.
fn alter_role(name: &str, role: &WantedRole, seen: &Seen) -> Option<String> {
    let missing = [
        (!seen.login, " LOGIN"),
        (role.createdb && !seen.createdb && !seen.superuser, " CREATEDB"),
        (role.superuser && !seen.superuser, " SUPERUSER"),
    ];
    let words: String = missing.into_iter().filter_map(|(missing, word)| missing.then_some(word)).collect();
    (!words.is_empty()).then(|| format!("ALTER ROLE {}{words}", identifier(name)))
}

async fn make_grants(work: &mut Work<'_>, session: &Session, wanted: &BTreeMap<String, WantedRole>) -> Result<(), PostgresError> {
    const MEMBERSHIPS: &str = "SELECT member.rolname::text, granted.rolname::text FROM pg_catalog.pg_auth_members m \
         JOIN pg_catalog.pg_roles member ON member.oid = m.member JOIN pg_catalog.pg_roles granted ON granted.oid = m.roleid";
    if wanted.values().all(|role| role.grant.is_empty()) {
        return Ok(());
    }
    let rows = session.query(MEMBERSHIPS, &[]).await.map_err(|error| work.failed("list memberships", &error))?;
    let seen: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let all = wanted.iter().flat_map(|(name, role)| role.grant.iter().map(move |granted| (name.clone(), granted.clone())));
    // Collected: a lazy iterator over borrows that lives across an await is not `Send` to the compiler.
    let missing: Vec<(String, String)> = all.filter(|pair| !seen.contains(pair)).collect();
    for (member, granted) in missing {
        let what = format!("grant of {granted} to {member}");
        let statement = format!("GRANT {} TO {}", identifier(&granted), identifier(&member));
        work.execute(session, &format!("make {what}"), &statement).await?;
        work.done.created.push(what);
    }
    Ok(())
}

/// The databases that the file names: the app's own first.
pub(super) fn wanted_databases(postgres: &Postgres) -> Vec<&str> {
    std::iter::once(&postgres.database).chain(&postgres.databases).map(crate::model::name::SqlName::as_str).collect()
}

async fn make_databases(work: &mut Work<'_>, session: &Session) -> Result<(), PostgresError> {
    let rows = session.query("SELECT datname::text FROM pg_catalog.pg_database", &[]).await;
    let rows = rows.map_err(|error| work.failed("list databases", &error))?;
    let seen: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for database in wanted_databases(work.postgres).into_iter().filter(|database| !seen.iter().any(|seen| seen == database)) {
        let what = format!("database {database}");
        let statement = format!("CREATE DATABASE {} OWNER {}", identifier(database), identifier(work.postgres.user.as_str()));
        work.execute(session, &format!("make {what}"), &statement).await?;
        work.done.created.push(what);
    }
    Ok(())
}

/// Sets the passwords that the server does not accept. Those of roles made just now fit.
async fn fit_passwords(
    work: &mut Work<'_>,
    session: &Session,
    wanted: &BTreeMap<String, WantedRole>,
) -> Result<(), PostgresError> {
    for role in wanted.keys().filter(|role| *role != SUPERUSER) {
        let made_now = work.done.created.contains(&format!("role {role}"));
        if made_now || work.password_fits(role).await? {
            continue;
        }
        let statement = work.password_statement(role)?;
        work.execute(session, &format!("set the password of role {role}"), &statement).await?;
        work.done.created.push(format!("password of role {role}"));
    }
    Ok(())
}

async fn make_extensions(work: &mut Work<'_>) -> Result<(), PostgresError> {
    if work.postgres.extensions.is_empty() {
        return Ok(());
    }
    for database in wanted_databases(work.postgres) {
        let session = work.open(database).await?;
        let rows = session.query("SELECT extname::text FROM pg_catalog.pg_extension", &[]).await;
        let rows = rows.map_err(|error| work.failed("list extensions", &error))?;
        let seen: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        for extension in work.postgres.extensions.iter().filter(|extension| !seen.contains(extension)) {
            let what = format!("extension {extension} in {database}");
            let statement = format!("CREATE EXTENSION IF NOT EXISTS {} CASCADE", identifier(extension));
            work.execute(&session, &format!("make {what}"), &statement).await?;
            work.done.created.push(what);
        }
        session.close(work.clock).await;
    }
    Ok(())
}
