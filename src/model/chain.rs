//! An error and what led to it, in one line.

use std::error::Error;
use std::fmt::Write as _;

/// An error and what led to it, in one line; what an outer error repeats is said once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            let _ = write!(text, ": {words}");
        }
        cause = error.source();
    }
    text
}
