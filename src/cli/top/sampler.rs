//! Asks the engine, round after round, what containers use and what the open log says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};

use super::load::Load;
use crate::cli::assembly;
use crate::cli::context::Context;
use crate::cli::logs::tail;
use crate::engine::docker::{DockerEngine, Usage};
use crate::host::Clock;
use crate::model::name::ContainerId;
use crate::model::time::Moment;

/// The time between two rounds.
const ROUND: Duration = Duration::from_secs(2);
/// How many lines of a log are asked for.
const LINES: u32 = 200;

/// What is wanted of the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The containers of the stack.
    pub containers: Vec<String>,
    /// The container whose log is open.
    pub log: Option<String>,
}

/// What the engine said.
#[derive(Debug)]
pub(super) enum Sample {
    /// What each container uses.
    Loads(BTreeMap<String, Load>),
    /// The last lines of a container.
    Log(String, Vec<String>),
}

/// Asks until nobody listens. An engine that does not answer leaves the columns empty.
pub(super) async fn sample(context: Context, mut asked: watch::Receiver<Asked>, samples: mpsc::Sender<Sample>) {
    let mut before: BTreeMap<String, (Usage, Moment)> = BTreeMap::new();
    let mut engine = None;
    while !samples.is_closed() {
        let now = asked.borrow_and_update().clone();
        if let Some(container) = now.log {
            let lines = tail(&context, &container, LINES).await.unwrap_or_else(|failure| vec![failure.message]);
            let _ = samples.send(Sample::Log(container, lines)).await;
        }
        if engine.is_none() {
            engine = assembly::docker(context.clock.clone()).await.ok();
        }
        if let Some(engine) = &engine {
            let seen = look(engine, &context.clock, &now.containers).await;
            let load = |(id, (usage, at)): (&String, &(Usage, Moment))| {
                let earlier = before.get(id).map(|(usage, before)| (*usage, at.since(*before)));
                (id.clone(), Load::between(earlier, *usage))
            };
            let loads = seen.iter().map(load).collect();
            before = seen;
            let _ = samples.send(Sample::Loads(loads)).await;
        }
        wait(&context.clock, &mut asked, &samples).await;
    }
}

/// Waits for the next round; a log that is opened is not kept waiting.
async fn wait(clock: &Arc<dyn Clock>, asked: &mut watch::Receiver<Asked>, samples: &mpsc::Sender<Sample>) {
    let log = asked.borrow().log.clone();
    tokio::select! {
        biased;
        () = samples.closed() => {}
        _ = asked.wait_for(|asked| asked.log.is_some() && asked.log != log) => {}
        () = clock.sleep(ROUND) => {}
    }
}

async fn look(engine: &DockerEngine, clock: &Arc<dyn Clock>, containers: &[String]) -> BTreeMap<String, (Usage, Moment)> {
    let asked = containers.iter().map(|id| async move {
        let usage = engine.usage(&ContainerId(id.clone())).await.ok().flatten()?;
        Some((id.clone(), (usage, clock.moment())))
    });
    join_all(asked).await.into_iter().flatten().collect()
}
