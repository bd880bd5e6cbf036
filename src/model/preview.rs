//! What `up` would do: the document of `plan --json` (`cli.md`). Fields are added, never renamed.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// Version of the document.
    pub v: u32,
    /// The stack.
    pub stack: String,
    /// Whether `up` would do anything.
    pub changes: bool,
    /// What it would do, in this order.
    pub actions: Vec<PreviewAction>,
    /// What would still wait when all of that is done, and why.
    pub blocked: Vec<PreviewBlock>,
    /// Why a save of this would wait for `witwd up`, one sentence each; empty also where nothing runs.
    #[serde(default)]
    pub held: Vec<String>,
    /// What can't be known before it is done, one sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One action of the planner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviewAction {
    /// The verb, as the plan prints it: `create`, `stop`, `pull`.
    pub action: String,
    /// Whom it is about: `web-1`, `network`, `volume media`.
    pub target: String,
    /// Why.
    pub cause: String,
    /// The fields that differ, where that is the cause and it is known.
    pub fields: Vec<FieldChange>,
    /// Of a `stop`: seconds from its beginning until the replica is ready again; `None` where it
    /// was not ready before, or is not meant to be again.
    pub gap_seconds: Option<f64>,
    /// Whether data is lost with it.
    pub loses_data: bool,
    /// What becomes of data, where it is about any.
    #[serde(default)]
    pub data: Option<String>,
    /// The line of the plan.
    #[serde(default)]
    pub line: String,
}

/// A field with another value than before; `null` is: not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its path in the definition: `env.GREETING`.
    pub path: String,
    /// What the container that runs was made from.
    pub from: Json,
    /// What the file says.
    pub to: Json,
}

/// Something that would wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewBlock {
    /// Whom it is about.
    pub target: String,
    /// Why.
    pub cause: String,
    /// Whether only a person can mend it.
    #[serde(default)]
    pub needs_operator: bool,
    /// Whether it waits so that no data is lost or misread.
    #[serde(default)]
    pub protects_data: bool,
}
