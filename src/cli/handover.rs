//! Another version of witwd takes over: the daemon that runs ends without touching the stack, a new one
//! of this version adopts it. Where the new one can't start the former is started again.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::assembly::{self, is_readable};
use super::background;
use super::boot::Installed;
use super::context::Context;
use super::daemon::{Daemon, Signals, WhereDown};
use super::exit_code::{Exit, Failure};
use super::place::Place;
use crate::control::protocol::Hello;
use crate::control::{Client, ConnectError};
use crate::host::lock::is_held;
use crate::host::process;
use crate::host::runtime::{Runtime, Surroundings};

/// How long a daemon and its guardian may take to end.
const TO_END: Duration = Duration::from_secs(15);
const BETWEEN: Duration = Duration::from_millis(30);

/// The version of this program. A build for tests can be told to be another one; a release can't.
pub(super) fn version() -> String {
    #[cfg(debug_assertions)]
    if let Ok(version) = std::env::var("WITWD_VERSION_IN_TESTS") {
        return version;
    }
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Who keeps a stack.
pub(super) enum Keeper {
    /// Nobody.
    Nobody,
    /// A daemon of this version.
    Same(Client),
    /// One of another version.
    Other(Former),
}

/// A daemon of another version, and how it would be started again.
pub(super) struct Former {
    hello: Hello,
    /// Where it speaks our protocol.
    client: Option<Client>,
    guardian: Option<Guardian>,
}

struct Guardian {
    pid: u32,
    words: Vec<OsString>,
}

/// Who keeps the stack now.
pub(super) async fn keeper(context: &Context, place: &Place) -> Result<Keeper, Failure> {
    let (hello, client) = match context.connect(place).await? {
        Ok(client) if client.hello().version == version() => return Ok(Keeper::Same(client)),
        Ok(client) => (client.hello().clone(), Some(client)),
        Err(ConnectError::Version(hello)) => (*hello, None),
        Err(ConnectError::NoDaemon | ConnectError::Stale(_)) => return Ok(Keeper::Nobody),
        Err(error) => return Err(error.into()),
    };
    Ok(Keeper::Other(Former::of(hello, client)))
}

/// Has the daemon of a unit keep the stack, whoever keeps it now; `is_new`: also where it is that unit's
/// daemon already, under an older text.
pub(super) async fn hand_to_unit(context: &Context, place: &Place, unit: &Installed, is_new: bool) -> Result<Client, Failure> {
    let Installed { systemd, name, .. } = unit;
    if !systemd.is_of_user() && !rustix::process::geteuid().is_root() {
        return kept_by_system(context, place, unit).await;
    }
    let former = match keeper(context, place).await? {
        Keeper::Nobody => return of_this_version(systemd.start(context, place, "start", name).await?, name),
        Keeper::Same(client) if !is_new && systemd.runs(name, client.hello().pid).await => return Ok(client),
        Keeper::Same(client) => Former::of(client.hello().clone(), Some(client)),
        Keeper::Other(former) => former,
    };
    let client = if systemd.runs(name, former.hello.pid).await {
        systemd.start(context, place, "restart", name).await?
    } else {
        former.pass(context, place, async || systemd.start(context, place, "start", name).await).await?
    };
    of_this_version(client, name)
}

/// A unit of the system is root's to start: its daemon is waited for, after a `down` it is back at once.
async fn kept_by_system(context: &Context, place: &Place, unit: &Installed) -> Result<Client, Failure> {
    let client = background::join(context, place).await;
    let client = client.map_err(|failure| failure.hint(format!("`sudo systemctl restart {}` starts its daemon", unit.name)))?;
    of_this_version(client, &unit.name)
}

/// The unit may name another program than this one.
fn of_this_version(client: Client, unit: &str) -> Result<Client, Failure> {
    let found = &client.hello().version;
    if *found == version() {
        return Ok(client);
    }
    let words = format!("{unit} keeps this stack with witwd {found}, and this is witwd {}", version());
    Err(Failure::new(Exit::Held, words)
        .hint(format!("`systemctl restart {unit}` after an upgrade in place; `witwd enable` has it run this program")))
}

fn guardian_of(daemon: u32) -> Option<Guardian> {
    let pid = process::parent(daemon)?;
    let words = process::arguments(pid)?;
    words.iter().any(|word| word == background::GUARDIAN).then_some(Guardian { pid, words })
}

impl Former {
    fn of(hello: Hello, client: Option<Client>) -> Self {
        let guardian = guardian_of(hello.pid);
        Self { hello, client, guardian }
    }

    /// Has a daemon of this version in the background keep the stack instead.
    pub(super) async fn hand_over(self, context: &Context, place: &Place) -> Result<Client, Failure> {
        self.pass(context, place, async || background::start(context, place, &[]).await).await
    }

    /// The same with this process as the daemon.
    pub(super) async fn hand_over_here(self, context: &Context, place: &Place) -> Result<Daemon, Failure> {
        let here = async || {
            let resumed = Daemon::start_here(context, place, Signals::Terminate)?.resumed(context, WhereDown::Waits).await?;
            resumed.ok_or_else(|| Failure::new(Exit::Failed, "asked to end before it went on with the stack"))
        };
        self.pass(context, place, here).await
    }

    /// Ends it and starts its successor; where that one can't start, this one again.
    async fn pass<T>(
        self,
        context: &Context,
        place: &Place,
        successor: impl AsyncFnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.end(context, place).await?;
        match successor().await {
            Ok(successor) => Ok(successor),
            Err(failure) => Err(self.bring_back(context, place, failure).await),
        }
    }

    /// Ends it, once there is no reason why a new one could not go on.
    async fn end(&self, context: &Context, place: &Place) -> Result<(), Failure> {
        assembly::locate(context.clock.clone())?;
        Runtime::open(&Surroundings::of_process())?;
        is_readable(context.disk.as_ref(), &place.state)?;
        let Hello { pid, version: former, .. } = &self.hello;
        context.output.note(&format!("witwd {former} (process {pid}) keeps this stack and hands it over"));
        self.ask_to_end().await?;
        let begun = context.clock.moment();
        while context.clock.moment().since(begun) < TO_END {
            if !is_held(&place.state).map_err(|error| Failure::of(Exit::Failed, "failed to look at the lock", &error))? {
                return Ok(());
            }
            context.clock.sleep(BETWEEN).await;
        }
        let words = format!("witwd {former} (process {pid}) was asked to end and still holds the stack");
        Err(Failure::new(Exit::Held, words)
            .hint(format!("`kill {pid}` ends it and leaves the stack running; then `witwd up` again")))
    }

    /// Asks guardian and daemon to end, as SIGTERM does: what runs goes on running.
    async fn ask_to_end(&self) -> Result<(), Failure> {
        if let Some(guardian) = &self.guardian
            && process::terminate(guardian.pid).is_ok()
        {
            return Ok(());
        }
        match &self.client {
            Some(client) => Ok(client.end().await?),
            None => process::terminate(self.hello.pid)
                .map_err(|error| Failure::of(Exit::Failed, &format!("failed to end process {}", self.hello.pid), &error)),
        }
    }

    /// Starts the former one again after `failure`, and says what is so then.
    async fn bring_back(&self, context: &Context, place: &Place, failure: Failure) -> Failure {
        let is_back = self.is_back(context, place).await;
        let former = &self.hello.version;
        let message = format!("witwd {} could not take the stack over: {}", version(), failure.message);
        let hint = if is_back {
            format!("witwd {former} was started again and keeps the stack; mend this and say `witwd up` again")
        } else {
            format!("what runs goes on running, but nobody restarts what ends: `witwd up -d` of witwd {former} keeps it again")
        };
        Failure { message, ..failure }.hint(hint)
    }

    async fn is_back(&self, context: &Context, place: &Place) -> bool {
        let Some((program, arguments)) = self.guardian.as_ref().and_then(|guardian| guardian.words.split_first()) else {
            return false;
        };
        // The first start waited for an `up`; this one goes on by itself.
        let arguments: Vec<OsString> = arguments.iter().filter(|word| *word != background::FIRST).cloned().collect();
        let started = process::start_in_background(Path::new(program), &arguments, &place.directory, &place.log_path());
        started.is_ok() && background::join(context, place).await.is_ok()
    }
}
