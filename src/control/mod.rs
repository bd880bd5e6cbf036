//! The control socket of a daemon: [`protocol`] is shared and versioned, `server` forwards a line
//! per verb to the supervisor's handle, [`Client`] is what the command line speaks with.
//!
//! The socket is as powerful as root: whoever may write to it can start a container with any mount.
//! It is never open wider than its final mode, not even for the moment in which it is made, and
//! every peer's user is asked of the kernel. It never listens on TCP.

mod body;
mod client;
mod faults;
mod patient;
mod peer;
mod places;
pub mod protocol;
mod records;
mod server;
mod settled;
mod socket;
mod stream;
mod verbs;

pub use client::{Client, ClientError, ConnectError, Lines};
pub use peer::{Admission, Peer};
pub use records::Records;
pub use server::{Downs, Loader, Service, serve};
pub use settled::{Outcome, Restarts, has_failed_or_ended, outcome, outcome_of, restarts, unready, waits_for_another};
pub use socket::{ControlSocket, SocketAccess};

#[cfg(test)]
mod tests;
