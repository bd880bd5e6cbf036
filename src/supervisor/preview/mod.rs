//! What `up` would do: the same loop, on a simulated engine that looks like the real one, on
//! virtual time, until it comes to rest. It reaches no engine, no disk and no process.
//!
//! What can't be seen is taken for well: what runs and about which nothing else is known answers its
//! probes, what is started becomes ready, registries have every image, and a pull or build of
//! an image that is here brings the same one, unless its context changed. A verdict that is bad
//! stays bad until its container is started again. How long a pull, a build or a removal takes can't
//! be seen either: an old container that is started only until the new one can be made may be left
//! out, or be shown in vain.
//!
//! Entry point: [`preview`].

mod course;
mod document;
mod twins;

#[cfg(test)]
pub(crate) use document::GAPS;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::apply::{Context, PRIMITIVES, TRANSFERS};
use super::caretaker::NoBackups;
use super::families::learn;
use super::handle::{Command, Up, channel};
use super::keeper::Keeper;
use super::kept_logs::KeptLogs;
use super::known::Known;
use super::requests::is_stale;
use super::run::{Beginning, run};
use super::scope::scope;
use super::sim::SimCommands;
use super::state::StateFile;
use crate::engine::sim::{Script, SimEngine};
use crate::engine::{Engine, EngineError};
use crate::host::Disk;
use crate::host::sim::SimDisk;
use crate::host::virtual_time::{self, VirtualClock};
use crate::model::history::History;
use crate::model::image::ImageOrigin;
use crate::model::name::InstanceId;
use crate::model::observed::Observed;
use crate::model::preview::Preview;
use crate::model::stack::Stack;
use crate::model::status::Status;
use crate::model::time::Moment;
use crate::model::workload::Workload;
use crate::plan::is_throw_away;
use course::Course;
use twins::{StillKeeper, StillProber};

/// What a preview is made from.
pub struct Question {
    /// The request.
    pub up: Up,
    /// What the supervisor knows.
    pub known: Known,
    /// What is there, in the scope of the request's stack.
    pub observed: Observed,
    /// Tells passwords and what is wanted of servers as the real one does. It is asked to prepare, so
    /// its disk must be a shadow.
    pub keeper: Arc<dyn Keeper>,
    /// Who we are.
    pub instance: InstanceId,
    /// The moment on the clock that `known` was noted by.
    pub moment: Moment,
    /// The wall clock.
    pub wall: Timestamp,
}

/// What is there for a request's stack: one list, and what is not known yet of images of servers.
/// What is learnt of them is known from then on.
pub async fn look(engine: &dyn Engine, stack: &Stack, instance: &InstanceId, known: &mut Known) -> Result<Observed, EngineError> {
    let mut observed = engine.observe(&scope(stack, instance, &known.history)).await?;
    // A set may be under way: what it made for itself is none of what an `up` would change.
    observed.containers.retain(|container| !is_throw_away(container));
    observed.volumes.retain(|volume| volume.trial_of.is_none());
    let learnt = learn(engine, stack, &observed, &known.families).await?;
    known.families.extend(learnt);
    Ok(observed)
}

/// What `up` would do. Runs to its end in this thread, which must not be one that runs tasks.
///
/// # Errors
/// Where the system gives no runtime.
pub fn preview(question: Question) -> io::Result<Preview> {
    let clock = Arc::new(VirtualClock::at(question.moment, question.wall));
    let program = foresee(question, clock.clone());
    // What is only played is not told as if it happened.
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || virtual_time::run(&clock, program))
}

async fn foresee(question: Question, clock: Arc<VirtualClock>) -> Preview {
    let Question { up, known, observed, keeper, instance, .. } = question;
    let engine = Arc::new(SimEngine::from_observed(clock.clone(), &observed, up.stack.name()));
    assume(&engine, &up, &known);
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::default());
    let (events, events_end) = mpsc::unbounded_channel();
    let context = Context {
        engine: engine.clone(),
        clock: clock.clone(),
        disk: disk.clone(),
        keeper: Arc::new(StillKeeper::of(keeper, clock.clone())),
        backups: Arc::new(NoBackups),
        commands: Arc::new(SimCommands::new(engine.clone())),
        kept_logs: KeptLogs::new(disk.clone(), Path::new("/")),
        instance,
        secrets_directory: "/secrets".into(),
        events,
        primitives: Semaphore::new(PRIMITIVES),
        transfers: Semaphore::new(TRANSFERS),
    };
    let (handle, mut ends) = channel(Status::unknown(String::new(), None));
    let (begun, begun_end) = mpsc::unbounded_channel();
    ends.begun = Some(begun);
    let (answer, _) = oneshot::channel();
    let beginning = Beginning {
        stack: up.stack.clone(),
        first: Some(Command::Up(Box::new(up.clone()), answer)),
        known: known.clone(),
        warnings: Vec::new(),
        state: StateFile::new(disk, "/state.json".into()),
        daemon: None,
        prober: Arc::new(StillProber::new(engine.clone(), &known.verdicts)),
        ends,
    };
    let playing = tokio::spawn(run(context, events_end, beginning, std::future::pending()));
    let course = Course::follow(clock.as_ref(), &handle, begun_end).await;
    playing.abort();
    let made = engine.with(|world| world.containers.values().cloned().collect());
    document::Told { up: &up, known: &known, observed: &observed, made }.document(course)
}

/// What apps and registries do, as far as it is known.
fn assume(engine: &SimEngine, up: &Up, known: &Known) {
    engine.alter(|world| {
        for workload in up.stack.in_order() {
            let script = script(workload, &known.history);
            for container in world.containers.values_mut() {
                let is_one = container.identity().is_some_and(|identity| identity.key.name == workload.name);
                if let Some(run) = container.run.as_mut().filter(|_| is_one) {
                    run.script.slow_stop = script.slow_stop;
                }
            }
            world.scripts.set(workload.name.as_str(), vec![script]);
            if brings_the_same(workload, up, known) {
                world.images.steady.insert(workload.image.reference.clone());
            }
        }
    });
}

/// What a start itself takes of the time until an app is ready.
const START: Duration = Duration::from_millis(100);

/// As it stopped and became ready last; where that was never seen, as quickly as a small app does.
fn script(workload: &Workload, history: &History) -> Script {
    let usual = Script::of_kind(Some(workload.kind_name()));
    let pace = history.paces.get(&workload.name).copied().unwrap_or_default();
    Script {
        slow_stop: pace.stop.unwrap_or(usual.slow_stop),
        ready_after: pace.ready.map_or(usual.ready_after, |ready| ready.saturating_sub(START)),
        ..usual
    }
}

fn brings_the_same(workload: &Workload, up: &Up, known: &Known) -> bool {
    match workload.image.origin {
        ImageOrigin::Pull { .. } => true,
        ImageOrigin::Build(_) => !is_stale(&known.history, &workload.name, &up.builds),
    }
}
