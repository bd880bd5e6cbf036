//! Which engine is meant, found as `docker` itself finds it, and why it does not answer.
//!
//! `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the current context of the Docker configuration, then
//! the usual sockets: Docker's, a rootless Docker's, Podman's. An engine on another machine is
//! refused: binds, probes and secrets need the daemon beside its engine.

use std::io::ErrorKind as Io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Call, DockerEngine, context, error, facts};
use crate::engine::EngineError;

/// The oldest API that has all that is used here: Docker 20.10.
const OLDEST_API: (u32, u32) = (1, 41);

/// What of this process's environment decides which engine is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// `DOCKER_CONFIG`, or `.docker` in the home directory.
    pub docker_config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `PATH`: where the docker command and the helpers that keep credentials are found.
    pub path: Option<String>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = text("HOME").map(PathBuf::from);
        Self {
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            docker_config: text("DOCKER_CONFIG").map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(".docker"))),
            runtime_dir: text("XDG_RUNTIME_DIR").map(PathBuf::from),
            home,
            path: text("PATH"),
        }
    }
}

/// Where the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineAddress {
    /// Its socket.
    pub path: PathBuf,
    /// Who said so, for messages: `DOCKER_HOST`, `the Docker context "desktop"`, `the default`.
    pub chosen_by: String,
}

/// Why there is no engine to work with. [`ConnectError::hint`] is the way out.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It is on another machine.
    #[error("{chosen_by} names {address}, an engine on another machine")]
    Remote {
        /// Who named it.
        chosen_by: String,
        /// The address, without a password.
        address: String,
    },
    /// The address can't be read.
    #[error("{chosen_by} is {address:?}, which is no address of an engine")]
    BadAddress {
        /// Who named it.
        chosen_by: String,
        /// As it was given.
        address: String,
    },
    /// The Docker configuration names a context that can't be read.
    #[error("the Docker context {name:?} can't be used: {reason}")]
    BadContext {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no socket.
    #[error("there is no engine socket at {path} ({chosen_by})")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// Who said so.
        chosen_by: String,
    },
    /// The socket may not be used.
    #[error("the engine socket {path} may not be used by this user ({chosen_by})")]
    Denied {
        /// The socket.
        path: PathBuf,
        /// Who said so.
        chosen_by: String,
    },
    /// Nothing listens.
    #[error("nothing listens on the engine socket {path} ({chosen_by})")]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Who said so.
        chosen_by: String,
    },
    /// It is older than what is used here.
    #[error("the engine {version} speaks API {}.{}; witwd needs {}.{} or newer", .api.0, .api.1, OLDEST_API.0, OLDEST_API.1)]
    TooOld {
        /// Its version.
        version: String,
        /// Its API.
        api: (u32, u32),
    },
    /// Something answers, but not as an engine should.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ConnectError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Remote { .. } => "witwd runs beside its engine: run it on that machine (ssh there, then `witwd up`), or use the \
                 engine of this one (unset DOCKER_HOST and DOCKER_CONTEXT, `docker context use default`)"
                .to_owned(),
            Self::BadAddress { .. } => "write it as unix:///var/run/docker.sock".to_owned(),
            Self::BadContext { .. } => {
                "see `docker context ls`; `docker context use default` takes the engine of this machine".to_owned()
            }
            Self::Missing { chosen_by, .. } if chosen_by == DEFAULT => {
                "install an engine (Debian and Ubuntu: `sudo apt-get install docker.io`) or start it (`sudo systemctl start docker`)"
                    .to_owned()
            }
            Self::Missing { .. } => "start that engine, or choose another one".to_owned(),
            Self::Denied { .. } => "add yourself to the group of the socket (`sudo usermod -aG docker $USER`, then log in again), \
                 run as root, or use a rootless engine"
                .to_owned(),
            Self::Refused { .. } => {
                "the socket is there but the engine is not running: `sudo systemctl start docker` (rootless: without sudo, --user)"
                    .to_owned()
            }
            Self::TooOld { .. } => "upgrade the engine to Docker 20.10 or Podman 4 or newer".to_owned(),
            Self::Engine(_) => "look at the engine's own log: `journalctl -u docker -n 50`".to_owned(),
        }
    }
}

const DEFAULT: &str = "the default";

/// Where the engine is that `surroundings` mean.
pub(super) fn locate(surroundings: &Surroundings) -> Result<EngineAddress, ConnectError> {
    if let Some(host) = &surroundings.docker_host {
        return parse(host, "DOCKER_HOST");
    }
    if let Some((name, host)) = context::current(surroundings)? {
        return parse(&host, &format!("the Docker context {name:?}"));
    }
    let candidates = usual_sockets(surroundings);
    let path = candidates
        .iter()
        .find(|path| UnixStream::connect(path).is_ok())
        .or_else(|| candidates.iter().find(|path| path.exists()))
        .unwrap_or(&candidates[0]);
    Ok(EngineAddress { path: path.clone(), chosen_by: DEFAULT.to_owned() })
}

fn usual_sockets(surroundings: &Surroundings) -> Vec<PathBuf> {
    let mut sockets = vec![PathBuf::from("/var/run/docker.sock")];
    if let Some(runtime) = &surroundings.runtime_dir {
        sockets.push(runtime.join("docker.sock"));
    }
    if let Some(home) = &surroundings.home {
        sockets.push(home.join(".docker/run/docker.sock"));
    }
    if let Some(runtime) = &surroundings.runtime_dir {
        sockets.push(runtime.join("podman/podman.sock"));
    }
    sockets.push(PathBuf::from("/run/podman/podman.sock"));
    sockets
}

fn parse(address: &str, chosen_by: &str) -> Result<EngineAddress, ConnectError> {
    let chosen_by = chosen_by.to_owned();
    match address.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(EngineAddress { path: path.into(), chosen_by }),
        Some(("tcp" | "http" | "https" | "ssh", _)) => {
            Err(ConnectError::Remote { chosen_by, address: without_password(address) })
        }
        _ => Err(ConnectError::BadAddress { chosen_by, address: without_password(address) }),
    }
}

fn without_password(address: &str) -> String {
    let Ok(mut url) = url::Url::parse(address) else { return address.to_owned() };
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    url.to_string()
}

/// Whether the engine answers and is new enough.
pub(super) async fn check(engine: &DockerEngine) -> Result<(), ConnectError> {
    let address = engine.address();
    knock(&address.path, &address.chosen_by)?;
    let version = engine
        .call(Call::new("ask", "the engine"), Duration::from_secs(10), |docker| async move { docker.version().await })
        .await?;
    let version_name = version.version.unwrap_or_default();
    let api = facts::parse_api(&version.api_version.unwrap_or_default()).ok_or_else(|| {
        let error = bollard::errors::Error::APIVersionParseError {};
        error::classify("ask", "the engine", &error)
    })?;
    if api < OLDEST_API {
        return Err(ConnectError::TooOld { version: version_name, api });
    }
    Ok(())
}

fn knock(path: &Path, chosen_by: &str) -> Result<(), ConnectError> {
    let (path, chosen_by) = (path.to_owned(), chosen_by.to_owned());
    match UnixStream::connect(&path).map_err(|error| error.kind()) {
        Ok(_) => Ok(()),
        Err(Io::PermissionDenied) => Err(ConnectError::Denied { path, chosen_by }),
        Err(Io::NotFound) => Err(ConnectError::Missing { path, chosen_by }),
        Err(_) => Err(ConnectError::Refused { path, chosen_by }),
    }
}
