//! How an action begins and ends: what must be remembered before it, and what is learnt from it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::{RoundMode, TimestampRound, Unit};

use crate::engine::request::RememberedPort;
use crate::model::backup::WorkFailed;
use crate::model::family::{Family, Glibc};
use crate::model::health::Subject;
use crate::model::history::{AcceptedImage, Failure, FailureKind, History, PostgresHistory, Target, retry_delay};
use crate::model::name::{ContainerId, ReplicaKey, WorkloadName};
use crate::model::observed::{Container, ContainerState, Observed, PublishedSeen};
use crate::plan::{Action, Planned, is_kept};

use super::apply::{Order, apply};
use super::event::{ActionError, Effect, Event};
use super::keeper::DataDirectory;
use super::kept_logs::{Leaving, last_run};
use super::note;
use super::run::{Before, Supervisor, UnderWay};
use crate::postgres::Freshness;

impl Supervisor {
    /// Begins one action: what must be remembered before it is written first.
    pub(super) fn begin(&mut self, observed: &Observed, planned: &Planned) {
        let action = planned.action.clone();
        self.remember_before(observed, &action);
        self.save();
        self.journal.record(action.verb(), &action.target(), planned.cause.clone());
        if let Some(begun) = &self.ends.begun {
            // Nobody may be listening any more.
            let _ = begun.send(planned.clone());
        }
        self.before.insert(action.target(), self.before(&action));
        let since = self.context.clock.moment();
        if let Action::Start { key, .. } = &action {
            self.starting.insert(key.clone(), since);
        }
        let data_directory = self.data_directory(observed, &action);
        let (leaving, ports) = (self.leaving(observed, &action), self.remembered_ports(observed, &action));
        let order = Order { data_directory, leaving, ports, action: action.clone(), cause: planned.cause.clone() };
        let (context, stack) = (self.context.clone(), self.stack.clone());
        let task = self.tasks.spawn(async move {
            // A panic in here is an outcome like any other: the loop goes on.
            let result = AssertUnwindSafe(apply(&context, &stack, &order)).catch_unwind().await;
            let result = result.unwrap_or_else(|_| Err(ActionError::transient("a bug in witwd: this step panicked")));
            let _ = context.events.send(Event::Done { action: order.action, result });
        });
        self.under_way.insert(action.target(), UnderWay { action, since, over_since: None, task: Some(task) });
    }

    /// What an action is carried out for.
    fn before(&self, action: &Action) -> Before {
        let workload = match action {
            Action::Provision { key, .. } => self.stack.workload(&key.name),
            _ => None,
        };
        let builds = if matches!(action, Action::Build { .. }) { self.builds.clone() } else { BTreeMap::new() };
        Before { builds, provision: workload.and_then(|workload| self.context.keeper.wanted(workload)) }
    }

    fn remember_before(&mut self, observed: &Observed, action: &Action) {
        match action {
            Action::CreateVolume { volume } => {
                let engine_name = self.stack.engine_volume(volume);
                for workload in self
                    .stack
                    .in_order()
                    .filter(|workload| workload.postgres().is_some_and(|postgres| &postgres.volume == volume))
                {
                    let known = self.history.postgres.entry(workload.name.clone()).or_default();
                    *known = PostgresHistory { made_empty: Some(engine_name.clone()), ..Default::default() };
                }
            }
            Action::Create { key, image, .. } => note::accept_image(&mut self.history, observed, &key.name, image),
            Action::Start { key, container, .. } => {
                self.history.replicas.entry(key.clone()).or_default().asked = Some(container.clone());
                let ended = observed
                    .containers
                    .iter()
                    .find(|seen| &seen.id == container && matches!(seen.state, ContainerState::Exited { .. }));
                // One that a person asked for is no sign of trouble.
                if ended.is_some_and(|ended| !self.history.by_hand.is_renewed(ended)) {
                    let run = ended.and_then(Container::run);
                    note::count_restart(&mut self.history, key, run, self.context.clock.wall());
                }
            }
            Action::Stop { key, container, failed: true, .. } => {
                let run = observed.containers.iter().find(|seen| &seen.id == container).and_then(Container::run);
                self.history.replicas.entry(key.clone()).or_default().failed = run;
            }
            _ => {}
        }
    }

    /// What is known of the data directory that an action is about.
    fn data_directory(&self, observed: &Observed, action: &Action) -> DataDirectory {
        let Action::Provision { key, container } = action else {
            return DataDirectory::default();
        };
        let made = self.history.postgres.get(&key.name).and_then(|known| known.made_empty.clone());
        let postgres = self.stack.workload(&key.name).and_then(|workload| workload.postgres());
        let volume = postgres.map(|postgres| self.stack.engine_volume(&postgres.volume));
        let freshness = if made.is_some() && made == volume { Freshness::Interrupted } else { Freshness::Settled };
        let run = observed.containers.iter().find(|seen| &seen.id == container).and_then(Container::run);
        // Time stamps of files may be whole seconds: down to the second for a first run, up for a
        // later one, which must not take for its own what an earlier one left half made.
        let mode = if has_ended(&self.history, key, container) { RoundMode::Ceil } else { RoundMode::Floor };
        let round = TimestampRound::new().smallest(Unit::Second).mode(mode);
        DataDirectory { freshness, run_began: run.and_then(|run| run.started_at.round(round).ok()) }
    }

    /// The ports that the replica of a container to be made had, and has where its old one is up.
    fn remembered_ports(&self, observed: &Observed, action: &Action) -> Vec<RememberedPort> {
        let Action::Create { key, .. } = action else { return Vec::new() };
        let own = |seen: &&Container| is_kept(seen) && seen.identity.as_ref().is_some_and(|identity| &identity.key == key);
        let held: Vec<&PublishedSeen> = observed.containers.iter().filter(own).flat_map(|seen| &seen.published).collect();
        let ports = self.history.ports.get(key).into_iter().flatten();
        ports.map(|seen| RememberedPort { seen: seen.clone(), is_held: held.contains(&seen) }).collect()
    }

    /// Whose log goes with a container that is to be removed.
    fn leaving(&self, observed: &Observed, action: &Action) -> Option<Leaving> {
        let Action::Remove { key, container } = action else { return None };
        // Nobody asks for the log of a one-off container later.
        let seen = observed.containers.iter().find(|seen| &seen.id == container).filter(|seen| is_kept(seen))?;
        let last = self.history.replicas.get(key).and_then(|replica| replica.last_exit.as_ref());
        let (key, container) = (key.clone(), container.clone());
        let started_at = seen.run().map_or(seen.created_at, |run| run.started_at);
        Some(Leaving { last_run: last_run(last, &container), key, container, started_at })
    }

    /// An action is over. It stays under way until a later look has shown what came of it.
    pub(super) fn done(&mut self, action: &Action, result: Result<Effect, ActionError>) {
        let target = action.target();
        if let Some(under_way) = self.under_way.get_mut(&target) {
            under_way.over_since = Some(self.looks.started());
        }
        match result {
            Ok(effect) => {
                self.history.failures.remove(&target);
                let took = self.under_way.get(&target).map(|under_way| self.context.clock.moment().since(under_way.since));
                if let (Action::Stop { key, .. }, Some(took)) = (action, took) {
                    note::pace(&mut self.history, &key.name).stop = Some(note::tenths(took));
                }
                self.remember_after(action, effect);
            }
            Err(error) => self.fail(action, error),
        }
        self.before.remove(&target);
        self.save();
        self.looks.want();
    }

    fn fail(&mut self, action: &Action, error: ActionError) {
        if matches!(action, Action::Backup { .. }) {
            // Only a bug ends here; the timetable says when it is tried again.
            return self.worked(action, Err(WorkFailed { reason: "bug".to_owned(), words: error.message }));
        }
        let target = action.target();
        let attempts = self.history.failures.get(&target).map_or(0, |failure| failure.attempts) + 1;
        let not_before = self.context.clock.moment() + retry_delay(attempts);
        let detail = serde_json::json!({ "operation": action.verb(), "attempt": attempts });
        self.journal.record_with("failed", &target, error.message.clone(), detail);
        if error.kind == FailureKind::RegistryUnreachable && self.observed_has_image(action) {
            // What is here is used on; the wish for a newer one is given up, and said.
            if let Action::Pull { workload, .. } = action {
                self.history.refresh.remove(workload);
            }
        }
        if let Action::Start { key, container, .. } = action {
            if error.kind == FailureKind::PortTaken {
                self.history.port_taken.insert(key.clone(), container.clone());
            }
            if let (false, Some(replica)) = (error.is_open, self.history.replicas.get_mut(key)) {
                replica.asked = None;
            }
        }
        let failure = Failure { operation: action.verb(), error: error.message, kind: error.kind, attempts, not_before };
        self.history.failures.insert(target, failure);
    }

    fn observed_has_image(&self, action: &Action) -> bool {
        let Action::Pull { workload, .. } = action else { return false };
        let (Some(workload), Some(observed)) = (self.stack.workload(workload), &self.observed) else { return false };
        // Its tag may be gone, while containers are made from it.
        let accepted = self.history.images.get(&workload.name);
        let is_used = accepted.is_some_and(|accepted| observed.containers.iter().any(|seen| seen.image == accepted.id));
        is_used || observed.images.keys().any(|here| workload.image.is_named(here))
    }

    fn remember_after(&mut self, action: &Action, effect: Effect) {
        match (action, effect) {
            (
                Action::Pull { reference: tag, .. }
                | Action::Build { reference: tag, .. }
                | Action::BuildFallback { reference: tag, .. },
                Effect::Image { reference, id },
            ) => {
                // Everybody who shares the image has it now.
                let Target::Workload(own) = action.target() else { return };
                let sharing: Vec<WorkloadName> = self
                    .stack
                    .in_order()
                    .filter(|workload| workload.name == own || workload.image.is_named(tag))
                    .map(|workload| workload.name.clone())
                    .collect();
                let image = AcceptedImage { reference, id };
                for workload in sharing {
                    let is_own = workload == own;
                    self.remember_image(action, workload, is_own, &image);
                }
            }
            (Action::Examine { container, .. }, Effect::Examined(found)) => {
                let seen = self.observed.iter().flat_map(|observed| &observed.containers);
                let there: std::collections::BTreeSet<_> = seen.map(|seen| &seen.id).collect();
                self.history.examined.retain(|id, _| there.contains(id));
                self.history.examined.insert(container.clone(), found);
            }
            (Action::Provision { key, container }, Effect::Provisioned(provisioned)) => {
                for made in &provisioned.created {
                    self.journal.record("made", key, made.clone());
                }
                self.remember_provisioned(key, container, provisioned.glibc);
            }
            (Action::Backup { .. }, Effect::Worked(result)) => self.worked(action, *result),
            (Action::Start { key, .. }, _) => {
                self.history.port_taken.remove(key);
                let Some(replica) = self.history.replicas.get_mut(key) else { return };
                replica.asked = None;
                // An end that is shown once more is an old one, and is not answered at once.
                if let Some(last) = &mut replica.last_exit {
                    (last.seen, last.waited) = (self.context.clock.moment(), Duration::ZERO);
                }
            }
            _ => {}
        }
    }

    /// A workload has the image it asked for. One that did not ask keeps what it was made from.
    fn remember_image(&mut self, action: &Action, workload: WorkloadName, is_own: bool, image: &AcceptedImage) {
        let before = self.before.get(&action.target());
        let digest = before.and_then(|before| before.builds.get(&workload));
        let is_build = matches!(action, Action::Build { .. });
        // An `up` that came while it was built may want another context: then it is built again.
        let is_newest = !is_build || digest == self.builds.get(&workload);
        let asked = if is_newest { self.history.refresh.remove(&workload) } else { self.history.refresh.contains(&workload) };
        if let (true, Some(digest)) = (is_build, digest) {
            self.history.builds.insert(workload.clone(), digest.clone());
        }
        // A fallback takes the place of nothing that another one has.
        let is_fallback = matches!(action, Action::BuildFallback { .. });
        let known = self.history.images.get(&workload);
        let has_one = known.is_some_and(|accepted| is_fallback || accepted.reference == image.reference);
        if is_own || asked || !has_one {
            self.history.images.insert(workload, image.clone());
        }
    }

    fn remember_provisioned(&mut self, key: &ReplicaKey, container: &ContainerId, glibc: Option<Glibc>) {
        let seen = self.observed.as_ref().and_then(|observed| observed.containers.iter().find(|seen| &seen.id == container));
        let workload = self.stack.workload(&key.name);
        // What was wanted when it began: a request that came meanwhile is provisioned for again.
        let digest = self.before.get(&Target::Replica(key.clone())).and_then(|before| before.provision.clone());
        let (Some(seen), Some(postgres), Some(digest)) = (seen, workload.and_then(|workload| workload.postgres()), digest) else {
            return;
        };
        let volume = self.stack.engine_volume(&postgres.volume);
        // What was learnt of one that is on its way out says nothing of the volume that is wanted now.
        if !seen.volumes.is_empty() && !seen.volumes.contains(&volume) {
            return;
        }
        // Provisioning refuses a server of another major than the file says.
        let tagged = Family { major: postgres.major, ..Family::default() };
        let family = tagged.or(self.families.get(&seen.image).copied().unwrap_or_default());
        if let Some(run) = seen.run() {
            self.monitor.hasten(&Subject::Run(run.clone()));
            // What the server said before its roles were there would only alarm.
            if let Some(verdict) = self.verdicts.get_mut(&Subject::Run(run.clone())) {
                verdict.words = None;
            }
            let known = self.history.postgres.entry(key.name.clone()).or_default();
            known.family = Family { glibc, ..family.or(known.family_of(&volume)) };
            known.provisioned = Some((run, digest));
            known.data = Some(volume);
            self.watch_anew(&key.name);
        }
    }
}

/// Whether a container's run on this key has ended before.
fn has_ended(history: &History, key: &ReplicaKey, container: &ContainerId) -> bool {
    let last = history.replicas.get(key).and_then(|replica| replica.last_exit.as_ref());
    last.is_some_and(|last| &last.run.container == container)
}
