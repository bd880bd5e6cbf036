//! What can go wrong, and how it is made to.

use crate::keeper::Kind;
use crate::world::World;

/// One kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The first process of a container is killed.
    Crash(&'static str),
    /// Somebody stops a container by hand.
    Stop(&'static str),
    /// Somebody removes a container by hand.
    Remove(&'static str),
    /// Somebody pauses a container for three seconds.
    Pause(&'static str),
    /// Every process of a container stops.
    Hang(&'static str),
    /// Somebody takes a container from its network.
    Disconnect(&'static str),
    /// The engine is killed and started again; containers live on or not.
    EngineKilled {
        /// With `live-restore`.
        live: bool,
    },
    /// The engine is asked to end and started again.
    EngineRestarted,
    /// The engine does not answer for five seconds.
    EngineHangs,
    /// The daemon of witwd is killed.
    DaemonKilled,
    /// The daemon of witwd is stopped for three seconds, and meanwhile the app crashes.
    DaemonHangs,
    /// The app crashes and no event tells of it.
    EventsLost,
    /// The app crashes, and the answer to the call that starts it again is lost.
    AnswerLost,
    /// The app crashes, and the daemon is killed after the call that starts it again.
    KilledInStart,
}

impl Fault {
    /// All that make sense for who keeps the stack.
    pub fn all(kind: Kind) -> Vec<Self> {
        let mut all = vec![
            Self::Crash("app"),
            Self::Crash("worker"),
            Self::Crash("db"),
            Self::Stop("worker"),
            Self::Stop("db"),
            Self::Remove("app"),
            Self::Remove("db"),
            Self::Pause("app"),
            Self::Hang("app"),
            Self::Disconnect("app"),
            Self::EngineKilled { live: false },
            Self::EngineKilled { live: true },
            Self::EngineRestarted,
            Self::EngineHangs,
        ];
        if kind == Kind::Witwd {
            all.extend([Self::DaemonKilled, Self::DaemonHangs, Self::EventsLost, Self::AnswerLost, Self::KilledInStart]);
        }
        all
    }

    /// In words, for the table.
    pub fn name(self) -> String {
        match self {
            Self::Crash(name) => format!("{name}: its process is killed"),
            Self::Stop(name) => format!("{name}: `docker stop`"),
            Self::Remove(name) => format!("{name}: `docker rm -f`"),
            Self::Pause(name) => format!("{name}: `docker pause` for 3 s"),
            Self::Hang(name) => format!("{name}: every process stopped (hang)"),
            Self::Disconnect(name) => format!("{name}: `docker network disconnect`"),
            Self::EngineKilled { live: false } => "engine killed, started again".to_owned(),
            Self::EngineKilled { live: true } => "the same with live-restore".to_owned(),
            Self::EngineRestarted => "engine restarted".to_owned(),
            Self::EngineHangs => "engine hangs for 5 s".to_owned(),
            Self::DaemonKilled => "witwd killed".to_owned(),
            Self::DaemonHangs => "witwd stopped for 3 s while app crashes".to_owned(),
            Self::EventsLost => "app crashes, its events are lost".to_owned(),
            Self::AnswerLost => "app crashes, the answer of its start is lost".to_owned(),
            Self::KilledInStart => "app crashes, witwd killed as it starts it".to_owned(),
        }
    }

    /// Whose run ends with it.
    pub fn victims(self) -> &'static [&'static str] {
        match self {
            Self::Crash("app")
            | Self::Remove("app")
            | Self::Hang("app")
            | Self::EventsLost
            | Self::AnswerLost
            | Self::KilledInStart
            | Self::DaemonHangs => &["app"],
            Self::Crash("worker") | Self::Stop("worker") => &["worker"],
            Self::Crash(_) | Self::Stop(_) | Self::Remove(_) => &["db"],
            Self::EngineKilled { live: false } | Self::EngineRestarted => &["app", "db", "worker"],
            _ => &[],
        }
    }

    /// Whether containers end with the engine: then nobody else touched the bystander.
    pub fn takes_all(self) -> bool {
        matches!(self, Self::EngineKilled { live: false } | Self::EngineRestarted)
    }

    /// Makes it happen, until what is to be healed is there to be healed.
    pub async fn inject(self, world: &mut World) {
        match self {
            Self::Crash(name) => world.crash(name),
            Self::Stop(name) => drop(world.engine.done(&["stop", &world.container(name)])),
            Self::Remove(name) => drop(world.engine.done(&["rm", "-f", &world.container(name)])),
            Self::Pause(name) => {
                let container = world.container(name);
                world.engine.done(&["pause", &container]);
                world.waits(3).await;
                // Somebody else may have been there first.
                world.engine.docker(&["unpause", &container]);
            }
            Self::Hang(name) => world.freeze(name),
            Self::Disconnect(name) => {
                drop(world.engine.done(&["network", "disconnect", &world.keeper.network(), &world.container(name)]));
            }
            Self::EngineKilled { live } => world.kill_engine(live).await,
            Self::EngineRestarted => world.restart_engine().await,
            Self::EngineHangs => world.hang_engine(5).await,
            Self::DaemonKilled => world.keeper.signal("KILL"),
            Self::DaemonHangs => {
                world.keeper.signal("STOP");
                world.crash("app");
                world.waits(3).await;
                world.keeper.signal("CONT");
            }
            Self::EventsLost => world.crash_unheard("app").await,
            Self::AnswerLost => world.crash_and("app", crate::recorder::Fate::CutAfter),
            Self::KilledInStart => world.crash_and("app", crate::recorder::Fate::KillAfter),
        }
    }
}
