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
use witwd::model::observed::{Container, Observed};
use witwd::model::stack::Stack;
use witwd::model::time::Moment;
use witwd::plan::{Inputs, plan};

use crate::measure::{Samples, judge, print_cases, rounds, shown, timed_blocking};
use crate::world::{Machine, instance, stack};

const SERVICES: usize = 1000;

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
    let (as_is, changed) = (stack(&text("")), stack(&text("env.CHANGED = \"yes\"\n")));
    let converged = runtime.block_on(converge(&as_is));
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

/// A thousand services, each with `line` in its table.
fn text(line: &str) -> String {
    use std::fmt::Write as _;
    let mut text = "name = \"demo\"\n".to_owned();
    for number in 1..=SERVICES {
        write!(text, "[services.s{number}]\nimage = \"app:1\"\n{line}").unwrap();
        let before = number - 1;
        // Chains of ten, so that there are gates to ask.
        if before % 10 != 0 {
            writeln!(text, "depends_on = [\"s{before}\"]").unwrap();
        }
    }
    text
}

/// Runs the stack on a simulated machine until nothing is to be done.
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
    let ready = Verdict { started: true, ready: Some(true), alive: Some(true), ..Verdict::default() };
    let mut verdicts = Verdicts::default();
    for run in observed.containers.iter().filter_map(Container::run) {
        verdicts.insert(Subject::Run(run), ready.clone());
    }
    let history = machine.kept().history;
    World { observed, history, verdicts, now: machine.clock.moment(), wall: machine.clock.wall() }
}

impl World {
    /// The same, with image and network, after somebody removed every container.
    fn without_containers(&self) -> Self {
        let observed = Observed { containers: Vec::new(), ..self.observed.clone() };
        let (history, verdicts) = (self.history.clone(), Verdicts::default());
        Self { observed, history, verdicts, now: self.now, wall: self.wall }
    }

    /// How long one plan takes, which must be of so many actions.
    fn plan(&self, stack: &Stack, actions: usize) -> Duration {
        let inputs = Inputs {
            stack,
            instance: &instance(),
            observed: &self.observed,
            history: &self.history,
            verdicts: &self.verdicts,
            fingerprints: &BTreeMap::new(),
            provisions: &BTreeMap::new(),
            families: &Families::new(),
            in_flight: &BTreeMap::new(),
            now: self.now,
            wall: self.wall,
        };
        let (time, made) = timed_blocking(|| plan(&inputs));
        assert_eq!(made.actions.len(), actions, "{:?}", made.actions.first());
        time
    }
}
