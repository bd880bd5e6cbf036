//! Desired x observed x history x health x in flight x now -> [`Plan`]. Pure: no I/O, no clock, no
//! async, no randomness, no order that depends on hashing.
//!
//! Every pass looks at the world and derives what is safe to do *now*, what is blocked and why,
//! and when to look again. No plan is stored. A kill between any two actions is healed by the next
//! pass. Entry point: [`plan`].

mod action;
mod attach;
mod backups;
mod containers;
mod data;
mod divergence;
mod down;
mod fields;
mod gates;
mod hand;
mod held;
mod images;
mod inputs;
mod objects;
mod orphans;
mod pass;
mod replica;
pub mod restart;
mod up;

pub use action::{Action, Blocked, Plan, Planned};
pub use containers::Containers;
pub use data::older_names;
pub use divergence::Divergence;
pub use fields::fields;
pub use gates::{is_ready, liveness_counts, not_carried_out, verdict_of, waits_for_hand, words_of};
pub use held::held;
pub use images::{WantedImage, wanted_image};
pub use inputs::{InFlight, Inputs, is_kept};
pub use orphans::is_throw_away;

use crate::model::history::Goal;

/// What is safe to do now, what is blocked and why, and when to look again.
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    match inputs.history.goal {
        Goal::Up => up::plan(inputs),
        Goal::Down => down::plan(inputs),
    }
}

#[cfg(test)]
mod tests;
