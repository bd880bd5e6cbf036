//! Whether somebody accepts connections at a port.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::prober::Outcome;
use super::words::{plain, within};
use crate::engine::answer::Reach;
use crate::host::Clock;
use crate::model::time::seconds;

/// How long a connection through a proxy must stay open to be one to a living port.
const STAYS_OPEN: Duration = Duration::from_millis(300);

/// Connects, within `timeout`.
pub(super) async fn ask(clock: &dyn Clock, reach: Reach, timeout: Duration) -> Outcome {
    let (Reach::Direct(address) | Reach::Published(address)) = reach;
    let mut stream = match within(clock, timeout, TcpStream::connect(address)).await {
        None => return Outcome::Failure(format!("tcp: timed out after {}", seconds(timeout))),
        Some(Err(error)) => return Outcome::Failure(format!("tcp: {}", plain(&error))),
        Some(Ok(stream)) => stream,
    };
    if matches!(reach, Reach::Direct(_)) {
        return Outcome::Success;
    }
    // A proxy accepts for a dead port too, and closes at once.
    let mut first = [0];
    match within(clock, STAYS_OPEN, stream.read(&mut first)).await {
        None | Some(Ok(1..)) => Outcome::Success,
        Some(Ok(0) | Err(_)) => Outcome::Failure("tcp: the connection was closed at once".to_owned()),
    }
}
