//! The commands that do one thing and end, and those that only take up room.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::options::{self, Options};
use crate::signals;

const A_LONG_TIME: Duration = Duration::from_hours(8760);

/// One line on stdout, as one write.
pub fn print(text: &str) -> Result<u8, String> {
    let mut line = text.to_owned();
    line.push('\n');
    io::stdout().write_all(line.as_bytes()).map_err(|error| format!("stdout: {error}"))?;
    Ok(0)
}

/// `tiny sleep [DURATION]`.
pub fn sleep(options: &Options) -> Result<u8, String> {
    signals::start(options)?;
    thread::sleep(time_of(options)?);
    Ok(0)
}

/// `tiny hog SIZE`: memory that is really there, page by page.
pub fn hog(options: &Options) -> Result<u8, String> {
    signals::start(options)?;
    let size = options::size(options.rest.first().ok_or("hog needs a size, as 64M")?)?;
    let room = vec![1_u8; size];
    print(&format!("holding {} bytes", std::hint::black_box(&room).len()))?;
    thread::sleep(A_LONG_TIME);
    Ok(0)
}

/// `tiny burn [DURATION]`.
pub fn burn(options: &Options) -> Result<u8, String> {
    signals::start(options)?;
    let end = Instant::now() + time_of(options)?;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    Ok(0)
}

fn time_of(options: &Options) -> Result<Duration, String> {
    options.rest.first().map_or(Ok(A_LONG_TIME), |word| options::duration(word))
}

/// Every other command, by name.
pub fn run(command: &str, words: &[String]) -> Result<u8, String> {
    let text = || words.join(" ");
    match command {
        "true" => Ok(0),
        "false" => Ok(1),
        "exit" => options::number(words.first().ok_or("exit needs a code")?),
        "echo" => print(&text()),
        "err" => {
            let _ = writeln!(io::stderr(), "{}", text());
            Ok(0)
        }
        "cat" => cat(words),
        "ls" => ls(words.first().map_or("/", String::as_str)),
        "write" => write(words, false),
        "append" => write(words, true),
        "rm" => each(words, |path| fs::remove_file(path)),
        "mkdir" => each(words, |path| fs::create_dir_all(path)),
        "env" => env(words.first().map(String::as_str)),
        "id" => print(&id()),
        "stdin" => copy_stdin(),
        "lines" => lines(words),
        "run" => child(words, false),
        "leave" => child(words, true),
        _ => Err(format!("no command '{command}'; `tiny help` lists them")),
    }
}

/// `tiny run WORDS` and `tiny leave WORDS`: a child that runs these words, waited for or left. It shares the outputs.
fn child(words: &[String], is_left: bool) -> Result<u8, String> {
    let program = std::env::current_exe().map_err(|error| format!("/proc: {error}"))?;
    let mut child = Command::new(program).args(words).spawn().map_err(|error| format!("{}: {error}", words.join(" ")))?;
    if is_left {
        return Ok(0);
    }
    let status = child.wait().map_err(|error| format!("wait: {error}"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn each(words: &[String], action: impl Fn(&str) -> io::Result<()>) -> Result<u8, String> {
    for path in words {
        action(path).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(0)
}

fn cat(words: &[String]) -> Result<u8, String> {
    each(words, |path| {
        let mut file = fs::File::open(path)?;
        io::copy(&mut file, &mut io::stdout()).map(|_| ())
    })
}

fn ls(path: &str) -> Result<u8, String> {
    let entries = fs::read_dir(path).map_err(|error| format!("{path}: {error}"))?;
    let mut names: Vec<String> =
        entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { Ok(0) } else { print(&names.join("\n")) }
}

fn write(words: &[String], append: bool) -> Result<u8, String> {
    let (path, text) = words.split_first().ok_or("which file?")?;
    OpenOptions::new()
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append)
        .open(path)
        .and_then(|mut file| writeln!(file, "{}", text.join(" ")))
        .map_err(|error| format!("{path}: {error}"))?;
    Ok(0)
}

fn env(name: Option<&str>) -> Result<u8, String> {
    match name {
        Some(name) => std::env::var(name).map_or(Ok(1), |value| print(&value)),
        None => print(&environment()),
    }
}

/// `NAME=value` lines, sorted.
pub fn environment() -> String {
    let mut lines: Vec<String> =
        std::env::vars_os().map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy())).collect();
    lines.sort();
    lines.join("\n")
}

/// Who this process is, from `/proc`.
pub fn id() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().split_whitespace().collect::<Vec<_>>()
    };
    let effective = |name: &str| field(name).get(1).copied().unwrap_or("?").to_owned();
    let groups = field("Groups:").join(",");
    format!("uid={} gid={} groups={groups}", effective("Uid:"), effective("Gid:"))
}

fn copy_stdin() -> Result<u8, String> {
    let mut out = io::stdout();
    io::copy(&mut io::stdin().lock(), &mut out).and_then(|_| out.flush()).map_err(|error| format!("stdin: {error}"))?;
    Ok(0)
}

fn lines(words: &[String]) -> Result<u8, String> {
    let (count, text) = words.split_first().ok_or("how many lines?")?;
    let count: u64 = options::number(count)?;
    let text = text.join(" ");
    let mut out = io::BufWriter::new(io::stdout());
    for line in 1..=count {
        writeln!(out, "{line} {text}").map_err(|error| format!("stdout: {error}"))?;
    }
    out.flush().map_err(|error| format!("stdout: {error}"))?;
    Ok(0)
}
