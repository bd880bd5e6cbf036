//! One life of a daemon, as `cli::daemon` leads it, and who asks things of it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use witwd::host::Clock as _;
use witwd::host::virtual_time::VirtualClock;
use witwd::model::backup::{Errand, Work};
use witwd::model::history::Goal;
use witwd::model::status::Status;
use witwd::model::time::Moment;
use witwd::supervisor::sim::SimMachine;
use witwd::supervisor::{Closed, Command, Down, ErrandError, HandError, Handle, Occasion, Up, channel, not_up};

use super::case::{Ask, Asks, File, KEPT};
use super::databases::Databases;
use super::tell::tell;

/// How long after its end the next daemon begins: what a guardian takes.
const REBORN: Duration = Duration::from_millis(100);
/// So often, and after so long, is asked again for what was refused.
const REFUSALS: usize = 60;
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is asked whether its loop turns, and how long it may take to say so.
const PULSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

/// What outlives a daemon beside its machine: who asks, and what he was answered.
#[derive(Default)]
pub struct Progress {
    /// How many of the asks were answered.
    pub answered: usize,
    /// Whether one was sent whose answer did not come yet.
    pub waiting: bool,
    /// Whether a `down` was answered and nothing else asked since.
    pub is_down: bool,
    /// Which life of a daemon this is, and in which one the last answer came.
    pub life: (usize, usize),
    /// The file that was accepted last: beside the state, it is kept before the supervisor hears of it.
    pub accepted: Option<File>,
    /// Whether what was to happen to the stack did.
    pub happened: bool,
    /// When something was asked last, or answered.
    pub spoken: Moment,
    /// The handle of the daemon that lives.
    pub handle: Option<Handle>,
    /// What clients saw that they must never see.
    pub complaints: Vec<String>,
}

impl Progress {
    /// What was asked last for the whole stack is asked once more, and all that came after it.
    pub fn ask_again(&mut self, asks: &Asks) {
        let is_of_all = |(_, ask): &(Duration, Ask)| matches!(ask, Ask::Up(_) | Ask::Down { .. });
        self.answered = asks[..self.answered.min(asks.len())].iter().rposition(is_of_all).unwrap_or_default();
    }
}

/// A machine, its time, and who asks.
#[derive(Clone)]
pub struct Place {
    pub machine: SimMachine,
    pub clock: Arc<VirtualClock>,
    pub asks: Arc<Asks>,
    /// The databases of its server.
    pub databases: Arc<Databases>,
    progress: Arc<Mutex<Progress>>,
}

impl Place {
    /// An empty machine on which this is to be asked.
    pub fn new(seed: u64, asks: &Asks) -> Self {
        let wall = "2026-01-01T00:00:00Z".parse().expect("a time");
        let clock = Arc::new(VirtualClock::at(Moment::default(), wall));
        let mut machine = SimMachine::new(clock.clone(), seed);
        let databases = Databases::new(clock.clone(), machine.engine.clone(), machine.prober.clone());
        let databases = Arc::new(databases);
        machine.backups = databases.clone();
        Self { machine, clock, asks: Arc::new(asks.clone()), databases, progress: Arc::default() }
    }

    /// What outlives daemons.
    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("no panic while progress is held")
    }

    /// Whether something with databases is asked for and not done: what stood still for it starts at once.
    pub fn works_on_databases(&self) -> bool {
        let progress = self.progress();
        progress.waiting && matches!(self.asks.get(progress.answered), Some((_, Ask::Databases(_))))
    }

    /// These are asked too.
    pub fn ask_more(&mut self, more: impl Iterator<Item = (Duration, Ask)>) {
        Arc::make_mut(&mut self.asks).extend(more);
    }

    /// A daemon, which goes on with what the last one was asked for.
    pub async fn begin(&self) -> Handle {
        if self.progress().life.0 > 0 {
            self.clock.sleep(REBORN).await;
        }
        self.progress().life.0 += 1;
        let (handle, mut ends) = channel(Status::unknown(String::new(), None));
        self.progress().handle = Some(handle.clone());
        let (machine, progress) = (self.machine.clone(), self.progress.clone());
        tokio::spawn(async move {
            // Nothing is done before it is known whether the stack is to run, as in `cli::assembly`.
            let first = loop {
                match ends.commands.recv().await {
                    None => return,
                    Some(Command::Hand(_, answer)) => drop(answer.send(Err(not_up()))),
                    Some(first) => break first,
                }
            };
            let accepted = progress.lock().expect("no panic while progress is held").accepted;
            let stack = accepted.unwrap_or(File::First).stack().clone();
            machine.supervise(stack, Some(first), ends).await;
        });
        self.resume(&handle).await;
        handle
    }

    async fn resume(&self, handle: &Handle) {
        let replicas = self.machine.kept().history.replicas;
        tell(self.clock.moment(), &format!("a daemon begins with {replicas:?}"));
        let (history, Some(file)) = (self.machine.kept().history, self.progress().accepted) else { return };
        // It may end meanwhile.
        let _ = match history.goal {
            Goal::Up => handle.up(Up { occasion: Occasion::Resumed, ..Up::of(file.stack().clone()) }).await,
            Goal::Down => handle.down(Down { volumes: history.drop_volumes, resumed: true }).await,
        };
    }

    /// Asks one thing and waits for its answer.
    async fn ask(&self, handle: &Handle, ask: &Ask) -> bool {
        {
            let mut progress = self.progress();
            (progress.waiting, progress.spoken, progress.is_down) = (true, self.clock.moment(), false);
            if let Ask::Up(file) | Ask::Save(file) = ask {
                progress.accepted = Some(*file);
            }
        }
        // What makes no sense any more is refused: that is an answer too.
        if let Ask::Databases(Work::Undo) = ask {
            // Who asked twice would have it done and undone.
            self.progress().answered += 1;
        }
        let answered = match ask {
            Ask::Databases(work) => self.ask_for(handle, work).await.is_ok(),
            _ => send(handle, ask).await.is_ok(),
        };
        let mut progress = self.progress();
        (progress.waiting, progress.spoken) = (!answered, self.clock.moment());
        progress.answered += usize::from(answered && *ask != Ask::Databases(Work::Undo));
        progress.is_down = answered && matches!(ask, Ask::Down { .. });
        progress.life.1 = progress.life.0;
        answered
    }

    /// Asks for work until it is done or has failed. What is refused is asked for again: another one is not over yet.
    async fn ask_for(&self, handle: &Handle, work: &Work) -> Result<(), Closed> {
        for _ in 0..REFUSALS {
            let errand = Errand { of: "db".parse().expect("a name"), work: work.clone() };
            match handle.errand(errand).await? {
                Err(ErrandError::Refused(_)) => self.clock.sleep(AGAIN).await,
                Ok(_) | Err(ErrandError::Failed(_)) => return Ok(()),
            }
        }
        Ok(())
    }

    /// One life of a daemon: it goes on with what was asked, and whoever has not been answered asks (again).
    pub async fn live(&self) -> Handle {
        let handle = self.begin().await;
        tokio::spawn(self.clone().feel_pulse(handle.clone()));
        loop {
            let answered = self.progress().answered;
            let Some((delay, ask)) = self.asks.get(answered).cloned() else { return handle };
            self.clock.sleep(delay).await;
            if let Ask::Down { with_volume: true } = ask {
                self.machine.engine.permit_volume_removal(KEPT);
            }
            if !self.ask(&handle, &ask).await {
                return handle;
            }
        }
    }

    /// A daemon answers, whatever its engine does.
    async fn feel_pulse(self, handle: Handle) {
        loop {
            self.clock.sleep(PULSE.0).await;
            let in_time = tokio::select! {
                biased;
                _ = handle.pulse() => true,
                () = self.clock.sleep(PULSE.1) => false,
            };
            // Before the first request there is no loop yet.
            if !in_time && self.progress().answered > 0 {
                self.progress().complaints.push("control-answers: no pulse for a second".to_owned());
            }
        }
    }
}

/// Asks one thing; as which request it was accepted, `None` where it was refused.
pub async fn send(handle: &Handle, ask: &Ask) -> Result<Option<u64>, Closed> {
    match ask {
        Ask::Up(file) => handle.up(Up::of(file.stack().clone())).await.map(Some),
        Ask::Save(file) => handle.up(Up { occasion: Occasion::Saved, ..Up::of(file.stack().clone()) }).await.map(Some),
        Ask::Down { with_volume } => {
            let volumes = with_volume.then(|| KEPT.to_owned()).into_iter().collect();
            handle.down(Down { volumes, resumed: false }).await.map(Some)
        }
        Ask::Databases(_) => Ok(None),
        Ask::Hand(wish) => match handle.hand(wish.clone()).await {
            Ok((generation, _)) => Ok(Some(generation)),
            Err(HandError::Refused(_)) => Ok(None),
            Err(HandError::Closed(closed)) => Err(closed),
        },
    }
}
