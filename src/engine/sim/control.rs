//! Levers of the simulated engine: what tests and previews do to it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::engine::{SimEngine, State};
use super::events::EventFault;
use super::faults::{Fault, FaultKind, FaultPlan};
use super::foreign::Foreign;
use super::images::PullCourse;
use super::script::Script;
use super::trace::{Call, Operation, Trace};
use super::violations::violations;
use super::world::{SimContainer, World};
use crate::engine::answer::{ExecOutput, ImageFacts, LogLine};
use crate::engine::request::Exec;
use crate::model::name::{InstanceId, StackName};

impl SimEngine {
    /// Looks at the world.
    pub fn with<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        self.see(|world, _| look(world))
    }

    /// Changes the world by hand.
    pub fn alter<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.make(|world, _| change(world))
    }

    /// What the app of a workload does, or of an image by its reference, from its next start on.
    pub fn script(&self, name: &str, script: Script) {
        self.script_runs(name, vec![script]);
    }

    /// What it does in its first run, its second, ...; the last is repeated.
    pub fn script_runs(&self, name: &str, runs: Vec<Script>) {
        self.alter(|world| world.scripts.set(name, runs));
    }

    /// Makes every running container of a workload hang from now on, or no more.
    pub fn hang(&self, workload: &str, hung: bool) {
        self.alter(|world| {
            let ids: Vec<_> = world.of_workload(workload).iter().map(|container| container.id.clone()).collect();
            for id in ids {
                if let Some(run) = world.containers.get_mut(&id).and_then(|container| container.run.as_mut()) {
                    run.hung = hung;
                }
            }
        });
    }

    /// Answers commands in containers; `None` leaves them to the scripts, which know the words of
    /// the tiny image and otherwise end with 0 and no output. The hook must not call this engine.
    pub fn on_exec(&self, hook: impl Fn(&SimContainer, &Exec) -> Option<ExecOutput> + Send + Sync + 'static) {
        self.alter(|world| world.exec_hook = Some(Box::new(hook)));
    }

    /// Writes a line to the log of every running container of a workload.
    pub fn say(&self, workload: &str, line: &str) {
        self.make(|world, now| {
            let ids: Vec<_> = world.of_workload(workload).iter().map(|container| container.id.clone()).collect();
            for id in ids {
                if let Some(container) = world.containers.get_mut(&id).filter(|container| container.state.is_up()) {
                    container.log.push(LogLine { at: Some(now.wall), stderr: false, line: line.to_owned() });
                }
            }
        });
    }

    /// Puts an image here.
    pub fn add_image(&self, reference: &str) {
        self.alter(|world| world.images.add(reference));
    }

    /// Puts an image here that says this of itself.
    pub fn add_image_with(&self, reference: &str, facts: ImageFacts) {
        self.alter(|world| world.images.add_with(reference, facts));
    }

    /// Puts an image into the registry; again: its tag moves.
    pub fn publish(&self, reference: &str, course: PullCourse) {
        self.alter(|world| world.images.publish(reference, course));
    }

    /// Makes all registries answer or not.
    pub fn set_offline(&self, offline: bool) {
        self.alter(|world| world.images.offline = offline);
    }

    /// Restarts the engine; it is away for `down`.
    pub fn restart_engine(&self, down: Duration) {
        self.make(|world, now| world.engine_goes_down(Some(now.moment + down), now));
    }

    /// Stops the engine until [`Self::start_engine`].
    pub fn stop_engine(&self) {
        self.make(|world, now| world.engine_goes_down(None, now));
    }

    /// Starts the engine.
    pub fn start_engine(&self) {
        self.alter(World::engine_is_up);
    }

    /// Makes the engine take calls without answering, or answer again.
    pub fn hang_engine(&self, hung: bool) {
        self.alter(|world| world.engine.hung = hung);
    }

    /// Whether containers outlive the engine.
    pub fn set_live_restore(&self, live_restore: bool) {
        self.alter(|world| world.engine.live_restore = live_restore);
    }

    /// Foreign hands do something; an error says why they could not.
    pub fn foreign(&self, foreign: &Foreign) -> Result<(), String> {
        let now = self.now();
        let mut state = self.state();
        let State { world, gate, .. } = &mut *state;
        world.settle(now);
        let done = world.act(foreign, &gate.rng, now).map(drop);
        drop(state);
        self.alter(|_| ());
        done
    }

    /// Faults from now on.
    pub fn set_faults(&self, plan: FaultPlan) {
        self.state().gate.set(plan);
    }

    /// No faults from now on.
    pub fn clear_faults(&self) {
        let mut state = self.state();
        state.gate.clear();
        if state.world.engine.goes_on_at.is_some() {
            state.world.engine_goes_on();
        }
        state.world.bus.clear_faults();
        state.world.stale_by = None;
    }

    /// The fault of the next call of this primitive; more of them queue up.
    pub fn fail_next(&self, operation: Operation, fault: Fault) {
        self.state().gate.fail_next(operation, fault);
    }

    /// The fault of call `number`, counted from 0 over all calls.
    pub fn at_call(&self, number: usize, fault: Fault) {
        self.state().gate.at_call(number, fault);
    }

    /// What happens to the next event.
    pub fn fault_next_event(&self, fault: EventFault) {
        self.alter(|world| world.bus.fault(fault));
    }

    /// From now on it is a violation to change what is not of this stack and instance, or to remove
    /// a volume without [`Self::permit_volume_removal`].
    pub fn guard(&self, stack: &StackName, instance: &InstanceId) {
        self.alter(|world| world.guard = Some((stack.clone(), instance.clone())));
    }

    /// A command of the user names this volume.
    pub fn permit_volume_removal(&self, name: &str) {
        self.alter(|world| world.permitted_volumes.insert(name.to_owned()));
    }

    /// What is wrong, or was at any step.
    pub fn violations(&self) -> Vec<String> {
        self.with(violations)
    }

    /// An app writes an entry to a volume.
    pub fn write_to_volume(&self, volume: &str, entry: &str) {
        self.alter(|world| {
            if let Some(volume) = world.volumes.get_mut(volume) {
                volume.ledger.push(entry.to_owned());
            }
        });
    }

    /// What apps wrote to a volume; `None` where there is none.
    pub fn volume_entries(&self, volume: &str) -> Option<Vec<String>> {
        self.with(|world| world.volumes.get(volume).map(|volume| volume.ledger.clone()))
    }

    /// How often faults of each kind had an effect so far.
    pub fn effects(&self) -> BTreeMap<FaultKind, u64> {
        let state = self.state();
        let mut effects = state.world.effects.clone();
        effects.insert(FaultKind::Event, state.world.bus.disturbed);
        effects
    }

    /// Every call so far.
    pub fn calls(&self) -> Trace {
        self.state().trace.clone()
    }

    /// How many calls there were so far, and how many events.
    pub fn count(&self) -> (usize, usize) {
        let state = self.state();
        (state.trace.calls.len(), state.world.bus.journal.len())
    }

    /// The calls after the first so many.
    pub fn calls_since(&self, first: usize) -> Vec<Call> {
        self.state().trace.calls.get(first..).unwrap_or_default().to_vec()
    }

    /// A digest of every call and every event so far: equal runs have equal ones.
    pub fn trace_hash(&self) -> String {
        use sha2::{Digest as _, Sha256};
        let state = self.state();
        let all = format!("{} {:?}", state.trace.hash(), state.world.bus.journal);
        crate::model::hash::hex(&Sha256::digest(all.as_bytes())[..16])
    }
}
