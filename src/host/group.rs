//! Groups of users, as the machine knows them: its own files first, then whatever else it asks.

use std::process::{Command, Stdio};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub gid: u32,
    /// The users who are listed as its members; those whose first group it is are not among them.
    pub members: Vec<u32>,
}

/// The group of this name; `None` where the machine knows none.
pub fn find(name: &str) -> Option<Group> {
    let fields = record("group", name)?;
    let gid = fields.get(2)?.parse().ok()?;
    let members = fields.get(3).map(String::as_str).unwrap_or_default();
    let members = members.split(',').filter(|member| !member.is_empty()).filter_map(user).collect();
    Some(Group { gid, members })
}

fn user(name: &str) -> Option<u32> {
    record("passwd", name)?.get(2)?.parse().ok()
}

/// The fields of an entry of `/etc/DATABASE`, or of a directory service.
fn record(database: &str, name: &str) -> Option<Vec<String>> {
    let file = std::fs::read_to_string(format!("/etc/{database}")).unwrap_or_default();
    fields(&file, name).or_else(|| fields(&asked(database, name)?, name))
}

/// What the machine's name services say, where it has a command to ask them.
fn asked(database: &str, name: &str) -> Option<String> {
    let output = Command::new("getent").args([database, "--", name]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()
}

/// The fields of the line that begins with `name`.
pub(super) fn fields(text: &str, name: &str) -> Option<Vec<String>> {
    let lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    lines.into_iter().find(|fields| fields.first().is_some_and(|first| first == name))
}
