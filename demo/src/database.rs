//! One connection to Postgres that comes back.
//!
//! The client of `tokio-postgres` pipelines, so one connection serves all requests. It is opened when
//! first needed, and anew after it was closed or did not answer in time. Each new one first makes sure
//! that the tables are there, because the database behind it may be another one than before.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Row};

/// Time to connect, and time for one query.
const PATIENCE: Duration = Duration::from_secs(3);

/// The places, as `init` in stack.toml runs them.
const PLACES: &str = include_str!("../../volumes/init/10-places.sql");

/// What the app writes. Made by the app's own role, under a lock: replicas start together.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS guesses (
        id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        place  text NOT NULL REFERENCES places,
        player text NOT NULL,
        spot   geography(Point, 4326) NOT NULL,
        metres double precision NOT NULL,
        points integer NOT NULL,
        at     timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX IF NOT EXISTS guesses_best ON guesses (points DESC, metres, id);
    CREATE TABLE IF NOT EXISTS moments (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now()
    );";

/// Why there is no answer from the database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Connecting was refused.
    #[error("the database cannot be reached")]
    Connect(#[source] tokio_postgres::Error),
    /// Neither yes nor no.
    #[error("the database did not answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// The type of PostGIS is missing; only a superuser can mend that.
    #[error("the database has no PostGIS: CREATE EXTENSION postgis, as its superuser")]
    NoPostgis,
    /// The tables could not be made.
    #[error("the tables of the app could not be made")]
    Tables(#[source] tokio_postgres::Error),
    /// A query was refused.
    #[error("the database refused a query")]
    Query(#[source] tokio_postgres::Error),
}

impl DatabaseError {
    /// The whole chain in one line.
    pub fn words(&self) -> String {
        let mut words = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !words.ends_with(&text) {
                words = format!("{words}: {text}");
            }
            source = error.source();
        }
        words
    }
}

/// The handle that requests share.
#[derive(Debug)]
pub struct Database {
    config: Config,
    client: Mutex<Option<Arc<Client>>>,
    connections: AtomicU64,
}

impl Database {
    /// Does not connect yet.
    pub fn new(mut config: Config) -> Self {
        config.connect_timeout(PATIENCE);
        config.application_name("where-in-the-world");
        Self { config, client: Mutex::new(None), connections: AtomicU64::new(0) }
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Runs one statement; every error is also written to the log.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, DatabaseError> {
        let result = self.try_query(sql, parameters).await;
        if let Err(error) = &result {
            tracing::warn!(error = error.words(), "database");
        }
        result
    }

    async fn try_query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, DatabaseError> {
        let client = self.client().await?;
        if let Ok(rows) = timeout(PATIENCE, client.query(sql, parameters)).await {
            return rows.map_err(DatabaseError::Query);
        }
        self.forget(&client).await;
        Err(DatabaseError::Silent)
    }

    /// Asks for the number of places: whether the app could serve a round.
    pub async fn check(&self) -> Result<i64, DatabaseError> {
        let rows = self.query("SELECT count(*) FROM places", &[]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    /// The open connection, or a new one.
    async fn client(&self) -> Result<Arc<Client>, DatabaseError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        *slot = None;
        let client = timeout(PATIENCE, self.connect()).await.map_err(|_| DatabaseError::Silent)??;
        let client = Arc::new(client);
        *slot = Some(Arc::clone(&client));
        Ok(client)
    }

    async fn connect(&self) -> Result<Client, DatabaseError> {
        let (client, connection) = self.config.connect(NoTls).await.map_err(DatabaseError::Connect)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                let error = DatabaseError::Query(error).words();
                tracing::warn!(error, "the connection to the database ended");
            }
        });
        make_tables(&client).await?;
        self.connections.fetch_add(1, Ordering::Relaxed);
        tracing::info!("connected to the database");
        Ok(client)
    }

    /// Drops a connection that is of no use, unless another request did that already.
    async fn forget(&self, client: &Arc<Client>) {
        let mut slot = self.client.lock().await;
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, client)) {
            *slot = None;
        }
    }
}

/// Makes what is missing, in one transaction (a simple query of several statements is one).
async fn make_tables(client: &Client) -> Result<(), DatabaseError> {
    let sql = "SELECT to_regclass('places') IS NULL, to_regtype('geography') IS NULL,
        to_regclass('guesses') IS NULL OR to_regclass('moments') IS NULL";
    let row = client.query_one(sql, &[]).await.map_err(DatabaseError::Tables)?;
    let (no_places, no_postgis, no_tables): (bool, bool, bool) = (row.get(0), row.get(1), row.get(2));
    if no_postgis {
        return Err(DatabaseError::NoPostgis);
    }
    if !no_places && !no_tables {
        return Ok(());
    }
    tracing::info!(no_places, "making tables");
    let places = if no_places { PLACES } else { "" };
    let script = format!("SELECT pg_advisory_xact_lock(2012);{places}{TABLES}");
    client.batch_execute(&script).await.map_err(DatabaseError::Tables)
}
