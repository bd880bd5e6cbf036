//! Simulated twins: a caretaker whose passwords can be told apart and whose provisioning takes
//! virtual time, and build commands that leave an image.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::commands::{BuildCommand, Commands};
use super::keeper::{DataDirectory, Keeper, KeeperError};
use crate::engine::ProgressSink;
use crate::engine::request::FileToPut;
use crate::engine::sim::SimEngine;
use crate::host::Clock;
use crate::model::hash::Fingerprint;
use crate::model::name::ContainerId;
use crate::model::stack::Stack;
use crate::model::template::Part;
use crate::model::workload::Workload;
use crate::postgres::Provisioned;

/// How long provisioning takes in virtual time.
const PROVISION_TIME: Duration = Duration::from_millis(50);

/// Stands in for [`crate::postgres`] where the engine is simulated.
pub struct SimKeeper {
    clock: Arc<dyn Clock>,
}

impl SimKeeper {
    /// A caretaker on this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

#[async_trait]
impl Keeper for SimKeeper {
    fn prepare(&self, _stack: &Stack) -> Result<(), KeeperError> {
        Ok(())
    }

    fn fill(&self, hole: &Part) -> Option<String> {
        match hole {
            Part::Password { postgres, role } => Some(format!("password-of-{role}-in-{postgres}")),
            Part::Text(text) => Some(text.clone()),
            Part::Secret(_) => None,
        }
    }

    fn fingerprint(&self, _workload: &Workload) -> Option<Fingerprint> {
        None
    }

    fn files(&self, _workload: &Workload) -> Vec<FileToPut> {
        Vec::new()
    }

    fn wanted(&self, workload: &Workload) -> Option<String> {
        let postgres = workload.postgres().filter(|postgres| !postgres.is_external())?;
        let more = (&postgres.databases, &postgres.extensions);
        Some(format!("{} of {} with {more:?}", postgres.database, postgres.user))
    }

    async fn provision(
        &self,
        _workload: &Workload,
        _container: &ContainerId,
        _data: DataDirectory,
    ) -> Result<Provisioned, KeeperError> {
        self.clock.sleep(PROVISION_TIME).await;
        Ok(Provisioned::default())
    }
}

/// Build commands that run nothing and leave their image in a simulated engine.
pub struct SimCommands {
    engine: Arc<SimEngine>,
}

impl SimCommands {
    /// Commands that build for this engine.
    pub fn new(engine: Arc<SimEngine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Commands for SimCommands {
    async fn run(&self, command: &BuildCommand<'_>, _sink: ProgressSink) -> Result<(), String> {
        if self.engine.with(|world| world.images.id(command.image).is_none()) {
            self.engine.add_image(command.image);
        }
        Ok(())
    }
}
