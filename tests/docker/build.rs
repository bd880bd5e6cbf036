//! Builds: with the engine's classic builder, and what is asked of `docker buildx`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use witwd::engine::answer::Progress;
use witwd::engine::docker::{DockerEngine, Surroundings};
use witwd::engine::request::{BuildImage, LogQuery};
use witwd::engine::{Engine, EngineError, ErrorKind, ProgressSink};
use witwd::host::SystemClock;
use witwd::model::name::ImageId;

use crate::support::{TEST, TINY, TestEngine, connect, docker, kind};

/// Three stages; every image it makes carries the test's label.
fn dockerfile(test: &TestEngine) -> String {
    format!(
        "FROM {} AS base\nLABEL {TEST}={}\nCOPY . /context/\nFROM base AS wanted\nARG COLOUR=grey\n\
         ENV COLOUR=$COLOUR\nFROM base AS unwanted\nRUN [\"/tiny\", \"exit\", \"9\"]\n",
        TINY, test.stack
    )
}

/// The engine without a `buildx`: its classic builder is used.
fn classic() -> DockerEngine {
    let surroundings = Surroundings { path: Some("/nowhere".to_owned()), ..Surroundings::of_process() };
    DockerEngine::locate(surroundings, Arc::new(SystemClock::new())).unwrap()
}

/// Every way this machine has: the classic builder, and buildx where its plugin is installed.
async fn builders() -> Vec<DockerEngine> {
    let has_buildx = docker(&["buildx", "version"]).status.success();
    std::iter::once(classic()).chain(if has_buildx { Some(connect().await) } else { None }).collect()
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn request(test: &TestEngine, context: &Path) -> BuildImage {
    BuildImage {
        tag: format!("localhost/{}:built", test.stack),
        context: context.to_owned(),
        exclude: vec![context.join("volumes/backups")],
        dockerfile: context.join("Dockerfile"),
        target: Some("wanted".to_owned()),
        args: BTreeMap::from([("COLOUR".to_owned(), "blue".to_owned())]),
        secrets: BTreeMap::new(),
        platform: None,
        labels: BTreeMap::from([(TEST.to_owned(), test.stack.to_string())]),
    }
}

async fn build(engine: &DockerEngine, request: &BuildImage) -> (Result<ImageId, EngineError>, Vec<Progress>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = seen.clone();
    let progress: ProgressSink = Arc::new(move |step| into.lock().unwrap().push(step));
    let outcome = engine.build(request, progress).await;
    let seen = seen.lock().unwrap().clone();
    (outcome, seen)
}

/// What is in an image below `/context`, sorted; directories end in a slash.
async fn sent(test: &TestEngine, image: &str) -> Vec<String> {
    let mut container = test.container("look", &["sleep"]);
    container.image = image.to_owned();
    let id = test.engine.create(&container).await.unwrap();
    let exported = docker(&["export", &id.0]).stdout;
    test.engine.remove(&id).await.unwrap();
    let mut archive = tar::Archive::new(exported.as_slice());
    let paths = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    let mut paths: Vec<String> = paths.filter_map(|path| path.strip_prefix("context/").map(str::to_owned)).collect();
    paths.retain(|path| !path.is_empty());
    paths.sort();
    paths
}

#[tokio::test]
async fn a_build_sends_what_the_ignore_file_leaves_and_takes_target_and_arguments() {
    let test = TestEngine::new("build").await;
    let context = test.directory.path();
    write(
        context,
        &[
            ("Dockerfile", &dockerfile(&test)),
            (".dockerignore", "# not these\n*.log\n!keep.log\nskipped\n!skipped/kept\nDockerfile\n"),
            ("app/main", "x"),
            ("a.log", "x"),
            ("keep.log", "x"),
            ("skipped/lost", "x"),
            ("skipped/kept", "x"),
            (".witwd/secret", "x"),
            ("sub/.witwd/secret", "x"),
            ("volumes/backups/db/dump", "x"),
            ("volumes/other", "x"),
        ],
    );
    std::os::unix::fs::symlink("main", context.join("app/link")).unwrap();
    let request = request(&test, context);
    for builder in builders().await {
        let (outcome, progress) = build(&builder, &request).await;
        let id = outcome.unwrap();
        let facts = test.engine.image(&request.tag).await.unwrap();
        assert_eq!((&facts.id, facts.env["COLOUR"].as_str(), facts.labels[TEST].as_str()), (&id, "blue", test.stack.as_str()));
        assert!(progress.iter().any(|step| matches!(step, Progress::Line(line) if line.contains("COPY"))), "{progress:?}");

        let expected = [
            ".dockerignore",
            "app/",
            "app/link",
            "app/main",
            "keep.log",
            "skipped/",
            "skipped/kept",
            "sub/",
            "volumes/",
            "volumes/other",
        ];
        assert_eq!(sent(&test, &request.tag).await, expected);

        let (again, _) = build(&builder, &request).await;
        assert_eq!(again.unwrap(), id, "nothing changed, so it is the same image");
    }
}

#[tokio::test]
async fn a_dockerfile_may_lie_outside_and_is_no_part_of_the_context() {
    let test = TestEngine::new("outside").await;
    let context = test.directory.path().join("context");
    write(test.directory.path(), &[("Elsewhere", &dockerfile(&test)), ("Elsewhere.dockerignore", "lost\n")]);
    write(&context, &[("lost", "x"), ("kept", "x")]);
    let mut request = request(&test, &context);
    request.dockerfile = test.directory.path().join("Elsewhere");
    build(&classic(), &request).await.0.unwrap();
    assert_eq!(sent(&test, &request.tag).await, [".dockerignore", "kept"]);
}

#[tokio::test]
async fn a_failed_build_says_which_step() {
    let test = TestEngine::new("badbuild").await;
    let context = test.directory.path();
    write(context, &[("Dockerfile", &dockerfile(&test))]);
    let mut request = request(&test, context);
    request.target = Some("unwanted".to_owned());
    for builder in builders().await {
        let error = build(&builder, &request).await.0.unwrap_err();
        assert!(error.kind == ErrorKind::Other && error.message.contains("/tiny exit 9"), "{error}");
        assert!(!error.message.contains('\n'), "{error}");
    }

    request.secrets = BTreeMap::from([("token".to_owned(), "canary-4711".to_owned())]);
    let error = build(&classic(), &request).await.0.unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && error.message.contains("buildx"), "{error}");
    request.secrets.clear();
    request.dockerfile = context.join("none");
    assert_eq!(kind(build(&classic(), &request).await.0), ErrorKind::Invalid);

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    write(context, &[("Dockerfile", &format!("FROM 127.0.0.1:{port}/base:1\n"))]);
    request.dockerfile = context.join("Dockerfile");
    request.target = None;
    assert_eq!(kind(build(&classic(), &request).await.0), ErrorKind::RegistryUnreachable);
}

#[tokio::test]
async fn buildx_gets_values_by_its_environment_and_an_ignore_file_with_ours_in_it() {
    let test = TestEngine::new("buildx").await;
    let context = test.directory.path().join("context");
    write(&context, &[("Dockerfile", &dockerfile(&test)), (".dockerignore", "*.log\n")]);
    let programs = test.directory.path().join("programs");
    let seen = test.directory.path().join("seen");
    // A command that writes down what it is asked and tags an image that is there.
    let script = format!(
        "#!/bin/sh\nif [ \"$2\" = version ]; then exit 0; fi\n\
         {{ echo \"words: $*\"; env | sed 's/^/env: /'; \
         while [ $# -gt 0 ]; do [ \"$1\" = --file ] && cat \"$2.dockerignore\" | sed 's/^/ignore: /'; \
         [ \"$1\" = --tag ] && tag=$2; shift; done; }} > {}\n\
         echo '#1 a step' >&2\nPATH={} exec docker tag {} \"$tag\"\n",
        seen.display(),
        std::env::var("PATH").unwrap(),
        TINY
    );
    write(&programs, &[("docker", &script)]);
    std::fs::set_permissions(programs.join("docker"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let surroundings = Surroundings { path: Some(path), ..Surroundings::of_process() };
    let engine = DockerEngine::locate(surroundings, Arc::new(SystemClock::new())).unwrap();
    let mut request = request(&test, &context);
    request.secrets = BTreeMap::from([("token".to_owned(), "canary-4711".to_owned())]);
    let (outcome, progress) = build(&engine, &request).await;
    let tiny = connect().await.image(TINY).await.unwrap().id;
    assert_eq!(outcome.unwrap(), tiny);
    assert_eq!(progress, [Progress::Line("#1 a step".to_owned())]);
    docker(&["image", "rm", &request.tag]);

    let seen = std::fs::read_to_string(seen).unwrap();
    let of = |kind: &str| seen.lines().filter_map(|line| line.strip_prefix(kind)).map(str::to_owned).collect::<Vec<_>>();
    let asked = of("words: ").join("\n");
    assert!(asked.contains("--build-arg COLOUR --secret id=token,env=WITWD_BUILD_SECRET_0"), "{asked}");
    assert!(asked.contains("--target wanted") && asked.ends_with(&context.display().to_string()), "{asked}");
    assert!(!asked.contains("4711") && !asked.contains("blue"), "{asked}");
    let environment = of("env: ");
    assert!(
        environment.contains(&"COLOUR=blue".to_owned()) && environment.contains(&"WITWD_BUILD_SECRET_0=canary-4711".to_owned())
    );
    let ignore = of("ignore: ");
    assert!(["*.log", "**/.witwd", "/volumes/backups"].iter().all(|line| ignore.contains(&(*line).to_owned())), "{ignore:?}");
}

#[tokio::test]
async fn what_was_built_runs() {
    let test = TestEngine::new("run").await;
    let context = test.directory.path();
    write(context, &[("Dockerfile", &dockerfile(&test))]);
    let request = request(&test, context);
    build(&classic(), &request).await.0.unwrap();
    let mut container = test.container("web", &["env", "COLOUR"]);
    container.image = request.tag.clone();
    let id = test.engine.create(&container).await.unwrap();
    test.engine.start(&id).await.unwrap();
    test.until_state(&id, "exited").await;
    let lines = test.engine.logs(&id, &LogQuery::default()).await.unwrap();
    let lines: Vec<_> = futures_util::StreamExt::collect(lines).await;
    assert_eq!(lines[0].as_ref().unwrap().line, "blue");
}
