//! The parent of a daemon in the background: starts it again within a second when it dies, and
//! gives up where starting it again mends nothing. It holds no lock and knows nothing of stacks.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Done;
use super::exit_code::{Exit, FINAL, Failure};
use crate::host::{Clock, Journal, SystemClock, process};

/// The delay before the first start after a death; it doubles with each quick death.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest delay: a daemon is back within a second.
const LONGEST: Duration = Duration::from_millis(800);
/// One that lived this long did not die of being started.
const LIVED: Duration = Duration::from_secs(10);
/// How often the log is looked at.
const LOG_ROUND: Duration = Duration::from_secs(30);
/// How large the log may become, twice.
const LOG_LIMIT: u64 = 5 << 20;

/// Flags of `__guardian`.
#[derive(Debug, Args)]
pub struct GuardianArgs {
    /// The log that is kept small
    #[arg(long)]
    log: PathBuf,
    /// An argument for the first start only
    #[arg(long)]
    first: Option<OsString>,
    /// The program, found by its path at every start, and its arguments
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

pub(super) async fn run(args: GuardianArgs) -> Done {
    process::leave_terminal();
    let mut guardian = Guardian::new(args)?;
    loop {
        let exit = guardian.one_life().await;
        if let Some(exit) = exit {
            return Ok(exit);
        }
    }
}

struct Guardian {
    args: GuardianArgs,
    clock: SystemClock,
    delay: Duration,
    is_first: bool,
    terminate: Signal,
    interrupt: Signal,
}

/// What ended a wait for a child.
enum Event {
    Ended(std::io::Result<std::process::ExitStatus>),
    Signal,
    LookAtLog,
}

impl Guardian {
    fn new(args: GuardianArgs) -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::of(Exit::Failed, "failed to listen for signals", &error));
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self { args, clock: SystemClock::new(), delay: SHORTEST, is_first: true, terminate, interrupt })
    }

    /// Starts the daemon and stays with it until it ends; returns how the guardian ends, if it does.
    async fn one_life(&mut self) -> Option<Exit> {
        let born = self.clock.moment();
        let mut child = match self.start() {
            Ok(child) => child,
            Err(error) => {
                // The program is being replaced, most likely: it is found by its path again.
                say(&format!("failed to start {}: {error}", self.args.program[0].display()));
                return self.pause().await;
            }
        };
        self.is_first = false;
        let ended = loop {
            match self.next(&mut child).await {
                Event::Ended(ended) => break ended,
                Event::LookAtLog => self.trim(),
                Event::Signal => return Some(end_with(&mut child).await),
            }
        };
        let code = ended.ok().and_then(|status| status.code());
        if let Some(exit) = final_exit(code) {
            say(&format!("the daemon ended with code {}: it is not started again", exit.code()));
            return Some(exit);
        }
        if self.is_of_nothing() {
            say("the directory of the stack is gone: the daemon is not started again");
            return Some(Exit::Failed);
        }
        if self.clock.moment().since(born) >= LIVED {
            self.delay = SHORTEST;
        }
        say(&format!("the daemon died ({}): starting it again", code.map_or("killed".to_owned(), |code| format!("code {code}"))));
        self.pause().await
    }

    /// Whether the directory is gone whose `.witwd` holds the log: there is no stack any more.
    fn is_of_nothing(&self) -> bool {
        let directory = self.args.log.parent().and_then(Path::parent);
        directory.is_some_and(|directory| !directory.as_os_str().is_empty() && !directory.exists())
    }

    fn start(&self) -> std::io::Result<Child> {
        let first = self.args.first.iter().filter(|_| self.is_first);
        Command::new(&self.args.program[0]).args(&self.args.program[1..]).args(first).stdin(Stdio::null()).spawn()
    }

    async fn next(&mut self, child: &mut Child) -> Event {
        tokio::select! {
            biased;
            ended = child.wait() => Event::Ended(ended),
            _ = self.terminate.recv() => Event::Signal,
            _ = self.interrupt.recv() => Event::Signal,
            () = self.clock.sleep(LOG_ROUND) => Event::LookAtLog,
        }
    }

    async fn pause(&mut self) -> Option<Exit> {
        let delay = self.delay;
        self.delay = (delay * 2).min(LONGEST);
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Some(Exit::Done),
            () = self.clock.sleep(delay) => None,
        }
    }

    fn trim(&self) {
        if let Err(error) = Journal::new(self.args.log.clone(), LOG_LIMIT).trim() {
            say(&format!("failed to cut the log: {error}"));
        }
    }
}

/// With which code the guardian ends after a daemon that ended with `code`; `None`: it is started
/// again. It ended by itself (after `down`), or starting it again mends nothing.
fn final_exit(code: Option<i32>) -> Option<Exit> {
    let exit = Exit::of_code(u8::try_from(code?).ok()?);
    (exit == Exit::Done || FINAL.contains(&exit)).then_some(exit)
}

/// Passes the wish to end on and waits for it.
async fn end_with(child: &mut Child) -> Exit {
    if let Some(pid) = child.id()
        && let Err(error) = process::terminate(pid)
    {
        say(&format!("failed to end the daemon: {error}"));
    }
    // The daemon bounds its own end; one that hangs is left to who sent the signal.
    let _ = child.wait().await;
    Exit::Done
}

/// Standard error of a guardian is the log.
fn say(text: &str) {
    use std::io::Write as _;
    // Without a log there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "guardian: {text}");
}
