//! Builds by a command of the user's own.

use std::path::Path;
use std::process::Stdio;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use crate::engine::ProgressSink;
use crate::engine::request::Progress;

/// A build by a command.
#[derive(Debug, Clone, Copy)]
pub struct BuildCommand<'a> {
    /// Program and arguments.
    pub words: &'a [String],
    /// The stack's directory, where it runs.
    pub directory: &'a Path,
    /// The image that it must leave in the engine: `WITWD_IMAGE`.
    pub image: &'a str,
}

/// Runs build commands. The real one is [`SystemCommands`]; a preview runs none.
#[async_trait]
pub trait Commands: Send + Sync {
    /// Runs one to its end, its output line by line as progress; an error is for people.
    async fn run(&self, command: &BuildCommand<'_>, sink: ProgressSink) -> Result<(), String>;
}

/// Processes of this machine.
#[derive(Debug, Default)]
pub struct SystemCommands;

#[async_trait]
impl Commands for SystemCommands {
    async fn run(&self, command: &BuildCommand<'_>, sink: ProgressSink) -> Result<(), String> {
        let (program, arguments) = command.words.split_first().ok_or_else(|| "no command".to_owned())?;
        let local = command.directory.join(program);
        let program = if program.contains('/') { local.as_os_str() } else { program.as_ref() };
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .current_dir(command.directory)
            .env("WITWD_IMAGE", command.image)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (_, last) = tokio::join!(forward(stdout, sink.clone()), forward(stderr, sink));
        let status = child.wait().await.map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("{status}: {last}")) }
    }
}

/// Sends every line on; returns the last ones that were not empty.
async fn forward(source: Option<impl AsyncRead + Unpin>, sink: ProgressSink) -> String {
    let Some(source) = source else { return String::new() };
    let mut lines = BufReader::new(source).lines();
    let mut last: Vec<String> = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if !line.trim().is_empty() {
            last.push(line.clone());
            last.drain(..last.len().saturating_sub(3));
        }
        sink(Progress::Line(line));
    }
    last.join(" / ")
}
