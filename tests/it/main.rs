//! Tests that need no engine.

mod by_hand;
mod cli;
mod control;
mod converge;
mod documents;
mod engine_contract;
mod fuzz;
mod group;
mod guardian;
mod hostile;
mod init;
mod joined;
mod last_file;
mod names;
mod outcomes;
mod scenarios;
mod service_manager;
mod terminal;
mod tidy;
mod words;
