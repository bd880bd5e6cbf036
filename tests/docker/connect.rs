//! An engine that is not there, not ours to use or not one: each says what it is and the way out.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use witwd::engine::docker::{ConnectError, DockerEngine, Surroundings};
use witwd::engine::request::Scope;
use witwd::engine::{Engine, ErrorKind};
use witwd::host::SystemClock;
use witwd::model::observed::Container;

use crate::support::{TINY, TestEngine, connect, docker, eventually, kind};

async fn try_to_connect(socket: &Path) -> ConnectError {
    let surroundings = Surroundings { docker_host: Some(format!("unix://{}", socket.display())), ..Surroundings::default() };
    match DockerEngine::connect(surroundings, Arc::new(SystemClock::new())).await {
        Ok(_) => panic!("it connected to {}", socket.display()),
        Err(error) => error,
    }
}

/// Something that answers every request on `socket` with `body`.
fn answering(socket: &Path, body: &'static str) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = (&stream).write_all(format!("{head}{body}").as_bytes());
        }
    });
}

#[tokio::test]
async fn the_engine_of_this_machine_is_found() {
    let engine = connect().await;
    assert!(engine.address().path.exists());
    engine.check().await.unwrap();
}

#[tokio::test]
async fn a_missing_a_dead_and_an_old_engine_say_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let missing = try_to_connect(&socket).await;
    assert_eq!(missing.to_string(), format!("there is no engine socket at {} (DOCKER_HOST)", socket.display()));

    drop(UnixListener::bind(&socket).unwrap());
    let dead = try_to_connect(&socket).await;
    assert_eq!(dead.to_string(), format!("nothing listens on the engine socket {} (DOCKER_HOST)", socket.display()));
    assert!(dead.hint().contains("systemctl start docker"), "{}", dead.hint());

    std::fs::remove_file(&socket).unwrap();
    answering(&socket, r#"{"Version":"19.03.1","ApiVersion":"1.40"}"#);
    let old = try_to_connect(&socket).await;
    assert_eq!(old.to_string(), "the engine 19.03.1 speaks API 1.40; witwd needs 1.41 or newer");

    let other = directory.path().join("other.sock");
    answering(&other, "hello");
    assert!(matches!(try_to_connect(&other).await, ConnectError::Engine(_)));
}

#[tokio::test]
async fn an_engine_that_went_away_is_unavailable_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let surroundings = Surroundings { docker_host: Some(format!("unix://{}", socket.display())), ..Surroundings::default() };
    let engine = DockerEngine::locate(surroundings, Arc::new(SystemClock::new())).unwrap();
    assert_eq!(kind(engine.info().await), ErrorKind::Unavailable);
    std::os::unix::fs::symlink(&connect().await.address().path, &socket).unwrap();
    engine.info().await.expect("it is there now");
}

#[tokio::test]
async fn a_stream_of_events_ends_with_an_error_when_the_engine_goes() {
    use futures_util::StreamExt;
    let test = TestEngine::new("cut").await;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("engine.sock");
    let (cut, _) = relay(&socket, &test.engine.address().path);
    let surroundings = Surroundings { docker_host: Some(format!("unix://{}", socket.display())), ..Surroundings::default() };
    let engine = DockerEngine::locate(surroundings, Arc::new(SystemClock::new())).unwrap();
    let mut events = engine.events(&test.stack).await.unwrap();
    test.engine.create_network(&test.network()).await.unwrap();
    let limit = Duration::from_secs(10);
    let made = async || events.next().await?.ok().filter(|event| event.ours && event.action == "create");
    assert_eq!(eventually(limit, "our network is made", made).await.object, "network");

    cut.abort();
    let error = eventually(limit, "an error", async || events.next().await.and_then(Result::err)).await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(events.next().await.is_none(), "then it is over");
    docker(&["network", "rm", test.stack.as_str()]);
}

#[tokio::test]
async fn a_look_at_a_world_in_which_nothing_happens_costs_three_questions() {
    let test = TestEngine::new("cheap").await;
    let socket = test.directory.path().join("engine.sock");
    let (_relay, asked) = relay(&socket, &test.engine.address().path);
    let surroundings = Surroundings { docker_host: Some(format!("unix://{}", socket.display())), ..Surroundings::default() };
    let engine = DockerEngine::locate(surroundings, Arc::new(SystemClock::new())).unwrap();
    for name in ["one", "two", "three"] {
        test.run(name, &["sleep"]).await;
    }
    let scope = Scope { images: vec![TINY.to_owned()], ..test.scope() };
    let _events = engine.events(&test.stack).await.unwrap();
    // Other tests may make something happen: then what was remembered is asked for again.
    eventually(Duration::from_secs(20), "a look that costs three questions", async || {
        let before = asked.load(Ordering::SeqCst);
        let world = engine.observe(&scope).await.unwrap();
        let ours = |container: &&Container| container.identity.as_ref().is_some_and(|identity| identity.stack == test.stack);
        assert_eq!((world.containers.iter().filter(ours).count(), world.images.len()), (3, 1));
        (asked.load(Ordering::SeqCst) - before == 3).then_some(())
    })
    .await;
}

/// Hands every connection on `socket` to the engine, and counts them; aborting it cuts them all.
fn relay(socket: &Path, engine: &Path) -> (tokio::task::JoinHandle<()>, Arc<AtomicUsize>) {
    let listener = tokio::net::UnixListener::bind(socket).unwrap();
    let engine = engine.to_owned();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut here, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut there = tokio::net::UnixStream::connect(&engine).await.unwrap();
            connections.spawn(async move { tokio::io::copy_bidirectional(&mut here, &mut there).await.map(|_| ()) });
        }
    });
    (task, count)
}
