//! `daemon.group`: who is let in by a daemon that opens its socket to a group.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cli::witwd as verb;
use super::last_file::{Daemon, ps};

/// A name of a group that this user may give a socket to, and its number.
fn group() -> (String, u32) {
    let gid = rustix::process::getegid().as_raw();
    let groups = std::fs::read_to_string("/etc/group").expect("the groups of this machine");
    let number = if is_root() { 100 } else { gid };
    let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&number.to_string())).expect("a group");
    (line.split(':').next().expect("a name").to_owned(), number)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn write(directory: &Path, settings: &str) {
    let text = format!("name = \"shop\"\n[services.web]\nimage = \"app:1\"\n{settings}");
    std::fs::write(directory.join("stack.toml"), text).expect("a file");
}

/// The one socket that lies in a directory of its own.
fn door(directory: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory.join("run")).ok()?.flatten();
    entries.map(|entry| entry.path().join("s")).find(|path| path.exists())
}

#[test]
fn a_group_that_the_machine_does_not_know_is_told_with_its_place() {
    let scratch = tempfile::tempdir().expect("a directory");
    write(scratch.path(), "[daemon]\ngroup = \"no-such-group\"\n");
    for words in [["check"].as_slice(), &["up"], &["up", "-d"], &["daemon"]] {
        let said = verb(scratch.path()).args(words).output().expect("an end");
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(3), "{words:?}: {text}");
        assert!(text.contains("stack.toml:5:9: this machine has no group `no-such-group`"), "{text}");
        assert!(text.contains("groupadd no-such-group"), "{text}");
    }
}

#[test]
fn members_of_the_group_are_let_in_and_nobody_else() {
    let scratch = tempfile::tempdir().expect("a directory");
    let directory = scratch.path();
    let (name, gid) = group();
    write(directory, &format!("[daemon]\ngroup = \"{name}\"\n"));
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    open(directory, 0o755);
    let daemon = Daemon::start(directory);
    ps(directory, |_| door(directory).is_some());
    let socket = door(directory).expect("a socket for the group");
    let (room, facts) = (socket.parent().expect("a directory"), std::fs::metadata(&socket).expect("a socket"));
    assert_eq!((facts.mode() & 0o7777, facts.gid()), (0o660, gid));
    let facts = std::fs::metadata(room).expect("a directory");
    assert_eq!((facts.mode() & 0o7777, facts.gid()), (0o750, gid));
    let own = std::fs::read_to_string(directory.join(".witwd/socket")).expect("the address");
    assert_eq!(std::fs::metadata(own).expect("a socket").mode() & 0o7777, 0o600);
    if is_root() {
        let binary = directory.join("witwd");
        std::fs::copy(assert_cmd::cargo::cargo_bin!("witwd"), &binary).expect("a copy that others may run");
        open(&binary, 0o755);
        let asked = |gid| as_other(directory, &binary, gid);
        assert!(asked(gid).contains("\"stack\":\"shop\""), "{}", asked(gid));
        assert!(!asked(65534).contains("\"daemon\":{"), "{}", asked(65534));
    }
    // Another file, and the door is closed at the next start.
    daemon.end();
    assert_eq!(door(directory), None);
    write(directory, "");
    // Nothing is remembered of the one before: the file is accepted as it is.
    for name in ["environment.json", "environment.json.1"] {
        std::fs::remove_file(directory.join(".witwd").join(name)).expect("removed");
    }
    let daemon = Daemon::start(directory);
    ps(directory, |document| document["items"] != serde_json::Value::Array(Vec::new()));
    assert_eq!(door(directory), None);
    daemon.end();
}

/// What another user of this group is told by `ps`.
fn as_other(directory: &Path, binary: &Path, gid: u32) -> String {
    let mut command = Command::new(binary);
    command.args(["ps", "--json"]).current_dir(directory).uid(65533).gid(gid).env_clear();
    command.env("DOCKER_HOST", format!("unix://{}/no-engine.sock", directory.display()));
    let output = command.env("WITWD_RUNTIME_DIR", directory.join("run")).output().expect("the binary runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}").replace(": ", ":")
}
