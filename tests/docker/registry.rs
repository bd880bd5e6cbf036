//! Pulls from a real registry on this machine: open, with a password, one that stalls and one
//! that dies half-way.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use witwd::engine::answer::Progress;
use witwd::engine::docker::{DockerEngine, Surroundings};
use witwd::engine::request::PullImage;
use witwd::engine::{Engine, EngineError, ErrorKind, ProgressSink};
use witwd::host::SystemClock;
use witwd::model::name::ImageId;

use crate::proxy::{Fault, Proxy};
use crate::support::{SOON, TEST, TestEngine, docker, eventually, import, kind};

const USER: &str = "tester";
const PASSWORD: &str = "open sesame";
/// The same, as the registry keeps it.
const HASHED: &str = "$2b$04$/f7Uu44psG9LtL1vJVvpauHSmjZQj320TNylxIIRqzfQS6NWcKqHy";

/// Debian's `docker-registry` on a free port, gone with this value.
pub struct Registry {
    process: Child,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Registry {
    /// One that keeps its images in `directory` and asks for a password where `locked`.
    pub async fn start(directory: &Path, locked: bool) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = directory.join("registry");
        let passwords = directory.join("htpasswd");
        std::fs::write(&passwords, format!("{USER}:{HASHED}\n")).unwrap();
        let auth = format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", passwords.display());
        let config = directory.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n{}",
            data.display(),
            if locked { auth.as_str() } else { "" }
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("docker-registry: apt-get install docker-registry");
        let registry = Self { process, port };
        eventually(SOON, "the registry answers", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An image of `megabytes` that cannot be packed any smaller, pushed and taken from the engine.
fn push(test: &TestEngine, registry: &Registry, megabytes: u64, config: Option<&Path>) -> String {
    let name = format!("127.0.0.1:{}/{}:1", registry.port, test.stack);
    let directory = test.directory.path();
    let content = directory.join("content");
    let mut random = std::io::Read::take(std::fs::File::open("/dev/urandom").unwrap(), megabytes << 20);
    std::io::copy(&mut random, &mut std::fs::File::create(&content).unwrap()).unwrap();
    import(&content, directory, &name, &format!("LABEL {TEST}={}", test.stack));
    let config = config.map(|path| path.display().to_string());
    let words: Vec<&str> = config.iter().flat_map(|path| ["--config", path]).chain(["push", "-q", &name]).collect();
    let pushed = docker(&words);
    assert!(pushed.status.success(), "push: {}", String::from_utf8_lossy(&pushed.stderr));
    docker(&["image", "rm", "-f", &name]);
    name
}

/// A Docker configuration for one registry.
fn config(directory: &Path, text: &str) -> std::path::PathBuf {
    let path = directory.join("docker-config");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("config.json"), text).unwrap();
    path
}

/// The engine as seen with another Docker configuration and more programs.
fn engine_with(test: &TestEngine, config: &Path, programs: &Path) -> DockerEngine {
    let own = Surroundings::of_process();
    let surroundings = Surroundings {
        docker_host: Some(format!("unix://{}", test.engine.address().path.display())),
        docker_config: Some(config.to_owned()),
        path: own.path.as_ref().map(|path| format!("{}:{path}", programs.display())),
        ..own
    };
    DockerEngine::locate(surroundings, Arc::new(SystemClock::new())).unwrap()
}

async fn pull(engine: &DockerEngine, reference: &str, inactivity: Duration) -> (Result<ImageId, EngineError>, Vec<Progress>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = seen.clone();
    let progress: ProgressSink = Arc::new(move |step| into.lock().unwrap().push(step));
    let request = PullImage { reference: reference.to_owned(), platform: None, inactivity };
    let outcome = engine.pull(&request, progress).await;
    let seen = seen.lock().unwrap().clone();
    (outcome, seen)
}

#[tokio::test]
async fn an_image_is_pulled_with_progress_per_layer() {
    let test = TestEngine::new("pull").await;
    let registry = Registry::start(test.directory.path(), false).await;
    let name = push(&test, &registry, 8, None);
    assert_eq!(kind(test.engine.image(&name).await), ErrorKind::NotFound);
    let (outcome, progress) = pull(&test.engine, &name, SOON).await;
    assert_eq!(outcome.unwrap(), test.engine.image(&name).await.unwrap().id);
    let counted = progress.iter().any(|step| matches!(step, Progress::Layer { bytes: Some((done, all)), .. } if done <= all));
    assert!(counted, "{progress:?}");

    let unknown = format!("127.0.0.1:{}/{}:2", registry.port, test.stack);
    assert_eq!(kind(pull(&test.engine, &unknown, SOON).await.0), ErrorKind::ImageDenied);
}

#[tokio::test]
async fn no_registry_is_told_apart_from_no_image() {
    let test = TestEngine::new("nobody").await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = pull(&test.engine, &format!("127.0.0.1:{port}/app:1"), SOON).await.0.unwrap_err();
    assert_eq!(error.kind, ErrorKind::RegistryUnreachable, "{error}");
}

#[tokio::test]
async fn a_password_comes_from_the_docker_configuration() {
    use base64::Engine as _;
    use std::os::unix::fs::PermissionsExt;
    let test = TestEngine::new("locked").await;
    let directory = test.directory.path();
    let registry = Registry::start(directory, true).await;
    let server = format!("127.0.0.1:{}", registry.port);
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let with_file = config(&directory.join("file"), &format!(r#"{{"auths":{{"{server}":{{"auth":"{encoded}"}}}}}}"#));
    let name = push(&test, &registry, 1, Some(&with_file));

    let without = config(&directory.join("without"), "{}");
    let refused = pull(&engine_with(&test, &without, directory), &name, SOON).await.0.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::ImageDenied, "{refused}");
    pull(&engine_with(&test, &with_file, directory), &name, SOON).await.0.expect("with the password of the file");
    docker(&["image", "rm", "-f", &name]);

    let helper = directory.join("docker-credential-witwdtest");
    let answer = format!(r#"{{"ServerURL":"{server}","Username":"{USER}","Secret":"{PASSWORD}"}}"#);
    std::fs::write(&helper, format!("#!/bin/sh\nread server\ntest \"$server\" = {server} && echo '{answer}'\n")).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let with_helper = config(&directory.join("helper"), &format!(r#"{{"credHelpers":{{"{server}":"witwdtest"}}}}"#));
    pull(&engine_with(&test, &with_helper, directory), &name, SOON).await.0.expect("with the password of the helper");

    let wrong = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:canary-4711"));
    let with_wrong = config(&directory.join("wrong"), &format!(r#"{{"auths":{{"{server}":{{"auth":"{wrong}"}}}}}}"#));
    let refused = pull(&engine_with(&test, &with_wrong, directory), &name, SOON).await.0.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::ImageDenied, "{refused}");
    assert!(!refused.to_string().contains("4711"));
}

#[tokio::test]
async fn a_registry_that_stalls_is_given_up_and_pulled_from_later() {
    let test = TestEngine::new("stall").await;
    let registry = Registry::start(test.directory.path(), false).await;
    let name = push(&test, &registry, 8, None);
    let proxy = Proxy::start(registry.port, Fault::StallAfter(5 << 20)).await;
    let through = name.replace(&registry.port.to_string(), &proxy.port.to_string());
    let (outcome, _) = pull(&test.engine, &through, Duration::from_secs(2)).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
    assert_eq!(error.message, "no progress for 2 s");
    assert!(proxy.passed() > 5 << 20, "it stalled in the middle of the layer");
    proxy.set(Fault::None);
    pull(&test.engine, &through, SOON).await.0.expect("it goes on now");
}

#[tokio::test]
async fn a_registry_that_dies_half_way_is_given_up_and_pulled_from_later() {
    let test = TestEngine::new("die").await;
    let registry = Registry::start(test.directory.path(), false).await;
    let name = push(&test, &registry, 8, None);
    let proxy = Proxy::start(registry.port, Fault::DieAfter(5 << 20)).await;
    let through = name.replace(&registry.port.to_string(), &proxy.port.to_string());
    // The engine itself tries again for minutes: no progress is what counts.
    let (outcome, _) = pull(&test.engine, &through, Duration::from_secs(2)).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Timeout | ErrorKind::Other), "{error}");
    assert!(!error.kind.nothing_happened());
    assert!(proxy.passed() > 5 << 20, "it died in the middle of the layer");
    let (again, _) = pull(&test.engine, &through, Duration::from_secs(2)).await;
    assert!(again.is_err(), "it is still dead");
    proxy.set(Fault::None);
    pull(&test.engine, &through, SOON).await.0.expect("it lives again");
}
