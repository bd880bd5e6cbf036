//! Few words about what a probe met, and a bound on its time.

use std::time::Duration;

use crate::host::Clock;

/// Most characters of what somebody else said.
const LONGEST: usize = 80;

/// The first line of what was said, after a colon, and no more than 80 characters of it; `None`
/// where nothing was.
pub(super) fn first_words(text: &str) -> Option<String> {
    let line = text.trim().lines().next().unwrap_or_default();
    let line: String = line.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
    (!line.is_empty()).then(|| format!(": {line}"))
}

/// An error of the network in few words.
pub(super) fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        std::io::ErrorKind::UnexpectedEof => "connection closed without an answer".to_owned(),
        _ => error.to_string(),
    }
}

/// What `future` brings, or `None` when it takes longer than `limit`.
pub(super) async fn within<T>(clock: &dyn Clock, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = clock.sleep(limit) => None,
    }
}
