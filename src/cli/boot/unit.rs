//! The text of a unit of systemd. Pure.

use std::fmt::Write as _;

use super::{As, Boot};
use crate::cli::exit_code::{Exit, FINAL, Failure};

/// How the first line of a unit of ours begins; the directory of its stack follows.
const MARK: &str = "# Made by `witwd enable` for the stack in ";

/// What keeps a daemon of root from what it has no business with. Not more, for it runs the builds of the
/// stack and the engine's command line, which write below home directories and share `/tmp` with the engine.
const OF_ROOT: [&str; 4] = ["NoNewPrivileges=yes", "ProtectKernelModules=yes", "RestrictRealtime=yes", "LimitCORE=0"];

/// The same for what root starts as another user: without what would take rootless builds their means.
const OF_SYSTEM: [&str; 2] = ["ProtectSystem=full", "ProtectControlGroups=yes"];

/// A unit of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Unit {
    /// Its name, with `.service`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The name of the unit of a stack.
fn unit_name(stack: &str) -> String {
    format!("witwd-{stack}.service")
}

/// The first line of the unit of the stack in this directory.
pub(super) fn mark(directory: &std::path::Path) -> String {
    format!("{MARK}{}", directory.display())
}

impl Unit {
    /// The unit that starts this at boot and keeps it running.
    pub(in crate::cli) fn of(boot: &Boot) -> Result<Self, Failure> {
        let directory = boot.directory.display().to_string();
        let mut text = format!("{}\n\n[Unit]\n", mark(&boot.directory));
        let _ = writeln!(text, "Description=witwd: stack {} in {}", boot.stack, specifiers(&directory));
        text += "Wants=docker.service\nAfter=docker.service\n";
        let _ = writeln!(text, "RequiresMountsFor={}", path(&directory)?);
        text += "StartLimitIntervalSec=0\n\n[Service]\nType=notify\nNotifyAccess=main\n";
        may_be_program(boot)?;
        let words: Vec<String> = boot.words.iter().map(|word| quoted(word)).collect();
        // The colon: no variable is meant by a dollar sign.
        let _ = writeln!(text, "ExecStart=:{}", words.join(" "));
        for (name, value) in &boot.environment {
            let _ = writeln!(text, "Environment={}", quoted(&format!("{name}={value}")));
        }
        text += "Restart=always\nRestartSec=100ms\n";
        let codes: Vec<String> = FINAL.iter().map(|exit| exit.code().to_string()).collect();
        let _ = writeln!(text, "RestartPreventExitStatus={}", codes.join(" "));
        text += "WatchdogSec=30\nTimeoutStopSec=15\nKillMode=mixed\n";
        text += &owned(boot, &path(&directory)?);
        let target = if boot.owner == As::User { "default.target" } else { "multi-user.target" };
        let _ = write!(text, "\n[Install]\nWantedBy={target}\n");
        Ok(Self { name: unit_name(&boot.stack), text })
    }
}

/// As whom it runs, and what it may write. A manager of the user could only do this in a namespace of
/// users, where the group that may talk to the engine is not known.
fn owned(boot: &Boot, directory: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    match boot.owner {
        As::User => return String::new(),
        As::Root => lines.extend(OF_ROOT.map(str::to_owned)),
        As::Owner(uid) => {
            let runtime = format!("witwd-{}", boot.stack);
            lines.push(format!("User={uid}"));
            lines.push(format!("RuntimeDirectory={runtime}\nRuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=yes"));
            lines.push(format!("Environment=WITWD_RUNTIME_DIR=/run/{runtime}"));
        }
    }
    lines.extend(OF_SYSTEM.map(str::to_owned));
    lines.push(format!("ReadWritePaths={directory}"));
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

/// systemd takes quotes and backslashes in arguments, and in no name of a program.
fn may_be_program(boot: &Boot) -> Result<(), Failure> {
    match boot.words.first().filter(|program| program.contains(['"', '\'', '\\'])) {
        None => Ok(()),
        Some(program) => Err(Failure::new(Exit::Failed, format!("systemd starts no program named {program}"))
            .hint("`sudo install` it into /usr/local/bin and run that one")),
    }
}

/// A percent sign that begins no specifier.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

/// One word of a command line or of an environment.
fn quoted(word: &str) -> String {
    format!("\"{}\"", specifiers(word).replace('\\', "\\\\").replace('"', "\\\""))
}

/// A path in a list of paths, where a backslash is a sign like any other.
fn path(path: &str) -> Result<String, Failure> {
    let quote = ['"', '\''].into_iter().find(|quote| !path.contains(*quote));
    let quote = quote.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("{path} can't stand in a unit of systemd: it has both kinds of quotes"))
            .hint("rename the directory")
    })?;
    Ok(format!("{quote}{}{quote}", specifiers(path)))
}
