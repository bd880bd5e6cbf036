//! Where two runs may not differ: what a person has and asked for.

use std::time::Duration;

use witwd::engine::sim::{SimContainer, SimVolume};

use super::case::KEPT;
use super::client::Place;

/// The state of a machine at rest, in lines.
pub type End = Vec<String>;

/// All of ours on the engine that is to run, and what is remembered of what was asked for.
pub fn end(place: &Place) -> End {
    let history = place.machine.kept().history;
    let mut lines: End = place.machine.engine.with(|world| {
        let is_meant = |seen: &&SimContainer| {
            seen.identity().is_some_and(|own| own.stack.as_str() == "demo" && !history.by_hand.is_stopped(&own.key))
        };
        let containers = world.containers.values().filter(is_meant).map(container);
        let networks = world.networks.values().map(|network| format!("network {} of {:?}", network.name, network.owner));
        // Who was stopped before it ever ran has no volume.
        let is_idle =
            |name: &str| name == KEPT && serde_json::to_string(&history.by_hand).is_ok_and(|held| held.contains("cache"));
        let volumes = world.volumes.iter().filter(|(name, _)| !is_idle(name)).map(volume);
        containers.chain(networks).chain(volumes).collect()
    });
    lines.sort();
    let by_hand = serde_json::to_value(&history.by_hand).expect("JSON");
    let (stopped, scaled) = (&by_hand["stopped"], &by_hand["scaled"]);
    lines.push(format!("goal {:?}, only {:?}, stopped {stopped}, scaled {scaled}", history.goal, history.only));
    lines
}

fn container(seen: &SimContainer) -> String {
    let spec = seen.identity().map(|identity| format!("{} {:?}", identity.key, identity.spec));
    format!("container {} {} of {} as {spec:?} on {:?}", seen.name, seen.state.word(), seen.image_reference, seen.networks)
}

fn volume((name, volume): (&String, &SimVolume)) -> String {
    let files: Vec<&String> = volume.files.keys().collect();
    format!("volume {name} of {:?} with {files:?}", volume.owner)
}

/// How two ends differ, for people.
pub fn difference(wanted: &End, found: &End) -> Option<String> {
    let missing: Vec<&String> = wanted.iter().filter(|line| !found.contains(line)).collect();
    let surplus: Vec<&String> = found.iter().filter(|line| !wanted.contains(line)).collect();
    let same = missing.is_empty() && surplus.is_empty();
    (!same).then(|| format!("same-end: missing {missing:#?}, surplus {surplus:#?}"))
}

/// How long after everything is well it must stay so without a change.
pub const REST: Duration = Duration::from_secs(600);
/// What was given up in a storm may still happen within this time.
pub const AFTERMATH: Duration = Duration::from_secs(240);
