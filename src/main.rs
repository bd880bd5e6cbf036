//! The binary: wires, prints an error chain once, sets the exit code.
fn main() {}
