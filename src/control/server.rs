//! The daemon's side of the control socket: a line per verb that forwards. What a client can take
//! from the daemon is bounded: connections, time for a request's head and body, sizes, lines that
//! wait to be read.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::peer::{Admission, Peer};
use super::protocol::{Down, Failed, Fault, Hello, Line, Up};
use super::records::Records;
use super::stream::{Sources, follow, respond};
use crate::model::preview::Preview;
use crate::model::wish::Wish;
use crate::supervisor::{self, Closed, HandError, Handle, Known};

/// How many connections are served at once; more wait to be accepted.
const CONNECTIONS: usize = 64;
/// How long a client may take for the head of a request, and again for its body.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// The largest head of a request.
const LARGEST_HEAD: usize = 16 << 10;
/// The largest body of a request.
const LARGEST_BODY: usize = 1 << 20;

/// Turns an `up` into what the supervisor is asked for: reads the file and what surrounds it.
#[async_trait]
pub trait Loader: Send + Sync {
    /// The stack as its file says now, with warnings. A fault leaves everything as it is.
    async fn load(&self, up: Up, peer: Peer) -> Result<(supervisor::Up, Vec<String>), Fault>;

    /// What that `up` would do by what the supervisor knows; `None`: what is on the disk. Keeps
    /// nothing and changes nothing.
    async fn preview(&self, up: Up, known: Option<Known>) -> Result<Preview, Fault>;
}

/// Generations of the last `down`; 0: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Downs {
    /// Asked for.
    pub asked: u64,
    /// Carried out: the daemon ends.
    pub done: u64,
}

impl Downs {
    /// A `down` was accepted. Of several at once the earlier may be told of later.
    pub(super) fn ask(&mut self, generation: u64) {
        self.asked = self.asked.max(generation);
    }
}

/// What the server forwards to.
#[derive(Clone)]
pub struct Service {
    /// Who answers; what it knows of the engine is told by `handle`.
    pub hello: Hello,
    /// The supervisor.
    pub handle: Handle,
    /// Reads the file.
    pub loader: Arc<dyn Loader>,
    /// The last events.
    pub records: Arc<Records>,
    /// Who is let in.
    pub admission: Admission,
    /// Set to true by `end`, and by whoever else ends the daemon.
    pub ending: watch::Sender<bool>,
    /// The last `down`, for whoever ends the daemon when that is done.
    pub downs: watch::Sender<Downs>,
}

type Answer = Result<Response, Fault>;

/// Serves until `service.ending` is true, then lets streams say their last line.
pub async fn serve(listener: UnixListener, service: Service) {
    let mut ending = service.ending.subscribe();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = ended(&mut ending) => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        if let Some((stream, place)) = accepted {
            let service = service.clone();
            connections.spawn(async move {
                serve_one(stream, service).await;
                drop(place);
            });
        }
    }
    drop(listener);
    let last_words = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_millis(500), last_words).await;
}

/// Returns when the daemon is to end.
pub(super) async fn ended(ending: &mut watch::Receiver<bool>) {
    // Without a sender nobody is left to end it otherwise.
    let _ = ending.wait_for(|ending| *ending).await;
}

async fn accept(listener: &UnixListener, places: &Arc<Semaphore>) -> Option<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "failed to accept on the control socket");
            // Out of file descriptors, most likely: trying again at once would only burn time.
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn serve_one(stream: UnixStream, service: Service) {
    let peer = match Peer::of(&stream) {
        Ok(peer) if service.admission.admits(&peer) => peer,
        Ok(peer) => return tracing::warn!(peer.uid, peer.pid, "refused a user on the control socket"),
        Err(error) => return tracing::warn!(%error, "a peer without credentials"),
    };
    let mut ending = service.ending.subscribe();
    let routes = TowerToHyperService::new(router(service, peer));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), routes);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = ended(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection on the control socket broke off");
    }
}

#[derive(Clone)]
struct Call {
    service: Service,
    peer: Peer,
}

fn router(service: Service, peer: Peer) -> Router {
    Router::new()
        .route("/v1/hello", get(|State(call): State<Call>| async move { axum::Json(call.hello()) }))
        .route("/v1/status", get(|State(call): State<Call>| async move { axum::Json((*call.service.handle.status()).clone()) }))
        .route("/v1/watch", get(|State(call): State<Call>| async move { call.watch(None) }))
        .route("/v1/events", get(|State(call): State<Call>| async move { call.events(false) }))
        .route("/v1/events/follow", get(|State(call): State<Call>| async move { call.events(true) }))
        .route("/v1/up", post(|State(call): State<Call>, body: Body| async move { call.up(body).await }))
        .route("/v1/plan", post(|State(call): State<Call>, body: Body| async move { call.plan(body).await }))
        .route("/v1/down", post(|State(call): State<Call>, body: Body| async move { call.down(body).await }))
        .route("/v1/hand", post(|State(call): State<Call>, body: Body| async move { call.hand(body).await }))
        .route("/v1/end", post(|State(call): State<Call>| async move { call.end() }))
        .fallback(|| async { Fault::new("usage", "this daemon does not know that verb") })
        .method_not_allowed_fallback(|| async { Fault::new("usage", "this daemon does not know that verb") })
        .with_state(Call { service, peer })
}

impl Call {
    fn hello(self) -> Hello {
        Hello { engine: self.service.handle.engine(), ..self.service.hello }
    }

    async fn up(self, body: Body) -> Answer {
        let up: Up = read(body).await?;
        tracing::info!(self.peer.uid, self.peer.pid, ?up, "up");
        let (up, warnings) = self.service.loader.load(up, self.peer).await?;
        let sources = self.sources(true);
        let generation = self.service.handle.up(up).await?;
        Ok(accepted(generation, warnings, sources))
    }

    async fn plan(self, body: Body) -> Answer {
        let up: Up = read(body).await?;
        let known = self.service.handle.known().await?;
        Ok(axum::Json(self.service.loader.preview(up, known).await?).into_response())
    }

    async fn down(self, body: Body) -> Answer {
        let down: Down = read(body).await?;
        tracing::info!(self.peer.uid, self.peer.pid, ?down, "down");
        let sources = self.sources(true);
        let generation = self.service.handle.down(supervisor::Down { volumes: down.volumes, resumed: false }).await?;
        self.service.downs.send_modify(|downs| downs.ask(generation));
        Ok(accepted(generation, Vec::new(), sources))
    }

    async fn hand(self, body: Body) -> Answer {
        let wish: Wish = read(body).await?;
        tracing::info!(self.peer.uid, self.peer.pid, ?wish, "by hand");
        let sources = self.sources(true);
        let (generation, notes) = self.service.handle.hand(wish).await?;
        Ok(accepted(generation, notes, sources))
    }

    fn end(self) -> Response {
        tracing::info!(self.peer.uid, self.peer.pid, "end");
        self.service.ending.send_replace(true);
        StatusCode::NO_CONTENT.into_response()
    }

    fn watch(self, first: Option<Line>) -> Response {
        stream(first.into_iter().collect(), self.sources(true), true)
    }

    fn events(self, stay: bool) -> Response {
        let sources = self.sources(false);
        let past = self.service.records.last().into_iter().map(Line::Event).collect();
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
    stream(vec![Line::Accepted { generation, warnings }], Sources { since: generation, ..sources }, true)
}

fn stream(first: Vec<Line>, sources: Sources, stay: bool) -> Response {
    respond(|writer| async move {
        for line in first {
            writer.write(&line).await?;
        }
        if stay { follow(writer, sources).await } else { Ok(()) }
    })
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Fault> {
    let unusable = |message: String| Fault::new("usage", message);
    let read = tokio::time::timeout(REQUEST_TIME, to_bytes(body, LARGEST_BODY)).await;
    let bytes = read
        .map_err(|_| unusable("the request did not come in time".into()))?
        .map_err(|_| unusable(format!("the request is broken off or larger than {LARGEST_BODY} bytes")))?;
    serde_json::from_slice(&bytes).map_err(|error| unusable(format!("the request makes no sense: {error}")))
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = match self.code.as_str() {
            "usage" => StatusCode::BAD_REQUEST,
            "invalid_file" => StatusCode::UNPROCESSABLE_ENTITY,
            "refused" | "held" => StatusCode::CONFLICT,
            "engine_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, axum::Json(Failed { error: self })).into_response()
    }
}

impl From<Closed> for Fault {
    fn from(closed: Closed) -> Self {
        Self::new("failed", closed.to_string())
    }
}

impl From<HandError> for Fault {
    fn from(error: HandError) -> Self {
        match error {
            HandError::Closed(closed) => closed.into(),
            HandError::Refused(refusal) => {
                let code = if refusal.depends_on_state { "failed" } else { "usage" };
                Self { hint: refusal.hint, ..Self::new(code, refusal.message) }
            }
        }
    }
}
