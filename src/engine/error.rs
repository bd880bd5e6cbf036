//! What can go wrong between us and an engine, classified once, in the adapter.

/// A failed primitive.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} {target}: {message}")]
pub struct EngineError {
    /// What was tried, as a verb: `create container`, `pull image`.
    pub operation: &'static str,
    /// On what.
    pub target: String,
    /// What kind of failure.
    pub kind: ErrorKind,
    /// The engine's own words.
    pub message: String,
}

/// Kinds of failure that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such object.
    NotFound,
    /// The name is taken, or the state of the object does not allow it.
    Conflict,
    /// The object is being removed just now.
    RemovalInProgress,
    /// A volume or network is in use.
    InUse,
    /// A port of the host is taken.
    PortInUse,
    /// The engine does not answer: nothing is known, and what was asked may still happen.
    Unavailable,
    /// The engine did not answer in time: what was asked may still happen.
    Timeout,
    /// No registry answered.
    RegistryUnreachable,
    /// The registry does not know the image, or does not show it without credentials.
    ImageDenied,
    /// The request makes no sense to the engine.
    Invalid,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Whether it is certain that nothing happened. Where it is not, look before you try again.
    pub fn nothing_happened(self) -> bool {
        !matches!(self, Self::Unavailable | Self::Timeout | Self::Other)
    }
}

impl EngineError {
    /// The error of `operation` on `target`.
    pub fn new(operation: &'static str, target: impl Into<String>, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { operation, target: target.into(), kind, message: message.into() }
    }
}
