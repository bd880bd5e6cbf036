//! How "nothing was lost" is seen from outside, by nobody's word but the engine's and the kernel's:
//!
//! | oracle | what it finds |
//! |---|---|
//! | [`ledger`] | rows that Postgres said were committed and are gone, or are there twice |
//! | [`watch`] | two that run for one replica or on one data directory; a "healthy" that is wrong; a slow `ps` |
//! | [`surroundings`] | a foreign object that was changed, a volume that is gone |
//! | [`leaks`] | file descriptors, threads, zombies and memory that a daemon keeps |
//!
//! Identity of the untouched is [`crate::stack::TestStack::identities`]; calls at rest are counted by
//! [`crate::recorder::Recorder`].

pub mod leaks;
pub mod ledger;
pub mod surroundings;
pub mod watch;
