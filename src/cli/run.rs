//! `run`: a one-off container of a service or job. What it needs is started first, and what was started
//! for it is stopped again; the container is gone when the command ends, however it ends.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Done;
use super::assembly;
use super::attach::{self, Signals, not_run};
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::images::{self, Way, fetch};
use super::needs::Needs;
use super::place::Place;
use super::{claim, loader};
use crate::engine::docker::DockerEngine;
use crate::engine::request::{Scope, Streams};
use crate::engine::{Engine, ErrorKind};
use crate::model::container::MountSource;
use crate::model::image::ImageOrigin;
use crate::model::name::{ContainerId, ReplicaKey, VolumeName};
use crate::model::observed::Observed;
use crate::model::stack::Stack;
use crate::model::workload::Workload;
use crate::plan::{Action, not_carried_out};
use crate::supervisor::{ActionError, OneOff, Single, Step};

/// Flags of `run`.
#[derive(Debug, Args)]
#[command(
    override_usage = "witwd run [OPTIONS] NAME [CMD]...",
    after_help = "The container has the environment, volumes, network and limits of NAME, but none of its published ports and \
                  none of its names. CMD takes the place of its `command`.\n\n\
                  Examples:\n  witwd run web python manage.py migrate\n  witwd run --no-deps -T web pg_dump --version > version"
)]
pub struct RunArgs {
    /// Don't start what it needs
    #[arg(long)]
    no_deps: bool,
    /// Without a terminal, also where there is one
    #[arg(short = 'T', long)]
    no_tty: bool,
    /// The service or job
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The command and its arguments; without one, that of the file or the image
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<String>,
}

/// What is run, and on what.
pub(super) struct OneRun<'a> {
    pub context: &'a Context,
    pub place: &'a Place,
    pub engine: DockerEngine,
    pub stack: Arc<Stack>,
    pub workload: &'a Workload,
}

/// The command of a one-off container.
pub(super) struct Command {
    /// Its words; `None`: what the workload runs.
    pub words: Option<Vec<String>>,
    /// More environment.
    pub env: Vec<(String, String)>,
    /// Whether it gets a terminal.
    pub tty: bool,
}

pub(super) async fn run(context: &Context, args: RunArgs) -> Done {
    let place = context.place()?;
    let stack = Arc::new(context.look(&place)?.stack);
    let Some(name) = &args.name else { return Err(which(&stack)) };
    let workload = runnable(&stack, name)?;
    // From the first moment: whatever is started for it is to be stopped again.
    let failed = |error| Failure::of(Exit::NotRun, "failed to listen for signals", &error);
    let mut interrupts = Interrupts::listen().map_err(failed)?;
    let engine = assembly::docker(context.clock.clone()).await?;
    let known = claim::is_known(context.disk.as_ref(), &place)?;
    claim::check(&engine, &place, &stack, known).await?;
    let one = OneRun { context, place: &place, engine, stack: stack.clone(), workload };
    let mut needs = Needs::of(&stack, workload);
    let tty = !args.no_tty && attach::is_terminal();
    let preparing = async {
        if !args.no_deps {
            needs.bring_up(context, &place, &one.engine).await.map_err(unmet)?;
        }
        one.prepare().await.map_err(unmet)
    };
    let prepared = tokio::select! {
        biased;
        prepared = preparing => prepared.map(Ok),
        code = interrupts.next() => Ok(Err(code)),
    };
    let done = match prepared {
        Ok(Ok((single, image))) => {
            let words = Some(args.command).filter(|words| !words.is_empty());
            one.carry_out(&single, image, Command { words, env: Vec::new(), tty }).await
        }
        Ok(Err(code)) => Ok(Exit::Of(code)),
        Err(failure) => Err(failure),
    };
    // Only what is pressed from now on: the program had the signals before.
    let mut interrupts = Interrupts::listen().map_err(failed)?;
    tokio::select! {
        biased;
        () = needs.let_go(context, &place, &one.engine) => done,
        code = interrupts.next() => {
            context.output.note("what was started for it may run on; `witwd ps` shows it, `witwd down` stops all");
            Ok(Exit::Of(code))
        }
    }
}

impl OneRun<'_> {
    /// Gets what a container needs beside others: its image, the network, its volumes.
    pub(super) async fn prepare(&self) -> Result<(Single, String), Failure> {
        let engine: Arc<dyn Engine> = Arc::new(self.engine.clone());
        // Passwords that were made just now are known to it.
        let mut single = assembly::single(self.context, self.place, engine, self.stack.clone())?;
        let images = [Some(self.workload.image.reference.clone()), self.workload.image.fallback().map(|other| other.tag.clone())];
        let images: Vec<String> = images.into_iter().flatten().collect();
        let volumes = volumes(self.workload).map(|volume| self.stack.engine_volume(volume)).collect();
        let scope = Scope { images: images.clone(), volumes, ..Scope::of(self.stack.name()) };
        let observed = self.engine.observe(&scope).await?;
        let here = images.into_iter().find(|image| observed.images.contains_key(image));
        let image = match here {
            Some(image) => image,
            None => self.image(&mut single).await?,
        };
        let mut failed = Vec::new();
        let heard = |step| {
            if let Step::Done(_, Err(error)) = step {
                failed.push(error.message);
            }
        };
        single.carry_out(&missing(&self.stack, self.workload, &observed)?, heard).await;
        if failed.is_empty() { Ok((single, image)) } else { Err(Failure::new(Exit::NotRun, failed.join("; "))) }
    }

    /// Gets the image, by the build for when no registry answers where the pull failed.
    async fn image(&self, single: &mut Single) -> Result<String, Failure> {
        let ways = match &self.workload.image.origin {
            ImageOrigin::Build(_) => vec![Way::Build],
            ImageOrigin::Pull { fallback: None, .. } => vec![Way::Pull],
            ImageOrigin::Pull { fallback: Some(_), .. } => vec![Way::Pull, Way::Build],
        };
        let mut outcome = Err(Failure::new(Exit::NotRun, "there is no image"));
        for way in ways {
            let actions = images::wanted(&self.stack, way, &[self.workload.name.to_string()])?;
            outcome = fetch(self.context, (&self.engine, single), (&self.stack, way), &actions).await;
            if let Ok(got) = &outcome {
                return Ok(got.first().map(|got| got.image.clone()).unwrap_or_default());
            }
        }
        outcome.map(|_| String::new())
    }

    /// Makes the container, runs it and takes it away.
    pub(super) async fn carry_out(&self, single: &Single, image: String, command: Command) -> Done {
        let Command { words, env, tty } = command;
        let terminal = std::env::var("TERM").ok().filter(|_| tty).map(|term| ("TERM".to_owned(), term));
        let one_off = OneOff {
            process: std::process::id(),
            image,
            command: words,
            streams: if tty { Streams::Terminal } else { Streams::Attached },
            env: terminal.into_iter().chain(env).collect(),
        };
        let container = single.make(self.workload, one_off).await.map_err(|error| not_made(&error))?;
        let done = self.attended(single, &container, tty).await;
        self.remove(&container).await;
        done
    }

    async fn attended(&self, single: &Single, container: &ContainerId, tty: bool) -> Done {
        let session = self.engine.attach(container, tty).await.map_err(|error| not_run(&error))?;
        let key = ReplicaKey { name: self.workload.name.clone(), replica: std::process::id() };
        let start = Action::Start { key, container: container.clone(), ended: BTreeSet::new() };
        single.carry_out_one(&start).await.map_err(|error| not_made(&error))?;
        let grace = self.workload.container.stop_grace;
        attach::join(session, tty, Signals::Pass { engine: &self.engine, container, grace }).await
    }

    /// Takes the container away; what is left of one that stays is the next daemon's to remove.
    async fn remove(&self, container: &ContainerId) {
        let stopped = self.engine.stop(container, Duration::ZERO).await;
        let removed = stopped.and(self.engine.remove(container).await);
        // Somebody else is at it already: a daemon that finds one whose client is gone.
        if let Err(error) = removed.or_else(|error| (error.kind == ErrorKind::RemovalInProgress).then_some(()).ok_or(error)) {
            self.context.output.error(&format!("{error}; `witwd clean` removes it"));
        }
    }
}

fn not_made(error: &ActionError) -> Failure {
    Failure::new(Exit::NotRun, error.message.clone())
}

fn volumes(workload: &Workload) -> impl Iterator<Item = &VolumeName> {
    workload.container.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume(volume) => Some(volume),
        MountSource::Bind(_) => None,
    })
}

/// What is to be made before a container can be: the network and volumes that are not there. A data
/// directory is never made here, and a volume of somebody else is named.
pub(super) fn missing(stack: &Stack, workload: &Workload, observed: &Observed) -> Result<Vec<Action>, Failure> {
    let mut actions = Vec::new();
    if !observed.networks.iter().any(|network| network.name == stack.name().network()) {
        actions.push(Action::CreateNetwork);
    }
    for volume in volumes(workload) {
        let name = stack.engine_volume(volume);
        if observed.volumes.iter().any(|seen| seen.name == name) {
            continue;
        }
        let external = stack.volumes().get(volume).is_some_and(|declared| declared.external);
        if external || stack.data_of(volume).is_some() {
            let failure =
                Failure::new(Exit::NotRun, format!("volume {name} is not there, and is not made for a one-off container"));
            return Err(failure.hint("`witwd up -d` says what to do about it"));
        }
        actions.push(Action::CreateVolume { volume: volume.clone() });
    }
    Ok(actions)
}

/// What is to be run can't be, and says so by its code; what has a code of its own keeps it.
pub(super) fn unmet(failure: Failure) -> Failure {
    match failure.exit {
        Exit::Failed | Exit::TimedOut | Exit::Usage => Failure { exit: Exit::NotRun, ..failure },
        _ => failure,
    }
}

fn which(stack: &Stack) -> Failure {
    let names: Vec<&str> = stack.in_order().filter(|one| one.postgres().is_none()).map(|one| one.name.as_str()).collect();
    let failure = Failure::new(Exit::Usage, "of which service or job? `witwd run NAME [CMD]...`");
    if names.is_empty() { failure } else { failure.hint(format!("NAME is one of {}", names.join(", "))) }
}

/// The service or job that is meant.
pub(super) fn runnable<'a>(stack: &'a Stack, name: &str) -> Result<&'a Workload, Failure> {
    let workload = loader::workload(stack, name).map_err(unmet)?;
    if workload.postgres().is_some() {
        let words = format!("{name} is a postgres: a second server on its data would destroy it");
        return Err(Failure::new(Exit::NotRun, words).hint(format!("`witwd psql {name}` is a shell in it")));
    }
    match not_carried_out(workload) {
        Some(why) => Err(Failure::new(Exit::NotRun, format!("{name} {why}"))),
        None => Ok(workload),
    }
}

/// Signals that come while there is no container to pass them on to.
struct Interrupts {
    each: [(Signal, u8); 3],
}

impl Interrupts {
    fn listen() -> std::io::Result<Self> {
        let of = |kind: SignalKind, code| Ok::<_, std::io::Error>((signal(kind)?, 128_u8 + code));
        Ok(Self { each: [of(SignalKind::interrupt(), 2)?, of(SignalKind::terminate(), 15)?, of(SignalKind::hangup(), 1)?] })
    }

    /// Returns the code of the first that comes.
    async fn next(&mut self) -> u8 {
        let [(interrupt, two), (terminate, fifteen), (hangup, one)] = &mut self.each;
        tokio::select! {
            biased;
            _ = interrupt.recv() => *two,
            _ = terminate.recv() => *fifteen,
            _ = hangup.recv() => *one,
        }
    }
}
