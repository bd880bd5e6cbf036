//! The daemon of a stack: the lock, the control socket and the supervisor in one process. `daemon`
//! runs it in the foreground for a service manager or a guardian; `up` and `down` run it in their
//! own process.

use std::fs::File;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;

use super::Done;
use super::assembly::{Parts, last_down, supervise};
use super::context::Context;
use super::door;
use super::exit_code::{Exit, FINAL, Failure};
use super::file::load;
use super::live::{self, Live};
use super::loader::{FileLoader, mentioned};
use super::manager;
use super::own_log;
use super::place::Place;
use crate::config::Loaded;
use crate::control::protocol::{Hello, Up, VERSION};
use crate::control::{Admission, ControlSocket, Downs, Loader as _, Peer, Records, Service, SocketAccess, serve};
use crate::host::keep_own_id;
use crate::host::kept::mend;
use crate::host::lock::{StackLock, acquire};
use crate::host::process::{append_to, is_stderr};
use crate::host::runtime::keep_socket_address;
use crate::model::stack::Reload;
use crate::model::status::Status;
use crate::supervisor::{self, Handle, Occasion};

/// How long a supervisor may take to let go of what is under way: in all, a daemon ends within 10 s.
const LETTING_GO: Duration = Duration::from_secs(8);

/// How often a log that this process writes is looked at.
const LOG_ROUND: Duration = Duration::from_secs(30);

/// Flags of `daemon`.
#[derive(Debug, Args)]
#[command(
    after_help = "It tells a service manager when it serves, how the stack is and that its loop turns (sd_notify, watchdog).\n\
                        SIGTERM ends the daemon; the stack runs on. After codes 2, 3 and 7 starting it again mends nothing.\n\n\
                        Example:\n  witwd -f stack.toml daemon    `witwd enable` has systemd run this at boot"
)]
pub struct DaemonArgs {
    /// Do nothing before an `up` comes: its surroundings are newer than what was kept
    #[arg(long, hide = true)]
    wait: bool,
    /// Apply a saved file by itself: a person who develops is near
    #[arg(long, hide = true)]
    live: bool,
}

pub(super) async fn run(context: &Context, args: DaemonArgs) -> Done {
    let begun = begin(context, args).await;
    if begun.as_ref().is_err_and(|failure| !FINAL.contains(&failure.exit)) {
        manager::slow_down(context.clock.as_ref()).await;
    }
    let Some(daemon) = begun? else { return Ok(Exit::Done) };
    let told = manager::ready(&daemon.handle, &context.clock);
    let exit = daemon.run().await;
    drop(told);
    Ok(exit)
}

/// A daemon that serves and goes on with the stack; `None` where it was asked to end before it did.
async fn begin(context: &Context, args: DaemonArgs) -> Result<Option<Daemon>, Failure> {
    let place = context.place()?;
    log_to_stderr(context, &place);
    let reload = if args.live { Reload::Save } else { Reload::Up };
    let lock = acquire(&place.state, context.clock.wall())?;
    own_log::begin();
    if let Some(damage) = mend(context.disk.as_ref(), &place.state) {
        tracing::warn!("{damage}");
    }
    let daemon = Daemon::start(context, &place, lock, reload, Signals::Both)?;
    if args.wait {
        return Ok(Some(daemon));
    }
    daemon.resumed(context, if args.live { WhereDown::Ends } else { WhereDown::Waits }).await
}

/// What a daemon does that begins where the stack was taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhereDown {
    /// It ends: its guardian has nothing to guard any more.
    Ends,
    /// It waits for the next `up`.
    Waits,
}

/// Which signals end a daemon. In a foreground `up`, Ctrl-C means the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signals {
    /// SIGTERM and SIGINT.
    Both,
    /// SIGTERM.
    Terminate,
}

/// Listens from when it is made: what comes before anybody waits for it is not lost.
struct EndingSignals {
    terminate: Signal,
    interrupt: Option<Signal>,
}

impl EndingSignals {
    fn listen(signals: Signals) -> Result<Self, Failure> {
        let of = |kind| signal(kind).map_err(|error| Failure::of(Exit::Failed, "failed to listen for signals", &error));
        let interrupt = (signals == Signals::Both).then(|| of(SignalKind::interrupt())).transpose()?;
        Ok(Self { terminate: of(SignalKind::terminate())?, interrupt })
    }

    /// Returns when this process is asked to end.
    async fn recv(&mut self) -> &'static str {
        let interrupt = async {
            match &mut self.interrupt {
                Some(interrupt) => interrupt.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = interrupt => "SIGINT",
        }
    }
}

/// Logs to standard error, and to where `witwd logs witwd` looks: under a guardian these are one.
fn log_to_stderr(context: &Context, place: &Place) {
    match own_log(place) {
        Some(file) if !is_stderr(&file) => {
            log_to(std::io::stderr.and(Mutex::new(file)));
            keep_small(context, place);
        }
        _ => log_to(std::io::stderr),
    }
}

/// The same for a daemon in the process of another verb, whose standard error is a person's.
fn log_to_file(context: &Context, place: &Place) {
    if let Some(file) = own_log(place) {
        log_to(Mutex::new(file));
        keep_small(context, place);
    }
}

fn log_to(writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WITWD_LOG").unwrap_or_else(|_| "info".into());
    // A second one in a process is refused, and then the first one serves.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).try_init();
}

/// The log beside the stack. One that can't be written is missed, and nothing else.
fn own_log(place: &Place) -> Option<File> {
    place.log().trim().and_then(|()| append_to(&place.log_path())).ok()
}

/// Where there is no guardian, the log is cut by who writes it.
fn keep_small(context: &Context, place: &Place) {
    let (clock, log) = (context.clock.clone(), place.log());
    tokio::spawn(async move {
        while log.trim().is_ok() {
            clock.sleep(LOG_ROUND).await;
        }
    });
}

/// A daemon that holds the lock and serves its socket.
pub(super) struct Daemon {
    parts: Parts,
    handle: Handle,
    loader: Arc<FileLoader>,
    ending: watch::Sender<bool>,
    downs: watch::Sender<Downs>,
    supervisor: JoinHandle<Result<(), Failure>>,
    server: JoinHandle<()>,
    door: JoinHandle<()>,
    signals: EndingSignals,
    _lock: StackLock,
}

impl Daemon {
    /// A daemon in the process of another verb.
    pub(super) fn start_here(context: &Context, place: &Place, signals: Signals) -> Result<Self, Failure> {
        let lock = acquire(&place.state, context.clock.wall())?;
        log_to_file(context, place);
        own_log::begin();
        Self::start(context, place, lock, Reload::Save, signals)
    }

    /// Opens the socket and starts a supervisor, which does nothing until it is asked. Whoever finds the
    /// socket finds the begin of its run in the log.
    fn start(context: &Context, place: &Place, lock: StackLock, reload: Reload, signals: Signals) -> Result<Self, Failure> {
        // Who finds the socket may end this process already.
        let signals = EndingSignals::listen(signals)?;
        keep_own_id(context.disk.as_ref(), &place.directory)?;
        let parts = Parts::here(context, place)?;
        let daemon = parts.daemon.clone();
        let directory = place.directory.clone();
        let (version, pid, since) = (daemon.version.clone(), daemon.pid, daemon.since);
        let hello = Hello { v: VERSION, version, pid, since, directory, engine: None };
        let (handle, ends) = supervisor::channel(Status::unknown(place.file.display().to_string(), Some(daemon)));
        let path = parts.runtime.socket(&parts.instance);
        let mut socket = ControlSocket::open(&path, SocketAccess::Owner)
            .map_err(|error| Failure::of(Exit::Failed, &format!("failed to open {}", path.display()), &error))?;
        keep_socket_address(parts.disk.as_ref(), &place.state, &path)?;
        let listener = socket.take_listener().ok_or_else(|| Failure::new(Exit::Failed, "the control socket was taken"))?;

        let ending = watch::Sender::new(false);
        let records = Arc::new(Records::open(&place.state));
        let kept = records.clone();
        let heard = handle.records();
        tokio::spawn(async move { kept.keep(heard).await });
        let loader = Arc::new(FileLoader::of(parts.clone()));
        let wanted = loader.door.subscribe();
        let admission = Admission { uid: rustix::process::geteuid().as_raw(), group: None };
        let downs = watch::Sender::new(Downs::default());
        let service = Service {
            hello,
            handle: handle.clone(),
            loader: loader.clone(),
            records,
            admission,
            ending: ending.clone(),
            downs: downs.clone(),
        };
        let supervisor = tokio::spawn(supervise(parts.clone(), ends, ending.subscribe()));
        let door = tokio::spawn(door::keep(wanted, service.clone()));
        let live = Live { loader: loader.clone(), handle: handle.clone(), reload };
        tokio::spawn(live::follow(live, ending.subscribe()));
        let server = tokio::spawn(async move {
            serve(listener, service).await;
            drop(socket);
        });
        Ok(Self { parts, handle, loader, ending, downs, supervisor, server, door, signals, _lock: lock })
    }

    /// This daemon once it goes on with the stack, which can take as long as the engine is silent; `None`
    /// where it was asked to end meanwhile, and did. One that goes on with a `down` ends when that is done.
    pub(super) async fn resumed(mut self, context: &Context, where_down: WhereDown) -> Result<Option<Self>, Failure> {
        let resumed = tokio::select! {
            biased;
            resumed = resume(context, (&self.parts, &self.loader, &self.handle), where_down) => resumed.map(Some),
            () = ended(&self.ending) => Ok(None),
            name = self.signals.recv() => {
                tracing::info!("{name}: the daemon ends before it went on with the stack, which stays");
                Ok(None)
            }
        };
        match resumed {
            Ok(Some(Resumed::Down(generation))) => {
                self.downs.send_modify(|downs| downs.ask(generation));
                Ok(Some(self))
            }
            Ok(Some(Resumed::Up | Resumed::Nothing)) => Ok(Some(self)),
            Ok(None) => {
                manager::stopping();
                self.end().await;
                Ok(None)
            }
            Err(failure) => {
                self.end().await;
                Err(failure)
            }
        }
    }

    /// Runs until `down` is done, `end` is asked for, or a signal comes. Only `down` stops the stack.
    pub(super) async fn run(mut self) -> Exit {
        let exit = tokio::select! {
            biased;
            () = taken_down(&self.handle, &self.downs) => Exit::Done,
            () = ended(&self.ending) => Exit::Done,
            name = self.signals.recv() => {
                tracing::info!("{name}: the daemon ends, the stack stays");
                Exit::Done
            }
            // It was asked to end, and did while the branch above had just been looked at.
            ended = &mut self.supervisor => if *self.ending.borrow() {
                Exit::Done
            } else {
                tracing::error!("the supervisor ended by itself: {ended:?}");
                Exit::Failed
            },
        };
        manager::stopping();
        self.end().await;
        exit
    }

    /// Lets go: the supervisor first, then the socket, then the lock.
    pub(super) async fn end(self) {
        self.ending.send_replace(true);
        let mut supervisor = self.supervisor;
        if !supervisor.is_finished() && tokio::time::timeout(LETTING_GO, &mut supervisor).await.is_err() {
            supervisor.abort();
        }
        // A panic in the server was printed when it happened.
        let _ = self.server.await;
        let _ = self.door.await;
    }
}

/// What a daemon goes on with.
enum Resumed {
    /// The stack is to run.
    Up,
    /// It is to be down; of this generation.
    Down(u64),
    /// It is down, and this daemon waits for the next `up`.
    Nothing,
}

/// Goes on with what was asked for last; where the file of now can't be used, with the one that was accepted.
/// Without an earlier `up` this is the first one, under this process's own environment.
async fn resume(
    context: &Context,
    (parts, loader, handle): (&Parts, &FileLoader, &Handle),
    where_down: WhereDown,
) -> Result<Resumed, Failure> {
    let closed = |closed| Failure::of(Exit::Failed, "failed to go on", &closed);
    match last_down(parts) {
        // It ends as after any `down`, also where nothing is left to do.
        Some((down, is_done)) if !is_done || where_down == WhereDown::Ends => {
            return handle.down(down).await.map(Resumed::Down).map_err(closed);
        }
        Some(_) => return Ok(Resumed::Nothing),
        None => {}
    }
    let (up, warnings) = if let Some(kept) = context.kept(&parts.place) {
        loader.go_on(kept).await?
    } else {
        let own = Peer { uid: rustix::process::geteuid().as_raw(), gid: 0, pid: None };
        loader.load(up_request(context, &parts.place)?.0, own).await.map_err(Failure::from)?
    };
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let up = supervisor::Up { occasion: Occasion::Resumed, ..up };
    handle.up(up).await.map(|_| Resumed::Up).map_err(closed)
}

/// What is asked of a daemon by the `up` of this process, and the stack as this process reads it.
pub(super) fn up_request(context: &Context, place: &Place) -> Result<(Up, Loaded), Failure> {
    let request = context.request_of_up(place)?;
    let loaded = load(&request)?;
    let environment = mentioned(&request.environment, &loaded);
    let up = Up { environment, env_files: request.env_files, profiles: request.profiles, name: request.name, ..Up::default() };
    Ok((up, loaded))
}

/// Returns when a `down` is carried out and no later `up` was asked for; says so to who follows.
async fn taken_down(handle: &Handle, downs: &watch::Sender<Downs>) {
    let (mut published, mut asked) = (handle.watch(), downs.subscribe());
    loop {
        if asked.wait_for(|downs| downs.asked > 0).await.is_err() {
            return std::future::pending().await;
        }
        let down = asked.borrow_and_update().asked;
        let over =
            published.wait_for(|now| now.generation > down || (now.generation == down && now.looked && now.status.converged));
        match over.await.map(|now| now.generation) {
            Ok(generation) if generation == down => {
                downs.send_modify(|downs| downs.done = down);
                return;
            }
            Ok(_) if asked.changed().await.is_ok() => {}
            _ => return std::future::pending().await,
        }
    }
}

async fn ended(ending: &watch::Sender<bool>) {
    // The sender is ours: there is always one.
    let _ = ending.subscribe().wait_for(|ending| *ending).await;
}
