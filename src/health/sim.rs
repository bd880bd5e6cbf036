//! The simulated prober: asks the apps of a [`SimEngine`], which answer as their scripts say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use super::prober::{Asked, Outcome, Prober};
use crate::engine::request::Exec;
use crate::engine::sim::{Run, SimEngine, World};
use crate::engine::{Engine as _, ErrorKind};
use crate::model::name::{ContainerId, WorkloadName};
use crate::model::observed::{ContainerState, RunId};
use crate::model::probe::{Check, Probe};
use crate::model::time::{Moment, seconds};

/// How long an app takes to answer.
const LATENCY: Duration = Duration::from_millis(2);

/// Probes on a simulated engine.
#[derive(Debug)]
pub struct SimProber {
    engine: Arc<SimEngine>,
    fixed: Mutex<BTreeMap<WorkloadName, Outcome>>,
}

/// What an app does with a question.
enum Answer {
    Now(Outcome),
    Never,
    Command,
}

impl SimProber {
    /// A prober of this engine's containers. External servers are well unless told otherwise.
    pub fn new(engine: Arc<SimEngine>) -> Self {
        Self { engine, fixed: Mutex::new(BTreeMap::new()) }
    }

    /// From now on every probe of this workload has this outcome; `None`: as its script says.
    pub fn fix(&self, workload: &WorkloadName, outcome: Option<Outcome>) {
        match outcome {
            Some(outcome) => self.fixed().insert(workload.clone(), outcome),
            None => self.fixed().remove(workload),
        };
    }

    fn fixed(&self) -> MutexGuard<'_, BTreeMap<WorkloadName, Outcome>> {
        self.fixed.lock().expect("no panic while fixed answers are held")
    }

    async fn command(&self, container: &ContainerId, command: &[String], timeout: Duration) -> Outcome {
        let exec = Exec { command: command.to_vec(), ..Exec::default() };
        match self.engine.exec(container, &exec, timeout).await {
            Ok(output) if output.code == 0 => Outcome::Success,
            Ok(output) => Outcome::Failure(format!("exec: exit code {}", output.code)),
            Err(error) if error.kind == ErrorKind::Timeout => timed_out("exec", timeout),
            Err(error) => Outcome::NotMade(error.to_string()),
        }
    }
}

#[async_trait]
impl Prober for SimProber {
    async fn probe(&self, asked: &Asked, probe: &Probe) -> Outcome {
        let clock = self.engine.clock();
        clock.sleep(LATENCY.min(probe.timeout)).await;
        let (Asked::Container { workload, .. } | Asked::External { workload }) = asked;
        let fixed = self.fixed().get(workload).cloned();
        if let Some(outcome) = fixed {
            return outcome;
        }
        let Asked::Container { run: RunId { container, .. }, .. } = asked else { return Outcome::Success };
        let answer = self.engine.with(|world| answer(world, container, probe, clock.moment()));
        match (answer, &probe.check) {
            (Answer::Now(outcome), _) => outcome,
            (Answer::Command, Check::Exec(command)) => self.command(container, command, probe.timeout).await,
            (Answer::Command, _) => Outcome::Success,
            (Answer::Never, check) => {
                clock.sleep(probe.timeout.saturating_sub(LATENCY)).await;
                timed_out(word(check), probe.timeout)
            }
        }
    }
}

fn answer(world: &World, id: &ContainerId, probe: &Probe, now: Moment) -> Answer {
    let not_made = |words: &str| Answer::Now(Outcome::NotMade(words.to_owned()));
    if !world.engine.up || world.engine.hung {
        return not_made("the engine does not answer");
    }
    let Some(container) = world.containers.get(id) else { return not_made("the container is gone") };
    match (&container.state, &container.run) {
        (ContainerState::Paused { .. }, _) => Answer::Never,
        (ContainerState::Running { .. }, Some(run)) => of_run(run, probe, now),
        _ => not_made("the container is not running"),
    }
}

fn of_run(run: &Run, probe: &Probe, now: Moment) -> Answer {
    let age = now.since(run.began);
    if run.hangs(now) {
        return Answer::Never;
    }
    if !run.script.accepts || age < run.script.ready_after {
        return Answer::Now(not_ready(&probe.check));
    }
    let badly = run.script.flap.is_some_and(|turn| !turn.is_zero() && (age.as_millis() / turn.as_millis()) % 2 == 1);
    match probe.check {
        _ if badly => Answer::Now(Outcome::Failure(format!("{}: it flaps", word(&probe.check)))),
        Check::Exec(_) => Answer::Command,
        _ => Answer::Now(Outcome::Success),
    }
}

fn not_ready(check: &Check) -> Outcome {
    match check {
        Check::Postgres => Outcome::Refused("query: 57P03 the database system is starting up".to_owned()),
        Check::Exec(_) => Outcome::Failure("exec: exit code 1".to_owned()),
        other => Outcome::Failure(format!("{}: connection refused", word(other))),
    }
}

fn timed_out(what: &str, timeout: Duration) -> Outcome {
    Outcome::Failure(format!("{what}: timed out after {}", seconds(timeout)))
}

fn word(check: &Check) -> &'static str {
    match check {
        Check::Http { .. } => "http",
        Check::Tcp => "tcp",
        Check::Exec(_) => "exec",
        Check::Postgres => "query",
        Check::Image => "image",
    }
}
