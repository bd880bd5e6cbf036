//! A registry behind a bad line: what comes from it passes until so many bytes have passed.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// After so many bytes nothing passes any more, and connections stay open.
    StallAfter(u64),
    /// After so many bytes connections are closed, new ones too.
    DieAfter(u64),
}

struct State {
    fault: Fault,
    passed: u64,
}

/// A proxy on a free port of 127.0.0.1, gone with this value.
pub struct Proxy {
    /// Its port.
    pub port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// One in front of a port of this machine.
    pub async fn start(target: u16, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { fault, passed: 0 }));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                tokio::spawn(relay(here, target, shared.clone()));
            }
        });
        Self { port, state, task }
    }

    /// How many bytes came from the registry.
    pub fn passed(&self) -> u64 {
        self.state.lock().unwrap().passed
    }

    /// From now on this goes wrong. What stalled stays so.
    pub fn set(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Verdict {
    Pass,
    Stall,
    Die,
}

fn verdict(state: &Mutex<State>, more: usize) -> Verdict {
    let mut state = state.lock().unwrap();
    state.passed += more as u64;
    match state.fault {
        Fault::StallAfter(limit) if state.passed > limit => Verdict::Stall,
        Fault::DieAfter(limit) if state.passed > limit => Verdict::Die,
        _ => Verdict::Pass,
    }
}

async fn relay(here: TcpStream, target: u16, state: Arc<Mutex<State>>) {
    if matches!(verdict(&state, 0), Verdict::Die) {
        return;
    }
    let there = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
    let (mut asked, mut reply) = here.into_split();
    let (mut answer, mut request) = there.into_split();
    let up = async {
        let _ = tokio::io::copy(&mut asked, &mut request).await;
        let _ = request.shutdown().await;
    };
    let down = async {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = answer.read(&mut buffer).await {
            match verdict(&state, read) {
                Verdict::Pass => {}
                Verdict::Stall => std::future::pending().await,
                Verdict::Die => return,
            }
            if reply.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    // The answer's end is the end: a half-closed request goes on.
    tokio::select! {
        () = down => {}
        () = async { up.await; std::future::pending::<()>().await } => {}
    }
}
