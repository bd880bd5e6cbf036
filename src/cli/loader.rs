//! From an `up` to what the supervisor is asked for: reads the file, keeps what it was read with,
//! and refuses what is held by somebody else.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::assembly::{Parts, build_digests, machine};
use super::exit_code::{Exit, Failure};
use super::words::nearest;
use crate::config::{self, InvalidFile, LoadRequest, Loaded, load};
use crate::control::protocol::{Fault, Up};
use crate::control::{Loader, Peer};
use crate::engine::request::Scope;
use crate::host::git::keep_from_git;
use crate::host::kept::{Kept, keep};
use crate::model::name::{StackName, WorkloadName};
use crate::model::observed::Owner;
use crate::model::preview::Preview;
use crate::model::stack::{SecretSource, Stack};
use crate::model::workload::{Kind, Workload};
use crate::supervisor::{self, Known};

/// Loads the stack of a daemon.
pub(super) struct FileLoader {
    /// What the daemon works with.
    pub parts: Parts,
}

/// A file that was read.
struct Read {
    loaded: Loaded,
    /// The variables that it mentions.
    environment: BTreeMap<String, String>,
    /// What is asked of the supervisor with it.
    asked: supervisor::Up,
}

#[async_trait]
impl Loader for FileLoader {
    async fn load(&self, up: Up, peer: Peer) -> Result<(supervisor::Up, Vec<String>), Fault> {
        Ok(self.prepare(up, peer).await?)
    }

    async fn preview(&self, up: Up, known: Option<Known>) -> Result<Preview, Fault> {
        Ok(self.foresee(&up, known).await?)
    }
}

impl FileLoader {
    /// What an `up` is asked with is kept, and what every run leaves is left.
    async fn prepare(&self, up: Up, peer: Peer) -> Result<(supervisor::Up, Vec<String>), Failure> {
        let Read { loaded, environment, asked } = self.read(&up).await?;
        let Up { profiles, name, env_files, .. } = up;
        let (at, stack) = (self.parts.clock.wall(), loaded.stack.name().to_string());
        let kept = Kept { v: 1, at, uid: peer.uid, environment, stack, profiles, name, env_files };
        keep(self.parts.disk.as_ref(), &self.parts.place.state, &kept)?;
        self.leave_traces(&loaded);
        Ok((asked, loaded.warnings.iter().map(super::check::problem_text).collect()))
    }

    /// What an `up` would do. Neither the file's surroundings nor anything else is kept.
    pub(super) async fn foresee(&self, up: &Up, known: Option<Known>) -> Result<Preview, Failure> {
        let read = self.read(up).await?;
        Ok(machine(&self.parts).preview(read.asked, known).await?)
    }

    /// Reads the file and what surrounds it.
    async fn read(&self, up: &Up) -> Result<Read, Failure> {
        let request = self.request(up);
        let reading = move || {
            let loaded = load(&request)?;
            Ok::<_, InvalidFile>((mentioned(&request, &loaded), build_digests(&loaded), loaded))
        };
        let (environment, builds, loaded) = tokio::task::spawn_blocking(reading)
            .await
            .map_err(|error| Failure::of(Exit::Failed, "failed to read the file", &error))??;
        let only = workloads(&loaded.stack, &up.only)?;
        let fresh = servers(&loaded.stack, &up.fresh)?;
        self.not_of_another_directory(loaded.stack.name()).await?;
        let asked = supervisor::Up {
            stack: loaded.stack.clone().into(),
            only,
            build: up.build,
            pull: up.pull,
            builds,
            fresh,
            definitions: loaded.definitions.clone(),
            notes: loaded.not_carried_out.clone(),
        };
        Ok(Read { loaded, environment, asked })
    }

    fn request(&self, up: &Up) -> LoadRequest {
        LoadRequest {
            file: self.parts.place.file.clone(),
            name: up.name.clone(),
            profiles: up.profiles.clone(),
            environment: up.environment.clone(),
            env_files: up.env_files.clone(),
        }
    }

    /// A stack of the same name that another directory keeps is not ours to take.
    async fn not_of_another_directory(&self, name: &StackName) -> Result<(), Failure> {
        let scope = Scope { stack: name.clone(), images: Vec::new(), volumes: Vec::new() };
        let Ok(observed) = self.parts.engine.observe(&scope).await else {
            // The supervisor waits for the engine, and never touches what is not ours.
            return Ok(());
        };
        let other = observed.containers.iter().find_map(|container| match container.owner(name, &self.parts.instance) {
            Owner::OtherInstance { directory } => Some(directory),
            _ => None,
        });
        let earlier = observed
            .containers
            .iter()
            .filter_map(|container| container.identity.as_ref())
            .find(|identity| identity.instance == self.parts.instance && &identity.stack != name);
        if let Some(earlier) = earlier {
            let old = &earlier.stack;
            let words = format!(
                "the stack of this directory runs under the name {old}, and its data with it: {name} would begin with none"
            );
            let hint = format!("put the old name back, or end that one first: `witwd --name {old} down`");
            return Err(Failure::new(Exit::Refused, words).hint(hint));
        }
        other.map_or(Ok(()), |directory| {
            Err(Failure::new(Exit::Held, format!("a stack named {name} belongs to {directory}"))
                .hint("`witwd down` there frees the name; `witwd --name NAME up` takes another one here"))
        })
    }

    /// What every run leaves beside the file: the schema for editors, and peace with git.
    fn leave_traces(&self, loaded: &Loaded) {
        let place = &self.parts.place;
        let schema = super::assembly::schema();
        if let Err(error) = self.parts.disk.write_atomic(&place.state.join("stack.schema.json"), schema.as_bytes()) {
            tracing::warn!(%error, "failed to leave the schema");
        }
        let kept: Vec<_> = std::iter::once(place.state.clone()).chain(loaded.stack.in_order().filter_map(backups)).collect();
        if let Err(error) = keep_from_git(&place.directory, &kept) {
            tracing::warn!(%error, "failed to keep our files from git");
        }
    }
}

/// Where backup sets of a postgres lie, once there are any.
fn backups(workload: &Workload) -> Option<std::path::PathBuf> {
    match &workload.kind {
        Kind::Postgres(postgres) if postgres.backup.directory.is_dir() => Some(postgres.backup.directory.clone()),
        _ => None,
    }
}

/// The workloads of these names.
pub(super) fn workloads(stack: &Stack, names: &[String]) -> Result<BTreeSet<WorkloadName>, Failure> {
    names.iter().map(|name| workload(stack, name).map(|workload| workload.name.clone())).collect()
}

/// The postgres servers of these names.
pub(super) fn servers(stack: &Stack, names: &[String]) -> Result<BTreeSet<WorkloadName>, Failure> {
    let found = workloads(stack, names)?;
    let is_server = |name: &&WorkloadName| stack.workload(name).is_some_and(|workload| workload.postgres().is_some());
    match found.iter().find(|name| !is_server(name)) {
        Some(other) => Err(Failure::new(Exit::Usage, format!("{other} is no postgres: `--fresh` is about data directories"))),
        None => Ok(found),
    }
}

/// The workload of this name, or what may be meant.
pub(super) fn workload<'a>(stack: &'a Stack, name: &str) -> Result<&'a Workload, Failure> {
    let found = name.parse::<WorkloadName>().ok().and_then(|name| stack.workload(&name));
    found.ok_or_else(|| {
        let names: Vec<&str> = stack.in_order().map(|workload| workload.name.as_str()).collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("it has {}", names.join(", ")),
        };
        Failure::new(Exit::Usage, format!("stack {} has no {name}", stack.name())).hint(hint)
    })
}

/// Of the environment of a request, exactly the variables that the stack mentions.
pub(super) fn mentioned(request: &LoadRequest, loaded: &Loaded) -> BTreeMap<String, String> {
    let of_secrets = loaded.stack.secrets().values().filter_map(|secret| match &secret.source {
        SecretSource::Env(name) => Some(name.clone()),
        _ => None,
    });
    let names: BTreeSet<String> = config::mentioned(request).into_iter().chain(of_secrets).collect();
    names.into_iter().filter_map(|name| request.environment.get(&name).cloned().map(|value| (name, value))).collect()
}
