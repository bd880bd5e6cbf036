//! What happened, for whoever looks for the reason: `WITWD_TELL=1 WITWD_SEEDS=7..8`.

use witwd::model::time::Moment;

use super::case::Case;
use super::client::Place;

fn is_asked() -> bool {
    std::env::var_os("WITWD_TELL").is_some()
}

/// Tells of something at its moment.
#[expect(clippy::print_stdout, reason = "asked for")]
pub fn tell(at: Moment, what: &str) {
    if is_asked() {
        println!("{:>12} # {what}", at.since_start().as_micros());
    }
}

/// Tells of every call and every event, but those that only look.
#[expect(clippy::print_stdout, reason = "asked for")]
pub fn tell_all(place: &Place, case: &Case) {
    if !is_asked() {
        return;
    }
    println!("{case:#?}");
    let engine = &place.machine.engine;
    let calls = engine.calls().lines().into_iter().filter(|line| !line.contains("run command") && !line.contains("reach"));
    let events = engine.with(|world| world.bus.journal.clone()).into_iter().map(|event| {
        let id = event.id.get(..12).unwrap_or(&event.id);
        format!("{} * {} {} {id}", event.at.since_start().as_micros(), event.object, event.action)
    });
    let at = |line: &String| line.split(' ').next().and_then(|at| at.parse::<u64>().ok()).unwrap_or_default();
    let mut lines: Vec<String> = calls.chain(events).collect();
    lines.sort_by_key(at);
    println!("{}", lines.join("\n"));
}
