//! Twins of what a supervisor works with, which make nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::request::FileToPut;
use crate::engine::sim::SimEngine;
use crate::health::{Asked, Outcome, Prober, SimProber};
use crate::host::Clock;
use crate::model::hash::Fingerprint;
use crate::model::health::{Subject, Verdict, Verdicts};
use crate::model::name::ContainerId;
use crate::model::observed::Container;
use crate::model::probe::Probe;
use crate::model::stack::Stack;
use crate::model::template::Part;
use crate::model::workload::Workload;
use crate::postgres::Provisioned;
use crate::supervisor::keeper::{DataDirectory, Keeper, KeeperError};

/// How long making databases and roles is taken to last.
const PROVISION_TIME: Duration = Duration::from_millis(50);

/// Tells what another keeper tells, and provisions nothing.
pub struct StillKeeper {
    told: Arc<dyn Keeper>,
    clock: Arc<dyn Clock>,
}

impl StillKeeper {
    /// The twin of a keeper.
    pub fn of(told: Arc<dyn Keeper>, clock: Arc<dyn Clock>) -> Self {
        Self { told, clock }
    }
}

#[async_trait]
impl Keeper for StillKeeper {
    fn prepare(&self, stack: &Stack) -> Result<(), KeeperError> {
        self.told.prepare(stack)
    }

    fn fill(&self, hole: &Part) -> Option<String> {
        self.told.fill(hole)
    }

    fn fingerprint(&self, workload: &Workload) -> Option<Fingerprint> {
        self.told.fingerprint(workload)
    }

    fn files(&self, workload: &Workload) -> Vec<FileToPut> {
        self.told.files(workload)
    }

    fn wanted(&self, workload: &Workload) -> Option<String> {
        self.told.wanted(workload)
    }

    async fn provision(&self, _: &Workload, _: &ContainerId, _: DataDirectory) -> Result<Provisioned, KeeperError> {
        self.clock.sleep(PROVISION_TIME).await;
        Ok(Provisioned::default())
    }
}

/// Answers for what is not well now as its last verdict did, and for all others that they are well.
pub struct StillProber {
    engine: Arc<SimEngine>,
    simulated: SimProber,
    bad: BTreeMap<Subject, Verdict>,
}

impl StillProber {
    /// A prober of this engine's containers, some of which are known not to be well.
    pub fn new(engine: Arc<SimEngine>, verdicts: &Verdicts) -> Self {
        let is_bad = |verdict: &Verdict| verdict.ready == Some(false) || verdict.alive == Some(false);
        let bad = verdicts.iter().filter(|(_, verdict)| is_bad(verdict));
        let bad = bad.map(|(subject, verdict)| (subject.clone(), verdict.clone())).collect();
        Self { simulated: SimProber::new(engine.clone()), engine, bad }
    }

    /// A container that was started again is another subject, and begins anew.
    fn subject(&self, asked: &Asked) -> Option<Subject> {
        match asked {
            Asked::External { workload } => Some(Subject::External(workload.clone())),
            Asked::Container { run, .. } => {
                let seen: Option<Container> = self.engine.with(|world| world.seen(&run.container));
                seen.and_then(|seen| seen.run()).map(Subject::Run)
            }
        }
    }
}

#[async_trait]
impl Prober for StillProber {
    async fn probe(&self, asked: &Asked, probe: &Probe) -> Outcome {
        let simulated = self.simulated.probe(asked, probe).await;
        let Some(verdict) = self.subject(asked).and_then(|subject| self.bad.get(&subject)) else {
            return simulated;
        };
        let words = verdict.words.clone().unwrap_or_else(|| "not ready".to_owned());
        // Refused: there is an answer, so that liveness holds and readiness does not.
        if verdict.alive == Some(false) { Outcome::Failure(words) } else { Outcome::Refused(words) }
    }
}
