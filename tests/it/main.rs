//! Tests that need no engine.

mod cli;
mod control;
mod guardian;
mod tidy;
