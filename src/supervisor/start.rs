//! From the parts of a machine to a running supervisor.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use super::apply::{Context, PRIMITIVES, TRANSFERS};
use super::event::Event;
use super::handle::{Command, Ends};
use super::keeper::PostgresKeeper;
use super::kept_logs::KeptLogs;
use super::run::{Beginning, run};
use super::state::{STATE_FILE, StateError, StateFile};
use crate::engine::Engine;
use crate::health::SystemProber;
use crate::host::{Clock, Disk, SystemRng};
use crate::model::by_hand::ByHand;
use crate::model::history::Goal;
use crate::model::name::{ImageId, InstanceId};
use crate::model::stack::Stack;
use crate::model::status::DaemonStatus;
use crate::postgres::{Caretaker, Passwords, PasswordsError};

/// What a person holds by hand, as it is kept in the stack's `.witwd`; for who only looks.
pub fn held_by_hand(disk: Arc<dyn Disk>, state_directory: &Path) -> ByHand {
    StateFile::new(disk, state_directory.join(STATE_FILE)).look().by_hand
}

/// The images that containers are made from, as they are kept in the stack's `.witwd`; for who only
/// looks. A tag may mean another one by now.
pub fn accepted_images(disk: Arc<dyn Disk>, state_directory: &Path) -> BTreeSet<ImageId> {
    let history = StateFile::new(disk, state_directory.join(STATE_FILE)).look();
    history.images.into_values().map(|accepted| accepted.id).collect()
}

/// The passwords of a stack's servers, as they are kept in its `.witwd`; for who only looks.
pub fn known_passwords(disk: Arc<dyn Disk>, state_directory: &Path, stack: &Stack) -> Passwords {
    Passwords::look(disk, Arc::new(SystemRng), state_directory.join(PASSWORDS), stack)
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
    /// Who we are.
    pub instance: InstanceId,
    /// `.witwd` beside the file.
    pub state_directory: PathBuf,
    /// Where the secrets of containers lie, in memory where it can be.
    pub secrets_directory: PathBuf,
    /// Who we are, for `ps`.
    pub daemon: Option<DaemonStatus>,
}

/// Why a supervisor could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state can't be used.
    #[error("failed to begin")]
    State(#[from] StateError),
    /// The passwords can't be used.
    #[error("failed to begin")]
    Passwords(#[from] PasswordsError),
}

impl Machine {
    /// What the user asked for last, as far as it is remembered.
    pub fn goal(&self) -> Result<Goal, StartError> {
        Ok(self.state_file().load()?.0.goal)
    }

    fn state_file(&self) -> StateFile {
        StateFile::new(self.disk.clone(), self.state_directory.join(STATE_FILE))
    }

    /// Runs a supervisor of `stack`, `first` asked of it before anything else, until `ending` returns.
    pub async fn supervise(
        self,
        stack: Arc<Stack>,
        first: Command,
        ends: Ends,
        ending: impl Future<Output = ()>,
    ) -> Result<(), StartError> {
        let mut state = self.state_file();
        let (history, unusable) = state.load()?;
        let path = self.state_directory.join(PASSWORDS);
        let (passwords, damage) = Passwords::open(self.disk.clone(), Arc::new(SystemRng), path)?;
        for words in unusable.into_iter().chain(damage.map(|damage| damage.to_string())) {
            tracing::warn!("{words}");
        }
        let passwords = Arc::new(passwords);
        let (events, events_end) = mpsc::unbounded_channel();
        let prober = Arc::new(SystemProber::new(self.engine.clone(), self.clock.clone(), passwords.clone()));
        let daemon = self.daemon.clone();
        let context = self.context(passwords, events);
        let beginning = Beginning { stack, first: Some(first), history, state, daemon, prober, ends };
        run(context, events_end, beginning, ending).await;
        Ok(())
    }

    /// What actions are carried out with.
    pub(super) fn context(self, passwords: Arc<Passwords>, events: mpsc::UnboundedSender<Event>) -> Context {
        let caretaker = Caretaker::new(self.engine.clone(), self.clock.clone(), self.disk.clone(), passwords.clone());
        Context {
            engine: self.engine,
            clock: self.clock,
            kept_logs: KeptLogs::new(self.disk.clone(), &self.state_directory),
            disk: self.disk,
            keeper: Arc::new(PostgresKeeper::new(passwords, caretaker)),
            instance: self.instance,
            secrets_directory: self.secrets_directory,
            events,
            primitives: Semaphore::new(PRIMITIVES),
            transfers: Semaphore::new(TRANSFERS),
        }
    }
}
