//! The daemon's side of the control socket. What clients can take from the daemon is bounded, and what
//! some take is not taken from others: connections (`places`), time for a request (here and in `body`) and
//! for reading its answer (`patient`), sizes, requests that are worked at.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::body::Bodies;
use super::patient::Patient;
use super::peer::{Admission, Peer};
use super::places::{Doing, Place, Places, TIME_TO_ASK};
use super::protocol::{Fault, Hello, Up};
use super::records::Records;
use super::stream::{Endless, PATIENCE};
use super::verbs::router;
use crate::model::preview::Preview;
use crate::supervisor::{self, Handle, Known};

/// How long a client may take for the head of a request, and again for its body. The command line sends
/// both at once.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// The largest head of a request: the command line's own has some hundred bytes.
const LARGEST_HEAD: usize = 16 << 10;
/// How many requests that ask for work wait for their answer at once. Twenty `up` at the same time are
/// meant; all of these together leave room in [`super::places`].
pub(super) const ASKED: usize = 64;
/// How many of them read the file at once: each keeps a thread busy for some milliseconds, and others
/// want to be greeted meanwhile.
const READING: usize = 4;

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
    pub fn ask(&mut self, generation: u64) {
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

/// What all connections share.
pub(super) struct Bounds {
    places: Arc<Places>,
    bodies: Bodies,
    /// Leave to ask for work.
    pub asked: Semaphore,
    /// Leave to have the file read.
    pub reading: Semaphore,
}

impl Bounds {
    fn new() -> Self {
        let (asked, reading) = (Semaphore::new(ASKED), Semaphore::new(READING));
        Self { places: Arc::default(), bodies: Bodies::default(), asked, reading }
    }
}

/// Serves until `service.ending` is true, then lets streams say their last line.
pub async fn serve(listener: UnixListener, service: Service) {
    let mut ending = service.ending.subscribe();
    let bounds = Arc::new(Bounds::new());
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, place) = tokio::select! {
            biased;
            () = ended(&mut ending) => break,
            accepted = accept(&listener, &bounds.places) => accepted,
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(serve_one(stream, place, service.clone(), bounds.clone()));
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

/// The next who comes, once there is a place for him.
async fn accept(listener: &UnixListener, places: &Arc<Places>) -> (UnixStream, Place) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, places.take().await),
            Err(error) => {
                tracing::warn!(%error, "failed to accept on the control socket");
                // Out of file descriptors, most likely: trying again at once would only burn time.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_one(stream: UnixStream, place: Place, service: Service, bounds: Arc<Bounds>) {
    let peer = match Peer::of(&stream) {
        Ok(peer) if service.admission.admits(&peer) => peer,
        Ok(peer) => return tracing::warn!(peer.uid, peer.pid, "refused a user on the control socket"),
        Err(error) => return tracing::warn!(%error, "a peer without credentials"),
    };
    let mut ending = service.ending.subscribe();
    let place = Arc::new(place);
    let verbs = Arc::new(Verbs { routes: TowerToHyperService::new(router(service, peer, bounds.clone())), bounds });
    let held = place.clone();
    let answering = hyper::service::service_fn(move |request| {
        let (verbs, place) = (verbs.clone(), held.clone());
        async move { Ok::<_, Infallible>(verbs.answer(request, &place).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, PATIENCE)), answering);
    let mut connection = std::pin::pin!(connection);
    let had_time = async {
        tokio::time::sleep(TIME_TO_ASK).await;
        place.has_had_time();
        std::future::pending::<()>().await;
    };
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = had_time => return,
        () = place.is_lost() => return tracing::debug!("a connection on the control socket made room for others"),
        () = ended(&mut ending) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection on the control socket broke off");
    }
}

/// What answers the requests of one connection.
struct Verbs {
    routes: TowerToHyperService<Router>,
    bounds: Arc<Bounds>,
}

impl Verbs {
    /// Answers a request, once all of it is there.
    async fn answer(&self, request: Request<Incoming>, place: &Place) -> Response {
        let (head, body) = request.into_parts();
        let body = match self.bounds.bodies.read(body, REQUEST_TIME).await {
            Ok(body) => body,
            Err(fault) => return fault.into_response(),
        };
        place.does(Doing::Works);
        let answered = self.routes.call(Request::from_parts(head, Body::from(body.bytes.clone()))).await;
        let answer = answered.unwrap_or_else(|never| match never {});
        let is_endless = answer.extensions().get::<Endless>().is_some();
        place.does(if is_endless { Doing::Tells } else { Doing::Waits });
        answer
    }
}
