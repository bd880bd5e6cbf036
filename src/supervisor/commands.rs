//! Builds by a command of the user's own.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncRead;
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::engine::ProgressSink;
use crate::engine::answer::Progress;
use crate::host::Lines;
use crate::host::process::kill_group;

/// A command that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(30 * 60);
/// How long after its end what a command said is read at most.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A build by a command.
#[derive(Debug, Clone)]
pub struct BuildCommand<'a> {
    /// Program and arguments.
    pub words: &'a [String],
    /// The stack's directory, where it runs.
    pub directory: &'a Path,
    /// The image that it must leave in the engine: `WITWD_IMAGE`.
    pub image: &'a str,
    /// Where a `docker` command in it finds that engine: `DOCKER_HOST`.
    pub docker_host: Option<String>,
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
        let mut child = spawn(command)?;
        let mut group = Group(child.id());
        let mut said = Said { sink, last: Vec::new() };
        let status = ended(&mut child, &mut said).await?;
        // What it left running is its own business once it is done.
        group.0 = None;
        if status.success() { Ok(()) } else { Err(format!("{status}: {}", said.last.join(" / "))) }
    }
}

fn spawn(command: &BuildCommand<'_>) -> Result<Child, String> {
    let (program, arguments) = command.words.split_first().ok_or_else(|| "no command".to_owned())?;
    let local = command.directory.join(program);
    let program = if program.contains('/') { local.as_os_str() } else { program.as_ref() };
    let mut process = tokio::process::Command::new(program);
    process.args(arguments).current_dir(command.directory).env("WITWD_IMAGE", command.image);
    if let Some(host) = &command.docker_host {
        // Its image must be in our engine, whatever the command would choose by itself.
        process.env("DOCKER_HOST", host).env_remove("DOCKER_CONTEXT");
    }
    process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    process.spawn().map_err(|error| error.to_string())
}

/// The processes of a build that is not over: they end with it.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        self.0.into_iter().for_each(kill_group);
    }
}

/// What a command says: all of it goes on as progress, the end of its complaints is kept.
struct Said {
    sink: ProgressSink,
    last: Vec<String>,
}

impl Said {
    fn note(&mut self, line: String, is_complaint: bool) {
        if is_complaint && !line.trim().is_empty() {
            self.last.push(line.clone());
            self.last.drain(..self.last.len().saturating_sub(3));
        }
        (self.sink)(Progress::Line(line));
    }
}

/// Waits for the end of a command; not for that of others who hold its output open.
async fn ended(child: &mut Child, said: &mut Said) -> Result<ExitStatus, String> {
    let mut readers = JoinSet::new();
    let (lines, mut heard) = mpsc::channel(64);
    readers.spawn(forward(child.stdout.take(), false, lines.clone()));
    readers.spawn(forward(child.stderr.take(), true, lines));
    let status = loop {
        tokio::select! {
            biased;
            Some((line, is_complaint)) = heard.recv() => said.note(line, is_complaint),
            status = child.wait() => break status.map_err(|error| error.to_string())?,
            () = tokio::time::sleep(SILENCE) => return Err(format!("it said nothing for {} minutes", SILENCE.as_secs() / 60)),
        }
    };
    let rest = async {
        while let Some((line, is_complaint)) = heard.recv().await {
            said.note(line, is_complaint);
        }
    };
    // Where that does not come to an end, somebody else goes on writing.
    let _ = tokio::time::timeout(LAST_WORDS, rest).await;
    Ok(status)
}

async fn forward(source: Option<impl AsyncRead + Unpin>, is_complaint: bool, to: mpsc::Sender<(String, bool)>) {
    let Some(source) = source else { return };
    let mut lines = Lines::of(source);
    while let Ok(Some(line)) = lines.next().await {
        if to.send((line, is_complaint)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn run(script: &str) -> (Result<(), String>, Vec<String>) {
        let (sender, mut lines) = mpsc::unbounded_channel();
        let sink: ProgressSink = Arc::new(move |progress| {
            if let Progress::Line(line) = progress {
                sender.send(line).expect("a test that listens");
            }
        });
        let words: Vec<String> = ["sh", "-c", script].map(str::to_owned).into();
        let docker_host = Some("unix:///somewhere".to_owned());
        let command = BuildCommand { words: &words, directory: Path::new("/"), image: "app:1", docker_host };
        let result = SystemCommands.run(&command, sink).await;
        (result, std::iter::from_fn(|| lines.try_recv().ok()).collect())
    }

    #[tokio::test]
    async fn a_build_has_its_image_and_engine_and_may_print_what_it_likes() {
        let (result, lines) = run(r"echo $WITWD_IMAGE $DOCKER_HOST; printf 'odd \377\n'; echo end").await;
        assert_eq!((result, lines), (Ok(()), ["app:1 unix:///somewhere", "odd \u{fffd}", "end"].map(str::to_owned).into()));
        let (result, _) = run("echo one >&2; echo two >&2; exit 3").await;
        assert_eq!(result, Err("exit status: 3: one / two".to_owned()));
    }

    #[tokio::test]
    async fn nobody_waits_for_what_a_build_leaves_running_and_it_is_left_alone() {
        let (result, lines) = run("sleep 60 & echo $!").await;
        assert_eq!(result, Ok(()));
        let left: u32 = lines[0].parse().expect("a process id");
        assert!(crate::host::process::is_alive(left));
        crate::host::process::terminate(left).expect("it ends");
    }

    #[tokio::test]
    async fn a_build_that_is_given_up_ends_with_all_that_it_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("pid");
        let script = format!("(sleep 60 & echo $! >{0}.new; mv {0}.new {0}; wait) & wait", file.display());
        let building = tokio::spawn(async move { run(&script).await });
        let inner = loop {
            match std::fs::read_to_string(&file) {
                Ok(text) => break text.trim().parse::<u32>().expect("a process id"),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        };
        building.abort();
        let _ = building.await;
        let is_gone = || {
            let state = std::fs::read_to_string(format!("/proc/{inner}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        let waiting = async {
            while !is_gone() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.expect("it is killed");
    }
}
