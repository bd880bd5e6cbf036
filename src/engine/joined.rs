//! A command, or a container, that somebody is joined to: its bytes both ways and its end.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::io::AsyncWrite;

use super::EngineError;

/// A piece of output: whether it was written to standard error, and the bytes.
pub type OutputPiece = (bool, Bytes);

/// What one is joined to.
pub struct Joined {
    /// What it reads; shutting it down ends its input.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What it writes, until it ends. A failure in it means that something of it may be missing.
    pub output: BoxStream<'static, Result<OutputPiece, EngineError>>,
    /// Its exit code. Ask when its output is over.
    pub exit_code: BoxFuture<'static, Result<i64, EngineError>>,
}

impl fmt::Debug for Joined {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Joined")
    }
}
