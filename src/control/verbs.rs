//! A line per verb that forwards.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use tokio::sync::SemaphorePermit;

use super::peer::Peer;
use super::protocol::{Down, Fault, Hello, Line, Up};
use super::server::{ASKED, Bounds, Service};
use super::stream::{Sources, follow, respond, written};
use crate::model::backup::{Errand, WorkDone};
use crate::model::wish::Wish;
use crate::supervisor::{self, ErrandError, HandError};

type Answer = Result<Response, Fault>;

/// A request, and what it is answered with.
#[derive(Clone)]
struct Call {
    service: Service,
    peer: Peer,
    bounds: Arc<Bounds>,
}

/// The verbs of one peer.
pub(super) fn router(service: Service, peer: Peer, bounds: Arc<Bounds>) -> Router {
    Router::new()
        .route("/v1/hello", get(|State(call): State<Call>| async move { axum::Json(call.hello()) }))
        .route("/v1/status", get(|State(call): State<Call>| async move { axum::Json((*call.service.handle.status()).clone()) }))
        .route("/v1/watch", get(|State(call): State<Call>| async move { call.watch() }))
        .route("/v1/events", get(|State(call): State<Call>| async move { call.events(false) }))
        .route("/v1/events/follow", get(|State(call): State<Call>| async move { call.events(true) }))
        .route("/v1/up", post(|State(call): State<Call>, body: Bytes| async move { call.up(body).await }))
        .route("/v1/plan", post(|State(call): State<Call>, body: Bytes| async move { call.plan(body).await }))
        .route("/v1/down", post(|State(call): State<Call>, body: Bytes| async move { call.down(body).await }))
        .route("/v1/hand", post(|State(call): State<Call>, body: Bytes| async move { call.hand(body).await }))
        .route("/v1/errand", post(|State(call): State<Call>, body: Bytes| async move { call.errand(&body) }))
        .route("/v1/end", post(|State(call): State<Call>| async move { call.end() }))
        .fallback(|| async { Fault::usage("this daemon does not know that verb") })
        .method_not_allowed_fallback(|| async { Fault::usage("this daemon does not know that verb") })
        .with_state(Call { service, peer, bounds })
}

impl Call {
    fn hello(self) -> Hello {
        Hello { engine: self.service.handle.engine(), ..self.service.hello }
    }

    async fn up(self, body: Bytes) -> Answer {
        let up: Up = read(&body)?;
        let _asked = self.asked()?;
        tracing::info!(self.peer.uid, self.peer.pid, ?up, "up");
        let (up, warnings) = {
            let _reading = self.bounds.reading.acquire().await;
            self.service.loader.load(up, self.peer).await?
        };
        let sources = self.sources(true);
        let generation = self.service.handle.up(up).await?;
        Ok(accepted(generation, warnings, sources))
    }

    async fn plan(self, body: Bytes) -> Answer {
        let up: Up = read(&body)?;
        let _asked = self.asked()?;
        let known = self.service.handle.known().await?;
        let _reading = self.bounds.reading.acquire().await;
        Ok(axum::Json(self.service.loader.preview(up, known).await?).into_response())
    }

    async fn down(self, body: Bytes) -> Answer {
        let down: Down = read(&body)?;
        let _asked = self.asked()?;
        tracing::info!(self.peer.uid, self.peer.pid, ?down, "down");
        let sources = self.sources(true);
        let generation = self.service.handle.down(supervisor::Down { volumes: down.volumes, resumed: false }).await?;
        self.service.downs.send_modify(|downs| downs.ask(generation));
        Ok(accepted(generation, Vec::new(), sources))
    }

    async fn hand(self, body: Bytes) -> Answer {
        let wish: Wish = read(&body)?;
        let _asked = self.asked()?;
        tracing::info!(self.peer.uid, self.peer.pid, ?wish, "by hand");
        let sources = self.sources(true);
        let (generation, notes) = self.service.handle.hand(wish).await?;
        Ok(accepted(generation, notes, sources))
    }

    fn errand(self, body: &Bytes) -> Answer {
        let errand: Errand = read(body)?;
        tracing::info!(self.peer.uid, self.peer.pid, ?errand, "errand");
        let sources = self.sources(true);
        Ok(respond(move |writer| async move {
            // Where who asked hangs up, it goes on: only nobody is told.
            let done = tokio::spawn(async move { self.service.handle.errand(errand).await });
            tokio::select! {
                biased;
                done = done => writer.write(&carried_out(done)).await,
                followed = follow(&writer, sources) => followed,
            }
        }))
    }

    /// Leave to ask for work.
    fn asked(&self) -> Result<SemaphorePermit<'_>, Fault> {
        self.bounds.asked.try_acquire().map_err(|_| {
            let hint = Some("say it again in a moment".to_owned());
            Fault { hint, ..Fault::new("failed", format!("{ASKED} requests wait for this daemon already")) }
        })
    }

    fn end(self) -> Response {
        tracing::info!(self.peer.uid, self.peer.pid, "end");
        self.service.ending.send_replace(true);
        StatusCode::NO_CONTENT.into_response()
    }

    fn watch(self) -> Response {
        stream([], self.sources(true), true)
    }

    fn events(self, stay: bool) -> Response {
        let sources = self.sources(false);
        let past = self.service.records.last();
        stream(past, sources, stay)
    }

    /// What is followed, from this moment on: asked for before anything is set going.
    fn sources(&self, statuses: bool) -> Sources {
        Sources {
            records: self.service.handle.records(),
            published: statuses.then(|| self.service.handle.watch()),
            since: 0,
            ending: self.service.ending.subscribe(),
            downs: self.service.downs.subscribe(),
        }
    }
}

fn accepted(generation: u64, warnings: Vec<String>, sources: Sources) -> Response {
    stream([written(&Line::Accepted { generation, warnings })], Sources { since: generation, ..sources }, true)
}

fn stream<First>(first: First, sources: Sources, stay: bool) -> Response
where
    First: IntoIterator<Item = Bytes, IntoIter: Send> + Send + 'static,
{
    respond(move |writer| async move {
        for line in first {
            writer.pass(line).await?;
        }
        if stay { follow(&writer, sources).await } else { Ok(()) }
    })
}

/// The last line about an errand.
fn carried_out(done: Result<Result<Result<WorkDone, ErrandError>, supervisor::Closed>, tokio::task::JoinError>) -> Line {
    let failed = |fault: Fault, reason: Option<String>| Line::Errand { done: None, fault: Some(fault), reason };
    match done {
        Ok(Ok(Ok(done))) => Line::Errand { done: Some(Box::new(done)), fault: None, reason: None },
        Ok(Ok(Err(ErrandError::Failed(error)))) => failed(Fault::new("failed", error.words), Some(error.reason)),
        Ok(Ok(Err(ErrandError::Refused(refusal)))) => failed(HandError::Refused(refusal).into(), None),
        Ok(Err(closed)) => failed(closed.into(), None),
        Err(error) => failed(Fault::new("failed", error.to_string()), None),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::usage(format!("the request makes no sense: {error}")))
}
