//! Desired x observed x history x health x in flight x now -> [`Plan`]. Pure: no I/O, no clock, no
//! async, no randomness, no order that depends on hashing.
//!
//! Every pass looks at the world and derives what is safe to do *now*, what is blocked and why,
//! and when to look again. No plan is stored. A kill between any two actions is healed by the next
//! pass.

mod action;

pub use action::{Action, Blocked, Plan, Planned};
