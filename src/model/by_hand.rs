//! What a person asked for beside the file: `restart`, `stop`, `start`, `scale`. It holds over saves,
//! daemon restarts and reboots, until `start` or `up` ends it. The planner reads it.
//!
//! Entry point: [`ByHand::accept`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::name::{ReplicaKey, WorkloadName};
use super::observed::{Container, RunId};
use super::stack::Stack;
use super::wish::{Accepted, Chosen, Refusal, Wish, known, scaling_refusal};
use super::workload::Workload;

/// How a replica is to be started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Anew {
    /// Where it does not run.
    IfEnded,
    /// In any case.
    Always,
}

/// What is held by hand, and which runs are to be followed by another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ByHand {
    stopped: BTreeSet<Chosen>,
    scaled: BTreeMap<WorkloadName, u32>,
    /// Asked for while it was not known which run is there: the next look tells.
    asked: BTreeMap<Chosen, Anew>,
    /// Runs that are over, or are to be ended, and are to be followed by another. A new run fulfils
    /// it, so that a restart is done once.
    renewed: BTreeSet<RunId>,
}

impl ByHand {
    /// Whether this replica is not to run.
    pub fn is_stopped(&self, key: &ReplicaKey) -> bool {
        self.stopped_as(key).is_some()
    }

    /// By which word this replica is not to run: its workload's where all of it was named, else its own.
    pub fn stopped_as(&self, key: &ReplicaKey) -> Option<&Chosen> {
        // The whole is before its parts in this order.
        self.stopped.iter().find(|chosen| chosen.covers(key.name.as_str(), key.replica))
    }

    /// Whether none of this workload is to run.
    pub fn is_all_stopped(&self, workload: &Workload) -> bool {
        let count = self.replicas(workload);
        count > 0 && keys(workload, count).all(|key| self.is_stopped(&key))
    }

    /// How many replicas were asked for by hand, where that still makes sense for this workload.
    pub fn scaled(&self, workload: &Workload) -> Option<u32> {
        self.scaled.get(&workload.name).copied().filter(|count| scaling_refusal(workload, *count).is_none())
    }

    /// How many replicas of this workload are to run, those that are stopped by hand too.
    pub fn replicas(&self, workload: &Workload) -> u32 {
        self.scaled(workload).unwrap_or_else(|| workload.replicas())
    }

    /// Whether a new run of this replica was asked for and no look told yet which run is there.
    pub fn is_asked(&self, key: &ReplicaKey) -> bool {
        self.asked.keys().any(|chosen| chosen.covers(key.name.as_str(), key.replica))
    }

    /// Whether this container's run is to be followed by another.
    pub fn is_renewed(&self, container: &Container) -> bool {
        container.run().is_some_and(|run| self.renewed.contains(&run))
    }

    /// Accepts a wish whole, or refuses it whole.
    pub fn accept(&mut self, stack: &Stack, wish: &Wish) -> Result<Accepted, Refusal> {
        match wish {
            Wish::Restart { of } => self.restart(stack, of),
            Wish::Stop { of } => self.stop(stack, of),
            Wish::Start { of } => self.start(stack, of),
            Wish::Scale { to } => self.scale(stack, to),
        }
    }

    /// An `up` ends what is held of `names`, or of all where it names nothing.
    pub fn release(&mut self, names: &BTreeSet<WorkloadName>) {
        let is_meant = |name: &WorkloadName| names.is_empty() || names.contains(name);
        let ended: Vec<Chosen> = self.stopped.iter().filter(|chosen| is_meant(&chosen.name)).cloned().collect();
        for chosen in ended {
            self.stopped.remove(&chosen);
            self.asked.entry(chosen).or_insert(Anew::IfEnded);
        }
        self.scaled.retain(|name, _| !is_meant(name));
    }

    /// A `down` makes every restart moot: all that comes after it is new.
    pub fn forget_renewals(&mut self) {
        self.asked.clear();
        self.renewed.clear();
    }

    /// Learns from a look that began after the last wish which runs were meant, and forgets those
    /// that are gone.
    pub fn note_runs<'a>(&mut self, ours: impl Iterator<Item = &'a Container>) {
        let asked = std::mem::take(&mut self.asked);
        let before = std::mem::take(&mut self.renewed);
        for container in ours {
            let (Some(identity), Some(run)) = (&container.identity, container.run()) else { continue };
            let covers = |chosen: &Chosen| chosen.covers(identity.key.name.as_str(), identity.key.replica);
            let anew = asked.iter().filter(|(chosen, _)| covers(chosen)).map(|(_, anew)| *anew).max();
            let is_asked = anew == Some(Anew::Always) || (anew == Some(Anew::IfEnded) && !container.state.is_up());
            if is_asked || before.contains(&run) {
                self.renewed.insert(run);
            }
        }
    }

    fn restart(&mut self, stack: &Stack, of: &BTreeSet<Chosen>) -> Result<Accepted, Refusal> {
        let mut renewed = Vec::new();
        for chosen in of {
            let keys: Vec<ReplicaKey> = self.keys_of(stack, chosen)?.into_iter().filter(|key| !self.is_stopped(key)).collect();
            if keys.is_empty() {
                return Err(is_stopped_by_hand(chosen));
            }
            renewed.extend(keys);
        }
        if of.is_empty() {
            let all = stack.in_order().flat_map(|workload| keys(workload, self.replicas(workload)));
            renewed.extend(all.filter(|key| !self.is_stopped(key)));
        }
        self.asked.extend(renewed.iter().map(|key| (Chosen::one(key), Anew::Always)));
        Ok(Accepted { renewed, notes: Vec::new() })
    }

    fn stop(&mut self, stack: &Stack, of: &BTreeSet<Chosen>) -> Result<Accepted, Refusal> {
        for chosen in of {
            self.keys_of(stack, chosen)?;
        }
        self.stopped.extend(of.iter().cloned());
        let names: BTreeSet<&WorkloadName> = of.iter().map(|chosen| &chosen.name).collect();
        Ok(Accepted { renewed: Vec::new(), notes: names.into_iter().filter_map(|name| self.affected(stack, name)).collect() })
    }

    /// Who goes on without a workload of which nothing is to run.
    fn affected(&self, stack: &Stack, name: &WorkloadName) -> Option<String> {
        stack.workload(name).filter(|workload| self.is_all_stopped(workload))?;
        let dependents: Vec<&str> = stack
            .dependents(name)
            .filter(|other| self.replicas(other) > 0 && !self.is_all_stopped(other))
            .map(|other| other.name.as_str())
            .collect();
        let need = if dependents.len() == 1 { "needs" } else { "need" };
        (!dependents.is_empty())
            .then(|| format!("{} {need} {name}: what runs goes on without it, what ends waits for it", dependents.join(", ")))
    }

    fn start(&mut self, stack: &Stack, of: &BTreeSet<Chosen>) -> Result<Accepted, Refusal> {
        let mut renewed = Vec::new();
        for chosen in of {
            renewed.extend(self.keys_of(stack, chosen)?);
        }
        for chosen in of {
            self.end_hold(stack, chosen);
        }
        for key in &renewed {
            self.asked.entry(Chosen::one(key)).or_insert(Anew::IfEnded);
        }
        Ok(Accepted { renewed, notes: Vec::new() })
    }

    fn end_hold(&mut self, stack: &Stack, chosen: &Chosen) {
        let all = Chosen::all(&chosen.name);
        match chosen.replica {
            None => {
                self.stopped.retain(|stopped| stopped.name != chosen.name);
                self.scaled.remove(&chosen.name);
            }
            // The others stay stopped, each by itself.
            Some(_) if self.stopped.remove(&all) => {
                let others = stack.workload(&chosen.name).map(|workload| keys(workload, self.replicas(workload)));
                let others: Vec<Chosen> = others.into_iter().flatten().map(|key| Chosen::one(&key)).collect();
                self.stopped.extend(others.into_iter().filter(|other| other != chosen));
            }
            Some(_) => drop(self.stopped.remove(chosen)),
        }
    }

    fn scale(&mut self, stack: &Stack, to: &BTreeMap<WorkloadName, u32>) -> Result<Accepted, Refusal> {
        for (name, count) in to {
            let workload = known(stack, name)?;
            if let Some(refusal) = scaling_refusal(workload, *count) {
                return Err(refusal);
            }
            if self.is_all_stopped(workload) {
                return Err(is_stopped_by_hand(&Chosen::all(name)));
            }
        }
        for (name, count) in to {
            self.scaled.insert(name.clone(), *count);
            self.stopped.retain(|stopped| &stopped.name != name || stopped.replica.is_none_or(|number| number <= *count));
        }
        Ok(Accepted::default())
    }

    /// The replicas that a word names.
    fn keys_of(&self, stack: &Stack, chosen: &Chosen) -> Result<Vec<ReplicaKey>, Refusal> {
        let workload = known(stack, &chosen.name)?;
        let count = self.replicas(workload);
        let name = &chosen.name;
        if count == 0 {
            return Err(Refusal::usage(
                format!("{name} has no replicas: stack.toml says `replicas = 0`"),
                format!("`witwd scale {name}=1` runs one"),
            ));
        }
        let keys: Vec<ReplicaKey> = keys(workload, count).filter(|key| chosen.covers(key.name.as_str(), key.replica)).collect();
        if keys.is_empty() {
            let replicas = if count == 1 { "1 replica".to_owned() } else { format!("{count} replicas") };
            let hint = format!("`witwd ps` shows them, `witwd scale {name}=N` changes their number");
            return Err(Refusal::usage(format!("there is no {chosen}: {name} has {replicas}"), hint));
        }
        Ok(keys)
    }
}

fn is_stopped_by_hand(chosen: &Chosen) -> Refusal {
    Refusal::state(format!("{chosen} is stopped by hand"), format!("`witwd start {chosen}` starts it"))
}

fn keys(workload: &Workload, count: u32) -> impl Iterator<Item = ReplicaKey> {
    let name = workload.name.clone();
    (1..=count).map(move |replica| ReplicaKey { name: name.clone(), replica })
}
