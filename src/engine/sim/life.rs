//! Time passing: runs that end, removals that finish, an engine that comes back. Evaluated when
//! somebody looks, in the order in which it happened.

use std::time::Duration;

use super::mutation::Mutation;
use super::script::Script;
use super::tiny;
use super::world::{End, Now, Run, SimContainer, World, volume_path};
use crate::engine::answer::LogLine;
use crate::engine::request::FileToPut;
use crate::model::name::ContainerId;
use crate::model::observed::{ContainerState, Exit};
use crate::model::postgres::major_of;
use crate::model::time::Moment;

/// Something that is to happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    EngineUp,
    EngineGoesOn,
    Ended(ContainerId),
    Gone(ContainerId),
    Deferred(usize),
}

impl World {
    /// Lets everything happen that was to happen until now.
    pub(super) fn settle(&mut self, now: Now) {
        while let Some((at, due)) = self.next_happening() {
            if at > now.moment {
                return;
            }
            let then = now.back_at(at);
            match due {
                Due::EngineUp => self.engine_is_up(),
                Due::EngineGoesOn => self.engine_goes_on(),
                Due::Ended(id) => self.finish_run(&id, then),
                Due::Gone(id) => self.finish_removal(&id, then),
                Due::Deferred(index) => {
                    let (_, mutation) = self.deferred.remove(index);
                    // The caller gave up: nobody reads the answer.
                    let _ = self.asked(&mutation, then);
                }
            }
        }
    }

    /// When something happens next, be it an event that arrives.
    pub(super) fn next_due(&self, now: Moment) -> Option<Moment> {
        let happening = self.next_happening().map(|(at, _)| at);
        happening.into_iter().chain(self.bus.due(now)).min()
    }

    fn next_happening(&self) -> Option<(Moment, Due)> {
        let ends = self.containers.values().filter_map(|container| {
            let running = matches!(container.state, ContainerState::Running { .. });
            let end = container.run.as_ref().filter(|_| running)?.end?;
            Some((end.at, Due::Ended(container.id.clone())))
        });
        let gone = self.containers.values().filter_map(|container| Some((container.gone_at?, Due::Gone(container.id.clone()))));
        let deferred = self.deferred.iter().enumerate().map(|(index, (at, _))| (*at, Due::Deferred(index)));
        let engine = self.engine.up_at.map(|at| (at, Due::EngineUp));
        let goes_on = self.engine.goes_on_at.map(|at| (at, Due::EngineGoesOn));
        ends.chain(gone).chain(deferred).chain(engine).chain(goes_on).min()
    }

    /// Leaves a change for later: its caller has gone.
    pub(super) fn defer(&mut self, at: Moment, mutation: Mutation) {
        self.deferred.push((at, mutation));
    }

    /// The script of a container's next run.
    pub(super) fn script(&self, container: &SimContainer) -> Script {
        let number = container.ended.len();
        let identity = container.identity();
        let by_name = identity.as_ref().and_then(|identity| self.scripts.get(identity.key.name.as_str(), number));
        if let Some(script) = by_name.or_else(|| self.scripts.get(&container.image_reference, number)) {
            return script.clone();
        }
        if container.image_reference.contains("tiny") || self.images.named(&container.image, "tiny") {
            return tiny::script(&container.command, None, |path| self.file(container, path));
        }
        Script::of_kind(identity.map(|identity| identity.kind))
    }

    /// A container runs from now on.
    pub(super) fn begin_run(&mut self, id: &ContainerId, script: Script, now: Now) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.state = ContainerState::Running { started_at: now.wall };
        if container.keeps_log {
            let line = |(stderr, line): &(bool, String)| LogLine { at: Some(now.wall), stderr: *stderr, line: line.clone() };
            container.log.extend(script.says.iter().map(line));
        }
        let code = if script.oom { 137 } else { script.exit_code };
        let end = script.run_for.map(|run_for| End { at: now.moment + run_for, code, oom: script.oom });
        container.run = Some(Run { began: now.moment, script, end, hung: false });
        self.init_data(id);
        self.emit_container(now, id, "start");
    }

    /// A server makes its data directory where there is none, as `initdb` does.
    fn init_data(&mut self, id: &ContainerId) {
        let Some(container) = self.containers.get(id) else { return };
        let (Some(data), Some(major)) = (container.env.get("PGDATA"), major_of(&container.image_reference)) else { return };
        let Some((volume, path)) = volume_path(container, &format!("{data}/PG_VERSION")) else { return };
        let volume = volume.to_owned();
        let content = format!("{major}\n").into_bytes();
        let version = FileToPut { path: path.clone(), content, uid: 999, gid: 999, mode: 0o600 };
        if let Some(volume) = self.volumes.get_mut(&volume) {
            volume.files.entry(path).or_insert(version);
        }
    }

    /// The signal that asks a container to stop, and the kill after `grace`. A paused one is resumed
    /// by it, as on the real engine.
    pub(super) fn ask_to_stop(&mut self, id: &ContainerId, grace: Duration, now: Now) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if let ContainerState::Paused { started_at } = container.state {
            container.state = ContainerState::Running { started_at };
        }
        let (ContainerState::Running { .. }, Some(run)) = (&container.state, &mut container.run) else { return };
        let killed = End { at: now.moment + grace, code: 137, oom: false };
        let deaf = run.hangs(now.moment) || run.script.ignore_sigterm || run.script.slow_stop >= grace;
        let honoured = End { at: now.moment + run.script.slow_stop, code: run.script.term_code, oom: false };
        let asked = if deaf { killed } else { honoured };
        run.end = Some(run.end.filter(|end| end.at <= asked.at).unwrap_or(asked));
        self.emit_container(now, id, "kill");
    }

    /// Ends a run at once, as `docker kill` does.
    pub(super) fn kill(&mut self, id: &ContainerId, code: i64, oom: bool, now: Now) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if let ContainerState::Paused { started_at } = container.state {
            container.state = ContainerState::Running { started_at };
        }
        if let (ContainerState::Running { .. }, Some(run)) = (&container.state, &mut container.run) {
            run.end = Some(End { at: now.moment, code, oom });
            self.finish_run(id, now);
        }
    }

    fn finish_run(&mut self, id: &ContainerId, now: Now) {
        let Some(container) = self.containers.get_mut(id) else { return };
        let Some(end) = container.run.take().and_then(|run| run.end) else { return };
        let ContainerState::Running { started_at } = container.state else { return };
        container.state = ContainerState::Exited { exit: Exit { code: end.code, oom: end.oom, at: now.wall }, started_at };
        container.published.clear();
        container.ended.push(end.code);
        if end.oom {
            self.emit_container(now, id, "oom");
        }
        self.emit_container(now, id, "die");
    }

    fn finish_removal(&mut self, id: &ContainerId, now: Now) {
        if let Some(container) = self.containers.remove(id) {
            self.bus.emit(now, ("container", "destroy"), &id.0, container.stack().as_ref());
        }
    }

    pub(super) fn emit_container(&mut self, now: Now, id: &ContainerId, action: &'static str) {
        let stack = self.containers.get(id).and_then(SimContainer::stack);
        self.bus.emit(now, ("container", action), &id.0, stack.as_ref());
    }

    /// The engine goes away: streams are cut, containers end unless it lets them live, what was
    /// being removed is left half removed.
    pub(super) fn engine_goes_down(&mut self, back_at: Option<Moment>, now: Now) {
        self.engine.up = false;
        self.engine.up_at = back_at;
        self.engine.epoch += 1;
        self.deferred.clear();
        self.bus.cut();
        let ids: Vec<ContainerId> = self.containers.keys().cloned().collect();
        for id in &ids {
            if !self.engine.live_restore {
                self.kill(id, 137, false, now);
            }
            if let Some(container) = self.containers.get_mut(id).filter(|container| container.gone_at.is_some()) {
                container.gone_at = None;
                container.state = ContainerState::Dead;
            }
        }
    }

    /// It answers again, as after SIGCONT.
    pub(super) fn engine_goes_on(&mut self) {
        self.engine.hung = false;
        self.engine.goes_on_at = None;
    }

    pub(super) fn engine_is_up(&mut self) {
        self.engine.up = true;
        self.engine.up_at = None;
    }
}
