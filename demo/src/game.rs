//! The rules: which place is asked for, how far off a guess is, what it is worth.
//!
//! Distances are PostGIS's own: `ST_Distance` on `geography`, the shortest way on the ellipsoid.

use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use crate::database::{Database, DatabaseError};

/// Points of a guess that hits.
const MOST: f64 = 5000.0;
/// After so many metres a guess is worth a third of that.
const FADE: f64 = 1_600_000.0;
/// A name longer than that does not fit the table.
const LONGEST_NAME: usize = 24;

/// A place, as it is asked for: without its position.
#[derive(Debug, Serialize)]
pub struct Question {
    id: String,
    name: String,
    country: String,
}

/// A guess, as the page sends it.
#[derive(Debug, Deserialize)]
pub struct Guess {
    /// The place that was asked for.
    pub place: String,
    /// Degrees east.
    pub longitude: f64,
    /// Degrees north.
    pub latitude: f64,
    /// Who guessed.
    #[serde(default)]
    pub player: String,
}

/// What became of a guess.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Number of the score in the table.
    pub id: i64,
    /// The distance in metres.
    pub metres: f64,
    /// What that is worth, 0 to 5000.
    pub points: i32,
    /// How many scores of this place are better, plus one.
    pub rank: i64,
    /// Where the place really is.
    pub longitude: f64,
    /// Degrees north.
    pub latitude: f64,
}

/// A line of the table of scores.
#[derive(Debug, Serialize)]
pub struct Score {
    id: i64,
    player: String,
    place: String,
    metres: f64,
    points: i32,
    at: String,
}

/// The table of scores: the best ones and the newest ones.
#[derive(Debug, Serialize)]
pub struct Scores {
    best: Vec<Score>,
    latest: Vec<Score>,
    total: i64,
}

impl Guess {
    /// Whether it is a point of the earth.
    pub fn is_on_earth(&self) -> bool {
        (-180.0..=180.0).contains(&self.longitude) && (-90.0..=90.0).contains(&self.latitude)
    }

    /// The name for the table: on one line, not too long, never empty.
    pub fn name(&self) -> String {
        let visible: String = self.player.chars().filter(|c| !c.is_control()).collect();
        let name: String = visible.trim().chars().take(LONGEST_NAME).collect();
        if name.is_empty() { "Somebody".to_owned() } else { name }
    }
}

/// What a guess that is so many metres off is worth.
pub fn points(metres: f64) -> i32 {
    let points = (MOST * (-metres / FADE).exp()).round();
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and 5000")]
    let points = points.clamp(0.0, MOST) as i32;
    points
}

/// A place to ask for: the one named by `wanted`, else any but those in `seen`.
pub async fn question(database: &Database, wanted: Option<&str>, seen: &[&str]) -> Result<Option<Question>, DatabaseError> {
    let sql = "SELECT id, name, country FROM places
        WHERE $1::text IS NULL OR id = $1
        ORDER BY id = ANY($2), random() LIMIT 1";
    let rows = database.query(sql, &[&wanted, &seen]).await?;
    Ok(rows.first().map(|row| Question { id: row.get(0), name: row.get(1), country: row.get(2) }))
}

/// Measures a guess and keeps it; `None` where there is no such place.
pub async fn judge(database: &Database, guess: &Guess) -> Result<Option<Outcome>, DatabaseError> {
    let sql = "SELECT ST_Distance(spot, ST_SetSRID(ST_MakePoint($2, $3), 4326)::geography),
        ST_X(spot::geometry), ST_Y(spot::geometry) FROM places WHERE id = $1";
    let rows = database.query(sql, &[&guess.place, &guess.longitude, &guess.latitude]).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let metres: f64 = row.get(0);
    let points = points(metres);
    let (id, rank) = keep(database, guess, metres, points).await?;
    Ok(Some(Outcome { id, metres, points, rank, longitude: row.get(1), latitude: row.get(2) }))
}

async fn keep(database: &Database, guess: &Guess, metres: f64, points: i32) -> Result<(i64, i64), DatabaseError> {
    let sql = "INSERT INTO guesses (place, player, spot, metres, points)
        VALUES ($1, $2, ST_SetSRID(ST_MakePoint($3, $4), 4326)::geography, $5, $6)
        RETURNING id, 1 + (SELECT count(*) FROM guesses WHERE place = $1 AND metres < $5)";
    let (longitude, latitude) = (&guess.longitude, &guess.latitude);
    let name = guess.name();
    let rows = database.query(sql, &[&guess.place, &name, longitude, latitude, &metres, &points]).await?;
    Ok(rows.first().map_or((0, 0), |row| (row.get(0), row.get(1))))
}

/// The scores to show.
pub async fn scores(database: &Database) -> Result<Scores, DatabaseError> {
    let best = list(database, "points DESC, metres, guesses.id").await?;
    let latest = list(database, "guesses.id DESC").await?;
    let rows = database.query("SELECT count(*) FROM guesses", &[]).await?;
    Ok(Scores { best, latest, total: rows.first().map_or(0, |row| row.get(0)) })
}

async fn list(database: &Database, order: &str) -> Result<Vec<Score>, DatabaseError> {
    let sql = format!(
        "SELECT guesses.id, player, name, metres, points,
            to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
        FROM guesses JOIN places ON places.id = place ORDER BY {order} LIMIT 10"
    );
    let rows = database.query(&sql, &[]).await?;
    Ok(rows.iter().map(score).collect())
}

fn score(row: &Row) -> Score {
    Score { id: row.get(0), player: row.get(1), place: row.get(2), metres: row.get(3), points: row.get(4), at: row.get(5) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(longitude: f64, latitude: f64, player: &str) -> Guess {
        Guess { place: "riga".to_owned(), longitude, latitude, player: player.to_owned() }
    }

    #[test]
    fn points_fall_with_distance_and_stay_in_range() {
        assert_eq!(points(0.0), 5000);
        assert_eq!(points(FADE), 1839);
        assert_eq!(points(20_003_931.0), 0);
        assert_eq!(points(f64::NAN), 0);
    }

    #[test]
    fn only_points_of_the_earth_are_guesses() {
        assert!(guess(-180.0, 90.0, "").is_on_earth());
        assert!(!guess(180.1, 0.0, "").is_on_earth());
        assert!(!guess(0.0, f64::NAN, "").is_on_earth());
    }

    #[test]
    fn names_fit_the_table() {
        assert_eq!(guess(0.0, 0.0, " \u{7} ").name(), "Somebody");
        assert_eq!(guess(0.0, 0.0, " Zoë ").name(), "Zoë");
        assert_eq!(guess(0.0, 0.0, &"ä".repeat(99)).name().chars().count(), LONGEST_NAME);
    }
}
