//! The loop.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::apply::Context;
use super::backups::Care;
use super::definitions::Definitions;
use super::event::Event;
use super::families::learn;
use super::handle::{Command, Ends};
use super::journal::Journal;
use super::known::Known;
use super::looks::Looks;
use super::scope::scope;
use super::state::StateFile;
use crate::engine::{EngineError, ErrorKind};
use crate::health::{HealthEvent, Monitor, Prober};
use crate::model::family::Families;
use crate::model::health::{Subject, Verdicts};
use crate::model::history::{History, Target};
use crate::model::name::{ReplicaKey, WorkloadName};
use crate::model::observed::Observed;
use crate::model::stack::Stack;
use crate::model::status::{DaemonStatus, EngineStatus, FileStatus};
use crate::model::time::Moment;
use crate::plan::{Action, Plan};

/// The owner of everything that changes.
pub struct Supervisor {
    pub(super) context: Arc<Context>,
    pub(super) journal: Journal,
    pub(super) monitor: Monitor,
    pub(super) state: StateFile,
    pub(super) daemon: Option<DaemonStatus>,
    pub(super) stack: Arc<Stack>,
    /// The reading of the file that `stack` is from.
    pub(super) reading: u64,
    /// The file behind `stack`, and what is wrong with it as it is now.
    pub(super) file: FileStatus,
    pub(super) notes: Vec<String>,
    /// What was lost of what was known when it began.
    pub(super) warnings: Vec<String>,
    /// Digests of definition and context of the builds of `stack`.
    pub(super) builds: BTreeMap<WorkloadName, String>,
    pub(super) history: History,
    pub(super) observed: Option<Observed>,
    /// What images of Postgres servers say of themselves.
    pub(super) families: Families,
    pub(super) verdicts: Verdicts,
    /// Those whose failures did not count at the last pass: what they depend on was not well.
    pub(super) excused: BTreeSet<Subject>,
    /// What containers were made from.
    pub(super) definitions: Definitions,
    /// What is known of backup sets, and what is to be done with them.
    pub(super) care: Care,
    /// Why what must be remembered is not on the disk, as it was told.
    pub(super) unwritten: BTreeMap<&'static str, String>,
    pub(super) under_way: BTreeMap<Target, UnderWay>,
    pub(super) before: BTreeMap<Target, Before>,
    /// When those that are not ready yet were started.
    pub(super) starting: BTreeMap<ReplicaKey, Moment>,
    pub(super) progress: BTreeMap<Target, String>,
    /// Whether there is progress that is not published yet.
    pub(super) progress_waits: bool,
    /// Before this, progress waits.
    progress_due: Moment,
    pub(super) looks: Looks,
    /// Whether the engine's event stream is open.
    hears: Arc<AtomicBool>,
    pub(super) engine: EngineStatus,
    pub(super) plan: Plan,
    pub(super) generation: u64,
    /// Generation that each look under way began with.
    pub(super) look_generation: u64,
    /// Newest generation whose look is over.
    pub(super) seen_generation: u64,
    pub(super) ends: Ends,
    /// Looks and actions under way; they end with the supervisor.
    pub(super) tasks: JoinSet<()>,
}

/// An action that is under way, or over but not seen yet.
#[derive(Debug, Clone)]
pub struct UnderWay {
    /// The action.
    pub action: Action,
    /// When it was begun.
    pub since: Moment,
    /// The last look that was begun when it ended: only a later one shows what came of it.
    pub over_since: Option<u64>,
    /// Its task, where it can be given up.
    pub task: Option<AbortHandle>,
}

/// What was wanted when an action began: a request that comes meanwhile wants something else.
#[derive(Debug, Clone, Default)]
pub(super) struct Before {
    /// Digests of definition and context, for a build.
    pub builds: BTreeMap<WorkloadName, String>,
    /// The digest of databases, roles and extensions, for a provisioning.
    pub provision: Option<String>,
}

impl UnderWay {
    /// Whether look `number` shows what came of it: only one that began after it was over can.
    pub fn is_shown_by(&self, number: u64) -> bool {
        self.over_since.is_some_and(|over| over < number)
    }
}

/// What a supervisor is made from, beside its context.
pub struct Beginning {
    /// What is wanted.
    pub stack: Arc<Stack>,
    /// What is asked before anything else.
    pub first: Option<Command>,
    /// What is known.
    pub known: Known,
    /// What was lost of it: told once as events, and in `ps` while this supervisor runs.
    pub warnings: Vec<String>,
    /// Where it is kept.
    pub state: StateFile,
    /// Who we are, for `ps`.
    pub daemon: Option<DaemonStatus>,
    /// Makes probes.
    pub prober: Arc<dyn Prober>,
    /// Receives what is asked of us, publishes what is so.
    pub ends: Ends,
}

/// How often progress is published at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Runs until `ending` returns. What is under way is then abandoned: the next daemon finds out by
/// looking. The stack runs on.
pub async fn run(
    context: Context,
    events: mpsc::UnboundedReceiver<Event>,
    mut beginning: Beginning,
    ending: impl Future<Output = ()>,
) {
    let context = Arc::new(context);
    let (verdicts_sender, verdicts) = mpsc::channel(256);
    let monitor = Monitor::new(context.clock.clone(), beginning.prober.clone(), verdicts_sender);
    let first = beginning.first.take();
    let mut supervisor = Supervisor::new(context.clone(), monitor, beginning);
    for words in &supervisor.warnings {
        supervisor.journal.record("state-lost", &"stack", words.clone());
    }
    if let Some(first) = first {
        supervisor.command(first);
    }
    supervisor.tasks.spawn(listen(context, supervisor.stack.name().clone(), supervisor.hears.clone()));
    tokio::select! {
        biased;
        () = ending => {}
        () = supervisor.serve(events, verdicts) => {}
    }
}

/// Keeps the engine's event stream open; whatever comes of it only wakes. `hears` is whether it is.
async fn listen(context: Arc<Context>, stack: crate::model::name::StackName, hears: Arc<AtomicBool>) {
    loop {
        if let Ok(mut stream) = context.engine.events(&stack).await {
            hears.store(true, Ordering::Relaxed);
            let _ = context.events.send(Event::Wake);
            while let Some(Ok(event)) = stream.next().await {
                if event.ours && context.events.send(Event::Wake).is_err() {
                    return;
                }
            }
            hears.store(false, Ordering::Relaxed);
            // The end of the stream is an event too: the engine may be gone.
            let _ = context.events.send(Event::Wake);
        }
        context.clock.sleep(Duration::from_secs(1)).await;
    }
}

impl Supervisor {
    fn new(context: Arc<Context>, monitor: Monitor, beginning: Beginning) -> Self {
        let journal = Journal::new(context.clock.clone(), beginning.ends.records.clone());
        let mut looks = Looks::default();
        looks.want();
        let definitions = beginning.state.definitions();
        let mut history = beginning.known.history;
        let (now, wall) = (context.clock.moment(), context.clock.wall());
        history.replicas.values_mut().filter_map(|replica| replica.last_exit.as_mut()).for_each(|last| last.found(now, wall));
        Self {
            context,
            journal,
            monitor,
            state: beginning.state,
            daemon: beginning.daemon,
            file: FileStatus::applied(beginning.stack.directory().join("stack.toml").display().to_string()),
            stack: beginning.stack,
            reading: 0,
            notes: Vec::new(),
            warnings: beginning.warnings,
            builds: BTreeMap::new(),
            history,
            observed: None,
            families: beginning.known.families,
            verdicts: beginning.known.verdicts,
            excused: BTreeSet::new(),
            definitions,
            care: Care::default(),
            unwritten: BTreeMap::new(),
            under_way: BTreeMap::new(),
            before: BTreeMap::new(),
            starting: BTreeMap::new(),
            progress: BTreeMap::new(),
            progress_waits: false,
            progress_due: Moment::default(),
            looks,
            hears: Arc::default(),
            engine: EngineStatus::Down,
            plan: Plan::default(),
            generation: 0,
            look_generation: 0,
            seen_generation: 0,
            ends: beginning.ends,
            tasks: JoinSet::new(),
        }
    }

    async fn serve(&mut self, mut events: mpsc::UnboundedReceiver<Event>, mut verdicts: mpsc::Receiver<HealthEvent>) {
        loop {
            self.begin_look();
            while self.tasks.try_join_next().is_some() {}
            let now = self.context.clock.moment();
            let wake = self.next_wake().since(now);
            tokio::select! {
                biased;
                command = self.ends.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                Some(event) = events.recv() => self.handle(event),
                Some(HealthEvent { subject, verdict }) = verdicts.recv() => self.handle(Event::Verdict { subject, verdict }),
                () = self.context.clock.sleep(wake) => self.tick(),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wake => self.looks.want(),
            Event::Looked { number, result } => self.looked(number, result),
            Event::Done { action, result } => self.done(&action, result),
            Event::SetsRead(read) => self.sets_read(read),
            Event::Verdict { subject, verdict } => {
                // What fails may have ended, and the event that told of it may be lost.
                let is_bad = verdict.shaken || verdict.ready == Some(false) || verdict.alive == Some(false);
                self.verdicts.insert(subject, verdict);
                if is_bad {
                    self.looks.want();
                }
                self.pass();
            }
            Event::Said { key, container, lines } => {
                let detail = serde_json::json!({ "container": container.0, "lines": lines });
                self.journal.record_with("last-lines", &key, lines.join(" / "), detail);
            }
            Event::Progress { target, latest } => {
                self.progress.extend(latest.take().map(|words| (target, words)));
                self.progress_waits = true;
                self.publish_progress(self.context.clock.moment());
            }
        }
    }

    /// What came too soon is published later, not never: minutes of silence may follow it.
    fn publish_progress(&mut self, now: Moment) {
        if self.progress_waits && self.progress_due <= now {
            self.progress_due = now + PROGRESS_EVERY;
            self.publish();
        }
    }

    fn tick(&mut self) {
        let now = self.context.clock.moment();
        self.publish_progress(now);
        if self.looks.due(self.is_settled()) <= now {
            self.looks.want();
        } else {
            self.pass();
        }
    }

    /// Whether nothing is to be done, and what happens will be told.
    fn is_settled(&self) -> bool {
        self.under_way.is_empty() && self.plan.is_empty() && self.hears.load(Ordering::Relaxed)
    }

    fn next_wake(&self) -> Moment {
        let progress = self.progress_waits.then_some(self.progress_due);
        let due = [progress, self.plan.wake_at].into_iter().flatten();
        due.fold(self.looks.due(self.is_settled()), Moment::min)
    }

    /// Begins a look where one is wanted and none is under way.
    fn begin_look(&mut self) {
        let Some(number) = self.looks.begin(self.context.clock.moment()) else {
            return;
        };
        self.look_generation = self.generation;
        let (context, scope) = (self.context.clone(), scope(&self.stack, &self.context.instance, &self.history));
        let (stack, known) = (self.stack.clone(), self.families.clone());
        self.tasks.spawn(async move {
            let look = async {
                let observed = context.engine.observe(&scope).await?;
                let learnt = learn(context.engine.as_ref(), &stack, &observed, &known).await?;
                Ok((observed, learnt))
            };
            // A panic in here is an outcome like any other: without one there would be no later look.
            let bug = || EngineError::new("observe", "engine", ErrorKind::Other, "a bug in witwd: this look panicked");
            let result = AssertUnwindSafe(look).catch_unwind().await.unwrap_or_else(|_| Err(bug()));
            let _ = context.events.send(Event::Looked { number, result });
        });
    }
}
