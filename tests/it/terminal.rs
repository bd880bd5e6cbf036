//! The width of a real terminal is kept to; what is piped is left whole. No engine answers here.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

const FILE: &str = "name = \"shop\"\n[services.web]\nimage = \"web:${env.TAG}\"\n";
const COLUMNS: u16 = 40;

/// A directory whose stack takes a value from a file with a long name.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("stack.toml"), FILE).expect("a file");
    std::fs::write(directory.path().join("values-of-this-machine-and-of-no-other.env"), "TAG=7\n").expect("a file");
    directory
}

fn command(directory: &tempfile::TempDir, words: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("witwd"));
    command.args(words).current_dir(directory.path()).env_clear().stdin(Stdio::null());
    command
}

/// What is seen on a terminal of forty columns that data and errors go to.
fn seen(directory: &tempfile::TempDir, words: &[&str]) -> String {
    let mut master = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal"));
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("its other side");
    let path = ptsname(&master, Vec::new()).expect("its name");
    let other = || rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other side");
    let size = Winsize { ws_row: 24, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    let (stdout, stderr) = (other(), other());
    tcsetwinsize(&stdout, size).expect("a size");
    let mut child = command(directory, words).stdout(stdout).stderr(stderr).spawn().expect("it runs");
    let mut text = Vec::new();
    // The end of a terminal that nobody holds any more is an error.
    let _ = master.read_to_end(&mut text);
    child.wait().expect("an end");
    String::from_utf8(text).expect("text").replace('\r', "")
}

fn longest(text: &str) -> usize {
    let plain = text.replace("\u{1b}[2m", "").replace("\u{1b}[0m", "");
    plain.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn data_keeps_to_the_width_of_a_terminal_and_is_whole_where_it_is_piped() {
    let directory = directory();
    let words = ["--env-file", "values-of-this-machine-and-of-no-other.env", "config", "--origin"];
    let text = seen(&directory, &words);
    assert!(text.contains("TAG") && longest(&text) <= usize::from(COLUMNS), "{text}");
    let output = command(&directory, &words).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text.lines().count(), 2, "a heading and a row: {text}");
    assert!(text.contains("/values-of-this-machine-and-of-no-other.env\n"), "{text}");
}

#[test]
fn errors_keep_to_the_width_of_a_terminal_and_are_whole_where_they_are_piped() {
    let directory = directory();
    let words = ["--env-file", "values-of-this-machine-and-of-no-other.env", "logs", "--since", "the day before yesterday"];
    let text = seen(&directory, &words);
    assert!(text.contains("error:") && longest(&text) <= usize::from(COLUMNS), "{text}");
    let output = command(&directory, &words).output().expect("it runs");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(text.lines().count(), 2, "an error and a hint: {text}");
}
