//! The container engine: [`Engine`] is the seam, `docker` the real one (the only place that names
//! bollard), `sim` the simulated one. The contract suite, [`contract`], runs on both.
//!
//! A method is one primitive. It decides nothing: what to do when something is already there, gone
//! or in the way is the planner's, told apart by [`ErrorKind`].

pub mod answer;
mod api;
pub mod contract;
pub mod docker;
mod error;
mod joined;
pub mod labels;
pub mod request;
pub mod sim;

pub use api::{Engine, EventStream, LogStream, ProgressSink};
pub use error::{EngineError, ErrorKind};
pub use joined::{Joined, OutputPiece};
