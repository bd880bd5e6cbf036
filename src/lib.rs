//! witwd
