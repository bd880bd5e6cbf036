//! The simulated engine: a [`World`] behind a gate that every call passes.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use super::faults::{Fault, FaultKind, Gate};
use super::mutation::{Applied, Mutation};
use super::trace::{Call, Operation, Trace};
use super::world::{Now, World};
use crate::engine::{EngineError, ErrorKind};
use crate::host::Clock;
use crate::model::name::StackName;
use crate::model::observed::Observed;
use crate::model::time::Moment;

/// How long a caller waits for an engine that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A container engine in memory, on the time of its clock. Clones share one world.
#[derive(Clone)]
pub struct SimEngine {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Wakes in the order of those who wait: a watch channel would not, and two runs would differ.
    changed: Notify,
}

pub(super) struct State {
    pub(super) world: World,
    pub(super) gate: Gate,
    pub(super) trace: Trace,
}

impl std::fmt::Debug for SimEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SimEngine").finish_non_exhaustive()
    }
}

impl SimEngine {
    /// An empty engine.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_world(clock, World::default())
    }

    /// An engine that looks like this observation in the scope of `stack`, whose registries have every image and whose apps
    /// are well: what would happen next is tried on it.
    pub fn from_observed(clock: Arc<dyn Clock>, observed: &Observed, stack: &StackName) -> Self {
        let now = Now { moment: clock.moment(), wall: clock.wall() };
        Self::with_world(clock, World::from_observed(observed, stack, now))
    }

    fn with_world(clock: Arc<dyn Clock>, world: World) -> Self {
        let state = State { world, gate: Gate::default(), trace: Trace::default() };
        let inner = Inner { clock, state: Mutex::new(state), changed: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// The clock it runs on.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    pub(super) fn now(&self) -> Now {
        Now { moment: self.inner.clock.moment(), wall: self.inner.clock.wall() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().expect("no panic while the simulated world is held")
    }

    /// Looks at the world as it is now.
    pub(super) fn see<T>(&self, look: impl FnOnce(&mut World, Now) -> T) -> T {
        let now = self.now();
        let mut state = self.state();
        state.world.settle(now);
        look(&mut state.world, now)
    }

    /// Changes the world, and wakes whoever waits for something in it.
    pub(super) fn make<T>(&self, change: impl FnOnce(&mut World, Now) -> T) -> T {
        let made = self.see(change);
        self.inner.changed.notify_waiters();
        made
    }

    /// Returns when `ready` finds what it looks for, waking at every virtual time at which
    /// something happens.
    pub(super) async fn until<T>(&self, mut ready: impl FnMut(&mut World, Now) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.inner.changed.notified());
            changed.as_mut().enable();
            let (found, due, now) = self.see(|world, now| (ready(world, now), world.next_due(now.moment), now));
            if let Some(found) = found {
                return found;
            }
            let delay = due.map(|due| due.since(now.moment));
            tokio::select! {
                biased;
                () = changed => {}
                () = self.sleep_or_forever(delay) => {}
            }
        }
    }

    async fn sleep_or_forever(&self, delay: Option<Duration>) {
        match delay {
            Some(delay) => self.inner.clock.sleep(delay).await,
            None => std::future::pending().await,
        }
    }

    pub(super) async fn sleep(&self, duration: Duration) {
        self.inner.clock.sleep(duration).await;
    }

    /// Passes the gate: notes the call, lets its fault happen, notes the answer. `effect` is what a
    /// call that hangs may still do when its caller has gone.
    pub(super) async fn call<T: Send>(
        &self,
        operation: Operation,
        target: &str,
        effect: Option<Mutation>,
        work: impl Future<Output = Result<T, EngineError>> + Send,
    ) -> Result<T, EngineError> {
        let (mut entry, fault) = self.begin(operation, target);
        let error = |kind, message: &str| Err(EngineError::new(operation.words(), target, kind, message));
        let answer = match fault {
            Some(Fault::FailBefore(kind)) => {
                self.note_effect(FaultKind::FailBefore);
                self.sleep(Duration::from_millis(1)).await;
                error(kind, "simulated: failed before it happened")
            }
            Some(Fault::LostAck(kind)) => {
                if work.await.is_ok() && operation.mutating() {
                    self.note_effect(FaultKind::LostAck);
                }
                error(kind, "simulated: the answer was lost")
            }
            Some(Fault::Hang { limit, effect_after }) => {
                if let (Some(after), Some(effect)) = (effect_after, effect) {
                    self.make(|world, now| world.defer(now.moment + limit + after, effect));
                }
                self.note_effect(FaultKind::Hang);
                self.sleep(limit).await;
                error(ErrorKind::Timeout, "simulated: no answer in time")
            }
            Some(Fault::Delay(delay)) => {
                self.note_effect(FaultKind::Delay);
                self.sleep(delay).await;
                work.await
            }
            Some(other) => {
                self.disturb(&other);
                work.await
            }
            None => work.await,
        };
        entry.finish(answer.as_ref().map(drop).map_err(|error| error.kind));
        answer
    }

    /// Faults of the surroundings, which leave the call itself alone.
    fn disturb(&self, fault: &Fault) {
        let now = self.now();
        let mut state = self.state();
        let State { world, gate, .. } = &mut *state;
        world.settle(now);
        match fault {
            Fault::StaleRead(age) => world.stale_by = Some(*age),
            Fault::Event(fault) => world.bus.fault(*fault),
            Fault::RestartEngine { down } => {
                world.note_effect(FaultKind::RestartEngine);
                world.engine_goes_down(Some(now.moment + *down), now);
            }
            Fault::StopEngine(pause) => {
                world.note_effect(FaultKind::StopEngine);
                world.engine.hung = true;
                world.engine.goes_on_at = Some(now.moment + *pause);
            }
            Fault::Foreign(foreign) => {
                // What foreign hands can't do does not happen.
                if world.act(foreign, &gate.rng, now) == Ok(true) {
                    world.note_effect(FaultKind::Foreign);
                }
            }
            Fault::FailBefore(_) | Fault::LostAck(_) | Fault::Delay(_) | Fault::Hang { .. } => {}
        }
        drop(state);
        self.inner.changed.notify_waiters();
    }

    fn note_effect(&self, kind: FaultKind) {
        self.state().world.note_effect(kind);
    }

    /// A change: half of its cost, the change, the other half. A caller that goes away in the first
    /// half changed nothing; in the second, it lost the answer.
    pub(super) async fn perform(&self, mutation: Mutation, cost: Duration) -> Result<Applied, EngineError> {
        let target = mutation.target();
        let operation = mutation.operation();
        self.answering(operation, &target).await?;
        self.sleep(cost / 2).await;
        let applied = self.make(|world, now| world.asked(&mutation, now).map(|applied| (applied, world.engine.epoch)));
        let (applied, epoch) = applied?;
        self.sleep(cost / 2).await;
        self.see(|world, _| same_engine(world, epoch, operation, &target))?;
        Ok(applied)
    }

    /// Waits for an engine that takes calls; fails where there is none, or none in time. Returns its
    /// epoch.
    pub(super) async fn answering(&self, operation: Operation, target: &str) -> Result<u64, EngineError> {
        let began = self.now().moment;
        let outcome = self.until(|world, now| {
            let error = |kind, message: &str| Some(Err(EngineError::new(operation.words(), target, kind, message)));
            match &world.engine {
                engine if !engine.up => error(ErrorKind::Unavailable, "connection refused"),
                engine if !engine.hung => Some(Ok(engine.epoch)),
                _ if now.moment.since(began) >= PATIENCE => error(ErrorKind::Timeout, "no answer in time"),
                _ => None,
            }
        });
        tokio::select! {
            biased;
            outcome = outcome => outcome,
            () = self.sleep(PATIENCE) => {
                Err(EngineError::new(operation.words(), target, ErrorKind::Timeout, "no answer in time"))
            }
        }
    }

    fn begin(&self, operation: Operation, target: &str) -> (Entry, Option<Fault>) {
        let at = self.now().moment;
        let mut state = self.state();
        let index = state.trace.calls.len();
        let mutating = operation.mutating();
        let call = Call { at, operation, target: target.to_owned(), mutating, finished_at: None, outcome: None };
        state.trace.calls.push(call);
        let fault = state.gate.decide(index, operation);
        (Entry { engine: self.clone(), index }, fault)
    }
}

/// Whether the engine is still the one that was asked.
pub(super) fn same_engine(world: &World, epoch: u64, operation: Operation, target: &str) -> Result<(), EngineError> {
    if world.engine.up && world.engine.epoch == epoch {
        return Ok(());
    }
    Err(EngineError::new(operation.words(), target, ErrorKind::Unavailable, "the connection was closed"))
}

/// The call's entry in the trace; a caller that goes away ends it without an answer.
struct Entry {
    engine: SimEngine,
    index: usize,
}

impl Entry {
    fn note(&self, at: Moment, outcome: Option<Result<(), ErrorKind>>) {
        if let Some(call) = self.engine.state().trace.calls.get_mut(self.index) {
            call.finished_at = call.finished_at.or(Some(at));
            call.outcome = call.outcome.or(outcome);
        }
    }

    fn finish(&mut self, outcome: Result<(), ErrorKind>) {
        self.note(self.engine.now().moment, Some(outcome));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.note(self.engine.now().moment, None);
    }
}
