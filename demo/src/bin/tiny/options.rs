//! The words after a command that waits: durations, sizes, switches.

use std::time::Duration;

/// What `tiny serve`, `sleep`, `hog` and `burn` were told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port of `serve`.
    pub port: u16,
    /// Wait before listening.
    pub delay: Duration,
    /// `/readyz` answers 503 until then.
    pub ready_after: Duration,
    /// How long each answer takes.
    pub slow: Duration,
    /// From then on nothing is answered.
    pub hang_at: Option<Duration>,
    /// Status of `/`.
    pub status: u16,
    /// End by itself.
    pub exit_after: Option<Duration>,
    /// The code for that.
    pub code: u8,
    /// A line for stdout at the start.
    pub print: Option<String>,
    /// A line for stderr at the start.
    pub print_err: Option<String>,
    /// Repeat those lines.
    pub every: Option<Duration>,
    /// SIGTERM does nothing.
    pub ignore_term: bool,
    /// Exit code at SIGTERM.
    pub term_code: u8,
    /// How long it takes to end at SIGTERM.
    pub term_delay: Duration,
    /// What is no option: the duration of `sleep`, the size of `hog`.
    pub rest: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 8080,
            delay: Duration::ZERO,
            ready_after: Duration::ZERO,
            slow: Duration::ZERO,
            hang_at: None,
            status: 200,
            exit_after: None,
            code: 0,
            print: None,
            print_err: None,
            every: None,
            ignore_term: false,
            term_code: 143,
            term_delay: Duration::ZERO,
            rest: Vec::new(),
        }
    }
}

impl Options {
    /// Reads the words; an unknown option is an error, other words go to `rest`.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--") else {
                options.rest.push(word.clone());
                continue;
            };
            if name == "ignore-term" {
                options.ignore_term = true;
                continue;
            }
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, value),
                None => (name, words.next().ok_or(format!("--{name} needs a value"))?.as_str()),
            };
            options.set(name, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "port" => self.port = number(value)?,
            "delay" => self.delay = duration(value)?,
            "ready-after" => self.ready_after = duration(value)?,
            "slow" => self.slow = duration(value)?,
            "hang-at" => self.hang_at = Some(duration(value)?),
            "status" => self.status = number(value)?,
            "exit-after" => self.exit_after = Some(duration(value)?),
            "code" => self.code = number(value)?,
            "print" => self.print = Some(value.to_owned()),
            "print-err" => self.print_err = Some(value.to_owned()),
            "every" => self.every = Some(duration(value)?),
            "term-code" => self.term_code = number(value)?,
            "term-delay" => self.term_delay = duration(value)?,
            _ => return Err(format!("no option --{name}; `tiny help` lists them")),
        }
        Ok(())
    }
}

/// `250ms`, `2s`, `5m`, `1h`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (amount, unit) = text.split_at(split);
    let amount: f64 = number(amount)?;
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("'{text}' is no duration, try 250ms, 2s, 5m")),
    };
    Duration::try_from_secs_f64(amount * seconds).map_err(|error| format!("'{text}': {error}"))
}

/// `4096`, `64K`, `64M`, `1G`: bytes.
pub fn size(text: &str) -> Result<usize, String> {
    let (amount, shift) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    Ok(number::<usize>(amount)? << shift)
}

/// A number with a message a reader can use.
pub fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is not a number that fits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_words_in_any_order() {
        let words = ["5s", "--port=81", "--delay", "250ms", "--ignore-term"].map(String::from);
        let options = Options::parse(&words).expect("valid words");
        assert_eq!(options.port, 81);
        assert_eq!(options.delay, Duration::from_millis(250));
        assert!(options.ignore_term);
        assert_eq!(options.rest, ["5s"]);
    }

    #[test]
    fn wrong_words_are_named() {
        let unknown = Options::parse(&["--prot".into(), "81".into()]).expect_err("unknown");
        assert!(unknown.contains("--prot"), "{unknown}");
        assert!(duration("5 parsecs").is_err());
        assert_eq!(size("2K"), Ok(2048));
    }
}
