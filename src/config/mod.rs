//! Text -> [`crate::model::stack::Stack`]: every problem at once, each with file, line, column,
//! snippet and a hint; interpolation; `.env`; profiles; include; the JSON schema.
//!
//! Entry point: [`load()`].

mod backup;
mod catalog;
mod check;
mod container;
mod definition;
mod diagnostics;
mod dotenv;
mod draft;
mod extends;
mod files;
mod image;
mod interpolate;
mod job;
mod load;
mod loaded;
mod mounts;
mod node;
mod not_yet;
mod ports;
mod postgres;
mod postgres_container;
mod probes;
mod reader;
mod renamed;
mod schema;
mod scope;
mod service;
mod show;
mod sources;
mod suggest;
pub mod tables;
mod top;
mod values;

#[cfg(test)]
mod tests;

pub use diagnostics::render;
pub use load::load;
pub use loaded::{EnvOrigin, InvalidFile, LoadRequest, Loaded, Problem};
pub use schema::{reference_markdown, schema};
pub use show::resolved;
