//! What a supervisor knows beside what it sees.

use std::sync::Arc;

use super::definitions::ByHash;
use crate::model::family::Families;
use crate::model::health::Verdicts;
use crate::model::history::History;
use crate::model::stack::Stack;

/// What a supervisor knows beside what it sees: it begins with it, and a preview is made from it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The stack that is run; `None` where nobody runs one.
    pub stack: Option<Arc<Stack>>,
    /// What happened, and what the user asked for.
    pub history: History,
    /// What probes say.
    pub verdicts: Verdicts,
    /// What images of Postgres servers say of themselves.
    pub families: Families,
    /// What containers were made from.
    pub definitions: ByHash,
}
