//! The whole supervisor on the simulated engine, in virtual time: what is promised of behaviour.

mod converging;
mod fallbacks;
mod hand;
mod healing;
mod kept_logs;
mod killed;
mod layers;
mod renamed;
mod restores;
#[path = "../../simulation/stacks.rs"]
pub mod stacks;
mod unwritten;
pub mod world;
