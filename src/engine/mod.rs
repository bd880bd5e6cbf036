//! The container engine: [`Engine`] is the seam, `docker` the real one (the only place that names
//! bollard), `sim` the simulated one. The contract suite in `tests` runs on both.
//!
//! A method is one primitive. It decides nothing: what to do when something is already there, gone
//! or in the way is the planner's, told apart by [`ErrorKind`].

mod api;
pub mod docker;
mod error;
pub mod labels;
pub mod request;

pub use api::{Engine, EventStream, LogStream, ProgressSink};
pub use error::{EngineError, ErrorKind};
