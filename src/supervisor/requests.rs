//! What is asked of the supervisor from outside, and what is so from then on.

use std::collections::{BTreeMap, BTreeSet};

use super::apply::is_transfer;
use super::handle::{Command, Down, Occasion, Up};
use super::known::Known;
use super::run::Supervisor;
use crate::model::history::{Goal, History, ReplicaHistory, Target};
use crate::model::image::{ImageOrigin, PullPolicy};
use crate::model::name::WorkloadName;
use crate::model::stack::Stack;
use crate::model::status::FileStatus;
use crate::model::wish::{Refusal, Wish};
use crate::model::workload::Workload;

impl Supervisor {
    /// Accepts a request: what is so from now on, not what is done about it.
    pub(super) fn command(&mut self, command: Command) {
        // Who asked may be gone; what was asked stays so.
        match command {
            Command::Errand(errand, answer) => {
                self.accept_errand(errand, answer);
                return self.pass();
            }
            Command::Pulse(answer) => return answer.send(()).unwrap_or_default(),
            Command::Tell(answer) => return drop(answer.send(Box::new(self.known()))),
            Command::File(file) if file == self.file => return,
            Command::File(file) => {
                self.accept_file(file);
                return self.publish();
            }
            // A stack that is to be down stays so, and whoever waits for that is not told of another request.
            // Nor does a save undo what was read after it.
            Command::Up(up, answer) if up.occasion == Occasion::Saved && self.is_overtaken(&up) => {
                return answer.send(self.generation).unwrap_or_default();
            }
            // What a daemon would go on with by itself is older than whatever it was asked for meanwhile.
            Command::Up(up, answer) if up.occasion == Occasion::Resumed && self.generation > 0 => {
                return answer.send(self.generation).unwrap_or_default();
            }
            Command::Up(up, answer) => {
                self.accept_up(*up);
                let _ = answer.send(self.next_generation());
            }
            Command::Down(down, answer) if down.resumed && self.generation > 0 => return answer.send(0).unwrap_or_default(),
            Command::Down(down, answer) => {
                self.accept_down(&down);
                let _ = answer.send(self.next_generation());
            }
            // What is refused is no request: a `down` that is under way is not overtaken by it.
            Command::Hand(wish, answer) => match self.accept_wish(&wish) {
                Ok(notes) => drop(answer.send(Ok((self.next_generation(), notes)))),
                Err(refusal) => return drop(answer.send(Err(refusal))),
            },
        }
        self.looks.want();
        self.publish();
    }

    /// A request was accepted: whoever asks wants it tried now.
    fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.history.failures.clear();
        self.generation
    }

    fn known(&self) -> Known {
        Known {
            stack: Some(self.stack.clone()),
            history: self.history.clone(),
            verdicts: self.verdicts.clone(),
            families: self.families.clone(),
            definitions: self.definitions.known().clone(),
        }
    }

    /// What a person holds by hand from now on; written before it is answered.
    fn accept_wish(&mut self, wish: &Wish) -> Result<Vec<String>, Refusal> {
        if self.history.goal == Goal::Down {
            return Err(not_up());
        }
        let accepted = self.history.by_hand.accept(&self.stack, wish)?;
        for key in &accepted.renewed {
            self.history.replicas.entry(key.clone()).or_default().forgive();
        }
        let chosen = wish.chosen();
        // Who is named is meant, also where the last `up` was about others.
        if !self.history.only.is_empty() && !matches!(wish, Wish::Stop { .. }) {
            self.history.only.extend(chosen.iter().map(|chosen| chosen.name.clone()));
        }
        let stack = self.stack.clone();
        let stopped = |workload: &&Workload| self.history.by_hand.is_all_stopped(workload);
        let stopped: BTreeSet<Target> =
            stack.in_order().filter(stopped).map(|workload| Target::Workload(workload.name.clone())).collect();
        self.give_up_transfers(|target| stopped.contains(target));
        if chosen.is_empty() {
            self.journal.record(wish.verb(), &"stack", "asked by a user");
        }
        for chosen in &chosen {
            self.journal.record(wish.verb(), chosen, "asked by a user");
        }
        self.save();
        Ok(accepted.notes)
    }

    fn accept_up(&mut self, up: Up) {
        match up.occasion {
            Occasion::Saved => self.forgive_changed(&up.stack),
            // What was asked for last holds: a daemon that dies forgives nobody, and widens nothing.
            Occasion::Resumed => self.history.goal = Goal::Up,
            Occasion::Asked => self.accept_asked(&up),
        }
        let occasion = up.occasion;
        if up.reading >= self.reading {
            self.take(up);
        }
        // Before passwords: where those are known and nothing else is, the state was lost, and data may be missed.
        self.save();
        if let Err(error) = self.context.keeper.prepare(&self.stack) {
            self.journal.record("failed", &"stack", error.to_string());
        }
        match occasion {
            Occasion::Saved => self.journal.record("save", &"stack", "the file was saved"),
            Occasion::Asked | Occasion::Resumed => self.journal.record("up", &"stack", "asked by a user"),
        }
    }

    fn accept_asked(&mut self, up: &Up) {
        self.history.goal = Goal::Up;
        self.history.drop_volumes.clear();
        self.history.only.clone_from(&up.only);
        self.history.fresh.stack |= up.fresh.stack;
        self.history.fresh.volumes.extend(up.fresh.volumes.iter().cloned());
        // Whoever asks wants it tried now: the delays of what failed before are over.
        self.history.replicas.values_mut().for_each(ReplicaHistory::forgive);
        self.history.refresh = self.to_refresh(up);
        self.history.by_hand.release(&self.history.only);
    }

    fn is_overtaken(&self, up: &Up) -> bool {
        self.history.goal == Goal::Down || up.reading < self.reading
    }

    /// What is wanted from now on, as it was read.
    fn take(&mut self, up: Up) {
        let written = self.definitions.want(&up.stack, &up.definitions);
        self.tell_unwritten("definitions", written);
        self.stack = up.stack;
        self.reading = up.reading;
        self.notes = up.notes;
        self.accept_file(up.file);
        self.builds = up.builds;
    }

    /// The images that an `up` looks after although one is here. A save does not.
    fn to_refresh(&self, up: &Up) -> BTreeSet<WorkloadName> {
        let is_meant = |workload: &&Workload| match &workload.image.origin {
            ImageOrigin::Build(_) => up.build || is_stale(&self.history, &workload.name, &up.builds),
            ImageOrigin::Pull { policy, .. } => *policy == PullPolicy::Always || (up.pull && *policy != PullPolicy::Never),
        };
        up.stack.in_order().filter(is_meant).map(|workload| workload.name.clone()).collect()
    }

    /// What was changed may be mended: its next start does not wait.
    fn forgive_changed(&mut self, new: &Stack) {
        let is_as_before = |name: &WorkloadName| {
            let (old, new) = (self.stack.workload(name), new.workload(name));
            old.map(|workload| &workload.spec) == new.map(|workload| &workload.spec)
        };
        let replicas = self.history.replicas.iter_mut();
        replicas.filter(|(key, _)| !is_as_before(&key.name)).for_each(|(_, replica)| replica.forgive());
    }

    /// Takes note of the file as it is now; what makes it unusable, or waits, is said where it is new.
    fn accept_file(&mut self, file: FileStatus) {
        if !file.ok && file.errors != self.file.errors {
            let words = "it can't be used: the stack that was accepted last runs on";
            self.journal.record_with("file-invalid", &file.path, words, file.errors.clone().into());
        } else if file.pending && file.reasons != self.file.reasons {
            let words = format!("what was saved waits for `witwd up`: {}", file.reasons.join("; "));
            self.journal.record("pending", &file.path, words);
        }
        self.file = file;
    }

    fn accept_down(&mut self, down: &Down) {
        self.history.goal = Goal::Down;
        self.history.is_down = false;
        self.history.drop_volumes.clone_from(&down.volumes);
        self.history.by_hand.forget_renewals();
        // Nobody waits for an image of a stack that is to be down.
        self.give_up_transfers(|_| true);
        self.give_up_backups();
        self.journal.record("down", &"stack", if down.resumed { "a daemon died before it was done" } else { "asked by a user" });
        self.save();
    }

    /// Ends pulls and builds that nobody waits for any more.
    fn give_up_transfers(&mut self, of: impl Fn(&Target) -> bool) {
        self.under_way.retain(|target, under_way| {
            let transfer = is_transfer(&under_way.action) && under_way.over_since.is_none() && of(target);
            if transfer && let Some(task) = &under_way.task {
                task.abort();
                self.progress.remove(target);
            }
            !transfer
        });
    }
}

/// Why nothing of a stack that is not up can be restarted, stopped, started or scaled.
pub fn not_up() -> Refusal {
    Refusal::state("the stack is not up", "`witwd up -d` starts it")
}

/// Whether an image was made from another definition or context than there is now.
pub(super) fn is_stale(history: &History, workload: &WorkloadName, builds: &BTreeMap<WorkloadName, String>) -> bool {
    let made_from = history.builds.get(workload);
    made_from.is_some() && made_from != builds.get(workload)
}
