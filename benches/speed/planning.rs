//! The pure planner on a stack of a thousand services.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use witwd::engine::Engine as _;
use witwd::engine::request::Scope;
use witwd::host::Clock as _;
use witwd::model::health::{Subject, Verdict, Verdicts};
use witwd::model::history::History;
use witwd::model::observed::Observed;
use witwd::model::stack::Stack;
use witwd::plan::{Inputs, plan};
use witwd::supervisor::StateFile;

use crate::measure::{ROUNDS, Samples, print, timed_blocking};
use crate::world::{Machine, instance, stack};

const SERVICES: usize = 1000;

/// A converged world, in which nothing is to be done, and an empty one, in which everything is.
pub fn plan_of_a_thousand() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (machine, stack) = (runtime.block_on(async { Machine::new() }), stack(&text()));
    let converged = runtime.block_on(converge(&machine, &stack));
    let (history, _) = StateFile::new(machine.disk.clone(), PathBuf::from("/stack/.witwd/state.json")).load().unwrap();
    let mut all = [Samples::of("nothing to do"), Samples::of("an empty engine")];
    for _ in 0..ROUNDS * 3 {
        all[0].add(one_plan(&machine, &stack, &converged, &history, 0));
        all[1].add(one_plan(&machine, &stack, &Observed::default(), &history, 1));
    }
    print("plan() of 1,000 services", &all);
}

fn text() -> String {
    use std::fmt::Write as _;
    let mut text = "name = \"demo\"\n".to_owned();
    for number in 1..=SERVICES {
        write!(text, "[services.s{number}]\nimage = \"app:1\"\n").unwrap();
        if number > 1 {
            // Chains of ten, so that there are gates to ask.
            let before = number - 1;
            if before % 10 != 0 {
                writeln!(text, "depends_on = [\"s{before}\"]").unwrap();
            }
        }
    }
    text
}

async fn converge(machine: &Machine, stack: &Arc<Stack>) -> Observed {
    let daemon = machine.daemon(stack);
    daemon.up(stack).await;
    let settled = async {
        while !daemon.handle.status().converged {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3600), settled).await.expect("it converges");
    let scope = Scope { images: vec!["app:1".to_owned()], ..Scope::of(stack.name()) };
    machine.engine.observe(&scope).await.expect("a look")
}

fn one_plan(machine: &Machine, stack: &Stack, observed: &Observed, history: &History, least: usize) -> Duration {
    let ready = Verdict { started: true, ready: Some(true), alive: Some(true), ..Verdict::default() };
    let mut verdicts = Verdicts::default();
    for run in observed.containers.iter().filter_map(witwd::model::observed::Container::run) {
        verdicts.insert(Subject::Run(run), ready.clone());
    }
    let (fingerprints, provisions) = (BTreeMap::new(), BTreeMap::new());
    let (families, in_flight) = (witwd::model::family::Families::new(), BTreeMap::new());
    let inputs = Inputs {
        stack,
        instance: &instance(),
        observed,
        history,
        verdicts: &verdicts,
        fingerprints: &fingerprints,
        provisions: &provisions,
        families: &families,
        in_flight: &in_flight,
        now: machine.clock.moment(),
        wall: machine.clock.wall(),
    };
    let (time, made) = timed_blocking(|| plan(&inputs));
    let actions = made.actions.len();
    assert!(if least == 0 { actions == 0 } else { actions >= least }, "{actions} actions");
    time
}
