//! witwd
fn main() {}
