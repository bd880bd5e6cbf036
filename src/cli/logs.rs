//! `logs`: straight from the engine, by label; lines of several services merged by time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::Done;
use super::context::Context;
use super::exit_code::{Exit, Failure};
use super::loader::workloads;
use super::merge::{Merge, forward};
use super::output::Output;
use super::paint::{Ink, paint, printable, printable_colored};
use super::place::Place;
use crate::engine::request::{LogLine, LogQuery, Scope};
use crate::engine::{Engine, EngineError};
use crate::model::name::{ContainerId, InstanceId, ReplicaKey, StackName};
use crate::model::observed::{Container, Owner};
use crate::model::workload::KindName;

/// The name under which the daemon's own log is shown.
const OWN: &str = "witwd";
/// How often a follower looks for new containers.
const ROUND: Duration = Duration::from_secs(1);

/// Flags of `logs`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  witwd logs -f web\n  witwd logs --since 10m --tail 100\n  witwd logs witwd    what the daemon itself says"
)]
pub struct LogsArgs {
    /// Stay and show what comes
    #[arg(short, long)]
    follow: bool,
    /// Not older than this: a duration (10m) or a time (2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only the last lines of each
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<u32>,
    /// Only these; NAME.2 is one replica, `witwd` the daemon itself
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(super) async fn run(context: &Context, args: LogsArgs) -> Done {
    let place = context.place()?;
    let since = args.since.as_deref().map(|text| moment(text, context.clock.wall())).transpose()?;
    if args.names.iter().any(|name| name == OWN) {
        own_log(context, &place, args.tail)?;
    }
    let names: Vec<&String> = args.names.iter().filter(|name| *name != OWN).collect();
    if names.is_empty() && !args.names.is_empty() {
        return Ok(Exit::Done);
    }
    let selection = Selection::new(context, &place, names).await?;
    let mut reader = Reader::new(context, selection).await?;
    let missing = reader.missing();
    reject_unknown(context, &place, &missing)?;
    if reader.sources.is_empty() && !args.follow {
        return Err(reader.selection.nothing());
    }
    for name in &missing {
        context.output.note(&format!("there is no container of {name}"));
    }
    reader.history(&LogQuery { follow: false, tail: args.tail, since }).await?;
    if args.follow {
        reader.follow(since).await?;
    }
    Ok(Exit::Done)
}

/// A name that has no container is a slip where the file does not have it either.
fn reject_unknown(context: &Context, place: &Place, names: &[String]) -> Result<(), Failure> {
    let Ok(loaded) = context.look(place) else { return Ok(()) };
    let whole = |name: &String| match name.rsplit_once('.') {
        Some((whole, number)) if number.parse::<u32>().is_ok() => whole.to_owned(),
        _ => name.clone(),
    };
    let whole: Vec<String> = names.iter().map(whole).collect();
    workloads(&loaded.stack, &whole).map(|_| ())
}

/// A duration before now, or a time.
pub(super) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SignedDuration::try_from(ago).ok());
    ago.and_then(|ago| now.checked_sub(ago).ok()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{text:?} is no time"))
            .hint("use a duration such as 10m, or a time such as 2026-01-31T12:00:00Z")
    })
}

fn own_log(context: &Context, place: &Place, tail: Option<u32>) -> Result<(), Failure> {
    let count = tail.map_or(usize::MAX, |tail| tail as usize);
    let lines = place.log().tail(count).map_err(|error| Failure::of(Exit::Failed, "failed to read the daemon's log", &error))?;
    for line in lines {
        if context.output.json {
            context.output.document(&document(OWN, 1, &LogLine { at: None, stderr: true, line }))?;
        } else {
            context.output.data(&format!("{}\n", printable(&line)))?;
        }
    }
    Ok(())
}

/// The last lines of one container.
pub(super) async fn tail(context: &Context, container: &str, count: u32) -> Result<Vec<String>, Failure> {
    let engine = context.engine().await?;
    let query = LogQuery { follow: false, tail: Some(count), since: None };
    let mut stream = engine.logs(&ContainerId(container.to_owned()), &query).await?;
    let mut lines = Vec::new();
    while let Some(line) = stream.next().await {
        lines.push(line?.line);
    }
    Ok(lines)
}

/// Shows what is written from now on; what can't be shown is said, and nothing else stops.
pub(super) async fn follow_from_now(context: Context, place: Place) {
    let followed = async {
        let selection = Selection::new(&context, &place, Vec::new()).await?;
        let now = context.clock.wall();
        let mut reader = Reader::new(&context, selection).await?;
        reader.follow(Some(now)).await
    };
    if let Err(failure) = followed.await {
        context.output.failure(&failure);
    }
}

/// Whose logs are wanted.
pub(super) struct Selection {
    stack: StackName,
    instance: InstanceId,
    names: BTreeSet<String>,
}

impl Selection {
    async fn new(context: &Context, place: &Place, names: Vec<&String>) -> Result<Self, Failure> {
        let (stack, instance) = context.identity(place).await?;
        Ok(Self { stack, instance, names: names.into_iter().cloned().collect() })
    }

    /// Which replica this container is, where it is wanted.
    fn key<'a>(&self, container: &'a Container) -> Option<&'a ReplicaKey> {
        let identity = container.identity.as_ref().filter(|_| container.owner(&self.stack, &self.instance) == Owner::Ours)?;
        let is_kept = matches!(identity.kind, KindName::Service | KindName::Postgres | KindName::Job);
        let key = &identity.key;
        let is_named = |name: &String| means(name, key);
        (is_kept && (self.names.is_empty() || self.names.iter().any(is_named))).then_some(key)
    }

    fn nothing(&self) -> Failure {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let whose = if names.is_empty() { format!("stack {}", self.stack) } else { names.join(", ") };
        Failure::new(Exit::Failed, format!("there is no container of {whose}"))
            .hint("a log goes with its container; `witwd up` makes new ones")
    }
}

/// Whether `NAME` or `NAME.2` means this replica.
fn means(name: &str, key: &ReplicaKey) -> bool {
    name == key.name.as_str() || name == format!("{}.{}", key.name, key.replica)
}

/// A container whose log is read.
struct Source {
    key: ReplicaKey,
    container: ContainerId,
    /// The time of its last line that was shown.
    last: Option<Timestamp>,
    is_read: bool,
}

struct Reader {
    engine: Arc<dyn Engine>,
    output: Output,
    clock: Arc<dyn crate::host::Clock>,
    selection: Selection,
    sources: Vec<Source>,
    inks: BTreeMap<String, usize>,
}

impl Reader {
    async fn new(context: &Context, selection: Selection) -> Result<Self, Failure> {
        let (engine, output, clock) = (context.engine().await?, context.output, context.clock.clone());
        let mut reader = Self { engine, output, clock, selection, sources: Vec::new(), inks: BTreeMap::new() };
        reader.look().await?;
        Ok(reader)
    }

    /// The names that no container has.
    fn missing(&self) -> Vec<String> {
        let has_one = |name: &&String| self.sources.iter().any(|source| means(name, &source.key));
        self.selection.names.iter().filter(|name| !has_one(name)).cloned().collect()
    }

    /// Finds containers that were not there before.
    async fn look(&mut self) -> Result<(), EngineError> {
        let scope = Scope::of(&self.selection.stack);
        let observed = self.engine.observe(&scope).await?;
        for container in &observed.containers {
            let Some(key) = self.selection.key(container) else { continue };
            if !self.sources.iter().any(|source| source.container == container.id) {
                self.sources.push(Source { key: key.clone(), container: container.id.clone(), last: None, is_read: false });
            }
        }
        self.sources.sort_by(|one, other| one.key.cmp(&other.key));
        for source in &self.sources {
            let next = self.inks.len();
            self.inks.entry(source.key.name.to_string()).or_insert(next);
        }
        Ok(())
    }

    /// Shows what was written, merged by time.
    async fn history(&mut self, query: &LogQuery) -> Result<(), Failure> {
        let mut merge = Merge::default();
        for index in 0..self.sources.len() {
            merge.add(self.engine.logs(&self.sources[index].container, query).await?).await?;
        }
        while let Some((index, line)) = merge.next().await? {
            self.show(index, &line)?;
        }
        Ok(())
    }

    /// Shows what is written from now on, also by containers that come later, for ever.
    async fn follow(&mut self, since: Option<Timestamp>) -> Result<(), Failure> {
        let (sender, mut lines) = mpsc::channel::<(ContainerId, Option<LogLine>)>(1024);
        loop {
            for source in self.sources.iter_mut().filter(|source| !source.is_read) {
                source.is_read = true;
                let query = LogQuery { follow: true, tail: None, since: source.last.or(since) };
                tokio::spawn(forward(self.engine.clone(), source.container.clone(), query, sender.clone()));
            }
            let round = self.clock.clone();
            let mut round = std::pin::pin!(round.sleep(ROUND));
            loop {
                tokio::select! {
                    biased;
                    Some((container, line)) = lines.recv() => self.take(&container, line.as_ref())?,
                    () = &mut round => break,
                }
            }
            // The engine may be away for a while; what it wrote meanwhile comes with `since`.
            let _ = self.look().await;
        }
    }

    fn take(&mut self, container: &ContainerId, line: Option<&LogLine>) -> Result<(), Failure> {
        let Some(index) = self.sources.iter().position(|source| &source.container == container) else { return Ok(()) };
        match line {
            Some(line) if line.at.is_some() && line.at <= self.sources[index].last => Ok(()),
            Some(line) => self.show(index, line),
            None => {
                self.sources[index].is_read = false;
                Ok(())
            }
        }
    }

    fn show(&mut self, index: usize, line: &LogLine) -> Result<(), Failure> {
        let source = &mut self.sources[index];
        source.last = line.at.or(source.last);
        let key = &source.key;
        if self.output.json {
            return self.output.document(&document(key.name.as_str(), key.replica, line));
        }
        let width = self.sources.iter().map(|source| source.key.to_string().len()).max().unwrap_or(0);
        let key = &self.sources[index].key;
        let ink = Ink::Name(self.inks.get(key.name.as_str()).copied().unwrap_or(0));
        self.output.data(&(line_text(&key.to_string(), width, ink, &line.line, self.output.color()) + "\n"))
    }
}

/// A line of a log for people.
pub(super) fn line_text(label: &str, width: usize, ink: Ink, line: &str, color: bool) -> String {
    // Colours of the app are kept on a terminal; anything else that could move its cursor is not.
    let line = if color { printable_colored(line) } else { printable(line) };
    format!("{} {line}", paint(color, ink, &format!("{label:width$} |")))
}

fn document(name: &str, replica: u32, line: &LogLine) -> serde_json::Value {
    let stream = if line.stderr { "stderr" } else { "stdout" };
    serde_json::json!({ "at": line.at, "name": name, "replica": replica, "stream": stream, "line": line.line })
}
