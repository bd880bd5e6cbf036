//! SIGTERM and the clock: how a waiting `tiny` ends.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::options::Options;
use crate::tools;

/// Starts what ends or accompanies a command that waits: signals, `--exit-after`, `--print`.
///
/// The handler is in place when this returns: as PID 1 a process without one would never see SIGTERM.
pub fn start(options: &Options) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| format!("runtime: {error}"))?;
    let guard = runtime.enter();
    let install = |kind| signal(kind).map_err(|error| format!("signal: {error}"));
    let (term, interrupt) = (install(SignalKind::terminate())?, install(SignalKind::interrupt())?);
    drop(guard);
    let told = options.clone();
    thread::spawn(move || runtime.block_on(wait(term, interrupt, &told)));
    if let Some(after) = options.exit_after {
        let code = options.code;
        later(after, move || std::process::exit(code.into()));
    }
    accompany(options);
    Ok(())
}

async fn wait(mut term: Signal, mut interrupt: Signal, options: &Options) {
    loop {
        let name = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if options.ignore_term {
            let _ = writeln!(io::stdout(), "{name} ignored");
            continue;
        }
        tokio::time::sleep(options.term_delay).await;
        std::process::exit(options.term_code.into());
    }
}

/// Runs `action` after a while, beside everything else.
fn later(after: Duration, action: impl FnOnce() + Send + 'static) {
    thread::spawn(move || {
        thread::sleep(after);
        action();
    });
}

fn accompany(options: &Options) {
    let told = options.clone();
    let say = move || {
        if let Some(text) = &told.print {
            let _ = tools::print(text);
        }
        if let Some(text) = &told.print_err {
            let _ = writeln!(io::stderr(), "{text}");
        }
    };
    say();
    if let Some(every) = options.every {
        thread::spawn(move || {
            loop {
                thread::sleep(every);
                say();
            }
        });
    }
}
