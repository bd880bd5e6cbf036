//! A simulated machine: daemons live and die on it, and what they leave on its engine and its disk
//! outlives them. Passwords are kept as on a real one; provisioning takes virtual time and leaves in
//! the data of a server what it was asked for; build commands leave an image.
//!
//! Entry point: [`SimMachine`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::caretaker::{Backups, NoBackups};
use super::commands::{BuildCommand, Commands};
use super::handle::{Command, Ends};
use super::keeper::{DataDirectory, Keeper, KeeperError, PostgresKeeper};
use super::known::Known;
use super::start::{Hands, Machine};
use super::state::STATE_FILE;
use crate::engine::ProgressSink;
use crate::engine::request::FileToPut;
use crate::engine::sim::SimEngine;
use crate::health::SimProber;
use crate::host::sim::{SimDisk, SimRng};
use crate::host::{Clock, Disk as _, ShadowDisk};
use crate::model::hash::Fingerprint;
use crate::model::name::{ContainerId, InstanceId};
use crate::model::observed::ContainerState;
use crate::model::stack::Stack;
use crate::model::template::Part;
use crate::model::workload::Workload;
use crate::postgres::Provisioned;

/// How long provisioning takes in virtual time.
const PROVISION_TIME: Duration = Duration::from_millis(50);
/// The stack's `.witwd`.
const STATE: &str = "/stack/.witwd";
/// What provisioning leaves in a data volume: a digest of what was asked for.
pub const ROLES: &str = "witwd-roles";

/// A machine whose engine, disk, probes and randomness are simulated; clones are the same machine.
#[derive(Clone)]
pub struct SimMachine {
    /// Its engine.
    pub engine: Arc<SimEngine>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its disk.
    pub disk: Arc<SimDisk>,
    /// What apps answer.
    pub prober: Arc<SimProber>,
    /// Who takes sets; nobody where nothing else is put here.
    pub backups: Arc<dyn Backups>,
    rng: Arc<SimRng>,
}

impl SimMachine {
    /// A machine with an empty engine and an empty disk.
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        let engine = Arc::new(SimEngine::new(clock.clone()));
        let prober = Arc::new(SimProber::new(engine.clone()));
        Self { engine, clock, prober, backups: Arc::new(NoBackups), disk: Arc::default(), rng: Arc::new(SimRng::new(seed)) }
    }

    /// Who its daemons are.
    pub fn instance() -> InstanceId {
        InstanceId("here".to_owned())
    }

    /// Runs a daemon's supervisor of `stack` for ever, `first` asked of it before anything else.
    /// Dropping it is `kill -9`.
    pub async fn supervise(&self, stack: Arc<Stack>, first: Option<Command>, ends: Ends) {
        let (engine, prober, backups) = (self.engine.clone(), self.prober.clone(), self.backups.clone());
        let outside = |machine: &Machine, passwords: &Arc<_>| {
            let keeper = SimKeeper { real: machine.keeper(passwords), engine: engine.clone() };
            let commands = SimCommands::new(engine);
            (Hands { keeper: Arc::new(keeper), backups, commands: Arc::new(commands) }, prober as Arc<_>)
        };
        self.parts().supervise_with(outside, (stack, first), ends, std::future::pending()).await;
    }

    /// What a daemon would begin with; nothing is changed.
    pub fn kept(&self) -> Known {
        self.shadow().kept()
    }

    /// Passwords and provisioning as its daemons have them, for who only looks: nothing is changed.
    pub fn keeper(&self) -> Arc<dyn Keeper> {
        let shadow = self.shadow();
        let (passwords, _) = shadow.passwords();
        Arc::new(SimKeeper { real: shadow.keeper(&passwords), engine: self.engine.clone() })
    }

    /// Loses what daemons remembered, but for passwords.
    ///
    /// # Panics
    /// Where its disk has stopped.
    pub fn forget(&self) {
        for name in [STATE_FILE, "state.json.1"] {
            self.disk.remove(&Path::new(STATE).join(name)).expect("a simulated disk that goes");
        }
    }

    fn parts(&self) -> Machine {
        Machine {
            engine: self.engine.clone(),
            clock: self.clock.clone(),
            disk: self.disk.clone(),
            rng: self.rng.clone(),
            instance: Self::instance(),
            state_directory: PathBuf::from(STATE),
            secrets_directory: PathBuf::from("/run/witwd/secrets/demo"),
            daemon: None,
        }
    }

    fn shadow(&self) -> Machine {
        Machine { disk: Arc::new(ShadowDisk::of(self.disk.clone())), ..self.parts() }
    }
}

/// The keeper of simulated servers.
struct SimKeeper {
    real: PostgresKeeper,
    engine: Arc<SimEngine>,
}

#[async_trait]
impl Keeper for SimKeeper {
    fn prepare(&self, stack: &Stack) -> Result<(), KeeperError> {
        self.real.prepare(stack)
    }

    fn fill(&self, hole: &Part) -> Option<String> {
        self.real.fill(hole)
    }

    fn fingerprint(&self, workload: &Workload) -> Option<Fingerprint> {
        self.real.fingerprint(workload)
    }

    fn files(&self, workload: &Workload) -> Vec<FileToPut> {
        self.real.files(workload)
    }

    fn wanted(&self, workload: &Workload) -> Option<String> {
        self.real.wanted(workload)
    }

    async fn provision(
        &self,
        workload: &Workload,
        container: &ContainerId,
        _data: DataDirectory,
    ) -> Result<Provisioned, KeeperError> {
        self.engine.clock().sleep(PROVISION_TIME).await;
        let wanted = self.wanted(workload).unwrap_or_default();
        let is_done = self.engine.alter(|world| {
            let Some(server) = world.containers.get(container) else { return false };
            let runs = matches!(server.state, ContainerState::Running { .. });
            let volumes: Vec<String> = server.volumes().map(str::to_owned).collect();
            for volume in volumes.iter().filter(|_| runs) {
                if let Some(volume) = world.volumes.get_mut(volume) {
                    volume.files.insert(ROLES.to_owned(), roles(&wanted));
                }
            }
            runs
        });
        let refused = || KeeperError { message: "failed to connect: connection refused".to_owned(), needs_operator: false };
        is_done.then(Provisioned::default).ok_or_else(refused)
    }
}

fn roles(wanted: &str) -> FileToPut {
    FileToPut { path: ROLES.to_owned(), content: wanted.as_bytes().to_owned(), uid: 0, gid: 0, mode: 0o600 }
}

/// Build commands that run nothing and leave their image in a simulated engine.
pub(super) struct SimCommands {
    engine: Arc<SimEngine>,
}

impl SimCommands {
    /// Commands that build for this engine.
    pub fn new(engine: Arc<SimEngine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Commands for SimCommands {
    async fn run(&self, command: &BuildCommand<'_>, _sink: ProgressSink) -> Result<(), String> {
        if self.engine.with(|world| world.images.id(command.image).is_none()) {
            self.engine.add_image(command.image);
        }
        Ok(())
    }
}
