//! The smallest thing an app can do with a database: keep the time of a call, and list what it kept.

use crate::database::{Database, DatabaseError};

const FORMAT: &str = r#"to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#;

/// Keeps the current time and returns it, RFC 3339 in UTC.
pub async fn insert(database: &Database) -> Result<String, DatabaseError> {
    let sql = format!("INSERT INTO moments DEFAULT VALUES RETURNING {FORMAT}");
    let rows = database.query(&sql, &[]).await?;
    Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
}

/// The newest `limit` times, newest first.
pub async fn list(database: &Database, limit: i64) -> Result<Vec<String>, DatabaseError> {
    let sql = format!("SELECT {FORMAT} FROM moments ORDER BY id DESC LIMIT $1");
    let rows = database.query(&sql, &[&limit]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
