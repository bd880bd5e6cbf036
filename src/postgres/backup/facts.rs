//! What is in a server: asked in the snapshot that is dumped, so that it can be compared with what is restored.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::FromSqlOwned;
use tokio_postgres::{Client, Row};

use super::error::BackupError;
use super::manifest::{Content, Properties, Table, TableKind};
use crate::host::Clock;
use crate::postgres::sql::identifier;

/// How long the counting of rows may take in one database; what is left is estimated.
pub const COUNTING: Duration = Duration::from_secs(5);

/// The databases of a server, in order of name, and whether they can be dumped: not what lets nobody connect, nor
/// what a `DROP DATABASE` that was interrupted left (-2). Those that a restore makes or put aside, and snapshots, are no user's.
const DATABASES: &str = "SELECT datname::text, datallowconn AND datconnlimit <> -2 FROM pg_catalog.pg_database \
     WHERE datname <> 'template0' AND datname <> 'template1' AND datname !~ '^witwd_(new|old)_[0-9]+$' \
     AND NOT starts_with(datname, 'witwd_snapshot_') ORDER BY datname COLLATE \"C\"";

/// Whether a database is one that a restore did not end.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.strip_prefix("witwd_new_").is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// The row of the database we are in, as JSON: its columns differ between versions.
const PROPERTIES: &str = "SELECT to_jsonb(d)::text, pg_catalog.pg_get_userbyid(d.datdba)::text, \
     pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datacl::text[], pg_catalog.shobj_description(d.oid, 'pg_database'), \
     d.oid::int8, pg_catalog.pg_current_wal_lsn()::text \
     FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

const SETTINGS: &str = "SELECT coalesce(r.rolname, '')::text, s.setconfig::text[] FROM pg_catalog.pg_db_role_setting s \
     LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
     WHERE s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) ORDER BY 1";

/// Extensions that did not come with the server itself among them: all have a version.
pub(super) const EXTENSIONS: &str = "SELECT extname::text, extversion::text FROM pg_catalog.pg_extension ORDER BY 1";

/// What `pg_dump` dumps rows of, and materialised views. Not what belongs to an extension, unless that says that
/// users write to it; not what a session made for itself.
pub(super) const TABLES: &str = "SELECT c.oid::int8, n.nspname::text, c.relname::text, \
     CASE WHEN e.objid IS NOT NULL THEN 'configuration' WHEN c.relkind = 'r' THEN 'table' \
          WHEN c.relispopulated THEN 'materialized_view' ELSE 'empty_view' END, greatest(c.reltuples, 0)::int8 \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     LEFT JOIN pg_catalog.pg_depend e ON e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e' \
     WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
     AND (e.objid IS NULL OR c.oid IN (SELECT unnest(extconfig) FROM pg_catalog.pg_extension)) \
     ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";

/// Indexes of users that can be used.
pub(super) const INDEXES: &str = "SELECT count(*)::int8 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE i.indisvalid AND c.relpersistence <> 't' \
     AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
     WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indrelid AND d.deptype = 'e')";

pub(super) const LARGE_OBJECTS: &str = "SELECT count(*)::int8 FROM pg_catalog.pg_largeobject_metadata";

/// A server as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// The data directory's own number.
    pub system_identifier: String,
    /// Its version as a number: 150018.
    pub version_num: u32,
    /// Its version as it says it.
    pub version: String,
    /// The role that it was made with.
    pub bootstrap_role: String,
    /// What a server needs to be started with so that its databases can be restored in it.
    pub settings: BTreeMap<String, String>,
    /// Its databases, and whether they can be connected to.
    pub databases: BTreeMap<String, bool>,
    /// What its databases take on the disk, in bytes.
    pub bytes: u64,
}

impl Server {
    /// Its major version.
    pub fn major(&self) -> u32 {
        self.version_num / 10_000
    }
}

/// Settings that decide whether a dump can be restored at all.
const NEEDED: &str = "SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ('shared_preload_libraries', \
     'max_locks_per_transaction', 'max_prepared_transactions', 'timezone_abbreviations') AND setting <> boot_val \
     OR name LIKE '%.%' AND context = 'postmaster' AND setting IS DISTINCT FROM boot_val";

/// Asks a server what it is and what is in it.
pub async fn server(client: &Client) -> Result<Server, BackupError> {
    const ABOUT: &str = "SELECT (SELECT system_identifier::text FROM pg_catalog.pg_control_system()), \
         pg_catalog.current_setting('server_version_num')::int4, pg_catalog.current_setting('server_version'), \
         pg_catalog.pg_get_userbyid(10)::text, \
         (SELECT coalesce(sum(pg_catalog.pg_database_size(oid)), 0)::int8 FROM pg_catalog.pg_database WHERE datallowconn)";
    let about = one(client, "ask what the server is", ABOUT).await?;
    let databases = rows(client, "list databases", DATABASES).await?;
    let version_num: i32 = get(&about, 1)?;
    let bytes: i64 = get(&about, 4)?;
    Ok(Server {
        system_identifier: get(&about, 0)?,
        version_num: version_num.unsigned_abs(),
        version: get(&about, 2)?,
        bootstrap_role: get(&about, 3)?,
        settings: pairs(&rows(client, "ask for settings", NEEDED).await?)?,
        databases: pairs(&databases)?,
        bytes: bytes.unsigned_abs(),
    })
}

/// A database as it is in the snapshot of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// Its object id.
    pub oid: u32,
    /// Where the server's log was.
    pub lsn: String,
    /// How it was made.
    pub properties: Properties,
    /// Settings by role; `""`: for all.
    pub settings: BTreeMap<String, Vec<String>>,
    /// Extensions and their versions.
    pub extensions: BTreeMap<String, String>,
    /// What it holds; rows are the server's estimates so far.
    pub content: Content,
}

/// One moment, seen by all who are given its name.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Begins a transaction of one moment: its name for others, and what the database is like in it.
pub async fn snapshot(client: &Client) -> Result<(String, Described), BackupError> {
    run(client, "begin a transaction", BEGIN).await?;
    let name = get(&one(client, "export a snapshot", "SELECT pg_catalog.pg_export_snapshot()").await?, 0)?;
    Ok((name, describe(client).await?))
}

/// Describes the database that `client` is in.
pub(super) async fn describe(client: &Client) -> Result<Described, BackupError> {
    let row = one(client, "describe the database", PROPERTIES).await?;
    let oid: i64 = get(&row, 5)?;
    let settings = rows(client, "ask for settings of the database", SETTINGS).await?;
    let tables = rows(client, "list tables", TABLES).await?;
    Ok(Described {
        oid: as_oid(oid),
        lsn: get(&row, 6)?,
        properties: properties(&row)?,
        settings: pairs(&settings)?,
        extensions: pairs(&rows(client, "list extensions", EXTENSIONS).await?)?,
        content: Content {
            tables: tables.iter().map(table).collect::<Result<_, _>>()?,
            large_objects: number(client, "count large objects", LARGE_OBJECTS).await?,
            indexes: number(client, "count indexes", INDEXES).await?,
        },
    })
}

/// Counts rows, as far as that is done within [`COUNTING`]: what was not counted keeps its estimate. The
/// transaction of `client` goes on.
pub async fn count(client: &Client, clock: &dyn Clock, tables: &mut [Table]) -> Result<(), BackupError> {
    let until = clock.moment() + COUNTING;
    // Small ones first: one that is large must not keep all others from being counted.
    let mut in_order: Vec<&mut Table> = tables.iter_mut().collect();
    in_order.sort_by_key(|table| table.rows);
    for table in in_order {
        let left = until.since(clock.moment());
        if table.kind == TableKind::EmptyView {
            (table.rows, table.exact) = (0, true);
        } else if let Some(rows) = count_one(client, left, &count_statement(table)).await? {
            (table.rows, table.exact) = (rows, true);
        } else if count_one(client, LOOK, &is_there_statement(table)).await? == Some(0) {
            // What the server estimates may be of yesterday.
            (table.rows, table.exact) = (0, true);
        }
    }
    Ok(())
}

/// How long is looked whether a table that was not counted has any row.
const LOOK: Duration = Duration::from_secs(1);

/// The number that a statement brings; `None` where that takes too long, or the table went meanwhile: a snapshot keeps
/// rows, and not names.
async fn count_one(client: &Client, left: Duration, statement: &str) -> Result<Option<u64>, BackupError> {
    let milliseconds = left.as_millis();
    if milliseconds == 0 {
        return Ok(None);
    }
    run(client, "begin to count", &format!("SAVEPOINT counting; SET LOCAL statement_timeout = {milliseconds}")).await?;
    let counted = client.query_one(statement, &[]).await;
    let none = [SqlState::QUERY_CANCELED, SqlState::UNDEFINED_TABLE];
    let is_late = |error: &tokio_postgres::Error| error.code().is_some_and(|code| none.contains(code));
    let rows: Option<i64> = match counted {
        Ok(row) => Some(get(&row, 0)?),
        Err(error) if is_late(&error) => None,
        Err(error) => return Err(BackupError::statement("count rows", &error)),
    };
    run(client, "end counting", "ROLLBACK TO SAVEPOINT counting; RELEASE SAVEPOINT counting").await?;
    Ok(rows.map(i64::unsigned_abs))
}

/// Counts the rows that are its own: those of children are theirs.
pub(super) fn count_statement(table: &Table) -> String {
    format!("SELECT count(*)::int8 FROM ONLY {}.{}", identifier(&table.schema), identifier(&table.name))
}

/// Whether it has any row of its own: 0 or 1.
fn is_there_statement(table: &Table) -> String {
    format!(
        "SELECT count(*)::int8 FROM (SELECT FROM ONLY {}.{} LIMIT 1) AS one",
        identifier(&table.schema),
        identifier(&table.name)
    )
}

fn table(row: &Row) -> Result<Table, BackupError> {
    let (oid, rows): (i64, i64) = (get(row, 0)?, get(row, 4)?);
    let word: String = get(row, 3)?;
    let kind = match word.as_str() {
        "configuration" => TableKind::Configuration,
        "materialized_view" => TableKind::MaterializedView,
        "empty_view" => TableKind::EmptyView,
        _ => TableKind::Table,
    };
    let (schema, name) = (get(row, 1)?, get(row, 2)?);
    Ok(Table { oid: as_oid(oid), schema, name, kind, rows: rows.unsigned_abs(), exact: false })
}

fn properties(row: &Row) -> Result<Properties, BackupError> {
    let text: String = get(row, 0)?;
    let columns: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let word = |column: &str| columns.get(column).and_then(|value| value.as_str()).map(str::to_owned);
    let provider = match word("datlocprovider").as_deref() {
        Some("i") => "icu",
        Some("b") => "builtin",
        _ => "libc",
    };
    Ok(Properties {
        owner: get(row, 1)?,
        encoding: get(row, 2)?,
        locale_provider: provider.to_owned(),
        collate: word("datcollate").unwrap_or_default(),
        ctype: word("datctype").unwrap_or_default(),
        // 15 and 16 call it after its provider.
        locale: word("datlocale").or_else(|| word("daticulocale")),
        icu_rules: word("daticurules"),
        collation_version: word("datcollversion"),
        rights: get(row, 3)?,
        connection_limit: columns["datconnlimit"].as_i64().and_then(|limit| i32::try_from(limit).ok()).unwrap_or(-1),
        is_template: columns["datistemplate"].as_bool().unwrap_or_default(),
        comment: get(row, 4)?,
    })
}

pub(super) fn as_oid(oid: i64) -> u32 {
    u32::try_from(oid).unwrap_or_default()
}

pub(super) async fn rows(client: &Client, what: &'static str, query: &str) -> Result<Vec<Row>, BackupError> {
    client.query(query, &[]).await.map_err(|error| BackupError::statement(what, &error))
}

pub(super) async fn one(client: &Client, what: &'static str, query: &str) -> Result<Row, BackupError> {
    client.query_one(query, &[]).await.map_err(|error| BackupError::statement(what, &error))
}

pub(super) async fn number(client: &Client, what: &'static str, query: &str) -> Result<u64, BackupError> {
    let number: i64 = get(&one(client, what, query).await?, 0)?;
    Ok(number.unsigned_abs())
}

/// Runs statements that bring nothing.
pub(super) async fn run(client: &Client, what: &'static str, statements: &str) -> Result<(), BackupError> {
    client.batch_execute(statements).await.map_err(|error| BackupError::statement(what, &error))
}

pub(super) fn get<T: FromSqlOwned>(row: &Row, column: usize) -> Result<T, BackupError> {
    row.try_get(column).map_err(|error| BackupError::statement("understand an answer of the server", &error))
}

fn pairs<T: FromSqlOwned>(rows: &[Row]) -> Result<BTreeMap<String, T>, BackupError> {
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}
