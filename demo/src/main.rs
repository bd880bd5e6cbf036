//! Where in the world? The demo app of the root `stack.toml`.
//!
//! A place is named, somebody clicks a map, PostGIS says how far off that was. It is one static binary
//! with its page inside. It must never end because the database is away: it says so at `/readyz` and
//! opens a new connection when there is one to open. Start reading at [`web::router`].

#![expect(clippy::disallowed_methods, reason = "the clock of the daemon is not the clock of this program")]

mod assets;
mod database;
mod game;
mod metrics;
mod moments;
mod settings;
mod web;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::database::Database;
use crate::settings::Settings;
use crate::web::App;

/// How long requests under way may take after SIGTERM.
const GRACE: Duration = Duration::from_millis(700);

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().json().flatten_event(true).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let settings = Settings::from_env(|name| std::env::var(name).ok())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let listener =
        TcpListener::bind(("0.0.0.0", settings.port)).await.map_err(|error| format!("port {}: {error}", settings.port))?;
    let app = Arc::new(App::new(Database::new(settings.database)));
    tracing::info!(port = settings.port, "listening");
    // The first visitor does not wait for a connection; without a database this only writes a line.
    tokio::spawn({
        let app = Arc::clone(&app);
        async move { drop(app.database.check().await) }
    });

    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let server = axum::serve(listener, web::router(app)).with_graceful_shutdown(async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    let late = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        let _ = stop.send(true);
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = async { server.await } => ended.map_err(|error| error.to_string()),
        () = late => Ok(()),
    }
}
