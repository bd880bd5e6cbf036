//! The whole supervisor on the simulated engine, in virtual time: what is promised of behaviour.

mod converging;
mod kept_logs;
mod hand;
mod killed;
mod renamed;
mod storms;
pub mod world;
