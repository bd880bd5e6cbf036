//! Tests that need no engine.

mod engine_contract;
