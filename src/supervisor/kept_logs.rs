//! The last lines of containers that are gone: the engine forgets a log with its container, so the
//! end of it is kept beside the stack before the container is removed.
//!
//! A file for each container, by [`KeptLogs::keep`]; bounded in lines, bytes and number, and never
//! a reason not to remove.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::engine::answer::LogLine;
use crate::engine::request::LogQuery;
use crate::host::{Clock, Disk, DiskError};
use crate::model::history::LastExit;
use crate::model::name::{ContainerId, ReplicaKey};

/// The version of a file.
const VERSION: u32 = 1;
/// Most lines of a container.
const LINES: u32 = 10_000;
/// Most bytes of a container, as they are written.
const BYTES: usize = 1 << 20;
/// Containers of each replica.
const OF_REPLICA: usize = 5;
/// Containers of all replicas, those that are no longer in the file included.
const IN_ALL: usize = 64;
/// How long a removal waits for the log.
const PATIENCE: Duration = Duration::from_secs(5);
/// The directory below the stack's `.witwd`.
const DIRECTORY: &str = "logs";

/// A container whose log is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// Which replica it was.
    pub key: ReplicaKey,
    /// Its id.
    pub container: ContainerId,
    /// When it was started last: what puts the files in order.
    pub started_at: Timestamp,
    /// When its last run began; `None` where it had one only.
    pub last_run: Option<Timestamp>,
}

/// What is known of a log that was kept, and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLog {
    /// Which replica it was.
    pub key: ReplicaKey,
    /// The container's id.
    pub container: ContainerId,
    /// When its last run began; `None` where it had one only.
    pub last_run: Option<Timestamp>,
    /// The last lines, oldest first.
    pub lines: Vec<LogLine>,
}

/// The first line of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    v: u32,
    key: ReplicaKey,
    container: ContainerId,
    last_run: Option<Timestamp>,
}

/// A line of a file, in few letters.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stderr: bool,
    line: String,
}

/// The directory of the logs that were kept.
pub struct KeptLogs {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
}

impl KeptLogs {
    /// Those of the stack whose state lies in `state`.
    pub fn new(disk: Arc<dyn Disk>, state: &Path) -> Self {
        Self { disk, directory: state.join(DIRECTORY) }
    }

    /// Keeps the end of a container's log, as far as the engine has it and gives it in time. What
    /// can't be kept is told and lost: the container goes all the same.
    pub async fn keep(&self, engine: &dyn Engine, clock: &dyn Clock, leaving: &Leaving) {
        let read = tokio::select! {
            biased;
            read = last_lines(engine, &leaving.container) => read,
            () = clock.sleep(PATIENCE) => Err("the engine did not give it in time".to_owned()),
        };
        let kept = read.and_then(|lines| self.write(leaving, &lines).map_err(|error| format!("{error}: {}", error.source)));
        if let Err(reason) = kept {
            tracing::warn!("the log of {} (container {}) is not kept: {reason}", leaving.key, leaving.container);
        }
    }

    fn write(&self, leaving: &Leaving, lines: &VecDeque<String>) -> Result<(), DiskError> {
        if lines.is_empty() {
            return Ok(());
        }
        let head =
            Head { v: VERSION, key: leaving.key.clone(), container: leaving.container.clone(), last_run: leaving.last_run };
        // Names, numbers and times: there is nothing in them that JSON can't say.
        let head = serde_json::to_string(&head).unwrap_or_default();
        let mut text = head + "\n";
        for line in lines {
            text.push_str(line);
        }
        self.disk.write_atomic(&self.directory.join(file_name(leaving)), text.as_bytes())?;
        self.surplus()?.iter().try_for_each(|name| self.disk.remove(&self.directory.join(name)))
    }

    /// The files beyond what is kept, the oldest first to go.
    fn surplus(&self) -> Result<Vec<String>, DiskError> {
        let mut names = self.disk.list(&self.directory)?;
        names.retain(|name| replica_of(name).is_some());
        names.sort_by(|one, other| started(other).cmp(&started(one)));
        let mut of_replica: BTreeMap<String, usize> = BTreeMap::new();
        let mut all = 0;
        names.retain(|name| {
            let own = of_replica.entry(replica_of(name).unwrap_or_default().to_owned()).or_default();
            (*own, all) = (*own + 1, all + 1);
            *own > OF_REPLICA || all > IN_ALL
        });
        Ok(names)
    }

    /// What is kept of the replicas that are asked for, oldest first. A file that makes no sense is
    /// left out.
    pub fn read(&self, is_wanted: impl Fn(&ReplicaKey) -> bool) -> Result<Vec<KeptLog>, DiskError> {
        let mut names = self.disk.list(&self.directory)?;
        names.sort_by(|one, other| started(one).cmp(&started(other)));
        let mut logs = Vec::new();
        for name in names.iter().filter(|name| replica_of(name).is_some()) {
            let content = self.disk.read(&self.directory.join(name))?.unwrap_or_default();
            logs.extend(parse(&String::from_utf8_lossy(&content)).filter(|log| is_wanted(&log.key)));
        }
        Ok(logs)
    }
}

/// `web.1.001767300000000.0123456789ab.jsonl`: names of workloads have no dots.
fn file_name(leaving: &Leaving) -> String {
    let ReplicaKey { name, replica } = &leaving.key;
    let started = leaving.started_at.as_millisecond();
    let id: String = leaving.container.0.chars().take(12).collect();
    format!("{name}.{replica}.{started:015}.{id}.jsonl")
}

fn replica_of(file: &str) -> Option<&str> {
    let whole = file.strip_suffix(".jsonl")?;
    let (rest, _id) = whole.rsplit_once('.')?;
    rest.rsplit_once('.').map(|(replica, _started)| replica)
}

fn started(file: &str) -> Option<&str> {
    file.strip_suffix(".jsonl")?.rsplit('.').nth(1)
}

fn parse(text: &str) -> Option<KeptLog> {
    let (head, rest) = text.split_once('\n')?;
    let Head { key, container, last_run, .. } = serde_json::from_str(head).ok().filter(|head: &Head| head.v == VERSION)?;
    let line = |text: &str| serde_json::from_str(text).ok().map(|Written { at, stderr, line }| LogLine { at, stderr, line });
    Some(KeptLog { key, container, last_run, lines: rest.lines().filter_map(line).collect() })
}

/// The last lines of a container as they are written, within the bounds.
async fn last_lines(engine: &dyn Engine, container: &ContainerId) -> Result<VecDeque<String>, String> {
    let query = LogQuery { follow: false, tail: Some(LINES), since: None };
    let mut stream = engine.logs(container, &query).await.map_err(|error| error.to_string())?;
    let (mut lines, mut bytes) = (VecDeque::new(), 0);
    while let Some(line) = stream.next().await {
        let LogLine { at, stderr, line } = line.map_err(|error| error.to_string())?;
        let text = serde_json::to_string(&Written { at, stderr, line }).unwrap_or_default() + "\n";
        bytes += text.len();
        lines.push_back(text);
        while bytes > BYTES {
            bytes -= lines.pop_front().map_or(bytes, |line| line.len());
        }
    }
    Ok(lines)
}

/// When a run of a container began, as its log shows it. What a program writes at once may be older
/// than the start that the engine tells, and what it wrote last younger than its end: half-way
/// between the end of the run before and the start is in neither.
pub fn border(ended: Timestamp, started: Timestamp) -> Timestamp {
    let gap = started.duration_since(ended).max(SignedDuration::ZERO);
    ended.checked_add(gap / 2).unwrap_or(started)
}

/// When the last run of `container` that is over began, by what is remembered of it; `None` where it
/// is the first one, or another container's.
pub fn last_run(last: Option<&LastExit>, container: &ContainerId) -> Option<Timestamp> {
    let last = last.filter(|last| &last.run.container == container)?;
    last.ended_before.map(|ended| border(ended, last.run.started_at))
}
