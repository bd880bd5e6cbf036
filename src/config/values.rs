//! Durations, sizes and commands: text -> value, or what is wrong with the text.

use std::str::FromStr;
use std::time::Duration;

use crate::model::name::NameError;

use super::suggest::near_name;

/// What is wrong with a text and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

/// A mistake of these words.
pub(super) fn mistake<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { message: message.into(), hint: hint.into() })
}

/// A name of some kind.
pub(super) fn named<T: FromStr<Err = NameError>>(text: &str) -> Result<T, Mistake> {
    text.parse().map_err(|error: NameError| Mistake { message: error.to_string(), hint: near_name::<T>(text) })
}

const DURATION_HINT: &str = "write a number with its unit: \"500ms\", \"10s\", \"5m\", \"1h\", \"7d\"";

/// A duration.
pub(super) fn duration(text: &str) -> Result<Duration, Mistake> {
    match humantime::parse_duration(text) {
        Ok(duration) => Ok(duration),
        Err(_) => mistake(format!("{text:?} is not a duration"), DURATION_HINT),
    }
}

const SIZE_HINT: &str = "write a number with its unit: \"512M\", \"2G\"";

/// A size in bytes; K, M, G, T are powers of 1024, as the engine counts.
pub(super) fn size(text: &str) -> Result<u64, Mistake> {
    let wrong = || mistake(format!("{text:?} is not a size"), SIZE_HINT);
    let digits = text.len() - text.trim_start_matches(|part: char| part.is_ascii_digit() || part == '.').len();
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim().to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" if !unit.trim().eq_ignore_ascii_case("i") => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return wrong(),
    };
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() => {
            let bytes = number * 1024_f64.powi(power);
            if bytes >= 9.0e18 {
                return mistake(format!("{text:?} is too large a size"), SIZE_HINT);
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above: between 0 and 9e18")]
            Ok(bytes as u64)
        }
        _ => wrong(),
    }
}

/// A command as a shell would split it; no shell is run.
pub(super) fn words(text: &str) -> Result<Vec<String>, Mistake> {
    match shell_words::split(text) {
        Ok(words) if words.is_empty() => mistake("this command is empty", "leave the key out to use the image's own"),
        Ok(words) => Ok(words),
        Err(_) => mistake("a quote in this command is not closed", "close it, or write the command as an array of words"),
    }
}

/// The operator of a shell that a command given as a string would hand to its program as a word.
pub(super) fn shell_operator(words: &[String]) -> Option<&str> {
    words.iter().map(String::as_str).find(|word| matches!(*word, "&&" | "||" | "|" | ";" | ">" | ">>" | "<" | "2>&1"))
}
