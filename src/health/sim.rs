//! The simulated prober: answers what the app's script in the simulated engine would.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::prober::{Asked, Outcome, Prober};
use crate::engine::sim::SimEngine;
use crate::model::probe::Probe;

/// How long an answer takes.
const ANSWER_TIME: Duration = Duration::from_millis(1);

/// Asks the apps of a simulated engine.
pub struct SimProber {
    engine: Arc<SimEngine>,
}

/// What an app does with a question.
enum Answer {
    Good,
    Bad(&'static str),
    None,
}

impl SimProber {
    /// A prober of this engine's apps.
    pub fn new(engine: Arc<SimEngine>) -> Self {
        Self { engine }
    }

    fn ask(&self, id: &crate::model::name::ContainerId) -> Answer {
        let now = self.engine.clock().moment();
        self.engine.with(|world| {
            let Some(run) =
                world.containers.get(id).filter(|container| container.state.is_up()).and_then(|container| container.run.as_ref())
            else {
                return Answer::Bad("connection refused");
            };
            let age = now.since(run.began);
            let turns = |turn: Duration| (age.as_millis() / turn.as_millis().max(1)) % 2 == 1;
            match () {
                () if run.hangs(now) => Answer::None,
                () if !run.script.accepts || age < run.script.ready_after => Answer::Bad("connection refused"),
                () if run.script.flap.is_some_and(turns) => Answer::Bad("503 Service Unavailable"),
                () => Answer::Good,
            }
        })
    }
}

#[async_trait]
impl Prober for SimProber {
    async fn probe(&self, asked: &Asked, probe: &Probe) -> Outcome {
        let Asked::Container { container, .. } = asked else {
            return Outcome::Success;
        };
        self.engine.clock().sleep(ANSWER_TIME).await;
        if self.engine.with(|world| !world.engine.up || world.engine.hung) {
            return Outcome::NotMade("the engine does not answer".to_owned());
        }
        match self.ask(container) {
            Answer::Good => Outcome::Success,
            Answer::Bad(words) => Outcome::Failure(words.to_owned()),
            Answer::None => {
                self.engine.clock().sleep(probe.timeout).await;
                Outcome::Failure(format!("timed out after {}", crate::model::time::seconds(probe.timeout)))
            }
        }
    }
}
