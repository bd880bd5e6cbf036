//! The pure planner on a stack of a thousand services.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use witwd::engine::Engine as _;
use witwd::engine::request::Scope;
use witwd::host::Clock as _;
use witwd::model::family::Families;
use witwd::model::health::{Subject, Verdict, Verdicts};
use witwd::model::history::History;
use witwd::model::name::{ContainerId, ReplicaKey};
use witwd::model::observed::{Container, Identity, Observed};
use witwd::model::stack::Stack;
use witwd::model::time::Moment;
use witwd::model::workload::Workload;
use witwd::plan::{Containers, Inputs, plan};

use crate::measure::{Samples, judge, print_cases, rounds, shown, timed_blocking};
use crate::stacks::stack;
use crate::world::{Machine, instance};

const SERVICES: usize = 1000;

/// So many depend on each other in a chain, so that there are gates to ask.
const CHAIN: usize = 10;

/// A world as the planner is shown it, with all that it may ask.
struct World {
    observed: Observed,
    history: History,
    verdicts: Verdicts,
    now: Moment,
    wall: Timestamp,
}

/// A converged world, in which nothing is to be done; one without a container; one in which each
/// container is to be another. In the last two a thousand are to be made.
pub fn plan_of_a_thousand() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (as_is, changed) = (stack(&text(SERVICES, "")), stack(&text(SERVICES, "env.CHANGED = \"yes\"\n")));
    let converged = runtime.block_on(converge(&stack(&text(CHAIN, "")))).multiplied(&as_is);
    let empty = converged.without_containers();
    let names = ["nothing to do", "no container is there", "every definition changed"];
    let mut all = names.map(Samples::of);
    for _ in 0..rounds() * 3 {
        all[0].add(converged.plan(&as_is, 0));
        all[1].add(empty.plan(&as_is, SERVICES));
        all[2].add(converged.plan(&changed, SERVICES));
    }
    print_cases("plan() of 1,000 services", &all);
    let slowest = all.iter().map(Samples::median).max().unwrap();
    judge("below 5 ms, in each case", &format!("at most {}", shown(slowest)), slowest < Duration::from_millis(5));
}

/// So many services, each with `line` in its table.
fn text(services: usize, line: &str) -> String {
    use std::fmt::Write as _;
    let mut text = "name = \"demo\"\n".to_owned();
    for number in 1..=services {
        write!(text, "[services.s{number}]\nimage = \"app:1\"\n{line}").unwrap();
        let before = number - 1;
        if before % CHAIN != 0 {
            writeln!(text, "depends_on = [\"s{before}\"]").unwrap();
        }
    }
    text
}

/// Runs a stack on a simulated machine until nothing is to be done.
async fn converge(stack: &Arc<Stack>) -> World {
    let machine = Machine::new();
    let daemon = machine.daemon(stack);
    daemon.up(stack).await;
    let settled = async {
        while !daemon.handle.status().converged {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), settled).await.expect("it converges");
    let scope = Scope { images: vec!["app:1".to_owned()], ..Scope::of(stack.name()) };
    let observed = machine.engine.observe(&scope).await.expect("a look");
    let history = machine.kept().history;
    World { observed, history, verdicts: Verdicts::default(), now: machine.clock.moment(), wall: machine.clock.wall() }
}

impl World {
    /// The same with a container of each service of `stack`, which is as that of the first one here, and
    /// ready; and with as much history.
    fn multiplied(mut self, stack: &Stack) -> Self {
        let model = self.observed.containers[0].clone();
        let of_workload = |workload: &Workload| {
            let key = ReplicaKey { name: workload.name.clone(), replica: 1 };
            let (id, name) = (ContainerId(format!("id-of-{key}")), stack.name().container(&key));
            let identity = model.identity.clone().map(|own| Identity { key, spec: Some(workload.spec.clone()), ..own });
            let networks = model.networks.keys().map(|network| (network.clone(), workload.network_names())).collect();
            Container { id, name, identity, networks, ..model.clone() }
        };
        self.observed.containers = stack.in_order().map(of_workload).collect();
        let ready = Verdict { started: true, ready: Some(true), alive: Some(true), ..Verdict::default() };
        for run in self.observed.containers.iter().filter_map(Container::run) {
            self.verdicts.insert(Subject::Run(run), ready.clone());
        }
        let names = || stack.in_order().map(|workload| workload.name.clone());
        let keys = || names().map(|name| ReplicaKey { name, replica: 1 });
        for_all(&mut self.history.images, names());
        for_all(&mut self.history.paces, names());
        for_all(&mut self.history.replicas, keys());
        for_all(&mut self.history.ready_since, keys());
        self
    }

    /// The same, with image and network, after somebody removed every container.
    fn without_containers(&self) -> Self {
        let observed = Observed { containers: Vec::new(), ..self.observed.clone() };
        let (history, verdicts) = (self.history.clone(), Verdicts::default());
        Self { observed, history, verdicts, now: self.now, wall: self.wall }
    }

    /// How long one plan takes, with the index it is made with; it must be of so many actions.
    fn plan(&self, stack: &Stack, actions: usize) -> Duration {
        let instance = instance();
        let made = || {
            plan(&Inputs {
                stack,
                instance: &instance,
                observed: &self.observed,
                containers: &Containers::of(&self.observed, stack.name(), &instance),
                history: &self.history,
                verdicts: &self.verdicts,
                fingerprints: &BTreeMap::new(),
                backups: &BTreeMap::new(),
                provisions: &BTreeMap::new(),
                families: &Families::new(),
                in_flight: &BTreeMap::new(),
                now: self.now,
                wall: self.wall,
            })
        };
        let (time, made) = timed_blocking(made);
        assert_eq!(made.actions.len(), actions, "{:?}", made.actions.first());
        time
    }
}

/// Gives every key the value of the first one, where there is one.
fn for_all<Key: Ord, Value: Clone>(map: &mut BTreeMap<Key, Value>, keys: impl Iterator<Item = Key>) {
    if let Some(value) = map.values().next().cloned() {
        map.extend(keys.map(|key| (key, value.clone())));
    }
}
