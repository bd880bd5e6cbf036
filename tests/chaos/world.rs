//! The engine, who keeps the stack on it, somebody else beside it, and all that looks on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::faults::Fault;
use crate::keeper::{IMAGE, Keeper, Kind};
use crate::oracles::ledger::{Ledger, Server, in_network};
use crate::oracles::surroundings::Surroundings;
use crate::oracles::watch::Watch;
use crate::private::PrivateEngine;
use crate::recorder::{Asked, Fate, Recorder, deaf};
use crate::support::{TINY, docker};
use crate::table::{Outcome, Row, Run};

/// What does not heal within this is mended by hand.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
const NAMES: [&str; 3] = ["app", "db", "worker"];

/// All of it. Fields end in this order: who looks first, the engine last.
pub struct World {
    ledger: Ledger,
    watch: Watch,
    /// Who keeps the stack.
    pub keeper: Keeper,
    line: Recorder,
    mischief: Mischief,
    _scratch: tempfile::TempDir,
    /// The engine.
    pub engine: PrivateEngine,
    around: Surroundings,
    server: Server,
    kind: Kind,
}

/// What the line to the engine does next.
#[derive(Clone, Default)]
struct Mischief {
    is_deaf: Arc<AtomicBool>,
    /// What becomes of the next call that starts a container.
    next_start: Arc<Mutex<Option<Fate>>>,
}

impl Mischief {
    fn fate(&self, asked: &Asked) -> Fate {
        if self.is_deaf.load(Ordering::SeqCst) && deaf(asked) == Fate::Deaf {
            return Fate::Deaf;
        }
        let is_start = asked.method == "POST" && asked.path().ends_with("/start");
        let next = is_start.then(|| self.next_start.lock().expect("no panic").take()).flatten();
        next.unwrap_or(Fate::Pass)
    }
}

impl World {
    /// With all ready.
    pub async fn up(kind: Kind) -> Self {
        image();
        let engine = PrivateEngine::start(json!({})).await;
        engine.load(IMAGE);
        engine.done(&["run", "-d", "--name", "theirs", "--restart", "always", "-v", "theirs:/data", TINY, "sleep"]);
        let scratch = tempfile::tempdir().expect("a directory");
        let mischief = Mischief::default();
        let course = mischief.clone();
        let line = Recorder::with(scratch.path(), &engine.socket(), move |asked| course.fate(asked));
        let keeper = Keeper::up(kind, &engine, &line);
        let address = "host=127.0.0.1 port=5432 user=app password=ledger dbname=app connect_timeout=2".to_owned();
        let server = Server { network: Some(PathBuf::from(engine.network())), address };
        let ledger = Ledger::start(server.clone()).await;
        let watch = match &keeper {
            Keeper::Witwd(stack) => Watch::of(stack, &engine.socket()),
            Keeper::Compose { .. } => Watch::of_engine(&engine.socket()),
        };
        let around = Surroundings::beside(&["-H", &engine.host()], keeper.mark());
        Self { ledger, watch, keeper, line, mischief, _scratch: scratch, engine, around, server, kind }
    }

    /// One fault: injected, waited for until it is healed, and looked at from all sides.
    pub async fn suffer(&mut self, fault: Fault) -> Outcome {
        let before = self.runs();
        let twice = self.watch.seen().twice.len();
        self.around = self.look_around();
        fault.inject(self).await;
        let (begun, noted) = (Instant::now(), self.ledger.noted());
        let healed = loop {
            if self.is_well(&before, fault.victims(), noted) {
                break Some(begun.elapsed());
            }
            if begun.elapsed() > LIMIT {
                break None;
            }
            tokio::time::sleep(PAUSE).await;
        };
        let in_rest = self.clear(healed.is_some()).await;
        let balance = self.ledger.balance_so_far();
        let now = self.look_around();
        let same_runs = fault.takes_all() || self.around.runs == now.runs;
        let kept = self.around.definitions == now.definitions && self.around.volumes.is_subset(&now.volumes) && same_runs;
        Outcome {
            healed: healed.filter(|_| in_rest),
            lost: balance.lost.len(),
            doubled: balance.doubled.len(),
            twice: self.watch.seen().twice.len() - twice,
            touched: usize::from(!kept),
        }
    }

    /// Takes back what was done to the line, has a person mend what did not heal, and waits until the keeper
    /// has nothing left to do.
    async fn clear(&mut self, is_healed: bool) -> bool {
        if self.mischief.is_deaf.swap(false, Ordering::SeqCst) {
            // The next daemon hears again.
            self.keeper.signal("KILL");
        }
        *self.mischief.next_start.lock().expect("no panic") = None;
        if is_healed {
            return self.keeper.rests(LIMIT).await && self.changes_nothing();
        }
        self.keeper.mend();
        let (begun, noted) = (Instant::now(), self.ledger.noted());
        while !self.is_well(&[], &[], noted) {
            assert!(begun.elapsed() < LIMIT, "not even a person mends it:\n{}", self.engine.done(&["ps", "-a"]));
            tokio::time::sleep(PAUSE).await;
        }
        self.keeper.rests(LIMIT).await;
        false
    }

    /// Whether an `up` of what is as it should be asks the engine to change nothing.
    fn changes_nothing(&self) -> bool {
        let Keeper::Witwd(stack) = &self.keeper else { return true };
        let before = self.line.mutating().len();
        stack.done(&["up", "-d"]);
        let asked = self.line.mutating().split_off(before);
        if !asked.is_empty() {
            println!("at rest it asked for {asked:?}");
        }
        asked.is_empty()
    }

    /// The end: all that was found.
    pub fn end(self, rows: Vec<Row>, seed: u64, took: Duration) -> Run {
        let seen = self.watch.seen();
        let engine = self.engine.done(&["version", "--format", "{{.Server.Version}}"]);
        let balance = self.ledger.balance();
        Run { kind: self.kind, rows, seed, took, engine, balance, answers: seen.answers.clone(), wrong: seen.wrong }
    }

    fn look_around(&self) -> Surroundings {
        Surroundings::beside(&["-H", &self.engine.host()], self.keeper.mark())
    }

    /// The container of a service that is there now.
    pub fn container(&self, name: &str) -> String {
        let [first, second] = self.keeper.filters(name);
        let all = self.engine.done(&["ps", "-q", "--no-trunc", "--filter", &first, "--filter", &second]);
        all.lines().next().unwrap_or_else(|| panic!("no {name}")).to_owned()
    }

    /// Id, begin and state of the container of each service.
    fn runs(&self) -> Vec<(String, bool)> {
        NAMES.iter().map(|name| self.run(name).unwrap_or_default()).collect()
    }

    fn run(&self, name: &str) -> Option<(String, bool)> {
        let [first, second] = self.keeper.filters(name);
        let output = self.engine.docker(&["ps", "-aq", "--no-trunc", "--filter", &first, "--filter", &second]);
        let ids = String::from_utf8_lossy(&output.stdout).into_owned();
        let ids: Vec<&str> = ids.split_whitespace().collect();
        let [id] = ids.as_slice() else { return None };
        let state: Value = serde_json::from_slice(&self.engine.docker(&["inspect", "-f", "{{json .State}}", id]).stdout).ok()?;
        let runs = state["Running"] == true && state["Paused"] == false;
        Some((format!("{id} {}", state["StartedAt"]), runs))
    }

    /// Seen from outside, the same for whoever keeps it: all run, the victims anew, the app answers, and the
    /// database takes rows.
    fn is_well(&self, before: &[(String, bool)], victims: &[&str], noted: u64) -> bool {
        if self.ledger.noted() < noted + 2 || !self.app_answers() {
            return false;
        }
        let runs = self.runs();
        let is_new = |number: usize| before.get(number).is_none_or(|former| former.0 != runs[number].0);
        let all_run = runs.iter().all(|(_, runs)| *runs);
        all_run && NAMES.iter().enumerate().all(|(number, name)| !victims.contains(name) || is_new(number))
    }

    fn app_answers(&self) -> bool {
        let server = self.server.clone();
        let asked = std::thread::spawn(move || in_network(&server, async { answers().is_ok_and(|answered| answered) }));
        asked.join().unwrap_or_default()
    }

    /// Ends the container's first process as a crash would.
    pub fn crash(&self, name: &str) {
        let pid = self.engine.done(&["inspect", "-f", "{{.State.Pid}}", &self.container(name)]);
        self.engine.signal_process("KILL", &pid);
    }

    /// The same, and this becomes of the next call that starts a container.
    pub fn crash_and(&self, name: &str, fate: Fate) {
        *self.mischief.next_start.lock().expect("no panic") = Some(fate);
        self.crash(name);
    }

    /// The same while a daemon runs that hears of no event.
    pub async fn crash_unheard(&self, name: &str) {
        self.mischief.is_deaf.store(true, Ordering::SeqCst);
        self.keeper.signal("KILL");
        assert!(self.keeper.rests(LIMIT).await, "a daemon that hears nothing comes up");
        self.crash(name);
    }

    /// Stops every process of a container.
    pub fn freeze(&self, name: &str) {
        let top = self.engine.done(&["top", &self.container(name), "-eo", "pid"]);
        for pid in top.lines().skip(1).map(str::trim) {
            self.engine.signal_process("STOP", pid);
        }
        assert!(!self.app_answers(), "it is silent");
    }

    /// Kills the engine and starts it again.
    pub async fn kill_engine(&mut self, live: bool) {
        self.engine.configure(json!({ "live-restore": live }));
        if live {
            // What it does at its death is what it was started with.
            self.engine.signal("HUP");
        }
        self.engine.kill();
        self.engine.launch().await;
        self.engine.configure(json!({}));
        self.engine.signal("HUP");
    }

    /// Asks the engine to end and starts it again.
    pub async fn restart_engine(&mut self) {
        self.engine.signal("TERM");
        self.engine.ended();
        self.engine.launch().await;
    }

    /// The engine does not answer for so many seconds.
    pub async fn hang_engine(&self, seconds: u64) {
        let hanging = self.engine.hang();
        self.waits(seconds).await;
        drop(hanging);
    }

    /// Time goes by.
    pub async fn waits(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// Asks the app for its page.
fn answers() -> std::io::Result<bool> {
    // Who publishes its port accepts for it also while it is dead: a long wait would be counted as its own.
    let patience = Some(Duration::from_millis(200));
    let mut stream = TcpStream::connect("127.0.0.1:8000")?;
    stream.set_read_timeout(patience)?;
    stream.write_all(b"GET / HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(head.ends_with(b" 200"))
}

fn image() {
    if docker(&["image", "inspect", IMAGE]).status.success() {
        return;
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("images/postgres/build");
    let status = Command::new(&script).env("WITWD_IMAGE", IMAGE).arg("17").status();
    assert!(status.is_ok_and(|status| status.success()), "{} failed", script.display());
}
