//! # witwd
//!
//! One small binary, a daemon and its command line. It reads one `stack.toml` and keeps what the
//! file says running on one machine through the Docker Engine API.
//!
//! ## Shape: observe -> plan (pure) -> apply (no decisions)
//!
//! Every pass looks at the world and derives what is safe to do *now*, what is blocked and why, and
//! when to look again. No plan is stored. What is under way is an input of the planner, so nothing
//! is planned twice; a kill between any two actions is healed by the next pass.
//!
//! ## Modules
//!
//! | module | responsibility | may use |
//! |---|---|---|
//! | [`model`] | shared vocabulary and its invariants | nothing of this crate |
//! | [`config`] | text -> `Stack`: every problem at once, with its place and a hint; JSON schema | model |
//! | [`host`] | the machine under the daemon: `Clock`, `Disk`, `Rng` and their simulated twins | model |
//! | [`plan`] | desired x observed x history x health x in flight x now -> `Plan` | model |
//! | [`engine`] | `trait Engine`, `docker` (the only place that names bollard), `sim`, labels | model, host |
//! | [`health`] | `trait Prober`, probe I/O; pure hysteresis | model, engine, host, postgres: what a server answers to a probe |
//! | [`postgres`] | readiness, databases, roles, extensions, `init` | model, engine, host |
//! | [`supervisor`] | the loop; `apply` is one `match` without decisions; `preview` is the same loop on the simulator | all above |
//! | [`control`] | the Unix socket: protocol, server, client | model, host: the events on disk; the server also the supervisor's handle |
//! | [`cli`] | a file per verb: parse, call, render; exit codes | all above |
//!
//! `plan` does not know `engine` and `engine` does not know `plan`: `supervisor::apply` is the only
//! bridge.

pub mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod health;
pub mod host;
pub mod model;
pub mod plan;
pub mod postgres;
pub mod supervisor;
