//! The simulated caretaker: passwords that can be told apart, provisioning that takes virtual time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::keeper::{DataDirectory, Keeper, KeeperError};
use crate::engine::request::FileToPut;
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
        Some(format!("{} of {}", postgres.database, postgres.user))
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
