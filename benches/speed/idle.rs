//! What a stack costs that only runs: memory and processor of daemon and guardian, and of the
//! engine for being listed.

use std::time::Duration;

use crate::lifecycle::waiting;
use crate::measure::shown;
use crate::recorder::Recorder;
use crate::stack::TestStack;

/// How long is looked at. Long enough for several lists.
const WINDOW: Duration = Duration::from_secs(60);

/// Stacks of 10 and of 200 services that wait.
pub async fn idle() {
    for services in [10, 200] {
        let scratch = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(scratch.path());
        let mut stack = TestStack::new(&format!("bench-idle-{services}"), &waiting(services)).await;
        stack.docker_host = Some(format!("unix://{}", recorder.socket.display()));
        stack.done(&["up", "-d", "--timeout", "10m"]);
        let daemon = stack.daemon_pid();
        let guardian = status(daemon, "PPid:");
        let own = [daemon, guardian];
        let engine = engine_process();
        settle(&recorder).await;
        let used = || own.iter().map(|pid| processor_time(*pid)).sum::<Duration>();
        let (before, engine_before, asked) = (used(), processor_time(engine), recorder.seen().len());
        tokio::time::sleep(WINDOW).await;
        let (after, engine_after) = (used(), processor_time(engine));
        let memory: u64 = own.iter().map(|pid| status(*pid, "VmRSS:")).sum();
        let share = |time: Duration| 100.0 * time.as_secs_f64() / WINDOW.as_secs_f64();
        println!("idle with {services} services, over {}", shown(WINDOW));
        println!(
            "  daemon and guardian          {:.1} MB resident, {:.2} % of a core",
            thousandths(memory),
            share(after.saturating_sub(before))
        );
        println!(
            "  the engine meanwhile         {:.2} % of a core, {} calls of ours",
            share(engine_after.saturating_sub(engine_before)),
            recorder.seen().len() - asked
        );
        stack.done(&["down"]);
    }
}

/// Waits until two seconds pass without a mutating call: the stack is at rest.
async fn settle(recorder: &Recorder) {
    loop {
        let before = recorder.mutating().len();
        tokio::time::sleep(Duration::from_secs(2)).await;
        if recorder.mutating().len() == before {
            return;
        }
    }
}

/// A number of `/proc/PID/status`.
fn status(pid: u64, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that runs");
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn thousandths(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap()) / 1e3
}

/// User and system time of a process.
fn processor_time(pid: u64) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process that runs");
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // USER_HZ is 100 on every Linux that this runs on.
    Duration::from_millis(ticks * 10)
}

fn engine_process() -> u64 {
    let output = std::process::Command::new("pidof").args(["-s", "dockerd"]).output().expect("pidof");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("dockerd runs on this machine")
}
