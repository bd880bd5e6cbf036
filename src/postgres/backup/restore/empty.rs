//! Empty databases in the place of those of the file: `db reset`.

use super::super::Sets;
use super::super::error::BackupError;
use super::super::facts::{self, run};
use super::super::statements;
use super::super::take::Order;
use super::{exchange, like};
use crate::model::restore::Exchange;
use crate::postgres::SUPERUSER;

impl Sets {
    /// Makes an empty database like each that the file names and that is there: what is not there is made anyway.
    pub(super) async fn make_empty(&self, order: &Order<'_>, major: u32) -> Result<Vec<Exchange>, BackupError> {
        let mut exchanges = Vec::new();
        for (index, name) in names(order).iter().enumerate() {
            let session = match self.open(order, name).await {
                Ok(session) => session,
                Err(BackupError::Gone(_)) => continue,
                Err(error) => return Err(error),
            };
            let described = facts::describe(&session).await?;
            session.close(self.clock.as_ref()).await;
            let new = format!("witwd_new_{}", index + 1);
            let session = self.open(order, SUPERUSER).await?;
            run(&session, "make an empty database", &statements::create(&new, &described.properties, major)).await?;
            like::give(&session, &new, &described.properties, &described.settings).await?;
            exchanges.push(exchange::between(&session, &new, name).await?);
            session.close(self.clock.as_ref()).await;
        }
        Ok(exchanges)
    }
}

/// The databases that the file names.
fn names(order: &Order<'_>) -> Vec<String> {
    let Some(postgres) = order.postgres() else { return Vec::new() };
    std::iter::once(&postgres.database).chain(&postgres.databases).map(ToString::to_string).collect()
}
