//! What is asked of the supervisor from outside, and what is so from then on.

use std::collections::BTreeMap;

use super::apply::is_transfer;
use super::handle::{Command, Down, Up};
use super::known::Known;
use super::run::Supervisor;
use crate::model::history::{Goal, History};
use crate::model::name::WorkloadName;
use crate::model::workload::{ImageOrigin, PullPolicy};

impl Supervisor {
    /// Accepts a request: what is so from now on, not what is done about it.
    pub(super) fn command(&mut self, command: Command) {
        let answer = match command {
            Command::Tell(answer) => return drop(answer.send(Box::new(self.known()))),
            Command::Up(up, answer) => {
                self.accept_up(*up);
                answer
            }
            Command::Down(down, answer) => {
                self.accept_down(&down);
                answer
            }
        };
        self.generation += 1;
        self.history.failures.clear();
        let _ = answer.send(self.generation);
        self.looks.want();
        self.publish();
    }

    fn known(&self) -> Known {
        Known {
            history: self.history.clone(),
            verdicts: self.verdicts.clone(),
            families: self.families.clone(),
            definitions: self.definitions.known().clone(),
        }
    }

    fn accept_up(&mut self, up: Up) {
        self.history.goal = Goal::Up;
        self.history.drop_volumes = false;
        self.history.only = up.only;
        self.history.fresh.extend(up.fresh);
        // Whoever asks wants it tried now: the delays of what failed before are over.
        for replica in self.history.replicas.values_mut() {
            replica.attempt = 0;
            replica.recent.clear();
        }
        let written = self.definitions.want(&up.stack, &up.definitions);
        self.tell_unwritten("definitions", written);
        self.stack = up.stack;
        self.notes = up.notes;
        let refresh: Vec<WorkloadName> = self
            .stack
            .in_order()
            .filter(|workload| match &workload.image.origin {
                ImageOrigin::Build(_) => up.build || is_stale(&self.history, &workload.name, &up.builds),
                ImageOrigin::Pull { policy, .. } => *policy == PullPolicy::Always || (up.pull && *policy != PullPolicy::Never),
            })
            .map(|workload| workload.name.clone())
            .collect();
        self.history.refresh = refresh.into_iter().collect();
        self.builds = up.builds;
        if let Err(error) = self.context.keeper.prepare(&self.stack) {
            self.journal.record("failed", &"stack", error.to_string());
        }
        self.journal.record("up", &"stack", "asked by a user");
        self.save();
    }

    fn accept_down(&mut self, down: &Down) {
        self.history.goal = Goal::Down;
        self.history.drop_volumes = down.volumes;
        self.give_up_transfers();
        self.journal.record("down", &"stack", "asked by a user");
        self.save();
    }

    /// Nobody waits for an image of a stack that is to be down.
    fn give_up_transfers(&mut self) {
        self.under_way.retain(|target, under_way| {
            let transfer = is_transfer(&under_way.action) && under_way.over_since.is_none();
            if transfer && let Some(task) = &under_way.task {
                task.abort();
                self.progress.remove(target);
            }
            !transfer
        });
    }
}

/// Whether an image was made from another definition or context than there is now.
pub(super) fn is_stale(history: &History, workload: &WorkloadName, builds: &BTreeMap<WorkloadName, String>) -> bool {
    let made_from = history.builds.get(workload);
    made_from.is_some() && made_from != builds.get(workload)
}
