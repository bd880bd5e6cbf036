//! What takes its time: events, logs, waiting for an end, commands in a container.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::engine::{SimEngine, same_engine};
use super::events::Next;
use super::tiny;
use super::trace::Operation;
use super::world::{SimContainer, World};
use crate::engine::answer::{ExecOutput, LogLine, Waited};
use crate::engine::request::{Exec, LogQuery};
use crate::engine::{EngineError, ErrorKind, EventStream, LogStream};
use crate::model::name::{ContainerId, StackName};
use crate::model::observed::ContainerState;

/// How long the engine takes to run a command.
const EXEC: Duration = Duration::from_millis(20);

struct Subscription {
    engine: SimEngine,
    key: u64,
    over: bool,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.engine.state().world.bus.unsubscribe(self.key);
    }
}

pub(super) fn events(engine: &SimEngine, stack: &StackName) -> EventStream {
    let key = engine.make(|world, _| world.bus.subscribe(stack));
    let subscription = Subscription { engine: engine.clone(), key, over: false };
    let next = async |mut subscription: Subscription| {
        if subscription.over {
            return None;
        }
        let key = subscription.key;
        let event = subscription.engine.until(|world, now| match world.bus.next(key, now.moment) {
            Next::Event(event) => Some(Ok(event)),
            Next::Cut => Some(Err(cut())),
            Next::Nothing => None,
        });
        let event = event.await;
        subscription.over = event.is_err();
        Some((event, subscription))
    };
    stream::unfold(subscription, next).boxed()
}

fn cut() -> EngineError {
    EngineError::new(Operation::Events.words(), "engine", ErrorKind::Unavailable, "the stream was cut")
}

pub(super) fn logs(engine: &SimEngine, container: &ContainerId, query: &LogQuery) -> Result<LogStream, EngineError> {
    let (lines, read) = engine.see(|world, _| first_lines(world, container, query))?;
    let first = stream::iter(lines.into_iter().map(Ok));
    if !query.follow {
        return Ok(first.boxed());
    }
    let rest = stream::unfold((engine.clone(), container.clone(), read), async |(engine, container, read)| {
        let line = engine.until(|world, _| match world.containers.get(&container) {
            None => Some(None),
            Some(found) => match found.log.get(read) {
                Some(line) => Some(Some(line.clone())),
                None => (!found.state.is_up()).then_some(None),
            },
        });
        let line = line.await?;
        Some((Ok(line), (engine, container, read + 1)))
    });
    Ok(first.chain(rest).boxed())
}

fn first_lines(world: &World, id: &ContainerId, query: &LogQuery) -> Result<(Vec<LogLine>, usize), EngineError> {
    let container = world.find(Operation::Logs, id)?;
    if !container.keeps_log {
        let message = "configured logging driver does not support reading";
        return Err(EngineError::new(Operation::Logs.words(), format!("container {id}"), ErrorKind::Other, message));
    }
    let recent = |line: &&LogLine| query.since.is_none_or(|since| line.at.is_none_or(|at| at >= since));
    let lines: Vec<LogLine> = container.log.iter().filter(recent).cloned().collect();
    let tail = query.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(lines.len());
    let skipped = lines.len().saturating_sub(tail);
    Ok((lines.into_iter().skip(skipped).collect(), container.log.len()))
}

/// What a command does that was let in.
enum Command {
    Ends(ExecOutput),
    Endless,
}

impl SimEngine {
    /// The end of the present run, or of the next one where none is under way.
    pub(super) async fn wait_for(&self, container: &ContainerId) -> Result<Waited, EngineError> {
        let target = format!("container {container}");
        // What was over when it was asked does not count, however long the engine takes to answer.
        let before = self.see(|world, _| world.containers.get(container).map(|found| found.ended.len()));
        let epoch = self.answering(Operation::Wait, &target).await?;
        let before = before.unwrap_or_default();
        self.until(|world, _| {
            if let Err(error) = same_engine(world, epoch, Operation::Wait, &target) {
                return Some(Err(error));
            }
            match world.find(Operation::Wait, container) {
                Err(error) => Some(Err(error)),
                Ok(found) => found.ended.get(before).map(|code| Ok(Waited { code: *code })),
            }
        })
        .await
    }

    pub(super) async fn run_command(&self, id: &ContainerId, exec: &Exec, limit: Duration) -> Result<ExecOutput, EngineError> {
        let target = format!("container {id}");
        self.answering(Operation::Exec, &target).await?;
        self.sleep(EXEC / 2).await;
        match self.see(|world, now| admit(world, id, exec, now.moment))? {
            Command::Ends(output) => {
                self.sleep(EXEC / 2).await;
                Ok(output)
            }
            Command::Endless => {
                self.sleep(limit).await;
                Err(EngineError::new(Operation::Exec.words(), target, ErrorKind::Timeout, "the command did not end in time"))
            }
        }
    }
}

fn admit(world: &World, id: &ContainerId, exec: &Exec, now: crate::model::time::Moment) -> Result<Command, EngineError> {
    let container = world.find(Operation::Exec, id)?;
    let (ContainerState::Running { .. }, Some(run)) = (&container.state, &container.run) else {
        let message = format!("Container {} is {}, not running", id.0, container.state.word());
        return Err(EngineError::new(Operation::Exec.words(), format!("container {id}"), ErrorKind::Conflict, message));
    };
    if run.hangs(now) {
        return Ok(Command::Endless);
    }
    if let Some(output) = world.exec_hook.as_ref().and_then(|hook| hook(container, exec)) {
        return Ok(Command::Ends(output));
    }
    Ok(scripted(world, container, exec))
}

fn scripted(world: &World, container: &SimContainer, exec: &Exec) -> Command {
    if exec.command.first().is_none_or(|word| word != "/tiny") {
        return Command::Ends(ExecOutput { code: 0, stdout: String::new(), stderr: String::new() });
    }
    let script = tiny::script(&exec.command, exec.stdin.as_deref(), |path| world.file(container, path));
    if script.run_for.is_none() { Command::Endless } else { Command::Ends(script.as_exec()) }
}
