//! Processes: our own, put in the background, and others by their id.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal};

/// Whether a process of this id is there, and not over and only waited for by nobody: in a container the
/// first process may be no init.
pub fn is_alive(pid: u32) -> bool {
    let is_there = raw(pid).is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)));
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let is_over = status.lines().any(|line| line.strip_prefix("State:").is_some_and(|state| state.trim_start().starts_with('Z')));
    is_there && !is_over
}

/// Asks a process to end; one that is gone is fine.
pub fn terminate(pid: u32) -> io::Result<()> {
    let Some(pid) = raw(pid) else { return Ok(()) };
    match rustix::process::kill_process(pid, Signal::TERM) {
        Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Ends a process and all that it started, where it leads a group of its own; one that is gone is fine.
pub fn kill_group(leader: u32) {
    if let Some(leader) = raw(leader) {
        // The only error that there can be is that nobody is left.
        let _ = rustix::process::kill_process_group(leader, Signal::KILL);
    }
}

/// Whether a process leads a group and its control group is named after `name`, as that of a container
/// is after its id.
pub fn is_confined_to(pid: u32, name: &str) -> bool {
    let leads = raw(pid).is_some_and(|pid| rustix::process::getpgid(Some(pid)).is_ok_and(|group| group == pid));
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    leads && !name.is_empty() && groups.contains(name)
}

fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// The parent of a process; `None` where it can't be known.
pub fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")).and_then(|parent| parent.trim().parse().ok())
}

/// The words a process was started with; `None` where they can't be read.
pub fn arguments(pid: u32) -> Option<Vec<OsString>> {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let whole = bytes.strip_suffix(b"\0")?;
    Some(whole.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_owned())).collect())
}

/// The command line of a process, for messages; `None` where it can't be read.
pub fn command_line(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Leaves the terminal and its session: a closed terminal then ends nothing. A process that leads a
/// session already stays as it is.
pub fn leave_terminal() {
    // The only error is that this process leads its group already, and then it has no terminal to lose.
    let _ = rustix::process::setsid();
}

/// Starts a program in `directory` without a terminal, its output appended to `log`. It outlives
/// this process and does not hold it up.
pub fn start_in_background(program: &Path, arguments: &[OsString], directory: &Path, log: &Path) -> io::Result<Child> {
    let output = append_to(log)?;
    Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
}

/// Whether what this process writes to standard error goes into this file.
pub fn is_stderr(file: &File) -> bool {
    match (rustix::fs::fstat(rustix::stdio::stderr()), rustix::fs::fstat(file)) {
        (Ok(stderr), Ok(file)) => (stderr.st_dev, stderr.st_ino) == (file.st_dev, file.st_ino),
        _ => false,
    }
}

/// A file open for appending, mode 0600, made where missing with its directory.
pub fn append_to(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}
