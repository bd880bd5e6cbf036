//! A simulated machine and the daemons that live and die on it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use witwd::engine::sim::{PullCourse, Trace};
use witwd::host::sim::SimClock;
use witwd::model::name::InstanceId;
use witwd::model::stack::Stack;
use witwd::model::status::{ItemStatus, Status};
use witwd::supervisor::sim::SimMachine;
use witwd::supervisor::{Backups, Down, Handle, Known, Occasion, Up, channel};

/// The stack that most scenarios run.
pub const DEMO: &str = r#"
name = "demo"
[services.app]
image = "app:1"
port = 8000
health.http = "/healthz"
env.DATABASE_URL = "${db.url}"
[postgres.db]
image = "postgres:17"
"#;

/// Longer than anything here may take, in virtual time.
pub const LIMIT: Duration = Duration::from_secs(1200);

/// One machine: what outlives a daemon.
pub struct Machine {
    pub clock: Arc<SimClock>,
    simulated: SimMachine,
}

impl Deref for Machine {
    type Target = SimMachine;

    fn deref(&self) -> &SimMachine {
        &self.simulated
    }
}

impl Machine {
    /// A machine with an empty engine and a registry that has every image of these scenarios.
    pub fn new() -> Self {
        let clock = Arc::new(SimClock::new());
        let simulated = SimMachine::new(clock.clone(), 1);
        for image in ["app:1", "app:2", "postgres:17", "cache:1"] {
            simulated.engine.publish(image, PullCourse::Takes(Duration::from_secs(2)));
        }
        simulated.engine.guard(&"demo".parse().expect("a name"), &instance());
        Self { clock, simulated }
    }

    /// The same machine with somebody who takes sets.
    pub fn with_backups(mut self, backups: Arc<dyn Backups>) -> Self {
        self.simulated.backups = backups;
        self
    }

    /// What a daemon would begin with.
    pub fn kept(&self) -> Known {
        self.simulated.kept()
    }

    /// Starts a daemon for this stack.
    pub fn daemon(&self, stack: &Arc<Stack>) -> Daemon {
        let (handle, ends) = channel(blank());
        let (machine, stack) = (self.simulated.clone(), stack.clone());
        let task = tokio::spawn(async move { machine.supervise(stack, None, ends).await });
        Daemon { handle, task }
    }

    /// What the engine was asked.
    pub fn trace(&self) -> Trace {
        self.engine.calls()
    }

    /// The containers by name, with what they do: the final state that runs are compared by.
    pub fn containers(&self) -> Vec<String> {
        self.engine.with(|world| {
            let mut all: Vec<String> =
                world.containers.values().map(|container| format!("{} {}", container.name, container.state.word())).collect();
            all.sort();
            all
        })
    }
}

fn blank() -> Status {
    serde_json::from_value(serde_json::json!({
        "v": 1, "stack": "demo", "profiles": [], "daemon": null, "engine": "down", "converged": false, "items": [],
        "file": { "path": "", "ok": true, "pending": false, "reasons": [], "errors": [] }
    }))
    .expect("a status")
}

pub fn instance() -> InstanceId {
    SimMachine::instance()
}

/// A daemon of the machine. Dropping it is `kill -9`.
pub struct Daemon {
    pub handle: Handle,
    task: JoinHandle<()>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Daemon {
    /// `kill -9`, over when this returns.
    pub async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Asks to run a stack; returns the request's generation.
    pub async fn up(&self, stack: &Arc<Stack>) -> u64 {
        self.up_of(stack, &[]).await
    }

    /// Goes on with a stack that nobody asks for anew, after a restart of the daemon.
    pub async fn resume(&self, stack: &Arc<Stack>) -> u64 {
        self.occasionally(stack, Occasion::Resumed).await
    }

    /// Its file was saved.
    pub async fn save(&self, stack: &Arc<Stack>) -> u64 {
        self.occasionally(stack, Occasion::Saved).await
    }

    async fn occasionally(&self, stack: &Arc<Stack>, occasion: Occasion) -> u64 {
        self.handle.up(Up { occasion, ..Up::of(stack.clone()) }).await.expect("a daemon that lives")
    }

    /// Asks to run these of a stack, or all of it; returns the request's generation.
    pub async fn up_of(&self, stack: &Arc<Stack>, names: &[&str]) -> u64 {
        let only = names.iter().map(|name| name.parse().expect("a name")).collect();
        let up = Up { only, ..Up::of(stack.clone()) };
        self.handle.up(up).await.expect("a daemon that lives")
    }

    /// Asks to run a stack and waits until it does.
    pub async fn up_and_wait(&self, stack: &Arc<Stack>) -> Arc<Status> {
        let generation = self.up(stack).await;
        self.settled(generation, |status| status.converged).await
    }

    /// Stops everything and waits until it is.
    pub async fn down_and_wait(&self) -> Arc<Status> {
        let generation = self.handle.down(Down::default()).await.expect("a daemon that lives");
        self.settled(generation, |status| status.converged).await
    }

    /// The first status after `generation` for which `test` holds.
    pub async fn settled(&self, generation: u64, test: impl Fn(&Status) -> bool) -> Arc<Status> {
        let waited = tokio::time::timeout(LIMIT, self.handle.settled(generation, test)).await;
        waited.unwrap_or_else(|_| panic!("not reached: {:#?}", self.handle.status())).expect("a daemon that lives")
    }

    /// The first status of all for which `test` holds, be the engine away or not.
    pub async fn shown(&self, test: impl Fn(&Status) -> bool) -> Arc<Status> {
        let mut published = self.handle.watch();
        let found = tokio::time::timeout(LIMIT, published.wait_for(|now| test(&now.status))).await.expect("shown in time");
        found.expect("a daemon that lives").status.clone()
    }

    /// The first status for which `test` holds of one replica.
    pub async fn until(&self, name: &str, test: impl Fn(&ItemStatus) -> bool) -> ItemStatus {
        let found = |status: &Status| status.items.iter().find(|item| item.name == name).filter(|item| test(item)).cloned();
        let status = self.settled(0, |status| found(status).is_some()).await;
        found(&status).expect("just found")
    }
}
