//! From an `up` to what the supervisor is asked for: reads the file, keeps what it was read with,
//! and refuses what is held by somebody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, watch};

use super::assembly::{Parts, build_digests, machine};
use super::claim::{self, Footprint, Found};
use super::door::{self, Door};
use super::exit_code::{Exit, Failure};
use super::file::{self, Reading, surroundings};
use super::words::{nearest, shown};
use crate::config::{InvalidFile, LoadRequest, Loaded};
use crate::control::protocol::{Fault, Up};
use crate::control::{Loader, Peer};
use crate::host::git::keep_from_git;
use crate::host::kept::{Kept, keep, recall};
use crate::model::history::Fresh;
use crate::model::name::WorkloadName;
use crate::model::preview::Preview;
use crate::model::stack::{SecretSource, Stack};
use crate::model::workload::{Kind, Workload};
use crate::supervisor::{self, Known, Occasion};

/// The number of what a daemon goes on with by itself: older than all that it is asked for.
const RESUMED: u64 = 0;

/// A stack that was read, and what was learnt beside it.
#[derive(Clone)]
struct Read {
    /// Its number among the readings of this daemon, taken before the file was read.
    number: u64,
    /// The reading whose surroundings it was read under: what is accepted meanwhile has newer ones.
    based_on: Option<u64>,
    reading: Reading,
    /// The variables that it mentions.
    environment: BTreeMap<String, String>,
    /// Digests of its builds.
    builds: BTreeMap<WorkloadName, String>,
}

/// Loads the stack of a daemon.
pub(super) struct FileLoader {
    /// What the daemon works with.
    pub parts: Parts,
    /// The door that the stack wants open to a group.
    pub door: watch::Sender<Option<Door>>,
    /// Whether this daemon runs a stack already: then nothing of it is lost, whatever becomes of `.witwd`.
    pub runs: AtomicBool,
    /// What was found to be its own on the engine, containers or volumes: nobody else can have that name since.
    own: Mutex<Option<Footprint>>,
    /// Told whenever a stack was accepted.
    pub accepted: Notify,
    /// How many readings were begun.
    begun: AtomicU64,
    /// The reading that was accepted last: what was read before it is never accepted after it.
    latest: Mutex<u64>,
}

/// A saved file, and what it would do.
pub(super) struct Saved {
    read: Read,
    uid: u32,
    asked: supervisor::Up,
    /// What applying it would do.
    pub preview: Preview,
}

/// What a request asks for.
struct Wanted {
    read: Read,
    only: BTreeSet<WorkloadName>,
    fresh: Fresh,
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
    /// One that has loaded nothing yet, behind a closed door.
    pub(super) fn of(parts: Parts) -> Self {
        let (begun, latest) = (AtomicU64::new(0), Mutex::new(0));
        Self {
            parts,
            door: watch::Sender::new(None),
            runs: false.into(),
            own: Mutex::new(None),
            accepted: Notify::new(),
            begun,
            latest,
        }
    }

    /// What an `up` asks for: the file must be valid.
    async fn prepare(&self, up: Up, peer: Peer) -> Result<(supervisor::Up, Vec<String>), Failure> {
        loop {
            let wanted = self.wanted(&up).await?;
            let door = door::prepare(&self.parts.place, &wanted.read.reading.loaded.stack)?;
            if self.accept(&wanted.read, peer.uid)? {
                self.want(door.as_ref());
                self.is_accepted();
                return Ok(self.asked(wanted, &up));
            }
        }
    }

    fn is_accepted(&self) {
        self.runs.store(true, Ordering::Relaxed);
        self.accepted.notify_one();
    }

    fn own(&self) -> MutexGuard<'_, Option<Footprint>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was kept of the last `up`.
    pub(super) fn kept(&self) -> Option<Kept> {
        recall(self.parts.disk.as_ref(), &self.parts.place.state)
    }

    /// What a saved file would do, under the surroundings of the last `up`. Nothing is kept.
    pub(super) async fn saved(&self, known: Known) -> Result<Saved, Failure> {
        let (based_on, kept) = {
            let latest = self.latest();
            (*latest, self.kept())
        };
        let Some(kept) = kept else { return Err(Failure::new(Exit::Failed, "what was accepted last is gone")) };
        let (uid, request) = (kept.uid, surroundings(&kept, self.parts.place.file.clone()));
        let read = Read { based_on: Some(based_on), ..self.read(self.begin(), request, None).await? };
        self.is_ours(&read.reading.loaded.stack).await?;
        let wanted = Wanted { read: read.clone(), only: BTreeSet::new(), fresh: Fresh::default() };
        let (asked, _) = self.asked(wanted, &Up::default());
        let asked = supervisor::Up { occasion: Occasion::Saved, ..asked };
        let preview = machine(&self.parts).preview(asked.clone(), Some(known)).await?;
        Ok(Saved { read, uid, asked, preview })
    }

    /// The door that a saved file wants.
    pub(super) fn door_of(&self, saved: &Saved) -> Result<Option<Door>, Failure> {
        door::prepare(&self.parts.place, &saved.read.reading.loaded.stack)
    }

    /// Accepts a saved file; what is returned is to be asked of the supervisor. `None`: an `up` has accepted
    /// a later reading meanwhile.
    pub(super) fn take_saved(&self, saved: Saved, door: Option<&Door>) -> Result<Option<supervisor::Up>, Failure> {
        if !self.accept(&saved.read, saved.uid)? {
            return Ok(None);
        }
        self.want(door);
        Ok(Some(saved.asked))
    }

    /// What an `up` would do. Neither the file's surroundings nor anything else is kept.
    pub(super) async fn foresee(&self, up: &Up, known: Option<Known>) -> Result<Preview, Failure> {
        let (asked, _) = self.asked(self.wanted(up).await?, up);
        Ok(machine(&self.parts).preview(asked, known).await?)
    }

    /// What a daemon goes on with by itself: what was accepted last. What was saved since is looked at
    /// like any other save.
    pub(super) async fn go_on(&self, kept: Kept) -> Result<(supervisor::Up, Vec<String>), Failure> {
        let (uid, request) = (kept.uid, surroundings(&kept, self.parts.place.file.clone()));
        let read = self.read(RESUMED, request, Some(kept)).await?;
        self.is_ours(&read.reading.loaded.stack).await?;
        if read.reading.request.memory.is_none() {
            self.accept(&read, uid)?;
        }
        match door::prepare(&self.parts.place, &read.reading.loaded.stack) {
            Ok(door) => self.want(door.as_ref()),
            // A group that is gone is no reason to leave the stack alone.
            Err(failure) => tracing::warn!("{}", failure.message),
        }
        self.is_accepted();
        Ok(self.asked(Wanted { read, only: BTreeSet::new(), fresh: Fresh::default() }, &Up::default()))
    }

    /// The file and the names of a request, once both make sense and the stack is this directory's to run.
    async fn wanted(&self, up: &Up) -> Result<Wanted, Failure> {
        let read = self.read(self.begin(), self.request(up), None).await?;
        let stack = &read.reading.loaded.stack;
        let (only, fresh) = (workloads(stack, &up.only)?, fresh(stack, &up.fresh)?);
        self.is_ours(stack).await?;
        Ok(Wanted { read, only, fresh })
    }

    /// The number of a reading that begins now: from 1.
    fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn read(&self, number: u64, request: LoadRequest, kept: Option<Kept>) -> Result<Read, Failure> {
        let reading = move || {
            let reading = match &kept {
                Some(kept) => file::resume(request, kept)?,
                None => file::read(request, None)?,
            };
            let (environment, builds) =
                (mentioned(&reading.request.environment, &reading.loaded), build_digests(&reading.loaded));
            Ok::<_, InvalidFile>(Read { number, based_on: None, reading, environment, builds })
        };
        let read = tokio::task::spawn_blocking(reading).await;
        Ok(read.map_err(|error| Failure::of(Exit::Failed, "failed to read the file", &error))??)
    }

    /// The number of the reading that was accepted last; nothing else is accepted while it is held.
    fn latest(&self) -> MutexGuard<'_, u64> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, up: &Up) -> LoadRequest {
        LoadRequest {
            file: self.parts.place.file.clone(),
            name: up.name.clone(),
            profiles: up.profiles.clone(),
            environment: up.environment.clone(),
            env_files: up.env_files.clone(),
            ..LoadRequest::default()
        }
    }

    /// Keeps what was read, as what is run from now on whatever becomes of the file; `false` where a later
    /// reading was accepted already.
    fn accept(&self, read: &Read, uid: u32) -> Result<bool, Failure> {
        let mut latest = self.latest();
        if read.number < *latest || read.based_on.is_some_and(|number| number != *latest) {
            return Ok(false);
        }
        let Reading { request, loaded, .. } = &read.reading;
        let file = request.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let before = self.kept();
        let kept = Kept {
            at: self.parts.clock.wall(),
            uid,
            environment: read.environment.clone(),
            stack: loaded.stack.name().to_string(),
            profiles: request.profiles.clone(),
            name: request.name.clone(),
            env_files: request.env_files.clone(),
            file,
            snapshot: loaded.snapshot.clone(),
        };
        if !before.is_some_and(|before| before.means_the_same(&kept)) {
            keep(self.parts.disk.as_ref(), &self.parts.place.state, &kept)?;
        }
        *latest = read.number;
        drop(latest);
        self.leave_traces(loaded);
        Ok(true)
    }

    /// What the supervisor is asked for, with the warnings of the file.
    fn asked(&self, wanted: Wanted, up: &Up) -> (supervisor::Up, Vec<String>) {
        let Wanted { read: Read { number, reading: Reading { loaded, invalid, .. }, builds, .. }, only, fresh } = wanted;
        let problems = invalid.iter().flat_map(|invalid| &invalid.problems).chain(&loaded.warnings);
        let warnings = problems.map(super::check::problem_text).collect();
        let up = supervisor::Up {
            stack: loaded.stack.into(),
            only,
            build: up.build,
            pull: up.pull,
            builds,
            fresh,
            occasion: Occasion::Asked,
            reading: number,
            file: file::status(&self.parts.place, invalid.as_ref()),
            definitions: loaded.definitions,
            notes: loaded.not_carried_out,
        };
        (up, warnings)
    }

    /// Who speaks through a door that stays goes on speaking.
    fn want(&self, door: Option<&Door>) {
        self.door.send_if_modified(|now| std::mem::replace(now, door.cloned()).as_ref() != door);
    }

    /// Refuses a stack that is not this directory's to run. Of what was found to be its own it is not asked
    /// again: whatever came beside it since is not ours, and the supervisor leaves it alone.
    async fn is_ours(&self, stack: &Stack) -> Result<(), Failure> {
        let Parts { engine, disk, place, .. } = &self.parts;
        let footprint = Footprint::of(stack);
        if self.own().as_ref().is_some_and(|own| own.covers(&footprint)) {
            return Ok(());
        }
        let is_known = self.runs.load(Ordering::Relaxed) || claim::is_known(disk.as_ref(), place)?;
        if claim::check(engine.as_ref(), place, stack, is_known).await? == Found::Own {
            *self.own() = Some(footprint);
        }
        Ok(())
    }

    /// What every run leaves beside the file: the schema for editors, and peace with git.
    fn leave_traces(&self, loaded: &Loaded) {
        let place = &self.parts.place;
        let (path, schema) = (place.state.join("stack.schema.json"), super::assembly::schema().as_bytes());
        let is_there = self.parts.disk.read(&path).is_ok_and(|there| there.as_deref() == Some(schema));
        if !is_there && let Err(error) = self.parts.disk.write_atomic(&path, schema) {
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

/// What may begin without data by these names: the stack, a postgres or a volume.
pub(super) fn fresh(stack: &Stack, names: &[String]) -> Result<Fresh, Failure> {
    let mut fresh = Fresh::default();
    for name in names {
        let workload = name.parse::<WorkloadName>().ok().and_then(|name| stack.workload(&name));
        let data = workload.and_then(Workload::postgres).map(|postgres| postgres.volume.clone());
        let volume = stack.volumes().keys().find(|volume| volume.as_str() == name).cloned();
        let is_stack = name == stack.name().as_str();
        if !is_stack && data.is_none() && volume.is_none() {
            let name = shown(name);
            let words = format!("{name} is no postgres and no volume of stack {}: `--fresh` is about data", stack.name());
            return Err(Failure::new(Exit::Usage, words));
        }
        fresh.stack |= is_stack;
        fresh.volumes.extend(data.into_iter().chain(volume));
    }
    Ok(fresh)
}

/// The workload of this name, or what may be meant.
pub(super) fn workload<'a>(stack: &'a Stack, name: &str) -> Result<&'a Workload, Failure> {
    let found = name.parse::<WorkloadName>().ok().and_then(|name| stack.workload(&name));
    found.ok_or_else(|| {
        let names: Vec<&str> = stack.in_order().map(|workload| workload.name.as_str()).collect();
        no_such(stack.name().as_str(), name, &names)
    })
}

/// A name that a stack does not have, and what may be meant.
pub(super) fn no_such(stack: &str, name: &str, names: &[&str]) -> Failure {
    let hint = match nearest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean {meant}?"),
        None if names.is_empty() => "it has nothing to run yet".to_owned(),
        None => format!("it has {}", names.join(", ")),
    };
    Failure::new(Exit::Usage, format!("stack {stack} has no {}", shown(name))).hint(hint)
}

/// Of an environment, exactly the variables that the stack mentions.
pub(super) fn mentioned(environment: &BTreeMap<String, String>, loaded: &Loaded) -> BTreeMap<String, String> {
    let of_secrets = loaded.stack.secrets().values().filter_map(|secret| match &secret.source {
        SecretSource::Env(name) => Some(name.clone()),
        _ => None,
    });
    let names: BTreeSet<String> = loaded.mentioned.iter().cloned().chain(of_secrets).collect();
    names.into_iter().filter_map(|name| environment.get(&name).cloned().map(|value| (name, value))).collect()
}

#[cfg(test)]
mod tests;
