//! The routes. A handler asks the game and words the answer; it knows no SQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::assets::ASSETS;
use crate::database::{Database, DatabaseError};
use crate::game::{self, Guess};
use crate::metrics::{Gauges, Metrics};
use crate::moments;

/// Headers of every answer: the page may load from its own origin and nowhere else.
const HEADERS: [(&str, &str); 4] = [
    ("content-security-policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// What the handlers share.
#[derive(Debug)]
pub struct App {
    /// The way to Postgres.
    pub database: Database,
    metrics: Metrics,
    started: Instant,
}

impl App {
    /// An app that has served nothing yet.
    pub fn new(database: Database) -> Self {
        Self { database, metrics: Metrics::default(), started: Instant::now() }
    }
}

type Shared = State<Arc<App>>;

/// A failure, worded for who asked.
struct Failure(StatusCode, String);

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.words())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// All routes of the app.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new()
        .route("/api/round", get(round))
        .route("/api/guesses", post(guess))
        .route("/api/scores", get(scores))
        .route("/app", post(insert_moment))
        .route("/display", get(list_moments))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics));
    for asset in ASSETS {
        router = router.route(asset.path, get(async move |head: HeaderMap| asset.answer(&head)));
    }
    router
        .fallback(async || Failure(StatusCode::NOT_FOUND, "there is nothing here".to_owned()))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

/// Counts, logs and adds the headers of every answer.
async fn observe(State(app): Shared, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        response.headers_mut().insert(name, value);
    }
    let (status, took) = (response.status(), started.elapsed());
    let route = matched.as_deref().unwrap_or("other");
    app.metrics.count(method.as_str(), route, status.as_u16(), took);
    let quiet = matches!(route, "/healthz" | "/readyz" | "/metrics") && status.is_success();
    if !quiet {
        tracing::info!(
            %method,
            path,
            status = status.as_u16(),
            ms = took.as_secs_f64() * 1000.0,
            "request"
        );
    }
    response
}

#[derive(Debug, Default, Deserialize)]
struct RoundQuery {
    /// Ask for this place.
    place: Option<String>,
    /// Places that were asked for already, with commas.
    #[serde(default)]
    seen: String,
}

async fn round(State(app): Shared, Query(query): Query<RoundQuery>) -> Result<impl IntoResponse, Failure> {
    let seen: Vec<&str> = query.seen.split(',').collect();
    let question = game::question(&app.database, query.place.as_deref(), &seen).await?;
    question
        .map(|question| ([(header::CACHE_CONTROL, "no-store")], Json(question)))
        .ok_or_else(|| Failure(StatusCode::NOT_FOUND, "there is no such place".to_owned()))
}

async fn guess(State(app): Shared, Json(guess): Json<Guess>) -> Result<impl IntoResponse, Failure> {
    if !guess.is_on_earth() {
        let words = "longitude is -180 to 180, latitude -90 to 90".to_owned();
        return Err(Failure(StatusCode::UNPROCESSABLE_ENTITY, words));
    }
    let outcome = game::judge(&app.database, &guess).await?;
    outcome
        .map(|outcome| (StatusCode::CREATED, Json(outcome)))
        .ok_or_else(|| Failure(StatusCode::NOT_FOUND, "there is no such place".to_owned()))
}

async fn scores(State(app): Shared) -> Result<impl IntoResponse, Failure> {
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(game::scores(&app.database).await?)))
}

async fn insert_moment(State(app): Shared) -> Result<impl IntoResponse, Failure> {
    let at = moments::insert(&app.database).await?;
    Ok((StatusCode::CREATED, Json(json!({ "at": at }))))
}

async fn list_moments(State(app): Shared) -> Result<impl IntoResponse, Failure> {
    let moments = moments::list(&app.database, 1000).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(moments)))
}

/// Whether a visitor could play: asks the database, each time.
async fn ready(State(app): Shared) -> (StatusCode, String) {
    match app.database.check().await {
        Ok(0) => (StatusCode::SERVICE_UNAVAILABLE, "not ready: no places in the database\n".into()),
        Ok(places) => (StatusCode::OK, format!("ready: {places} places\n")),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", error.words())),
    }
}

async fn metrics(State(app): Shared) -> impl IntoResponse {
    let uptime: Duration = app.started.elapsed();
    let gauges = Gauges { connections: app.database.connections(), uptime };
    let text = app.metrics.render(gauges);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
