//! How wide a stack is worked on: as wide as its dependencies allow, and no wider.

use std::time::Duration;

use witwd::engine::sim::{Call, Operation, Script, Trace};
use witwd::model::time::Moment;

use super::stacks::stack;
use super::world::Machine;

/// How many services each layer has; all of them together are less than the cap.
const LAYERS: [usize; 4] = [3, 5, 1, 4];
/// How long a service takes from its start until it is ready.
const READY_AFTER: Duration = Duration::from_millis(700);

fn names(layer: usize) -> Vec<String> {
    (0..LAYERS[layer]).map(|number| format!("l{layer}-{number}")).collect()
}

/// Every service of a layer waits for all of the layer below it.
fn layered() -> String {
    let service = |layer: usize, name: &String| {
        let below = layer.checked_sub(1).map(names).unwrap_or_default();
        format!("[services.{name}]\nimage = \"app:1\"\nport = 8000\nhealth.tcp = true\ndepends_on = {below:?}\n")
    };
    let layers = (0..LAYERS.len()).flat_map(|layer| names(layer).iter().map(|name| service(layer, name)).collect::<Vec<_>>());
    format!("name = \"demo\"\n{}", layers.collect::<String>())
}

/// The starts of each layer.
fn starts(machine: &Machine) -> Vec<Vec<Call>> {
    let trace = machine.trace();
    let of_service = |name: &String| {
        let target = machine.engine.with(|world| world.by_name(&format!("demo-{name}-1")).map(|seen| seen.id.to_string()));
        let starts = trace.of(Operation::Start).into_iter().filter(move |call| Some(&call.target) == target.as_ref());
        starts.cloned().collect::<Vec<Call>>()
    };
    (0..LAYERS.len()).map(|layer| names(layer).iter().flat_map(of_service).collect()).collect()
}

#[tokio::test(start_paused = true)]
async fn layers_below_the_cap_are_each_started_at_once_and_only_when_the_layer_below_is_ready() {
    assert!(LAYERS.iter().sum::<usize>() < witwd::supervisor::PRIMITIVES);
    let machine = Machine::new();
    machine.engine.add_image("app:1");
    for name in (0..LAYERS.len()).flat_map(names) {
        machine.engine.script(&name, Script::ready_after(READY_AFTER));
    }
    let layered = stack(&layered());
    machine.daemon(&layered).up_and_wait(&layered).await;
    let starts = starts(&machine);
    let widths: Vec<usize> = starts.iter().map(|calls| Trace { calls: calls.clone() }.max_in_flight()).collect();
    assert_eq!(widths, LAYERS);
    let all = Trace { calls: starts.concat() };
    assert_eq!((all.calls.len(), all.max_in_flight()), (LAYERS.iter().sum(), 5));
    let first = |calls: &Vec<Call>| calls.iter().map(|call| call.at).min().expect("a start");
    let last = |calls: &Vec<Call>| calls.iter().filter_map(|call| call.finished_at).max().expect("an answer");
    let waits: Vec<Duration> = starts.windows(2).map(|pair| first(&pair[1]).since(last(&pair[0]))).collect();
    // Half of a start's time is after the engine's own.
    let least = READY_AFTER.saturating_sub(Duration::from_millis(40));
    assert!(waits.iter().all(|wait| *wait >= least), "{waits:?}");
    let took = last(&starts[3]).since(Moment::default());
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(machine.engine.violations(), Vec::<String>::new());
}
