//! Names of databases change hands. Each step here may be the last of a daemon or a server: whoever comes next looks
//! at what is there and goes on, and asking twice changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Sets;
use super::super::error::BackupError;
use super::super::facts::{self, run};
use super::super::take::Order;
use super::MAINTENANCE;
use crate::model::restore::Exchange;
use crate::postgres::SUPERUSER;
use crate::postgres::connect::{Session, within};
use crate::postgres::marker;
use crate::postgres::sql::{identifier, literal};

/// A database that nobody needs to be in to see the others.
const ASIDE: &str = "template1";
/// How long sessions that were ended may take to go.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an exchange may take in all.
const LIMIT: Duration = Duration::from_secs(60);
/// Somebody may hold a database with an `ALTER DATABASE` that is not committed, in another one.
const LOCK_WAIT: &str = "SET lock_timeout = '5s'";
const PAUSE: Duration = Duration::from_millis(100);

/// The databases of a server by their object ids.
type Names = BTreeMap<u32, String>;

impl Sets {
    /// Gives every name to the database that is to have it, all at once. Who had it before is closed, and named
    /// after its object id; who has it now is open. That `init` is to run in them is noted in the same moment. Those who
    /// need the server stand still meanwhile, so it fails where it takes long.
    pub async fn exchange(
        &self,
        order: &Order<'_>,
        line: &str,
        databases: &[Exchange],
        initialise: bool,
    ) -> Result<(), BackupError> {
        let late = BackupError::Slow { what: "the change of the names".to_owned(), limit: LIMIT, silent: false };
        let changing = self.exchange_now(order, line, databases, initialise);
        within(self.clock.as_ref(), LIMIT, changing).await.unwrap_or(Err(late))
    }

    async fn exchange_now(
        &self,
        order: &Order<'_>,
        line: &str,
        databases: &[Exchange],
        initialise: bool,
    ) -> Result<(), BackupError> {
        let session = self.aside(order, databases.iter().map(|exchange| &exchange.name)).await?;
        is_of(&session, line).await?;
        run(&session, "limit the wait for locks", LOCK_WAIT).await?;
        let until = self.clock.moment() + PATIENCE;
        let outcome = loop {
            match change(order, &session, databases, initialise).await {
                Err(_) if self.clock.moment() < until => self.clock.sleep(PAUSE).await,
                outcome => break outcome,
            }
        };
        // However it went: who has a name can be reached by it.
        let opened = open(&session, databases).await;
        session.close(self.clock.as_ref()).await;
        outcome.and(opened)
    }

    /// A session in none of these databases.
    pub(super) async fn aside(
        &self,
        order: &Order<'_>,
        mut databases: impl Iterator<Item = &String>,
    ) -> Result<Session, BackupError> {
        let via = if databases.any(|name| name == MAINTENANCE) { ASIDE } else { SUPERUSER };
        self.open(order, via).await
    }

    /// Removes databases that a restore made, or put aside. Of others of such a number nothing is removed, nor of
    /// another data directory.
    pub async fn clear(&self, order: &Order<'_>, line: &str, databases: &[u32]) -> Result<(), BackupError> {
        let session = self.open(order, SUPERUSER).await?;
        if !line.is_empty() && is_of(&session, line).await.is_err() {
            session.close(self.clock.as_ref()).await;
            return Ok(());
        }
        self.end_copies(&session).await?;
        for (oid, name) in names(&session).await? {
            if facts::is_unfinished(&name) || (name == aside(oid) && databases.contains(&oid)) {
                let name = identifier(&name);
                run(&session, "unmark a template", &format!("ALTER DATABASE {name} IS_TEMPLATE false")).await?;
                run(&session, "remove what is not used any more", &format!("DROP DATABASE {name} WITH (FORCE)")).await?;
            }
        }
        run(&session, "remove the role of a file", &format!("DROP ROLE IF EXISTS {}", super::foreign::STRANGER)).await?;
        session.close(self.clock.as_ref()).await;
        Ok(())
    }

    /// Ends the making of databases that nobody waits for any more: a server does not notice that whoever asked for one
    /// is gone, and it would be there later.
    async fn end_copies(&self, session: &Session) -> Result<(), BackupError> {
        const END: &str = "SELECT count(pg_catalog.pg_terminate_backend(pid))::int8 FROM pg_catalog.pg_stat_activity \
             WHERE pid <> pg_catalog.pg_backend_pid() AND application_name = 'witwd' AND state = 'active' \
             AND starts_with(query, 'CREATE DATABASE \"witwd_new_')";
        let until = self.clock.moment() + PATIENCE;
        while facts::number(session, "end what nobody waits for", END).await? > 0 && self.clock.moment() < until {
            self.clock.sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// Ends the sessions of others in a database.
pub fn end_sessions(database: &str) -> String {
    format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = {} \
         AND pid <> pg_catalog.pg_backend_pid()",
        literal(database)
    )
}

/// What a database is called that gave up its name.
fn aside(oid: u32) -> String {
    format!("witwd_old_{oid}")
}

/// The exchange that gives the name of one to another.
pub async fn between(session: &Session, new: &str, name: &str) -> Result<Exchange, BackupError> {
    let names = names(session).await?;
    let of = |wanted: &str| names.iter().find(|(_, name)| *name == wanted).map(|(oid, _)| *oid);
    Ok(Exchange { name: name.to_owned(), live: of(new), spare: of(name) })
}

/// Gives a database that nobody uses its name, and opens it.
pub async fn rename(session: &Session, from: &str, to: &str) -> Result<(), BackupError> {
    let statement = format!("ALTER DATABASE {} RENAME TO {}", identifier(from), identifier(to));
    run(session, "give the copy its name", &statement).await
}

async fn is_of(session: &Session, line: &str) -> Result<(), BackupError> {
    const ASK: &str = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";
    let row = facts::one(session, "ask what the server is", ASK).await?;
    let found: String = facts::get(&row, 0)?;
    if found == line { Ok(()) } else { Err(BackupError::AnotherServer) }
}

async fn names(session: &Session) -> Result<Names, BackupError> {
    let rows = facts::rows(session, "list databases", "SELECT oid::int8, datname::text FROM pg_catalog.pg_database").await?;
    rows.iter().map(|row| Ok((facts::as_oid(facts::get(row, 0)?), facts::get(row, 1)?))).collect()
}

/// Changes the names in one transaction, where they are not changed yet.
async fn change(order: &Order<'_>, session: &Session, databases: &[Exchange], initialise: bool) -> Result<(), BackupError> {
    let names = names(session).await?;
    let renames = renames(&names, databases).map_err(BackupError::Gone)?;
    if renames.is_empty() {
        return Ok(());
    }
    for (from, _) in &renames {
        run(session, "close a database", &format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", identifier(from))).await?;
        run(session, "end its sessions", &end_sessions(from)).await?;
    }
    let mut all: Vec<String> =
        renames.iter().map(|(from, to)| format!("ALTER DATABASE {} RENAME TO {}", identifier(from), identifier(to))).collect();
    all.extend(keep_marker(order, session, databases, initialise).await?);
    let changed = run(session, "change the names", &format!("BEGIN; {}; COMMIT", all.join("; "))).await;
    if changed.is_err() {
        run(session, "end a transaction", "ROLLBACK").await?;
    }
    changed
}

/// The statement that keeps the marker of initialisation true.
async fn keep_marker(
    order: &Order<'_>,
    session: &Session,
    databases: &[Exchange],
    initialise: bool,
) -> Result<Option<String>, BackupError> {
    let row = facts::one(session, "look for the marker", marker::QUERY).await?;
    let comment: Option<String> = facts::get(&row, 0)?;
    let changes = |name: &str| databases.iter().any(|exchange| exchange.name == name && exchange.live.is_some());
    let app_changes = order.postgres().is_some_and(|postgres| changes(postgres.database.as_str()));
    Ok(marker::after_exchange(comment.as_deref(), initialise, app_changes, changes(MAINTENANCE)))
}

/// What is to be renamed, in order; empty where every name is where it belongs. `Err`: the name of one whose new
/// database is not there.
fn renames(names: &Names, databases: &[Exchange]) -> Result<Vec<(String, String)>, String> {
    let mut renames = Vec::new();
    for Exchange { name, live, .. } in databases {
        let holder = names.iter().find(|(_, held)| *held == name).map(|(oid, _)| *oid);
        if holder == *live {
            continue;
        }
        let incoming = match live {
            None => None,
            Some(oid) => Some(names.get(oid).ok_or_else(|| name.clone())?.clone()),
        };
        renames.extend(holder.map(|oid| (name.clone(), aside(oid))));
        renames.extend(incoming.map(|incoming| (incoming, name.clone())));
    }
    Ok(renames)
}

/// Opens who has a name.
async fn open(session: &Session, databases: &[Exchange]) -> Result<(), BackupError> {
    let names = names(session).await?;
    for Exchange { name, .. } in databases.iter().filter(|exchange| names.values().any(|held| *held == exchange.name)) {
        run(session, "open a database", &format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", identifier(name))).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(live: Option<u32>, spare: Option<u32>) -> Exchange {
        Exchange { name: "app".to_owned(), live, spare }
    }

    fn of(names: &[(u32, &str)]) -> Names {
        names.iter().map(|(oid, name)| (*oid, (*name).to_owned())).collect()
    }

    #[test]
    fn whatever_was_done_of_an_exchange_it_goes_on_from_there() {
        let forth = exchange(Some(9), Some(5));
        let back = forth.reverse();
        let before = of(&[(5, "app"), (9, "witwd_new_1")]);
        let after = of(&[(5, "witwd_old_5"), (9, "app")]);
        let pairs = |renames: &[(&str, &str)]| -> Vec<(String, String)> {
            renames.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
        };
        let table = [
            (&before, &forth, pairs(&[("app", "witwd_old_5"), ("witwd_new_1", "app")])),
            (&after, &forth, Vec::new()),
            (&after, &back, pairs(&[("app", "witwd_old_9"), ("witwd_old_5", "app")])),
            (&before, &back, Vec::new()),
        ];
        for (names, exchange, want) in table {
            assert_eq!(renames(names, std::slice::from_ref(exchange)), Ok(want), "{names:?} {exchange:?}");
        }
    }

    #[test]
    fn a_name_that_nobody_had_is_given_and_taken_away() {
        let names = of(&[(9, "witwd_new_1")]);
        let forth = exchange(Some(9), None);
        assert_eq!(renames(&names, std::slice::from_ref(&forth)), Ok(vec![("witwd_new_1".to_owned(), "app".to_owned())]));
        let names = of(&[(9, "app")]);
        assert_eq!(renames(&names, &[forth.reverse()]), Ok(vec![("app".to_owned(), "witwd_old_9".to_owned())]));
    }

    #[test]
    fn a_name_is_not_given_up_for_a_database_that_is_gone() {
        assert_eq!(renames(&of(&[(5, "app")]), &[exchange(Some(9), Some(5))]), Err("app".to_owned()));
    }
}
