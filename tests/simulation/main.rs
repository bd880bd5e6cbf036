//! The whole daemon on simulated seams: seeds choose faults, kills and requests, every run is compared
//! with the undisturbed one, and what must always hold is looked at between any two steps of any task.
//!
//! ```text
//! cargo test --test simulation                 what CI runs: prints what it covered
//! WITWD_SEEDS=7..8 cargo test --test simulation storms     one seed again
//! make soak FOR=1h                             new seeds for as long as it is told
//! ```

mod case;
mod client;
mod coverage;
mod crashes;
mod databases;
mod end;
mod found;
mod hands;
mod lives;
mod mischief;
mod rig;
mod stacks;
mod storm;
mod storms;
mod tell;
mod watch;
