//! What the command line is put together from: the one file where the engine, the supervisor and
//! the schema are named. Everything else in `cli` knows traits and handles only.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use tokio::sync::watch;

use super::context::Context;
use super::exit_code::{Exit, Failure, chain};
use super::file::{self, surroundings};
use super::handover::version;
use super::place::Place;
use crate::config::{LoadRequest, Loaded};
use crate::engine::Engine;
use crate::engine::docker::{self, ConnectError, DockerEngine, build_digest};
use crate::engine::request::{BuildImage, Scope};
use crate::host::kept::recall;
use crate::host::runtime::{Runtime, Surroundings};
use crate::host::{Clock, Disk, SystemRng};
use crate::model::hash::SpecHash;
use crate::model::history::History;
use crate::model::image::{Build, ImageOrigin};
use crate::model::name::{InstanceId, StackName, WorkloadName};
use crate::model::stack::Stack;
use crate::model::status::DaemonStatus;
use crate::model::workload::Workload;
use crate::postgres::Passwords;
use crate::supervisor::{self, Command, Down, Ends, Machine, Single};

/// What a supervisor is given to work with.
#[derive(Clone)]
pub struct Parts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Small files.
    pub disk: Arc<dyn Disk>,
    /// The engine, which need not answer yet.
    pub engine: Arc<dyn Engine>,
    /// Where the stack lies.
    pub place: Place,
    /// Which instance of the stack this is.
    pub instance: InstanceId,
    /// Where sockets and secrets lie.
    pub runtime: Runtime,
    /// Who we are, for `ps`.
    pub daemon: DaemonStatus,
}

impl Parts {
    /// The parts of a process that stands for the stack in `place`, with the engine of this machine.
    pub fn here(context: &Context, place: &Place) -> Result<Self, Failure> {
        let (clock, disk) = (context.clock.clone(), context.disk.clone());
        Ok(Self {
            instance: place.instance()?,
            runtime: Runtime::open(&Surroundings::of_process())?,
            engine: locate(clock.clone())?,
            place: place.clone(),
            daemon: DaemonStatus { pid: std::process::id(), version: version(), since: clock.wall() },
            clock,
            disk,
        })
    }
}

/// The engine of this machine, once it has answered.
pub async fn connect(clock: Arc<dyn Clock>) -> Result<Arc<dyn Engine>, Failure> {
    Ok(Arc::new(docker(clock).await?))
}

/// The same with what only the real one can: streams for a person.
pub async fn docker(clock: Arc<dyn Clock>) -> Result<DockerEngine, Failure> {
    DockerEngine::connect(docker::Surroundings::of_process(), clock).await.map_err(|error| no_engine(&error))
}

/// The engine of this machine, whether it answers or not: for a daemon, which waits for it.
pub fn locate(clock: Arc<dyn Clock>) -> Result<Arc<dyn Engine>, Failure> {
    Ok(Arc::new(DockerEngine::locate(docker::Surroundings::of_process(), clock).map_err(|error| no_engine(&error))?))
}

/// Why there is no engine to work with, and what to do about it.
pub(super) fn no_engine(error: &ConnectError) -> Failure {
    let hint = error.hint();
    Failure::new(Exit::NoEngine, chain(error)).hint(hint)
}

/// The JSON schema of stack.toml. Made once: a daemon is asked for it by every `up`, and making it takes longer
/// than reading the stack.
pub fn schema() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut text = serde_json::to_string_pretty(&crate::config::schema()).unwrap_or_default();
        text.push('\n');
        text
    });
    &TEXT
}

/// Runs the supervisor until `ending` is true, leaving the stack as it is. What is asked of it
/// comes through `ends`; nothing is done before the first command.
pub async fn supervise(parts: Parts, mut ends: Ends, mut ending: watch::Receiver<bool>) -> Result<(), Failure> {
    let (stack, first) = loop {
        let command = tokio::select! {
            biased;
            () = over(&mut ending) => return Ok(()),
            command = ends.commands.recv() => command,
        };
        match command {
            None => return Ok(()),
            // Nothing is known yet but what is on the disk, where whoever asks can read it.
            Some(Command::Tell(_) | Command::File(_)) => {}
            // Who asked may be gone; there is nothing to hold yet.
            Some(Command::Pulse(answer)) => drop(answer.send(())),
            Some(Command::Errand(_, answer)) => drop(answer.send(Err(supervisor::not_up().into()))),
            Some(Command::Hand(_, answer)) => drop(answer.send(Err(supervisor::not_up()))),
            Some(Command::Up(up, answer)) => break (up.stack.clone(), Command::Up(up, answer)),
            Some(down @ Command::Down(..)) => break (stack_to_end(&parts).await, down),
        }
    };
    let supervised = machine(&parts).supervise(stack, first, ends, async move { over(&mut ending).await });
    supervised.await;
    Ok(())
}

async fn over(ending: &mut watch::Receiver<bool>) {
    // Without a sender nobody is left to end it otherwise.
    let _ = ending.wait_for(|ending| *ending).await;
}

/// What a supervisor of these parts is made from.
pub fn machine(parts: &Parts) -> Machine {
    Machine {
        engine: parts.engine.clone(),
        clock: parts.clock.clone(),
        disk: parts.disk.clone(),
        rng: Arc::new(SystemRng),
        instance: parts.instance.clone(),
        state_directory: parts.place.state.clone(),
        secrets_directory: parts.runtime.secrets(&parts.instance),
        daemon: Some(parts.daemon.clone()),
    }
}

/// The stack that a `down` without an earlier `up` is about: what the file says, or said when
/// it was accepted, for the order; where neither can be read whatever of ours is on the engine, all at once.
async fn stack_to_end(parts: &Parts) -> Arc<Stack> {
    let kept = recall(parts.disk.as_ref(), &parts.place.state);
    let known = kept.as_ref().and_then(|kept| kept.stack.parse().ok());
    let file = parts.place.file.clone();
    let request = kept
        .as_ref()
        .map_or_else(|| LoadRequest { file: file.clone(), ..LoadRequest::default() }, |kept| surroundings(kept, file.clone()));
    match file::read(request, kept.as_ref()) {
        Ok(reading) => Arc::new(reading.loaded.stack),
        Err(invalid) => {
            tracing::warn!("{invalid}: what carries our labels is stopped without its order");
            let name = match known {
                Some(name) => name,
                None => name_on_the_engine(parts).await,
            };
            Arc::new(Stack::empty(name, parts.place.directory.clone()))
        }
    }
}

/// The name that our containers carry; that of the directory where there are none.
async fn name_on_the_engine(parts: &Parts) -> StackName {
    let nothing: StackName = "unnamed".parse().expect("a name by the rules");
    let scope = Scope::of(&nothing);
    let observed = parts.engine.observe(&scope).await.unwrap_or_default();
    let ours = observed.containers.into_iter().filter_map(|container| container.identity);
    ours.filter(|identity| identity.instance == parts.instance).map(|identity| identity.stack).next().unwrap_or(nothing)
}

/// What is remembered of a stack, where no daemon can be asked.
pub fn kept_history(disk: Arc<dyn Disk>, place: &Place) -> History {
    supervisor::kept_history(disk, &place.state)
}

/// What carries out single actions of a stack, beside a daemon or without one.
pub fn single(context: &Context, place: &Place, engine: Arc<dyn Engine>, stack: Arc<Stack>) -> Result<Single, Failure> {
    let instance = place.instance()?;
    let machine = Machine {
        engine,
        clock: context.clock.clone(),
        disk: context.disk.clone(),
        rng: Arc::new(SystemRng),
        state_directory: place.state.clone(),
        secrets_directory: Runtime::open(&Surroundings::of_process())?.secrets(&instance),
        instance,
        daemon: None,
    };
    Ok(machine.single(stack))
}

/// The passwords of the stack's servers as they are kept beside it.
pub fn known_passwords(disk: Arc<dyn Disk>, place: &Place, stack: &Stack) -> Passwords {
    supervisor::known_passwords(disk, &place.state, stack)
}

/// The `down` of a stack that is not to run, and whether it is done.
pub fn last_down(parts: &Parts) -> Option<(Down, bool)> {
    machine(parts).last_down()
}

/// Whether the state beside a stack can be read by a daemon of this version.
pub fn is_readable(disk: &dyn Disk, state: &std::path::Path) -> Result<(), Failure> {
    crate::supervisor::is_readable(disk, state).map_err(|error| Failure::new(Exit::Failed, chain(&error)))
}

/// A digest of definition and context of each build: what an image was made from is compared with
/// it. Reads every context; blocks.
pub fn build_digests(loaded: &Loaded) -> BTreeMap<WorkloadName, String> {
    let backups =
        loaded.stack.in_order().filter_map(|workload| workload.postgres()).map(|postgres| postgres.backup.directory.clone());
    let backups: Vec<PathBuf> = backups.collect();
    let digest = |workload: &Workload| match &workload.image.origin {
        ImageOrigin::Build(Build::Command(words)) => {
            let inputs = loaded.definitions.get(&workload.name).map(|definition| definition["inputs"].to_string());
            Some(SpecHash::of(&serde_json::json!([words, inputs])).to_string())
        }
        ImageOrigin::Build(Build::Docker { context, dockerfile, target, args, .. }) => {
            let request = BuildImage {
                tag: workload.image.reference.clone(),
                context: context.clone(),
                exclude: backups.clone(),
                dockerfile: context.join(dockerfile),
                target: target.clone(),
                args: args.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
                secrets: BTreeMap::new(),
                platform: workload.image.platform.clone(),
                labels: BTreeMap::new(),
            };
            // What can't be read is told by the build itself.
            build_digest(&request).ok()
        }
        ImageOrigin::Pull { .. } => None,
    };
    loaded.stack.in_order().filter_map(|workload| Some((workload.name.clone(), digest(workload)?))).collect()
}
