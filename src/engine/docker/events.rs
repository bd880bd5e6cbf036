//! What happens on the engine. A task of its own reads the stream, so that what was remembered is
//! forgotten at once, however slowly the reader reads. Events only wake: one that the reader has
//! no room for is dropped, for it has a thousand others to wake it.

use std::collections::{HashMap, VecDeque};

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::{DockerEngine, QUICK, error, facts};
use crate::engine::answer::EngineEvent;
use crate::engine::{EngineError, ErrorKind, EventStream, labels};
use crate::model::name::StackName;

/// As many as the engine itself keeps for a slow reader.
const ROOM: usize = 1024;
/// As many as the engine replays.
const REPLAY: usize = 256;
const KINDS: [&str; 4] = ["container", "network", "volume", "image"];

/// What happens from now on, or from what was seen last on.
pub(super) async fn open(engine: &DockerEngine, stack: &StackName) -> Result<EventStream, EngineError> {
    let now = facts::engine_time(engine).await?;
    // The request goes out after this: what happens in between is replayed.
    let since = now.map(|time| format!("{}.{:09}", time.as_second(), time.subsec_nanosecond()));
    let client = engine.client(QUICK).map_err(|error| error::classify("read", "events", &error))?;
    let filters = HashMap::from([("type".to_owned(), KINDS.map(str::to_owned).to_vec())]);
    let options = EventsOptions { since, until: None, filters: Some(filters) };
    let (sender, receiver) = mpsc::channel(ROOM);
    let events = Box::pin(client.events(Some(options)));
    let open = Open::new(engine.clone());
    tokio::spawn(pump(open, stack.clone(), events, sender));
    Ok(tokio_stream::wrappers::ReceiverStream::new(receiver).boxed())
}

/// An open stream: while it lives, what was remembered may be trusted.
struct Open {
    engine: DockerEngine,
}

impl Open {
    fn new(engine: DockerEngine) -> Self {
        engine.cache().stream_opened();
        Self { engine }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.engine.cache().stream_closed();
    }
}

type Sender = mpsc::Sender<Result<EngineEvent, EngineError>>;

async fn pump<S>(open: Open, stack: StackName, mut events: S, sender: Sender)
where
    S: Stream<Item = Result<EventMessage, bollard::errors::Error>> + Unpin + Send,
{
    let mut seen = VecDeque::with_capacity(REPLAY);
    loop {
        let message = tokio::select! {
            () = sender.closed() => return,
            message = events.next() => message,
        };
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => return end(&open, &sender, error::classify("read", "events", &error)).await,
            None => {
                let error = EngineError::new("read", "events", ErrorKind::Unavailable, "the engine ended the stream");
                return end(&open, &sender, error).await;
            }
        };
        let Some(event) = translate(&stack, &message) else { continue };
        forget(&open.engine, &event, &message);
        if is_new(&mut seen, &message) {
            let _ = sender.try_send(Ok(event));
        }
    }
}

async fn end(open: &Open, sender: &Sender, error: EngineError) {
    // Another engine may answer next.
    *open.engine.inner.facts.lock().await = None;
    let _ = sender.send(Err(error)).await;
}

/// A replay and the live stream may both bring an event.
fn is_new(seen: &mut VecDeque<(i64, String)>, message: &EventMessage) -> bool {
    let actor = message.actor.as_ref().and_then(|actor| actor.id.clone()).unwrap_or_default();
    let key = (message.time_nano.unwrap_or_default(), format!("{actor} {}", message.action.as_deref().unwrap_or_default()));
    if seen.contains(&key) {
        return false;
    }
    if seen.len() == REPLAY {
        seen.pop_front();
    }
    seen.push_back(key);
    true
}

fn forget(engine: &DockerEngine, event: &EngineEvent, message: &EventMessage) {
    match event.object.as_str() {
        "container" => engine.cache().forget(&event.id),
        // Of a connect or disconnect: whose names on the network are others now.
        "network" => {
            let attributes = message.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
            if let Some(container) = attributes.and_then(|attributes| attributes.get("container")) {
                engine.cache().forget(container);
            }
        }
        "image" => engine.cache().forget_images(),
        _ => {}
    }
}

/// An event in words of our own; `None` where it changes nothing. The engine puts the words of an
/// exec into its action: those go no further. `exec` is Podman's.
pub(super) fn translate(stack: &StackName, message: &EventMessage) -> Option<EngineEvent> {
    let action = message.action.clone()?;
    if action.starts_with("exec_") || ["attach", "detach", "exec", "resize", "top"].contains(&action.as_str()) {
        return None;
    }
    let actor = message.actor.clone().unwrap_or_default();
    let id = actor.id.unwrap_or_default();
    let attributes = actor.attributes.unwrap_or_default();
    let named = |name: &str| attributes.get(name).map(String::as_str);
    // Networks and volumes do not carry their labels into events: there the name tells.
    let (object, ours) = match message.typ? {
        EventMessageTypeEnum::CONTAINER => ("container", named(labels::STACK) == Some(stack.as_str())),
        EventMessageTypeEnum::NETWORK => ("network", named("name") == Some(stack.network().as_str())),
        EventMessageTypeEnum::VOLUME => ("volume", id.starts_with(&format!("{stack}_"))),
        EventMessageTypeEnum::IMAGE => ("image", false),
        _ => return None,
    };
    Some(EngineEvent { object: object.to_owned(), action, id, ours })
}
