//! The machine under the daemon: [`Clock`], [`Disk`] and [`Rng`], each with its simulated twin in
//! [`sim`]. Nobody else reads a clock, writes state or asks for randomness.
//!
//! Beside them what a daemon needs of its machine: the lock that decides who it is ([`lock`]), the
//! runtime directory ([`runtime`]), the instance ([`instance`]), processes ([`process`]), who listens
//! where ([`listeners`]), what changes on the disk ([`watch`]), bounded files of lines ([`Journal`]), what is [`kept`] of the last `up`, users' [`group`]s,
//! [`virtual_time`] for previews, and the peace with [`git`].

mod clock;
mod disk;
pub mod git;
pub mod group;
pub mod instance;
mod journal;
pub mod kept;
mod lines;
pub mod listeners;
pub mod lock;
pub mod process;
mod rng;
pub mod runtime;
pub mod sealed;
mod shadow;
pub mod sim;
pub mod virtual_time;
pub mod watch;

pub use clock::{Clock, SystemClock};
pub use disk::{Disk, DiskError, SystemDisk};
pub use instance::{instance_id, keep_own_id};
pub use journal::Journal;
pub use lines::Lines;
pub use rng::{Rng, SystemRng, letters_and_digits};
pub use shadow::ShadowDisk;

#[cfg(test)]
mod tests;
