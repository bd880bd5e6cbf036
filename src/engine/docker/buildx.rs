//! Builds through `docker buildx build`: BuildKit with its cache and its secrets. Values of
//! arguments and secrets go by the environment of the command, never on its command line.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::process::Command;

use super::archive::STATE;
use super::build::{OPERATION, SILENCE, Sources, failed};
use super::{DockerEngine, error};
use crate::engine::answer::Progress;
use crate::engine::request::BuildImage;
use crate::engine::{Engine as _, EngineError, ErrorKind, ProgressSink};
use crate::host::Lines;

/// How many of the last lines an error carries.
const LAST: usize = 40;
/// Words of the environment that steer the command itself: build arguments of these names go on
/// the command line.
const STEERING: [&str; 7] = ["PATH", "HOME", "TMPDIR", "LD_", "DOCKER_", "BUILDX_", "BUILDKIT_"];

/// Whether the docker command of this machine can do it. Asked once.
pub(super) async fn is_here(engine: &DockerEngine) -> bool {
    let ask = async {
        let mut command = docker(engine);
        command.args(["buildx", "version"]).stdout(Stdio::null()).stderr(Stdio::null());
        let asked = tokio::time::timeout(Duration::from_secs(20), command.status()).await;
        matches!(asked, Ok(Ok(status)) if status.success())
    };
    *engine.inner.buildx.get_or_init(|| ask).await
}

/// The docker command, speaking to the same engine as we.
fn docker(engine: &DockerEngine) -> Command {
    let surroundings = &engine.inner.surroundings;
    let mut command = Command::new("docker");
    command.envs(engine.docker_host().map(|host| ("DOCKER_HOST", host))).env_remove("DOCKER_CONTEXT");
    if let Some(path) = &surroundings.path {
        command.env("PATH", path);
    }
    if let Some(config) = &surroundings.docker_config {
        command.env("DOCKER_CONFIG", config);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Builds an image and loads it into the engine.
pub(super) async fn build(
    engine: &DockerEngine,
    request: &BuildImage,
    sources: &Sources,
    progress: ProgressSink,
) -> Result<(), EngineError> {
    let io = |error: std::io::Error| EngineError::new(OPERATION, &request.tag, ErrorKind::Other, error.to_string());
    // A Dockerfile's own ignore file wins over the context's: that is how ours gets in.
    let directory = Scratch::new().map_err(io)?;
    let dockerfile = directory.0.join("Dockerfile");
    std::fs::write(&dockerfile, &sources.dockerfile).map_err(io)?;
    std::fs::write(directory.0.join("Dockerfile.dockerignore"), ignore_text(request, sources)).map_err(io)?;

    let mut command = docker(engine);
    command.args(["buildx", "build", "--progress", "plain", "--load", "--tag", &request.tag, "--file"]).arg(&dockerfile);
    add_options(&mut command, request);
    command.arg(&request.context).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(io)?;
    let mut last = std::collections::VecDeque::with_capacity(LAST);
    if let Some(stderr) = child.stderr.take() {
        let mut lines = Lines::of(stderr);
        loop {
            let line = tokio::time::timeout(SILENCE, lines.next()).await;
            let line = line.map_err(|_| error::timeout(OPERATION, &request.tag, SILENCE))?;
            let Some(line) = line.map_err(io)? else { break };
            if last.len() == LAST {
                last.pop_front();
            }
            last.push_back(line.clone());
            progress(Progress::Line(line));
        }
    }
    if child.wait().await.map_err(io)?.success() {
        return Ok(());
    }
    Err(failed(EngineError::new(OPERATION, &request.tag, ErrorKind::Other, complaint(last))))
}

/// What went wrong, on one line: after its progress the command sums up the step that failed,
/// between rules of dashes.
pub(super) fn complaint(last: impl IntoIterator<Item = String>) -> String {
    let is_rule = |line: &String| line.len() > 2 && line.chars().all(|letter| letter == '-');
    let lines: Vec<String> = last.into_iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let summary = lines.iter().position(is_rule).unwrap_or_default();
    lines.into_iter().skip(summary).filter(|line| !is_rule(line)).collect::<Vec<_>>().join(" / ")
}

fn add_options(command: &mut Command, request: &BuildImage) {
    for (name, value) in &request.args {
        if STEERING.iter().any(|word| name == word || (word.ends_with('_') && name.starts_with(word))) {
            command.arg("--build-arg").arg(format!("{name}={value}"));
        } else {
            command.arg("--build-arg").arg(name).env(name, value);
        }
    }
    for (number, (id, value)) in request.secrets.iter().enumerate() {
        let variable = format!("WITWD_BUILD_SECRET_{number}");
        command.arg("--secret").arg(format!("id={id},env={variable}")).env(variable, value);
    }
    for (name, value) in &request.labels {
        command.arg("--label").arg(format!("{name}={value}"));
    }
    if let Some(target) = &request.target {
        command.arg("--target").arg(target);
    }
    if let Some(platform) = &request.platform {
        command.arg("--platform").arg(platform);
    }
}

fn ignore_text(request: &BuildImage, sources: &Sources) -> String {
    let below = request.exclude.iter().filter_map(|path| path.strip_prefix(&request.context).ok());
    let never: Vec<String> = below.map(|path| format!("/{}", path.display())).collect();
    format!("{}\n**/{STATE}\n{}\n", sources.ignore.as_deref().unwrap_or_default(), never.join("\n"))
}

/// A directory that is removed with this value.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("witwd-build-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left behind by a process of the same number that was killed.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && number < 1000 => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
