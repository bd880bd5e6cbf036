//! What every verb starts from: the flags, the place of the stack, what was kept of the last `up`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::args::Globals;
use super::assembly;
use super::exit_code::{Exit, Failure};
use super::file::load;
use super::output::Output;
use super::place::Place;
use crate::config::{LoadRequest, Loaded};
use crate::control::{Client, ConnectError};
use crate::engine::Engine;
use crate::host::kept::{Kept, recall};
use crate::host::{Clock, Disk, SystemClock, SystemDisk};
use crate::model::name::{InstanceId, StackName};

/// What every verb starts from.
#[derive(Clone)]
pub struct Context {
    /// The flags of the program.
    pub globals: Globals,
    /// How to speak.
    pub output: Output,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Small files.
    pub disk: Arc<dyn Disk>,
}

impl Context {
    /// The start of a verb under these flags.
    pub fn new(globals: Globals, output: Output) -> Self {
        Self { globals, output, clock: Arc::new(SystemClock::new()), disk: Arc::new(SystemDisk) }
    }

    /// Where the stack lies.
    pub fn place(&self) -> Result<Place, Failure> {
        Place::find(self.disk.as_ref(), self.globals.file.as_deref(), &working_directory()?)
    }

    /// What was kept of the last `up`.
    pub fn kept(&self, place: &Place) -> Option<Kept> {
        recall(self.disk.as_ref(), &place.state)
    }

    /// How `up` reads the file: under the caller's own environment, which is then kept. Without
    /// `--profile` the profiles stay those of the last `up`.
    pub fn request_of_up(&self, place: &Place) -> Result<LoadRequest, Failure> {
        let kept = self.kept(place);
        let kept = kept.as_ref();
        let from = working_directory()?;
        let env_files: Vec<PathBuf> = self.globals.env_files.iter().map(|file| from.join(file)).collect();
        Ok(LoadRequest {
            file: place.file.clone(),
            name: self.globals.name.clone(),
            profiles: chosen_profiles(&self.globals.profiles, kept),
            environment: environment(),
            env_files,
            ..LoadRequest::default()
        })
    }

    /// How other verbs read it: the caller's environment first, then what was kept.
    pub fn request_to_look(&self, place: &Place) -> Result<LoadRequest, Failure> {
        let kept = self.kept(place);
        let mut request = self.request_of_up(place)?;
        if let Some(kept) = kept {
            request.kept = kept.environment;
            request.name = request.name.or(kept.name);
            if request.env_files.is_empty() {
                request.env_files = kept.env_files;
            }
        }
        Ok(request)
    }

    /// The stack, for a verb that only looks.
    pub fn look(&self, place: &Place) -> Result<Loaded, Failure> {
        Ok(load(&self.request_to_look(place)?)?)
    }

    /// The daemon of the stack, where one runs.
    pub async fn daemon(&self, place: &Place) -> Result<Option<Client>, Failure> {
        match self.connect(place).await? {
            Ok(client) => Ok(Some(client)),
            Err(ConnectError::NoDaemon | ConnectError::Stale(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whoever keeps the stack: on the socket of its user, else on the one that is open to a group.
    pub async fn connect(&self, place: &Place) -> Result<Result<Client, ConnectError>, Failure> {
        let own = match place.socket(self.disk.as_ref()) {
            Ok(path) => Ok(Client::connect(&path).await),
            Err(failure) => Err(failure),
        };
        if let Err(_) | Ok(Err(ConnectError::NoDaemon | ConnectError::Stale(_) | ConnectError::Forbidden(_))) = &own {
            for door in place.doors()? {
                if let Ok(client) = Client::connect(&door).await {
                    return Ok(Ok(client));
                }
            }
        }
        own
    }

    /// Which stack is meant on the engine: the one that the daemon keeps, else that of the file, else
    /// the one that was kept last.
    pub async fn identity(&self, place: &Place) -> Result<(StackName, InstanceId), Failure> {
        let instance = place.instance()?;
        if let Some(client) = self.daemon(place).await?
            && let Ok(name) = client.status().await?.stack.parse()
        {
            return Ok((name, instance));
        }
        let kept = self.kept(place).and_then(|kept| kept.stack.parse().ok());
        match (self.look(place), kept) {
            (Ok(loaded), _) => Ok((loaded.stack.name().clone(), instance)),
            (Err(_), Some(name)) => Ok((name, instance)),
            (Err(failure), None) => Err(failure),
        }
    }

    /// The engine, once it has answered.
    pub async fn engine(&self) -> Result<Arc<dyn Engine>, Failure> {
        assembly::connect(self.clock.clone()).await
    }
}

/// The profiles that are meant: those of the flags, else those of the last `up`.
pub(super) fn chosen_profiles(flags: &[String], kept: Option<&Kept>) -> Vec<String> {
    match flags {
        [] => kept.map(|kept| kept.profiles.clone()).unwrap_or_default(),
        [none] if none == "none" => Vec::new(),
        named => named.to_vec(),
    }
}

/// The variables of this process that are text; no other can stand in a file.
pub(super) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// Where this command was called.
pub(super) fn working_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| Failure::of(Exit::Failed, "failed to find the working directory", &error))
}
