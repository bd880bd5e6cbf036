//! A person's terminal, or a program's streams, joined to a command in a container.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

use super::exit_code::{Exit, Failure, chain};
use crate::engine::docker::{DockerEngine, ExecInteractive, Session};
use crate::engine::{Engine as _, EngineError};
use crate::model::name::ContainerId;

/// Whether a person sits at both ends.
pub(super) fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// What a signal to this process means for what runs in the container.
#[derive(Clone, Copy)]
pub(super) enum Signals<'a> {
    /// The command goes on without us. Only with a terminal, which is to be given back as it was.
    Leave,
    /// The container is ours: it gets the signal, and how it ends is how we end.
    Pass {
        /// Whose signals are passed on.
        engine: &'a DockerEngine,
        /// To whom.
        container: &'a ContainerId,
        /// How long it may take to stop.
        grace: Duration,
    },
}

/// Runs a command with this process's streams; returns the command's own exit code.
pub(super) async fn run(engine: &DockerEngine, container: &ContainerId, request: ExecInteractive) -> Result<Exit, Failure> {
    let session = engine.exec_interactive(container, &request).await.map_err(|error| not_run(&error))?;
    join(session, request.tty, Signals::Leave).await
}

/// That it could not be run.
pub(super) fn not_run(error: &EngineError) -> Failure {
    Failure::new(Exit::NotRun, chain(error))
}

/// Joins this process's streams to what runs until it ends; returns its exit code.
pub(super) async fn join(mut session: Session, tty: bool, signals: Signals<'_>) -> Result<Exit, Failure> {
    let raw = if tty { RawTerminal::enter() } else { None };
    let input = std::mem::replace(&mut session.input, Box::pin(tokio::io::sink()));
    let feeding = tokio::spawn(feed(input));
    let shown = show(&mut session, tty, signals).await;
    feeding.abort();
    drop(raw);
    if let Shown::Ended(by) = shown.map_err(|error| not_run(&error))? {
        return Ok(Exit::Of(by));
    }
    let code = session.exit_code().await.map_err(|error| not_run(&error))?;
    // The engine's codes are those of a process; anything else would be no success.
    Ok(Exit::Of(u8::try_from(code).unwrap_or(1)))
}

/// Passes standard input on until it ends, and then says so.
async fn feed(mut input: Pin<Box<dyn AsyncWrite + Send>>) {
    let (sender, mut pieces) = tokio::sync::mpsc::channel(4);
    // A read that blocks has a thread of its own, which nobody waits for.
    std::thread::spawn(move || read_stdin(&sender));
    while let Some(piece) = pieces.recv().await {
        if input.write_all(&piece).await.and(input.flush().await).is_err() {
            // A command that ended reads no more: its output says what there is to say.
            return;
        }
    }
    // The same holds for the end.
    let _ = input.shutdown().await;
}

fn read_stdin(pieces: &tokio::sync::mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = std::io::stdin().read(&mut buffer) {
        if pieces.blocking_send(buffer[..count].to_vec()).is_err() {
            return;
        }
    }
}

/// How showing a command came to its end.
enum Shown {
    /// The command wrote all that it had to.
    Whole,
    /// Somebody ended this process; the code of that.
    Ended(u8),
}

/// Shows what the command writes until it ends, and tells it the size of the terminal.
async fn show(session: &mut Session, tty: bool, signals: Signals<'_>) -> Result<Shown, EngineError> {
    let passes = matches!(signals, Signals::Pass { .. });
    let heard = |kind, is_wanted: bool| signal(kind).ok().filter(|_| is_wanted);
    let mut resized = heard(SignalKind::window_change(), tty);
    let mut ended = heard(SignalKind::terminate(), tty || passes);
    let mut hung_up = heard(SignalKind::hangup(), tty || passes);
    // At a terminal Ctrl-C is a key.
    let mut interrupted = heard(SignalKind::interrupt(), passes && !tty);
    let mut passing = Passing::default();
    resize(session, tty).await;
    loop {
        tokio::select! {
            biased;
            () = signalled(&mut ended) => match signals {
                Signals::Leave => return Ok(Shown::Ended(128 + 15)),
                Signals::Pass { .. } => passing.stop(signals),
            },
            () = signalled(&mut hung_up) => match signals {
                Signals::Leave => return Ok(Shown::Ended(128 + 1)),
                Signals::Pass { .. } => passing.stop(signals),
            },
            () = signalled(&mut interrupted) => passing.interrupt(signals).await?,
            () = signalled(&mut resized) => resize(session, tty).await,
            piece = session.output.next() => match piece {
                Some(piece) => write(&piece?),
                None => return Ok(Shown::Whole),
            },
        }
    }
}

/// How signals were passed on so far.
#[derive(Default)]
struct Passing {
    interrupts: u32,
}

impl Passing {
    /// Stops the container as the file says, beside the rest: what it still writes is shown.
    fn stop(&self, signals: Signals<'_>) {
        let Signals::Pass { engine, container, grace } = signals else { return };
        let (engine, container) = (engine.clone(), container.clone());
        let grace = if self.interrupts > 1 { Duration::ZERO } else { grace };
        tokio::spawn(async move {
            if let Err(error) = engine.stop(&container, grace).await {
                tracing::debug!(%error, "a signal was not passed on");
            }
        });
    }

    /// Interrupts it; whoever does it again wants it to end now.
    async fn interrupt(&mut self, signals: Signals<'_>) -> Result<(), EngineError> {
        let Signals::Pass { engine, container, .. } = signals else { return Ok(()) };
        self.interrupts += 1;
        if self.interrupts == 1 {
            return engine.signal(container, "SIGINT").await;
        }
        self.stop(signals);
        Ok(())
    }
}

/// Returns when the signal came; never, where it is not listened to.
pub(super) async fn signalled(signals: &mut Option<tokio::signal::unix::Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}

async fn resize(session: &Session, tty: bool) {
    if tty && let Ok(size) = tcgetwinsize(std::io::stdout()) {
        // A command that ended just now has no terminal any more.
        let _ = session.resize(size.ws_col, size.ws_row).await;
    }
}

/// Writes bytes as they are. Who closed our output is told by the command's own next write.
fn write((is_error, bytes): &(bool, bytes::Bytes)) {
    let _ = if *is_error {
        std::io::stderr().write_all(bytes).and_then(|()| std::io::stderr().flush())
    } else {
        std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush())
    };
}

/// The terminal passes every key on, until this is dropped.
struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    fn enter() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // The terminal is gone where this fails.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}
