//! Where the lines of containers come from: what was kept of those that are gone, and the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;

use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::own_log::OWN;
use super::place::Place;
use super::runs::previous_run;
use crate::engine::answer::LogLine;
use crate::engine::request::{LogQuery, Scope};
use crate::engine::{Engine, EngineError, ErrorKind, LogStream};
use crate::model::history::LastExit;
use crate::model::name::{ContainerId, InstanceId, ReplicaKey, StackName};
use crate::model::observed::{Container, Owner};
use crate::model::workload::KindName;
use crate::supervisor::{KeptLogs, last_exits};

/// Which part of a log is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Part {
    /// Only the last run that is over.
    pub previous: bool,
    /// Only the last lines of each.
    pub tail: Option<u32>,
    /// Not older than this.
    pub since: Option<Timestamp>,
}

/// Whose logs are wanted.
pub(super) struct Selection {
    stack: StackName,
    instance: InstanceId,
    names: BTreeSet<String>,
}

impl Selection {
    /// Those of these names, or of all.
    pub(super) async fn new(context: &Context, place: &Place, names: Vec<&String>) -> Result<Self, Failure> {
        let (stack, instance) = context.identity(place).await?;
        Ok(Self { stack, instance, names: names.into_iter().cloned().collect() })
    }

    /// Which replica this container is, where it is wanted.
    fn key<'a>(&self, container: &'a Container) -> Option<&'a ReplicaKey> {
        let identity = container.identity.as_ref().filter(|_| container.owner(&self.stack, &self.instance) == Owner::Ours)?;
        let is_kept = matches!(identity.kind, KindName::Service | KindName::Postgres | KindName::Job);
        (is_kept && self.wants(&identity.key)).then_some(&identity.key)
    }

    fn wants(&self, key: &ReplicaKey) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| means(name, key))
    }

    /// What is said where there is no log at all.
    fn nothing(&self, part: Part) -> Failure {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let whose = if names.is_empty() { format!("stack {}", self.stack) } else { names.join(", ") };
        if part.previous {
            Failure::new(Exit::Failed, format!("there is no run that is over of {whose}"))
                .hint("`witwd logs` shows the one that goes on")
        } else {
            Failure::new(Exit::Failed, format!("there is no log of {whose}"))
                .hint("`witwd ps` shows what there is, `witwd up -d` starts it")
        }
    }
}

/// Whether `NAME` or `NAME.2` means this replica.
fn means(name: &str, key: &ReplicaKey) -> bool {
    name == key.name.as_str() || name == format!("{}.{}", key.name, key.replica)
}

/// A container whose log the engine holds.
pub(super) struct Source {
    /// Which replica it is.
    pub key: ReplicaKey,
    /// The container.
    pub container: Container,
    /// The time of its last line that was shown.
    pub last: Option<Timestamp>,
    /// Whether a follower reads it just now.
    pub is_read: bool,
}

/// The log of one container, or a part of it; of the daemon where there is no container.
pub(super) struct Piece {
    /// Under whose name it is shown.
    pub whose: Whose,
    /// The container.
    pub container: Option<ContainerId>,
    /// The lines, oldest first.
    pub lines: LogStream,
}

/// The name and the replica that a line is shown under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Whose {
    /// The workload, or `witwd`.
    pub name: String,
    /// From 1.
    pub replica: u32,
}

impl From<&ReplicaKey> for Whose {
    fn from(key: &ReplicaKey) -> Self {
        Self { name: key.name.to_string(), replica: key.replica }
    }
}

impl Whose {
    /// The daemon.
    pub(super) fn daemon() -> Self {
        Self { name: OWN.to_owned(), replica: 1 }
    }

    /// `web`, `web.2`.
    pub(super) fn label(&self) -> String {
        if self.replica == 1 { self.name.clone() } else { format!("{}.{}", self.name, self.replica) }
    }
}

/// The logs of containers that are wanted.
pub(super) struct Sources {
    /// The engine that holds them.
    pub engine: Arc<dyn Engine>,
    /// Those that the engine holds, by replica and age.
    pub held: Vec<Source>,
    kept: KeptLogs,
    last_exits: BTreeMap<ReplicaKey, LastExit>,
    selection: Selection,
}

impl Sources {
    /// The logs of this selection that are there now.
    pub(super) async fn new(context: &Context, place: &Place, selection: Selection) -> Result<Self, Failure> {
        let mut sources = Self {
            engine: context.engine().await?,
            held: Vec::new(),
            kept: KeptLogs::new(context.disk.clone(), &place.state),
            last_exits: last_exits(context.disk.as_ref(), &place.state)?,
            selection,
        };
        sources.look().await?;
        Ok(sources)
    }

    /// The names that neither a container nor a log that was kept has.
    pub(super) fn missing(&self) -> Result<Vec<String>, Failure> {
        let kept = self.kept.read(|key| self.selection.wants(key))?;
        let keys: Vec<&ReplicaKey> = self.held.iter().map(|source| &source.key).chain(kept.iter().map(|log| &log.key)).collect();
        let has_one = |name: &&String| keys.iter().any(|key| means(name, key));
        Ok(self.selection.names.iter().filter(|name| !has_one(name)).cloned().collect())
    }

    /// Finds containers that were not there before.
    pub(super) async fn look(&mut self) -> Result<(), EngineError> {
        let scope = Scope::of(&self.selection.stack);
        let observed = self.engine.observe(&scope).await?;
        for container in &observed.containers {
            let Some(key) = self.selection.key(container) else { continue };
            if !self.held.iter().any(|source| source.container.id == container.id) {
                let source = Source { key: key.clone(), container: container.clone(), last: None, is_read: false };
                self.held.push(source);
            }
        }
        self.held.sort_by_key(|source| (source.key.clone(), source.container.created_at));
        Ok(())
    }

    /// What is said where there is no log at all.
    pub(super) fn nothing(&self, part: Part) -> Failure {
        self.selection.nothing(part)
    }

    /// What was kept, then what the engine holds. A container that goes meanwhile was kept before.
    pub(super) async fn everything(&self, part: Part) -> Result<Vec<Piece>, Failure> {
        let query = LogQuery { follow: false, tail: part.tail, since: part.since };
        let mut held = Vec::new();
        for source in &self.held {
            match self.engine.logs(&source.container.id, &query).await {
                Ok(lines) => {
                    held.push(Piece { whose: (&source.key).into(), container: Some(source.container.id.clone()), lines });
                }
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        let is_held = |container: &ContainerId| held.iter().any(|piece| piece.container.as_ref() == Some(container));
        let kept = self.kept.read(|key| self.selection.wants(key))?.into_iter().filter(|log| !is_held(&log.container));
        let kept = kept.map(|log| piece((&log.key).into(), Some(log.container), since(log.lines, part.since)));
        Ok(kept.collect::<Vec<_>>().into_iter().chain(held).collect())
    }

    /// Of each replica the last run that is over.
    pub(super) async fn previous(&self, part: Part) -> Result<Vec<Piece>, Failure> {
        let mut kept = BTreeMap::new();
        for log in self.kept.read(|key| self.selection.wants(key))? {
            kept.insert(log.key.clone(), log);
        }
        let mut found = BTreeMap::new();
        for source in &self.held {
            let Some(run) = previous_run(&source.container, self.last_exits.get(&source.key)) else { continue };
            let query = LogQuery { follow: false, tail: None, since: run.from };
            let lines = collect(self.engine.logs(&source.container.id, &query).await?).await?;
            found.insert(source.key.clone(), lines.into_iter().filter(|line| run.has(line.at)).collect());
        }
        for (key, log) in kept {
            found.entry(key).or_insert_with(|| since(log.lines, log.last_run));
        }
        Ok(found.into_iter().map(|(key, lines)| piece((&key).into(), None, since(lines, part.since))).collect())
    }
}

/// Lines as a piece.
pub(super) fn piece(whose: Whose, container: Option<ContainerId>, lines: Vec<LogLine>) -> Piece {
    Piece { whose, container, lines: stream::iter(lines.into_iter().map(Ok)).boxed() }
}

/// The lines that are not older than `since`.
pub(super) fn since(mut lines: Vec<LogLine>, since: Option<Timestamp>) -> Vec<LogLine> {
    lines.retain(|line| line.at.zip(since).is_none_or(|(at, since)| at >= since));
    lines
}

/// All lines of a log.
pub(super) async fn collect(mut lines: LogStream) -> Result<Vec<LogLine>, EngineError> {
    let mut all = Vec::new();
    while let Some(line) = lines.next().await {
        all.push(line?);
    }
    Ok(all)
}
