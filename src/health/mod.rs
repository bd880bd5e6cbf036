//! Probes from outside: [`Prober`] does the I/O, `hysteresis` turns results into verdicts
//! (pure). A probe that could not be made is no verdict; only consecutive results flip a state.

mod prober;

pub use prober::{Asked, Outcome, Prober};
