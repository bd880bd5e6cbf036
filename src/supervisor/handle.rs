//! How the rest of the program speaks to the supervisor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::backups::{Answer, ErrandError};
use super::known::Known;
use crate::model::backup::{Errand, WorkDone};
use crate::model::history::Fresh;
use crate::model::name::WorkloadName;
use crate::model::stack::Stack;
use crate::model::status::{EngineStatus, EventRecord, FileStatus, Status};
use crate::model::wish::{Refusal, Wish};
use crate::plan::{Blocked, Planned};

/// Why a stack is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A person asks: what is held by hand ends, delays are over, images are looked after.
    Asked,
    /// Nobody asked: a daemon goes on with what was asked last, and what is held by hand stays so.
    Resumed,
    /// A file was saved: the same, and nothing is built or pulled anew.
    Saved,
}

/// Run this stack from now on.
#[derive(Debug, Clone)]
pub struct Up {
    /// The stack as its file says now.
    pub stack: Arc<Stack>,
    /// Only these and what they need; empty: all.
    pub only: BTreeSet<WorkloadName>,
    /// Build images again.
    pub build: bool,
    /// Pull images again, and leave fallbacks.
    pub pull: bool,
    /// Digests of definition and context of each build: another one than its image was made from is
    /// a reason to build again.
    pub builds: BTreeMap<WorkloadName, String>,
    /// What may begin without data although older data lies unused.
    pub fresh: Fresh,
    /// The file as it is now, which may be another than the one `stack` was read from.
    pub file: FileStatus,
    /// Who wants it.
    pub occasion: Occasion,
    /// Which reading of the file this is: what was read earlier never replaces what was read later.
    pub reading: u64,
    /// What the containers of each workload are made from, for a later look at what changed.
    pub definitions: BTreeMap<WorkloadName, serde_json::Value>,
    /// What is written into `Status::notes`: parts of the file that are not carried out.
    pub notes: Vec<String>,
}

impl Up {
    /// All of this stack, and nothing else asked for.
    pub fn of(stack: Arc<Stack>) -> Self {
        let stack_file = stack.directory().join("stack.toml").display().to_string();
        Self {
            stack,
            only: BTreeSet::new(),
            build: false,
            pull: false,
            builds: BTreeMap::new(),
            fresh: Fresh::default(),
            file: FileStatus::applied(stack_file),
            occasion: Occasion::Asked,
            reading: 0,
            definitions: BTreeMap::new(),
            notes: Vec::new(),
        }
    }
}

/// Stop and remove containers and network, in reverse order.
#[derive(Debug, Clone, Default)]
pub struct Down {
    /// Remove these volumes too, by their engine names, where they are the stack's: the user saw them
    /// named and said yes.
    pub volumes: BTreeSet<String>,
    /// Whether a daemon only goes on with one that another died in: a request that came meanwhile is newer,
    /// and then this one is no request at all and is answered with 0.
    pub resumed: bool,
}

/// What the supervisor can be asked. Each is answered when it is accepted, not when it is done:
/// what is done is seen in the status.
#[derive(Debug)]
pub enum Command {
    /// Run this stack; answered with its generation, which [`Handle::settled`] waits for.
    Up(Box<Up>, oneshot::Sender<u64>),
    /// Stop everything; answered with its generation.
    Down(Down, oneshot::Sender<u64>),
    /// Restart, stop, start or scale some of it; answered with its generation and what is worth a
    /// word, or with why it makes no sense.
    Hand(Wish, oneshot::Sender<Result<(u64, Vec<String>), Refusal>>),
    /// Take a set of a postgres, or look at one again; answered when that is done.
    Errand(Errand, Answer),
    /// The file is so now; nothing else changes. Not answered.
    File(FileStatus),
    /// Tell what is known. Changes nothing. Dropped without an answer by who was asked for nothing yet.
    Tell(oneshot::Sender<Box<Known>>),
    /// Say that the loop turns; changes nothing.
    Pulse(oneshot::Sender<()>),
}

/// Why a wish was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandError {
    /// The supervisor is gone.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// It makes no sense.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// The supervisor is gone: the daemon is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the daemon is ending")]
pub struct Closed;

/// What the supervisor publishes.
#[derive(Debug, Clone)]
pub struct Published {
    /// The last request this status knows of.
    pub generation: u64,
    /// Whether the first look at the engine after that request is over, so that `status` speaks of it.
    pub looked: bool,
    /// What a user is shown.
    pub status: Arc<Status>,
    /// What waits, and why.
    pub blocked: Vec<Blocked>,
}

/// A handle on the supervisor; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    published: watch::Receiver<Published>,
    records: broadcast::Sender<EventRecord>,
}

/// The supervisor's ends of the handle.
#[derive(Debug)]
pub struct Ends {
    /// What is asked of it.
    pub commands: mpsc::Receiver<Command>,
    /// What it publishes.
    pub published: watch::Sender<Published>,
    /// What happens, for those who listen just now.
    pub records: broadcast::Sender<EventRecord>,
    /// Every action as it is begun; `None` where nobody asks for them.
    pub begun: Option<mpsc::UnboundedSender<Planned>>,
}

/// A handle and the supervisor's ends of it.
pub fn channel(status: Status) -> (Handle, Ends) {
    let (commands, commands_end) = mpsc::channel(64);
    let (published_end, published) =
        watch::channel(Published { generation: 0, looked: false, status: Arc::new(status), blocked: Vec::new() });
    let (records, _) = broadcast::channel(1024);
    let ends = Ends { commands: commands_end, published: published_end, records: records.clone(), begun: None };
    (Handle { commands, published, records }, ends)
}

impl Handle {
    /// Asks to run a stack; returns the request's generation.
    pub async fn up(&self, up: Up) -> Result<u64, Closed> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Up(Box::new(up), answer)).await.map_err(|_| Closed)?;
        answered.await.map_err(|_| Closed)
    }

    /// Asks to stop everything; returns the request's generation.
    pub async fn down(&self, down: Down) -> Result<u64, Closed> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Down(down, answer)).await.map_err(|_| Closed)?;
        answered.await.map_err(|_| Closed)
    }

    /// Asks for something beside the file; returns the request's generation and what is worth a word.
    pub async fn hand(&self, wish: Wish) -> Result<(u64, Vec<String>), HandError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Hand(wish, answer)).await.map_err(|_| Closed)?;
        Ok(answered.await.map_err(|_| Closed)??)
    }

    /// Asks for work with backup sets; returns what came of it once it is over.
    pub async fn errand(&self, errand: Errand) -> Result<Result<WorkDone, ErrandError>, Closed> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Errand(errand, answer)).await.map_err(|_| Closed)?;
        answered.await.map_err(|_| Closed)
    }

    /// Tells how the file is now.
    pub async fn file(&self, file: FileStatus) -> Result<(), Closed> {
        self.commands.send(Command::File(file)).await.map_err(|_| Closed)
    }

    /// How the last look at the engine ended: down also while there was none, `None` where the first one after a
    /// request is not over.
    pub fn engine(&self) -> Option<EngineStatus> {
        let published = self.published.borrow();
        let status = published.status.engine;
        (published.looked || status == EngineStatus::Down).then_some(status)
    }

    /// What is known beside what is seen; `None` where nothing was asked for yet.
    pub async fn known(&self) -> Result<Option<Known>, Closed> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Tell(answer)).await.map_err(|_| Closed)?;
        Ok(answered.await.ok().map(|known| *known))
    }

    /// Returns when the supervisor's own loop has turned: one that hangs never answers.
    pub async fn pulse(&self) -> Result<(), Closed> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Pulse(answer)).await.map_err(|_| Closed)?;
        answered.await.map_err(|_| Closed)
    }

    /// What a user is shown now.
    pub fn status(&self) -> Arc<Status> {
        self.published.borrow().status.clone()
    }

    /// Every published status from now on.
    pub fn watch(&self) -> watch::Receiver<Published> {
        self.published.clone()
    }

    /// Everything that happens from now on.
    pub fn records(&self) -> broadcast::Receiver<EventRecord> {
        self.records.subscribe()
    }

    /// Returns the first status that knows of `generation`, has looked at the engine since, and is
    /// settled: converged, or with nothing left that could make it so without a person.
    pub async fn settled(&self, generation: u64, is_settled: impl Fn(&Status) -> bool) -> Result<Arc<Status>, Closed> {
        let mut published = self.published.clone();
        let found = published.wait_for(|now| now.generation >= generation && now.looked && is_settled(&now.status)).await;
        found.map(|now| now.status.clone()).map_err(|_| Closed)
    }
}
