//! What the daemon must remember does not reach the disk: it dies at any write, or there is no room.

use std::time::Duration;

use witwd::host::sim::LastWrite;
use witwd::supervisor::{Down, Occasion, Up};

use super::stacks::{FOUR, loaded};
use super::world::{DEMO, Daemon, LIMIT, Machine};

/// What a person asks for.
#[derive(Clone, Copy)]
enum Request<'a> {
    Up(&'a str),
    Down,
}

/// A request for a stack as the command line makes it, with its definitions.
fn up(text: &str, occasion: Occasion) -> Up {
    let loaded = loaded(text);
    Up { definitions: loaded.definitions, occasion, ..Up::of(loaded.stack.into()) }
}

fn changed() -> String {
    DEMO.replace("app:1", "app:2").replace("image = \"postgres:17\"", "image = \"postgres:17\"\nsettings.work_mem = \"8MB\"")
}

/// A daemon that goes on with a stack, and whose stack is as it should be.
async fn settled(machine: &Machine, text: &str) -> Daemon {
    let daemon = machine.daemon(&loaded(text).stack.into());
    ask(&daemon, Request::Up(text)).await;
    daemon
}

/// Asks and waits until it is done.
async fn ask(daemon: &Daemon, request: Request<'_>) {
    let generation = accepted(daemon, request).await;
    daemon.settled(generation, |status| status.converged).await;
}

async fn accepted(daemon: &Daemon, request: Request<'_>) -> u64 {
    let accepted = match request {
        Request::Up(text) => daemon.handle.up(up(text, Occasion::Asked)).await,
        Request::Down => daemon.handle.down(Down::default()).await,
    };
    accepted.expect("a daemon that lives")
}

/// Where two machines may differ: nothing that a person has or asked for.
fn end(machine: &Machine) -> Vec<String> {
    let mut lines: Vec<String> = machine.engine.with(|world| {
        let container = |seen: &witwd::engine::sim::SimContainer| {
            format!("container {} {} of {} on {:?}", seen.name, seen.state.word(), seen.image_reference, seen.networks)
        };
        let containers = world.containers.values().map(container);
        let networks = world.networks.values().map(|network| format!("network {}", network.name));
        let volumes = world.volumes.iter().map(|(name, volume)| format!("volume {name} of {:?}", volume.owner));
        containers.chain(networks).chain(volumes).collect()
    });
    lines.sort();
    let known = machine.kept();
    let history = &known.history;
    lines.push(format!("goal {:?}, left {:?}", history.goal, history.left));
    lines.extend(history.images.iter().map(|(name, image)| format!("image of {name} {image:?}")));
    lines.extend(history.replicas.iter().map(|(key, replica)| format!("restarts of {key} {}", replica.restarts)));
    let postgres = history.postgres.iter();
    lines.extend(
        postgres.map(|(name, known)| format!("{name} {:?} {:?} {}", known.made_empty, known.data, known.provisioned.is_some())),
    );
    lines.extend(known.definitions.iter().map(|(hash, definition)| format!("definition {hash} {definition}")));
    lines
}

/// Asks a daemon whose machine stops at write `number`: whether it did, and whether the request was
/// answered before.
async fn stops_at(machine: &Machine, daemon: Daemon, request: Request<'_>, number: usize, last: LastWrite) -> (bool, bool) {
    let (sender, mut stopped) = tokio::sync::oneshot::channel();
    let engine = machine.engine.clone();
    machine.disk.stop_at(number, last, move || {
        engine.hang_engine(true);
        let _ = sender.send(());
    });
    let mut answered = false;
    let done = async {
        let generation = accepted(&daemon, request).await;
        answered = true;
        daemon.settled(generation, |status| status.converged).await;
    };
    // Who is told at the moment of the end was not told.
    let has_stopped = tokio::select! {
        biased;
        _ = &mut stopped => true,
        () = done => false,
    };
    daemon.kill().await;
    machine.disk.go_on();
    machine.engine.hang_engine(false);
    (has_stopped, answered)
}

/// Stops the machine at the first write of a request, at its second, ..., with the write lost and
/// with it there, until one is not reached: each time the next daemon comes to the same end.
async fn killed_at_every_write(before: &str, request: Request<'_>, begin: impl AsyncFn(&Machine) -> Daemon) {
    let undisturbed = Machine::new();
    ask(&begin(&undisturbed).await, request).await;
    let wanted = end(&undisturbed);
    for last in [LastWrite::Lost, LastWrite::There] {
        let mut stops = 0;
        for number in 1.. {
            let machine = Machine::new();
            let first = begin(&machine).await;
            let (has_stopped, answered) = stops_at(&machine, first, request, number, last).await;
            let text = if let Request::Up(text) = request { text } else { before };
            let next = machine.daemon(&loaded(text).stack.into());
            go_on(&next, request, answered).await;
            assert_eq!(end(&machine), wanted, "{last:?} write {number}");
            assert_eq!(machine.engine.violations(), Vec::<String>::new(), "{last:?} write {number}");
            if !has_stopped {
                break;
            }
            stops = number;
        }
        assert!(stops >= 5, "only {stops} writes: this test proves little");
    }
}

/// Nobody asks again for what was answered.
async fn go_on(next: &Daemon, request: Request<'_>, answered: bool) {
    match request {
        Request::Up(text) if answered => {
            let generation = next.handle.up(up(text, Occasion::Resumed)).await.expect("a daemon that lives");
            next.settled(generation, |status| status.converged).await;
        }
        Request::Down if answered => tokio::time::sleep(LIMIT).await,
        asked => ask(next, asked).await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_write_of_an_up_changes_nothing_in_the_end() {
    killed_at_every_write(FOUR, Request::Up(FOUR), async |machine| machine.daemon(&loaded(FOUR).stack.into())).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_write_of_a_recreate_changes_nothing_in_the_end() {
    killed_at_every_write(DEMO, Request::Up(&changed()), async |machine| settled(machine, DEMO).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_write_of_a_down_is_healed_by_the_next_daemon() {
    killed_at_every_write(FOUR, Request::Down, async |machine| {
        let daemon = settled(machine, FOUR).await;
        // Logs are written before containers go.
        machine.engine.say("app", "the last words");
        daemon
    })
    .await;
}

/// What a daemon told of writes that failed.
fn told(records: &mut tokio::sync::broadcast::Receiver<witwd::model::status::EventRecord>) -> Vec<String> {
    let all = std::iter::from_fn(|| records.try_recv().ok());
    all.filter(|record| record.kind == "failed").map(|record| format!("{} | {}", record.target, record.cause)).collect()
}

/// A request while there is no room, then room: the same end as without, and nothing but the old state
/// on the disk until then.
async fn without_room(request: Request<'_>, begin: impl AsyncFn(&Machine) -> Daemon) {
    let undisturbed = Machine::new();
    ask(&begin(&undisturbed).await, request).await;
    let machine = Machine::new();
    let daemon = begin(&machine).await;
    let before = machine.kept();
    let mut records = daemon.handle.records();
    machine.disk.set_full(true);
    ask(&daemon, request).await;
    tokio::time::sleep(LIMIT).await;
    assert_eq!(machine.containers(), undisturbed.containers());
    let now = machine.kept();
    assert_eq!((now.history, now.definitions), (before.history, before.definitions));
    let told = told(&mut records);
    let of = |what: &str| told.iter().filter(|words| words.starts_with(what) && words.contains("no storage space")).count();
    assert_eq!((of("state |"), of("definitions |"), told.len()), (1, 1, 2), "{told:#?}");
    machine.disk.set_full(false);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(end(&machine), end(&undisturbed));
}

#[tokio::test(start_paused = true)]
async fn an_up_on_a_full_disk_goes_on_from_memory_and_is_written_when_there_is_room() {
    // A password is not used before it is kept, so the database is there already.
    let database = DEMO.split_once("[services").expect("a service").0.to_owned() + "[postgres.db]\nimage = \"postgres:17\"\n";
    without_room(Request::Up(DEMO), async |machine| settled(machine, &database).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_recreate_on_a_full_disk_goes_on_from_memory_and_is_written_when_there_is_room() {
    without_room(Request::Up(&changed()), async |machine| settled(machine, DEMO).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_while_the_disk_is_full_is_healed_by_the_next_daemon() {
    let undisturbed = Machine::new();
    let _daemon = settled(&undisturbed, &changed()).await;
    let machine = Machine::new();
    let daemon = settled(&machine, DEMO).await;
    machine.disk.set_full(true);
    ask(&daemon, Request::Up(&changed())).await;
    daemon.kill().await;
    machine.disk.set_full(false);
    let next = machine.daemon(&loaded(&changed()).stack.into());
    go_on(&next, Request::Up(&changed()), true).await;
    let recreated = machine.containers();
    assert_eq!(recreated, undisturbed.containers());
    assert_eq!(machine.engine.violations(), Vec::<String>::new());
}
