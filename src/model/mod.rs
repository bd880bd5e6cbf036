//! The shared vocabulary: names, the validated [`stack::Stack`], what the engine was seen to hold
//! ([`observed::Observed`]), what happened ([`history::History`]), verdicts of probes
//! ([`health::Verdicts`]), what a person holds by hand ([`by_hand::ByHand`]) and what a user is shown ([`status::Status`],
//! [`preview::Preview`]).
//!
//! A leaf: it uses nothing of this crate, does no I/O, reads no clock and no random source.
//! Constructors enforce invariants, so that a value that exists is a value that makes sense.

pub mod backup;
pub mod by_hand;
pub mod chain;
pub mod container;
pub mod database_snapshot;
pub mod family;
pub mod hash;
pub mod health;
pub mod history;
pub mod image;
pub mod job;
pub mod name;
pub mod observed;
pub mod postgres;
pub mod preview;
pub mod probe;
pub mod restore;
pub mod snapshot;
pub mod stack;
pub mod status;
pub mod template;
pub mod time;
pub mod tls;
pub mod wish;
pub mod workload;

#[cfg(test)]
mod tests;
