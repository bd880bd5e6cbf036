//! The words of the tiny image (`images/tiny`), as far as the contract uses them: the simulated
//! containers do what the real program does.

use std::time::Duration;

use super::script::Script;

const AT_ONCE: Duration = Duration::from_millis(1);

/// What the tiny image does with these words. `read` reads a file of the container.
pub(super) fn script(words: &[String], stdin: Option<&[u8]>, read: impl Fn(&str) -> Option<Vec<u8>>) -> Script {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = words.strip_prefix(&["/tiny"]).unwrap_or(&words);
    match words {
        ["serve", options @ ..] => with_options(serving(), options),
        ["sleep", options @ ..] => with_options(Script { accepts: false, ..serving() }, options),
        ["exit", code] => ended(code.parse().unwrap_or(2), ""),
        ["true"] => ended(0, ""),
        ["false"] => ended(1, ""),
        ["echo", rest @ ..] => ended(0, &rest.join(" ")),
        ["err", rest @ ..] => Script { says: vec![(true, rest.join(" "))], ..ended(0, "") },
        ["lines", count, rest @ ..] => {
            let count: u32 = count.parse().unwrap_or_default();
            let lines: Vec<String> = (1..=count).map(|line| format!("{line} {}", rest.join(" "))).collect();
            ended(0, &lines.join("\n"))
        }
        ["stdin"] => ended(0, &String::from_utf8_lossy(stdin.unwrap_or_default())),
        ["cat", path] => match read(path) {
            Some(content) => ended(0, &String::from_utf8_lossy(&content)),
            None => Script { says: vec![(true, format!("{path}: no such file"))], ..ended(1, "") },
        },
        _ => Script { says: vec![(true, "no such command".to_owned())], ..ended(2, "") },
    }
}

fn serving() -> Script {
    Script { ready_after: Duration::from_millis(5), term_code: 143, slow_stop: AT_ONCE, ..Script::default() }
}

fn ended(code: i64, text: &str) -> Script {
    let says = text.lines().map(|line| (false, line.to_owned())).collect();
    Script { run_for: Some(AT_ONCE), exit_code: code, accepts: false, says, ..serving() }
}

fn with_options(mut script: Script, options: &[&str]) -> Script {
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let Some(name) = option.strip_prefix("--") else {
            // The duration of `sleep`.
            script.run_for = Some(duration(option));
            continue;
        };
        if name == "ignore-term" {
            script.ignore_sigterm = true;
            continue;
        }
        let Some(value) = options.next() else { return ended(2, "") };
        match name {
            "exit-after" => script.run_for = Some(duration(value)),
            "code" => script.exit_code = value.parse().unwrap_or(2),
            "term-code" => script.term_code = value.parse().unwrap_or(2),
            "term-delay" => script.slow_stop = duration(value),
            "ready-after" | "delay" => script.ready_after = duration(value),
            "hang-at" => script.hang_at = Some(duration(value)),
            "print" => script.says.push((false, (*value).to_owned())),
            "print-err" => script.says.push((true, (*value).to_owned())),
            _ => {}
        }
    }
    script
}

fn duration(text: &str) -> Duration {
    humantime::parse_duration(text).unwrap_or_default()
}
