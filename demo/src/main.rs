//! The demo app of the root stack.toml.
fn main() {}
