//! Tests that need no engine.

mod by_hand;
mod cli;
mod control;
mod converge;
mod engine_contract;
mod guardian;
mod joined;
mod scenarios;
mod tidy;
mod words;
