//! The command line: a file for each verb, which parses, calls and renders. What a verb shows is
//! rendered by pure functions; what it waits for comes from the daemon or, with none, from a
//! supervisor in this process, under the same lock.
//!
//! Entry point: [`main`]. Exit codes are in [`exit_code`] and nowhere else, and what is said
//! with them is a closed list, [`outcomes`].

mod args;
mod assembly;
mod attach;
mod background;
mod backup;
mod boot;
mod by_hand;
mod check;
mod claim;
mod clean;
mod completions;
mod config;
mod confirm;
mod context;
mod daemon;
mod db;
mod db_client;
mod db_reset;
mod db_url;
mod disable;
mod docs;
mod doctor;
mod door;
mod down;
mod enable;
mod entry;
mod errand;
mod events;
mod exec;
pub mod exit_code;
mod file;
mod fit;
mod follow;
mod guardian;
mod handover;
mod images;
mod init;
mod last_set;
mod live;
mod loader;
mod log_reader;
mod log_sources;
mod log_text;
mod logs;
mod ls;
mod manager;
mod merge;
mod needs;
mod open;
pub mod outcomes;
mod output;
mod own_log;
mod paint;
mod place;
mod plan;
mod plan_text;
mod port;
mod ports;
mod progress;
mod ps;
mod restart;
mod run;
mod runs;
mod scale;
mod schema;
mod seen;
mod snapshot;
mod start;
mod stop;
mod table;
mod target;
mod top;
mod up;
mod words;

pub use docs::commands_page;
pub use entry::main;
pub use outcomes::outcomes_page;

use entry::Done;

#[cfg(test)]
mod tests;
