//! What a stack costs that only runs: memory and processor of daemon and guardian, and of the
//! engine for being listed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::lifecycle::waiting;
use crate::measure::{judge, rounds, shown, sizes, turns, until};
use crate::stack::TestStack;

/// How long is looked at in a round: a daemon that idles lists the containers this often.
const WINDOW: Duration = Duration::from_secs(30);

/// How long what was done before is given to come to rest.
const REST: Duration = Duration::from_secs(5);

/// Stacks of 10 and of 200 services that wait. What the daemon costs the engine is a difference: in turns
/// the same containers run with daemon and guardian, and with both killed.
pub async fn idle() {
    for services in sizes(&[10, 200]) {
        let stack = TestStack::new(&format!("bench-idle-{services}"), &waiting(services)).await;
        stack.done(&["up", "-d", "--timeout", "10m"]);
        let mut seen = Seen::default();
        for round in 0..rounds() {
            for who in turns(round, 2) {
                if who == 0 { kept(&stack, &mut seen).await } else { left_alone(&stack, &mut seen).await }
            }
        }
        report(services, &seen);
        stack.done(&["up", "-d"]);
        stack.done(&["down"]);
    }
}

/// A round with daemon and guardian.
async fn kept(stack: &TestStack, seen: &mut Seen) {
    stack.done(&["up", "-d"]);
    let own = processes(stack);
    let shares = shares(&own).await;
    seen.memory.push(Memory::of(&own));
    seen.own.push(shares.own);
    seen.engine.push(shares.engine);
}

/// A round in which nobody keeps the stack.
async fn left_alone(stack: &TestStack, seen: &mut Seen) {
    stack.done(&["up", "-d"]);
    kill(&processes(stack)).await;
    seen.engine_alone.push(shares(&[]).await.engine);
}

/// Daemon and guardian.
fn processes(stack: &TestStack) -> [u64; 2] {
    let daemon = stack.daemon_pid();
    [daemon, status(daemon, "PPid:")]
}

/// What was seen of a stack, in each round.
#[derive(Default)]
struct Seen {
    memory: Vec<Memory>,
    /// Percent of a core of daemon and guardian.
    own: Vec<f64>,
    /// Of the engine.
    engine: Vec<f64>,
    /// Of the engine when nobody asks it.
    engine_alone: Vec<f64>,
}

/// Memory of daemon and guardian together, in megabytes.
struct Memory {
    /// What the machine has less of for them: a page that both have, as those of the program, counts once.
    proportional: f64,
    /// The sum of what each of them has resident: such a page counts twice.
    resident: f64,
    /// What is nobody else's and backed by no file: heap and stacks.
    anonymous: f64,
}

impl Memory {
    fn of(pids: &[u64]) -> Self {
        let sum = |field| pids.iter().map(|pid| number(of_rollup(*pid, field)) * 1024.0 / 1e6).sum();
        Self { proportional: sum("Pss:"), resident: sum("Rss:"), anonymous: sum("Anonymous:") }
    }
}

fn report(services: usize, seen: &Seen) {
    let megabytes = |part: fn(&Memory) -> f64| median(seen.memory.iter().map(part));
    let (proportional, resident, anonymous) =
        (megabytes(|memory| memory.proportional), megabytes(|memory| memory.resident), megabytes(|memory| memory.anonymous));
    let median = |shares: &[f64]| median(shares.iter().copied());
    let (own, engine, alone) = (median(&seen.own), median(&seen.engine), median(&seen.engine_alone));
    println!("idle with {services} services (median of {} windows of {})", seen.own.len(), shown(WINDOW));
    println!("  daemon and guardian    {proportional:.1} MB, each page counted once; {own:.2} % of a core");
    println!("                         {resident:.1} MB resident, shared pages counted twice; {anonymous:.1} MB anonymous");
    println!("  the engine             {engine:.2} % of a core; {alone:.2} % with both killed");
    println!("  so we cost the engine  {:.2} % of a core", engine - alone);
    let most = if services > 10 { 40.0 } else { 20.0 };
    judge(&format!("below {most:.0} MB"), &format!("{proportional:.1} MB"), proportional < most);
    if services <= 10 {
        judge("below 0.3 % of a core", &format!("{own:.2} %"), own < 0.3);
    }
}

/// The one in the middle.
fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Percent of a core in a window.
struct Shares {
    own: f64,
    engine: f64,
}

/// What these processes and the engine use while nothing happens.
async fn shares(own: &[u64]) -> Shares {
    tokio::time::sleep(REST).await;
    let engine = [engine_process()];
    let before = (used(own), used(&engine));
    tokio::time::sleep(WINDOW).await;
    let share = |pids: &[u64], before: Duration| 100.0 * used(pids).saturating_sub(before).as_secs_f64() / WINDOW.as_secs_f64();
    Shares { own: share(own, before.0), engine: share(&engine, before.1) }
}

/// Ends daemon and guardian at once; the guardian first, or it would start another daemon.
async fn kill(own: &[u64; 2]) {
    for pid in own.iter().rev() {
        let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "process {pid} can't be killed");
    }
    let gone = |pid: &u64| !Path::new(&format!("/proc/{pid}/cmdline")).exists();
    until("daemon and guardian are gone", Duration::from_millis(20), async || own.iter().all(gone)).await;
}

/// A number of `/proc/PID/status`.
fn status(pid: u64, field: &str) -> u64 {
    field_of(&format!("/proc/{pid}/status"), field)
}

/// A number of `/proc/PID/smaps_rollup`, in KiB.
fn of_rollup(pid: u64, field: &str) -> u64 {
    field_of(&format!("/proc/{pid}/smaps_rollup"), field)
}

fn field_of(path: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(path).expect("a process that runs");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn number(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

/// User and system time of processes.
fn used(pids: &[u64]) -> Duration {
    pids.iter().map(|pid| processor_time(*pid)).sum()
}

fn processor_time(pid: u64) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process that runs");
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // USER_HZ is 100 on every Linux that this runs on.
    Duration::from_millis(ticks * 10)
}

/// The engine of this machine: another one may run beside it, for a test.
fn engine_process() -> u64 {
    const FILE: &str = "/var/run/docker.pid";
    let text = std::fs::read_to_string(FILE).unwrap_or_else(|error| panic!("{FILE}, where dockerd notes its process: {error}"));
    text.trim().parse().unwrap_or_else(|_| panic!("{FILE}: {text}"))
}
