//! From the parts of a machine to a running supervisor.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use super::apply::{Context, PRIMITIVES, TRANSFERS};
use super::caretaker::{Backups, PostgresBackups};
use super::commands::{Commands, SystemCommands};
use super::event::Event;
use super::handle::{Command, Down, Ends, Up};
use super::keeper::{Keeper, PostgresKeeper};
use super::kept_logs::KeptLogs;
use super::known::Known;
use super::preview::{Question, look, preview};
use super::run::{Beginning, run};
use super::state::{STATE_FILE, StateFile};
use crate::engine::{Engine, EngineError};
use crate::health::{Prober, SystemProber};
use crate::host::{Clock, Disk, Rng, ShadowDisk, SystemRng};
use crate::model::history::{Goal, History, PostgresHistory};
use crate::model::name::InstanceId;
use crate::model::preview::Preview;
use crate::model::stack::Stack;
use crate::model::status::DaemonStatus;
use crate::model::workload::Workload;
use crate::postgres::backup::Sets;
use crate::postgres::{Caretaker, Passwords};

/// What is kept in the stack's `.witwd`, for who only looks; nothing where it can't be understood.
pub fn kept_history(disk: Arc<dyn Disk>, state_directory: &Path) -> History {
    StateFile::new(disk, state_directory.join(STATE_FILE)).look()
}

/// The passwords of a stack's servers, as they are kept in its `.witwd`; for who only looks.
pub fn known_passwords(disk: Arc<dyn Disk>, state_directory: &Path, stack: &Stack) -> Passwords {
    Passwords::look(disk, Arc::new(SystemRng), state_directory.join(PASSWORDS), stack)
}

/// What is known where no state is: a server whose passwords were made had data, for the state is written
/// before they are.
fn missed(stack: &Stack, passwords: &Passwords) -> History {
    let servers = stack.in_order().filter(|workload| passwords.knows(&workload.name));
    let known = |workload: &Workload| (workload.name.clone(), PostgresHistory { had_data: true, ..PostgresHistory::default() });
    History { postgres: servers.map(known).collect(), ..History::default() }
}

/// Generated passwords below the stack's `.witwd`.
const PASSWORDS: &str = "secrets.json";

/// What a supervisor of a real machine is made from.
#[derive(Clone)]
pub struct Machine {
    /// The engine, which need not answer yet.
    pub engine: Arc<dyn Engine>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Small files.
    pub disk: Arc<dyn Disk>,
    /// Generated passwords and keys.
    pub rng: Arc<dyn Rng>,
    /// Who we are.
    pub instance: InstanceId,
    /// `.witwd` beside the file.
    pub state_directory: PathBuf,
    /// Where the secrets of containers lie, in memory where it can be.
    pub secrets_directory: PathBuf,
    /// Who we are, for `ps`.
    pub daemon: Option<DaemonStatus>,
}

/// What is done beside the engine, and by whom.
pub(super) struct Hands {
    /// Passwords and provisioning.
    pub keeper: Arc<dyn Keeper>,
    /// Backup sets.
    pub backups: Arc<dyn Backups>,
    /// Builds by a command.
    pub commands: Arc<dyn Commands>,
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The engine could not be looked at.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The machine gives no thread or runtime to look ahead in.
    #[error("failed to look ahead")]
    Runtime(#[source] std::io::Error),
}

impl Machine {
    /// The `down` that was asked for last, where the stack is to be down, and whether it is done.
    pub fn last_down(&self) -> Option<(Down, bool)> {
        // What can't be understood is moved aside, and told, by who begins with it.
        let history = self.state_file().look();
        (history.goal == Goal::Down).then_some((Down { volumes: history.drop_volumes, resumed: true }, history.is_down))
    }

    fn state_file(&self) -> StateFile {
        StateFile::new(self.disk.clone(), self.state_directory.join(STATE_FILE))
    }

    /// Runs a supervisor of `stack`, `first` asked of it before anything else, until `ending` returns.
    pub async fn supervise(self, stack: Arc<Stack>, first: Command, ends: Ends, ending: impl Future<Output = ()>) {
        let outside = |machine: &Self, passwords: &Arc<Passwords>| {
            let prober = SystemProber::new(machine.engine.clone(), machine.clock.clone(), passwords.clone());
            (machine.hands(passwords), Arc::new(prober) as Arc<dyn Prober>)
        };
        self.supervise_with(outside, (stack, Some(first)), ends, ending).await;
    }

    /// The same with other hands and another prober, and perhaps with nothing asked at first.
    pub(super) async fn supervise_with(
        self,
        outside: impl FnOnce(&Self, &Arc<Passwords>) -> (Hands, Arc<dyn Prober>),
        (stack, first): (Arc<Stack>, Option<Command>),
        ends: Ends,
        ending: impl Future<Output = ()>,
    ) {
        let mut state = self.state_file();
        let (history, unusable) = state.load();
        let (passwords, damage) = self.passwords();
        let warnings = unusable.into_iter().chain(damage).collect();
        let history = history.unwrap_or_else(|| missed(&stack, &passwords));
        let (events, events_end) = mpsc::unbounded_channel();
        let daemon = self.daemon.clone();
        let (hands, prober) = outside(&self, &passwords);
        let context = self.context(&hands, events);
        let known = Known { history, ..Known::default() };
        let beginning = Beginning { stack, first, known, warnings, state, daemon, prober, ends };
        run(context, events_end, beginning, ending).await;
    }

    /// What actions are carried out with.
    pub(super) fn context(self, hands: &Hands, events: mpsc::UnboundedSender<Event>) -> Context {
        Context {
            engine: self.engine,
            clock: self.clock,
            kept_logs: KeptLogs::new(self.disk.clone(), &self.state_directory),
            disk: self.disk,
            keeper: hands.keeper.clone(),
            backups: hands.backups.clone(),
            commands: hands.commands.clone(),
            instance: self.instance,
            secrets_directory: self.secrets_directory,
            events,
            primitives: Semaphore::new(PRIMITIVES),
            transfers: Semaphore::new(TRANSFERS),
        }
    }

    /// The hands of a real machine.
    pub(super) fn hands(&self, passwords: &Arc<Passwords>) -> Hands {
        let backups = PostgresBackups(self.sets(passwords));
        Hands { keeper: Arc::new(self.keeper(passwords)), backups: Arc::new(backups), commands: Arc::new(SystemCommands) }
    }

    pub(super) fn passwords(&self) -> (Arc<Passwords>, Option<String>) {
        let path = self.state_directory.join(PASSWORDS);
        let (passwords, damage) = Passwords::open(self.disk.clone(), self.rng.clone(), path);
        (Arc::new(passwords), damage)
    }

    fn sets(&self, passwords: &Arc<Passwords>) -> Sets {
        Sets {
            engine: self.engine.clone(),
            clock: self.clock.clone(),
            disk: self.disk.clone(),
            passwords: passwords.clone(),
            instance: self.instance.clone(),
            secrets_directory: self.secrets_directory.clone(),
        }
    }

    pub(super) fn keeper(&self, passwords: &Arc<Passwords>) -> PostgresKeeper {
        let caretaker = Caretaker::new(self.engine.clone(), self.clock.clone(), self.disk.clone(), passwords.clone());
        PostgresKeeper::new(passwords.clone(), caretaker)
    }

    /// What `up` would do. Looks at the engine and changes nothing: not on it, not on the disk. `None`
    /// for what is known: it is what the state says, for no supervisor runs.
    pub async fn preview(self, up: Up, known: Option<Known>) -> Result<Preview, PreviewError> {
        let shadow = Machine { disk: Arc::new(ShadowDisk::of(self.disk.clone())), ..self };
        let mut known = match known {
            Some(known) => known,
            None => shadow.kept(),
        };
        let observed = look(shadow.engine.as_ref(), &up.stack, &shadow.instance, &mut known).await?;
        let (passwords, _) = shadow.passwords();
        let keeper = Arc::new(shadow.keeper(&passwords));
        let (instance, moment, wall) = (shadow.instance.clone(), shadow.clock.moment(), shadow.clock.wall());
        let question = Question { up, known, observed, keeper, instance, moment, wall };
        let played = tokio::task::spawn_blocking(move || preview(question)).await;
        played.map_err(std::io::Error::other).and_then(|played| played).map_err(PreviewError::Runtime)
    }

    /// What is kept, for who only looks.
    pub(super) fn kept(&self) -> Known {
        let state = self.state_file();
        Known { history: state.look(), definitions: state.definitions().known().clone(), ..Known::default() }
    }
}
