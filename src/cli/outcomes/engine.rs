//! What there is to say of the engine, that it can't be reached and what it did not do, and of a command that was
//! to be run in a container and could not be.

use super::{NO_HINT, Outcome};
use crate::cli::exit_code::Exit;

const fn unreachable(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::NoEngine], message)
}

/// What is told where the engine did not answer.
const DOCTOR: &str = "`witwd doctor` looks for the reason";

/// A look at the engine; what stands behind it are its own words.
const fn look(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::Failed, Exit::NoEngine, Exit::NotRun], message).hints(&[NO_HINT, DOCTOR])
}

/// A change that `clean` asks the engine for.
const fn removal(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::Failed], message)
}

/// What a command that is to be run needs.
const fn step(message: &'static str) -> Outcome {
    Outcome::new(&[Exit::NotRun], message)
}

pub(super) const ENGINE: &[Outcome] = &[
    // It can't be reached.
    unreachable("{who} names {address}, an engine on another machine").hints(&[
        "witwd runs beside its engine: run it on that machine (ssh there, then `witwd up`), or use the engine of this one (unset \
         DOCKER_HOST and DOCKER_CONTEXT, `docker context use default`)",
    ]),
    unreachable("{who} is {address}, which is no address of an engine").hints(&["write it as unix:///var/run/docker.sock"]),
    unreachable("the Docker context {name} can't be used: {why}")
        .hints(&["see `docker context ls`; `docker context use default` takes the engine of this machine"]),
    unreachable("there is no engine socket at {path} ({who})").hints(&[
        "install an engine (Debian and Ubuntu: `sudo apt-get install docker.io`) or start it (`sudo systemctl start docker`)",
        "start that engine, or choose another one",
    ]),
    unreachable("the engine socket {path} may not be used by this user ({who})").hints(&[
        "add yourself to the group of the socket (`sudo usermod -aG docker $USER`, then log in again), run as root, or use a \
         rootless engine",
    ]),
    unreachable("nothing listens on the engine socket {path} ({who})").hints(&[
        "the socket is there but the engine is not running: `sudo systemctl start docker` (rootless: without sudo, --user)",
    ]),
    unreachable("the engine {version} speaks API {number}; witwd needs {number} or newer")
        .hints(&["upgrade the engine to Docker 20.10 or Podman 4 or newer"]),
    look("failed to ask the engine: {why}").hints(&[
        NO_HINT,
        DOCTOR,
        "look at the engine's own log: `journalctl -u docker -n 50`",
    ]),
    // It could not be looked at.
    look("failed to list containers: {why}"),
    look("failed to list networks: {why}"),
    look("failed to list volumes: {why}"),
    look("failed to list images: {why}"),
    look("failed to inspect container {id}: {why}"),
    look("failed to inspect image {image}: {why}"),
    look("failed to read the log of container {id}: {why}"),
    look("failed to reach container {id}: {why}"),
    // `clean` removed what it could.
    removal("failed to stop container {id}: {why}"),
    removal("failed to remove container {id}: {why}"),
    removal("failed to remove image {id}: {why}"),
    // A command was to be run.
    step("failed to create network {name}: {why}"),
    step("failed to remove network {name}: {why}").means("it had been made twice at the same moment"),
    step("failed to create volume {name}: {why}"),
    step("failed to inspect volume {name}: {why}"),
    step("failed to create container {name}: {why}"),
    step("failed to put files into container {id}: {why}"),
    step("failed to start container {id}: {why}"),
    step("failed to attach to container {id}: {why}"),
    step("failed to run a command in container {id}: {why}"),
    step("failed to wait for container {id}: {why}"),
    step("failed to signal container {id}: {why}"),
];

/// What was to be run and could not be.
pub(super) const NOT_RUN: &[Outcome] = &[
    // Who it was to run beside.
    step("{name} is a postgres: a second server on its data would destroy it").hints(&["`witwd psql {name}` is a shell in it"]),
    step("{name} needs secret {secret}: secrets are not carried out by this version"),
    step("{name} needs {job}: jobs are not run by this version").hints(&["`witwd run --no-deps {name}` runs it without"]),
    step("{name} needs {other}, which the daemon does not keep yet").hints(&["`witwd up -d` applies stack.toml"]),
    step("stack {stack} has no {replica}: {name} has {replicas}")
        .hints(&["`{name}` means the first that runs; replicas count from 1"]),
    // What it needs.
    step("volume {volume} is not there, and is not made for a one-off container")
        .hints(&["`witwd up -d` says what to do about it"]),
    step("there is no image"),
    step("failed to fill {hole} in env {name} of {workload}").means("the value is not known yet: `witwd up -d` makes it"),
    step("the address of the server can't be read").hints(&["`witwd db url` shows it"]),
];
