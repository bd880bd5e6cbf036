//! A person's terminal, or a program's streams, joined to a command in a container.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::pin::Pin;

use futures_util::StreamExt as _;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

use super::exit_code::{Exit, Failure, chain};
use crate::engine::EngineError;
use crate::engine::docker::{DockerEngine, ExecInteractive, ExecSession};
use crate::model::name::ContainerId;

/// Whether a person sits at both ends.
pub(super) fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Runs a command with this process's streams; returns the command's own exit code.
pub(super) async fn run(engine: &DockerEngine, container: &ContainerId, request: ExecInteractive) -> Result<Exit, Failure> {
    let not_run = |error: EngineError| Failure::new(Exit::NotRun, chain(&error));
    let mut session = engine.exec_interactive(container, &request).await.map_err(not_run)?;
    let raw = if request.tty { RawTerminal::enter() } else { None };
    let input = std::mem::replace(&mut session.input, Box::pin(tokio::io::sink()));
    let feeding = tokio::spawn(feed(input));
    let shown = show(&mut session, request.tty).await;
    feeding.abort();
    drop(raw);
    if let Shown::Ended(by) = shown.map_err(not_run)? {
        return Ok(Exit::Of(by));
    }
    let code = session.exit_code().await.map_err(not_run)?;
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
async fn show(session: &mut ExecSession, tty: bool) -> Result<Shown, EngineError> {
    let mut resized = signal(SignalKind::window_change()).ok().filter(|_| tty);
    // Only with a terminal, which is to be given back as it was.
    let mut ended = signal(SignalKind::terminate()).ok().filter(|_| tty);
    let mut hung_up = signal(SignalKind::hangup()).ok().filter(|_| tty);
    resize(session, tty).await;
    loop {
        tokio::select! {
            biased;
            () = signalled(&mut ended) => return Ok(Shown::Ended(128 + 15)),
            () = signalled(&mut hung_up) => return Ok(Shown::Ended(128 + 1)),
            () = signalled(&mut resized) => resize(session, tty).await,
            piece = session.output.next() => match piece {
                Some(piece) => write(&piece?),
                None => return Ok(Shown::Whole),
            },
        }
    }
}

/// Returns when the signal came; never, where it is not listened to.
pub(super) async fn signalled(signals: &mut Option<tokio::signal::unix::Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}

async fn resize(session: &ExecSession, tty: bool) {
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
