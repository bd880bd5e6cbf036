//! Probes from outside: [`Prober`] does the I/O, [`Hysteresis`] turns results into verdicts
//! (pure), [`Monitor`] decides when to ask. A probe that could not be made is no verdict; only
//! consecutive results flip a state. Nothing here restarts anything: verdicts are sent, and the
//! planner decides.

mod addresses;
mod http;
mod hysteresis;
mod monitor;
mod probe_io;
mod prober;
mod schedule;
mod sim;
mod tcp;
mod watcher;
mod words;

pub use hysteresis::Hysteresis;
pub use monitor::{HealthEvent, Monitor, Watched};
pub use probe_io::SystemProber;
pub use prober::{Asked, Outcome, Prober};
pub use sim::SimProber;

#[cfg(test)]
mod io_tests;
#[cfg(test)]
mod tests;
