//! Tests that need no engine.

mod control;
