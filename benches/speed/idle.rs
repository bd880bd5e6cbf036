//! What a stack costs that only runs: memory and processor of daemon and guardian, and of the
//! engine for being listed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::lifecycle::waiting;
use crate::measure::{judge, shown, sizes, until};
use crate::stack::TestStack;

/// How long is looked at. Long enough for two lists.
const WINDOW: Duration = Duration::from_secs(60);

/// How long what was done before is given to come to rest.
const REST: Duration = Duration::from_secs(5);

/// Stacks of 10 and of 200 services that wait. What the daemon costs the engine is a difference: the
/// same containers run on while daemon and guardian are killed.
pub async fn idle() {
    for services in sizes(&[10, 200]) {
        let stack = TestStack::new(&format!("bench-idle-{services}"), &waiting(services)).await;
        stack.done(&["up", "-d", "--timeout", "10m"]);
        let daemon = stack.daemon_pid();
        let own = [daemon, status(daemon, "PPid:")];
        let with = shares(&own).await;
        let memory = Memory::of(&own);
        kill(&own).await;
        let without = shares(&[]).await;
        report(services, &Seen { memory, own: with.own, engine: with.engine, engine_alone: without.engine });
        stack.done(&["down"]);
    }
}

/// What was seen of a stack.
struct Seen {
    memory: Memory,
    /// Percent of a core of daemon and guardian.
    own: f64,
    /// Of the engine.
    engine: f64,
    /// Of the engine when nobody asks it.
    engine_alone: f64,
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
    let Memory { proportional: megabytes, resident, anonymous } = seen.memory;
    println!("idle with {services} services, over {}", shown(WINDOW));
    println!("  daemon and guardian    {megabytes:.1} MB, each page counted once; {:.2} % of a core", seen.own);
    println!("                         {resident:.1} MB resident, shared pages counted twice; {anonymous:.1} MB anonymous");
    println!("  the engine             {:.2} % of a core; {:.2} % with both killed", seen.engine, seen.engine_alone);
    println!("  so we cost the engine  {:.2} % of a core", seen.engine - seen.engine_alone);
    let most = if services > 10 { 40.0 } else { 20.0 };
    judge(&format!("below {most:.0} MB"), &format!("{megabytes:.1} MB"), megabytes < most);
    if services <= 10 {
        judge("below 0.3 % of a core", &format!("{:.2} %", seen.own), seen.own < 0.3);
    }
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
