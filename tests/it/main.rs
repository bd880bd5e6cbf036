//! Tests that need no engine.

mod control;
mod engine_contract;
mod scenarios;
