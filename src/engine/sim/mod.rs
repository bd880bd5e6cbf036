//! The simulated engine: stateful, deterministic, on the time of its clock, with seeded faults. It
//! drives the tests and the preview of `witwd plan`. It must never do what the real engine would
//! refuse: the contract suite runs on both.
//!
//! Entry point: [`SimEngine`]. Time passing is evaluated when somebody looks; whoever waits wakes at
//! the virtual time at which something happens.

mod calls;
mod containers;
mod control;
mod engine;
mod events;
mod faults;
mod foreign;
mod images;
mod life;
mod mutation;
mod objects;
mod observe;
mod script;
mod streams;
mod tiny;
mod trace;
mod violations;
mod world;

pub use engine::SimEngine;
pub use events::{Bus, Emitted, EventFault};
pub use faults::{Fault, FaultKind, FaultPlan};
pub use foreign::Foreign;
pub use images::{Images, PullCourse};
pub use script::{Script, Scripts};
pub use trace::{Call, Operation, Trace};
pub use violations::violations;
pub use world::{EngineState, ExecHook, Now, Run, SimContainer, SimNetwork, SimVolume, World};

#[cfg(test)]
mod tests;
