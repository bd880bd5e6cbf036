//! The caretaker of a Postgres: its passwords, its readiness, and what must be in it.
//!
//! [`Passwords`] makes, keeps and fills in passwords; [`readiness`] asks a server as the app would;
//! [`Caretaker`] makes databases, roles and extensions and runs `init` once, all or nothing;
//! [`family`] says what data directories an image makes. Nothing here ever drops anything, and no
//! password is ever in an argument, a log or an error.

pub mod backup;
mod connect;
mod error;
mod examine;
pub mod family;
mod init;
mod marker;
mod objects;
mod passwords;
mod provision;
pub mod readiness;
mod server;
mod sql;
mod store;
mod tls;
mod whole;

pub use error::PostgresError;
pub use examine::examine;
pub use marker::Freshness;
pub use passwords::{Access, Passwords, PasswordsError};
pub use provision::{Caretaker, ProvisionRequest, Provisioned};

/// The port of every server we take care of.
pub const PORT: u16 = 5432;

/// The role of witwd's own superuser.
pub const SUPERUSER: &str = "postgres";

#[cfg(test)]
mod tests;
