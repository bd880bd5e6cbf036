//! The life of containers: seen in each state, and every refusal told apart.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use witwd::engine::docker::{DockerEngine, Surroundings};
use witwd::engine::request::{LogQuery, MountFrom, MountRequest, Scope};
use witwd::engine::{Engine, ErrorKind};
use witwd::host::SystemClock;
use witwd::model::name::ContainerId;
use witwd::model::observed::ContainerState;

use crate::recorder::Recorder;
use crate::support::{SOON, TINY, TestEngine, docker, kind, words};

#[tokio::test]
async fn the_engine_says_what_it_is() {
    let test = TestEngine::new("info").await;
    let info = test.engine.info().await.unwrap();
    assert!(info.api >= (1, 41), "{info:?}");
    assert!(!info.version.is_empty() && !info.description.is_empty());
    assert!(info.data_root.is_some());
}

#[tokio::test]
async fn a_container_is_seen_created_running_and_exited() {
    let test = TestEngine::new("states").await;
    let request = test.container("web", &["sleep"]);
    let id = test.engine.create(&request).await.unwrap();

    let created = test.seen(&id).await.unwrap();
    assert_eq!(created.state, ContainerState::Created);
    assert_eq!(created.identity, Some(request.identity.clone()));
    assert_eq!((created.name.as_str(), created.image_reference.as_str()), (request.name.as_str(), TINY));

    test.engine.start(&id).await.unwrap();
    test.engine.start(&id).await.expect("starting what runs is fine");
    let running = test.until_state(&id, "running").await;
    let ContainerState::Running { started_at } = running.state else { panic!("{:?}", running.state) };

    test.engine.stop(&id, Duration::from_secs(5)).await.unwrap();
    test.engine.stop(&id, Duration::from_secs(5)).await.expect("stopping what does not run is fine");
    let exited = test.seen(&id).await.unwrap();
    let ContainerState::Exited { exit, started_at: began } = exited.state else { panic!("{:?}", exited.state) };
    assert_eq!((exit.code, exit.oom, began), (143, false, started_at));
    assert!(exit.at >= started_at);
}

#[tokio::test]
async fn a_new_run_is_seen_although_no_event_told_of_it() {
    let test = TestEngine::new("deaf").await;
    let proxy = Recorder::deaf(test.directory.path());
    let docker_host = Some(format!("unix://{}", proxy.socket.display()));
    let surroundings = Surroundings { docker_host, ..Surroundings::of_process() };
    let deaf = DockerEngine::connect(surroundings, Arc::new(SystemClock::new())).await.expect("an engine");
    let _events = deaf.events(&test.stack).await.expect("a stream");
    let id = test.run("web", &["sleep"]).await;
    let state = async || {
        let world = deaf.observe(&test.scope()).await.expect("observed");
        world.containers.into_iter().find(|container| container.id == id).expect("it is there").state
    };
    let inspects = || proxy.seen().iter().filter(|line| line.ends_with(&format!("/containers/{}/json", id.0))).count();
    let first = state().await;
    assert_eq!((state().await, inspects()), (first.clone(), 1), "what nothing happened to is not asked for again");
    assert!(docker(&["restart", "-t", "1", &id.0]).status.success());
    let second = state().await;
    assert!(second.word() == "running" && second != first, "{second:?}");
}

#[tokio::test]
async fn an_exit_code_is_seen_as_it_was() {
    let test = TestEngine::new("exit").await;
    let id = test.run("job", &["exit", "42"]).await;
    let seen = test.until_state(&id, "exited").await;
    assert!(matches!(seen.state, ContainerState::Exited { exit, .. } if exit.code == 42 && !exit.oom));
}

#[tokio::test]
async fn running_out_of_memory_is_seen_as_such() {
    let test = TestEngine::new("oom").await;
    let mut request = test.container("fat", &["hog", "256M"]);
    request.memory = Some(32 << 20);
    let id = test.engine.create(&request).await.unwrap();
    // Swap would let it live.
    docker(&["update", "--memory", "32m", "--memory-swap", "32m", &id.0]);
    test.engine.start(&id).await.unwrap();
    let seen = test.until_state(&id, "exited").await;
    assert!(matches!(seen.state, ContainerState::Exited { exit, .. } if exit.code == 137 && exit.oom), "{:?}", seen.state);
}

#[tokio::test]
async fn a_stop_sends_the_signal_and_kills_after_the_grace() {
    let test = TestEngine::new("stop").await;
    let mut deaf = test.container("deaf", &["sleep", "--ignore-term", "--print", "deaf now"]);
    deaf.stop_signal = Some("SIGTERM".to_owned());
    let deaf = test.engine.create(&deaf).await.unwrap();
    test.engine.start(&deaf).await.unwrap();
    let mut polite = test.container("polite", &["sleep"]);
    polite.stop_signal = Some("SIGUSR1".to_owned());
    let polite = test.engine.create(&polite).await.unwrap();
    test.engine.start(&polite).await.unwrap();

    let said = LogQuery { follow: true, ..LogQuery::default() };
    let mut said = test.engine.logs(&deaf, &said).await.unwrap();
    said.next().await.expect("it is deaf from now on").unwrap();

    let (deaf_stopped, polite_stopped) =
        tokio::join!(test.engine.stop(&deaf, Duration::from_secs(1)), test.engine.stop(&polite, Duration::from_secs(60)));
    deaf_stopped.unwrap();
    polite_stopped.unwrap();
    let code = async |id: &ContainerId| match test.seen(id).await.unwrap().state {
        ContainerState::Exited { exit, .. } => exit.code,
        state => panic!("{state:?}"),
    };
    assert_eq!((code(&deaf).await, code(&polite).await), (137, 128 + 10));
}

#[tokio::test]
async fn what_is_gone_is_stopped_and_removed_already() {
    let test = TestEngine::new("gone").await;
    let id = test.engine.create(&test.container("web", &["sleep"])).await.unwrap();
    test.engine.remove(&id).await.unwrap();
    test.engine.remove(&id).await.expect("removing what is gone is fine");
    test.engine.stop(&id, Duration::from_secs(1)).await.expect("stopping what is gone is fine");
    assert_eq!(kind(test.engine.start(&id).await), ErrorKind::NotFound);
    assert_eq!(kind(test.engine.rename(&id, "other").await), ErrorKind::NotFound);
    assert_eq!(kind(test.engine.wait(&id).await), ErrorKind::NotFound);
    assert_eq!(kind(test.engine.logs(&id, &LogQuery::default()).await.map(|_| ())), ErrorKind::NotFound);
    assert!(test.seen(&id).await.is_none());
}

#[tokio::test]
async fn conflicts_of_names_and_states_are_told_apart() {
    let test = TestEngine::new("conflict").await;
    let request = test.container("web", &["sleep"]);
    let id = test.run("web", &["sleep"]).await;
    assert_eq!(kind(test.engine.create(&request).await), ErrorKind::Conflict);
    assert_eq!(kind(test.engine.remove(&id).await), ErrorKind::Conflict, "it runs");

    let other = test.engine.create(&test.container("api", &["sleep"])).await.unwrap();
    assert_eq!(kind(test.engine.rename(&other, &request.name).await), ErrorKind::Conflict);
    let renamed = format!("{}-renamed", test.stack);
    test.engine.rename(&other, &renamed).await.unwrap();
    assert_eq!(test.seen(&other).await.unwrap().name, renamed);

    let mut missing = test.container("none", &["sleep"]);
    missing.image = "localhost/witwd-test-none:1".to_owned();
    assert_eq!(kind(test.engine.create(&missing).await), ErrorKind::NotFound);
    let mut unbound = test.container("bind", &["sleep"]);
    let source = MountFrom::Bind("/nowhere/at/all".into());
    unbound.mounts = vec![MountRequest { source, target: "/data".to_owned(), read_only: false }];
    assert_eq!(kind(test.engine.create(&unbound).await), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_command_that_is_not_there_leaves_the_container_created() {
    let test = TestEngine::new("nocmd").await;
    let mut request = test.container("web", &[]);
    request.entrypoint = Some(words(&["/not/there"]));
    request.hardening.init = Some(false);
    let id = test.engine.create(&request).await.unwrap();
    let error = test.engine.start(&id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert_eq!(test.seen(&id).await.unwrap().state, ContainerState::Created);
}

#[tokio::test]
async fn a_wait_ends_with_the_run() {
    let test = TestEngine::new("wait").await;
    let id = test.engine.create(&test.container("job", &["exit", "3"])).await.unwrap();
    let engine = test.engine.clone();
    let waited = id.clone();
    let waiting = tokio::spawn(async move { engine.wait(&waited).await });
    test.engine.start(&id).await.unwrap();
    let waited = tokio::time::timeout(SOON, waiting).await.expect("in time").unwrap().unwrap();
    assert_eq!(waited.code, 3);
}

#[tokio::test]
async fn images_asked_for_are_seen_and_others_not() {
    let test = TestEngine::new("images").await;
    let scope = Scope { images: words(&[TINY, "localhost/witwd-test-none:1"]), ..test.scope() };
    let world = test.engine.observe(&scope).await.unwrap();
    assert_eq!(world.images.keys().collect::<Vec<_>>(), [TINY]);
    let facts = test.engine.image(TINY).await.unwrap();
    assert_eq!((facts.entrypoint, facts.has_healthcheck), (words(&["/tiny"]), false));
    assert_eq!(world.images[TINY], facts.id);
}
