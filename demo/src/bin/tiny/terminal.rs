//! `tiny tty`: what a program sees of its terminal.

use std::io::{self, BufRead as _};

use tokio::signal::unix::{SignalKind, signal};

use crate::{options, tools};

/// `tiny tty [CODE]`: the size of its terminal, now and whenever it changes, until a line is entered.
pub fn watch(words: &[String]) -> Result<u8, String> {
    let code = words.first().map_or(Ok(0), |word| options::number(word))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| format!("runtime: {error}"))?;
    let guard = runtime.enter();
    let mut changed = signal(SignalKind::window_change()).map_err(|error| format!("signal: {error}"))?;
    drop(guard);
    size()?;
    std::thread::spawn(move || {
        let mut line = String::new();
        // A terminal that is gone is an end too.
        let _ = io::stdin().lock().read_line(&mut line);
        std::process::exit(code);
    });
    runtime.block_on(async move {
        loop {
            changed.recv().await;
            size()?;
        }
    })
}

fn size() -> Result<u8, String> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map_err(|error| format!("no terminal: {error}"))?;
    tools::print(&format!("{} columns, {} rows", size.ws_col, size.ws_row))
}
