//! The machine under the daemon: [`Clock`], [`Disk`] and [`Rng`], each with its simulated twin in
//! [`sim`]. Nobody else reads a clock, writes state or asks for randomness.

mod clock;
mod disk;
mod rng;
pub mod sim;

pub use clock::{Clock, SystemClock};
pub use disk::{Disk, DiskError, SystemDisk};
pub use rng::{Rng, SystemRng, letters_and_digits};

#[cfg(test)]
mod tests;
