//! What is asked for by hand holds until it is taken back, and a restart is done once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use witwd::engine::sim::{Foreign, Operation, Script};
use witwd::host::Disk as _;
use witwd::model::by_hand::ByHand;
use witwd::model::history::Goal;
use witwd::model::stack::Stack;
use witwd::model::status::{State, Status};
use witwd::model::wish::{Chosen, Wish};
use witwd::supervisor::{HandError, StateFile};

use super::stacks::{FOUR, stack};
use super::world::{DEMO, Daemon, Machine};

/// Long enough for whatever would happen by itself.
const A_WHILE: Duration = Duration::from_secs(300);

pub fn chosen(words: &str) -> BTreeSet<Chosen> {
    words.split_whitespace().map(|word| word.parse().expect("a name")).collect()
}

fn restart(words: &str) -> Wish {
    Wish::Restart { of: chosen(words) }
}

fn stop(words: &str) -> Wish {
    Wish::Stop { of: chosen(words) }
}

fn start(words: &str) -> Wish {
    Wish::Start { of: chosen(words) }
}

fn scale(name: &str, count: u32) -> Wish {
    Wish::Scale { to: [(name.parse().expect("a name"), count)].into() }
}

/// Asks and waits for a status of which `test` holds.
async fn ask(daemon: &Daemon, wish: Wish, test: impl Fn(&Status) -> bool) -> Arc<Status> {
    let (generation, _) = daemon.handle.hand(wish).await.expect("a wish that makes sense");
    daemon.settled(generation, test).await
}

fn is_stopped(status: &Status, name: &str) -> bool {
    let mut own = status.items.iter().filter(|item| item.name == name);
    own.all(|item| item.state == State::Stopped && item.held)
}

/// A machine with this stack running, its daemon, and the stack.
async fn running(text: &str) -> (Machine, Daemon, Arc<Stack>) {
    let machine = Machine::new();
    let stack = stack(text);
    let daemon = machine.daemon(&stack);
    daemon.up_and_wait(&stack).await;
    (machine, daemon, stack)
}

fn state(machine: &Machine, name: &str) -> String {
    let found = machine.containers().into_iter().find(|told| told.split(' ').next() == Some(name));
    found.unwrap_or_else(|| panic!("no {name} in {:?}", machine.containers())).split(' ').nth(1).unwrap_or_default().to_owned()
}

/// When the present run of a container began.
fn began(machine: &Machine, name: &str) -> Option<witwd::model::time::Moment> {
    machine.engine.with(|world| world.by_name(name).and_then(|container| container.run.as_ref().map(|run| run.began)))
}

fn count(machine: &Machine, operation: Operation) -> usize {
    machine.trace().of(operation).len()
}

#[tokio::test(start_paused = true)]
async fn a_save_neither_starts_what_is_down_nor_hides_that_it_is() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let down = daemon.handle.down(witwd::supervisor::Down::default()).await.expect("a daemon that lives");
    let saved = witwd::supervisor::Up { occasion: witwd::supervisor::Occasion::Saved, ..witwd::supervisor::Up::of(demo) };
    assert_eq!(daemon.handle.up(saved).await.expect("a daemon that lives"), down);
    daemon.settled(down, |status| status.converged).await;
    assert_eq!(machine.containers(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_stop_holds_over_saves_a_killed_daemon_and_a_reboot() {
    let (machine, daemon, demo) = running(DEMO).await;
    ask(&daemon, stop("app"), |status| is_stopped(status, "app")).await;
    assert_eq!(machine.containers(), ["demo-app-1 exited", "demo-db-1 running"]);
    daemon.kill().await;

    let daemon = machine.daemon(&demo);
    daemon.resume(&demo).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(state(&machine, "demo-app-1"), "exited");
    // What a saved file brings is applied to the rest.
    let saved = stack(
        &DEMO.replace("app:1", "app:2").replace("name = \"demo\"", "name = \"demo\"\n[services.cache]\nimage = \"cache:1\""),
    );
    daemon.save(&saved).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(machine.containers(), ["demo-app-1 exited", "demo-cache-1 running", "demo-db-1 running"]);

    machine.engine.restart_engine(Duration::from_secs(5));
    daemon.kill().await;
    let daemon = machine.daemon(&saved);
    let generation = daemon.resume(&saved).await;
    daemon.settled(generation, |status| status.converged).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(machine.containers(), ["demo-app-1 exited", "demo-cache-1 running", "demo-db-1 running"]);
    assert!(is_stopped(&daemon.handle.status(), "app"), "{:#?}", daemon.handle.status());

    // Started, it is what the file says by now.
    ask(&daemon, start("app"), |status| status.converged).await;
    let app = machine.engine.with(|world| world.by_name("demo-app-1").map(|container| container.image_reference.clone()));
    assert_eq!(app.as_deref(), Some("app:2"));
    assert_eq!(machine.engine.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_up_that_names_it_or_nothing_ends_a_stop_and_another_does_not() {
    let (machine, daemon, demo) = running(DEMO).await;
    ask(&daemon, stop("app"), |status| is_stopped(status, "app")).await;
    let generation = daemon.up_of(&demo, &["db"]).await;
    daemon.settled(generation, |status| status.converged).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(state(&machine, "demo-app-1"), "exited");
    let generation = daemon.up_of(&demo, &["app"]).await;
    daemon.settled(generation, |status| status.converged).await;
    assert_eq!(state(&machine, "demo-app-1"), "running");
    ask(&daemon, stop("app"), |status| is_stopped(status, "app")).await;
    let status = daemon.up_and_wait(&demo).await;
    assert!(status.items.iter().all(|item| item.ready && !item.held), "{status:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_remembered_over_a_down() {
    let (machine, daemon, demo) = running(DEMO).await;
    ask(&daemon, stop("app"), |status| is_stopped(status, "app")).await;
    daemon.down_and_wait().await;
    assert_eq!(machine.containers(), Vec::<String>::new());
    let generation = daemon.up_of(&demo, &["db"]).await;
    daemon.settled(generation, |status| status.converged).await;
    assert_eq!(machine.containers(), ["demo-db-1 running"]);
    daemon.up_and_wait(&demo).await;
    assert_eq!(machine.containers(), ["demo-app-1 running", "demo-db-1 running"]);
}

#[tokio::test(start_paused = true)]
async fn of_those_that_are_stopped_together_dependents_end_first() {
    let (machine, daemon, _demo) = running(FOUR).await;
    let all = |status: &Status| ["app", "worker", "db"].iter().all(|name| is_stopped(status, name));
    ask(&daemon, stop("db worker app"), all).await;
    let stopped: Vec<String> = machine.trace().of(Operation::Stop).iter().map(|call| call.target.clone()).collect();
    let ids = |name: &str| machine.engine.with(|world| world.by_name(name).map(|container| container.id.to_string()));
    let place = |name: &str| stopped.iter().position(|id| Some(id.get(..12).unwrap_or(id)) == ids(name).as_deref());
    let order = [place("demo-worker-1"), place("demo-app-1"), place("demo-db-1")];
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?} {stopped:?}");
    assert!(place("demo-app-2") < place("demo-db-1"));
    assert_eq!(state(&machine, "demo-cache-1"), "running");
}

#[tokio::test(start_paused = true)]
async fn who_needs_what_is_stopped_is_named_goes_on_and_waits_only_when_it_ends() {
    let (machine, daemon, _demo) = running(DEMO).await;
    let before = began(&machine, "demo-app-1");
    let (generation, notes) = daemon.handle.hand(stop("db")).await.expect("a wish that makes sense");
    assert_eq!(notes, ["app needs db: what runs goes on without it, what ends waits for it"]);
    daemon.settled(generation, |status| is_stopped(status, "db")).await;
    machine.engine.hang("app", true);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((began(&machine, "demo-app-1"), count(&machine, Operation::Stop)), (before, 1), "nobody is restarted for it");
    machine.engine.hang("app", false);
    // It ends by itself.
    machine.engine.foreign(&Foreign::Kill("demo-app-1".to_owned())).expect("it runs");
    let app = daemon.until("app", |item| item.waits_for_hand).await;
    assert_eq!(app.cause, "waiting for db: stopped by hand, `witwd start db` starts it");
    ask(&daemon, start("db"), |status| status.converged).await;
    assert_eq!(machine.containers(), ["demo-app-1 running", "demo-db-1 running"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_stopped_while_its_image_is_pulled_is_not_started_when_it_came() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up(&demo).await;
    daemon.until("app", |item| item.state == State::Pulling).await;
    ask(&daemon, stop("app"), |status| is_stopped(status, "app")).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(machine.containers(), ["demo-db-1 running"]);
    assert!(daemon.handle.status().converged);
}

#[tokio::test(start_paused = true)]
async fn a_restart_gives_each_a_new_run_once_in_order_and_counts_as_no_crash() {
    let (machine, daemon, _demo) = running(DEMO).await;
    let ids = |name: &str| machine.engine.with(|world| world.by_name(name).map(|container| container.id.clone()));
    let before = (began(&machine, "demo-app-1"), began(&machine, "demo-db-1"), ids("demo-app-1"));
    let status = ask(&daemon, restart(""), |status| status.converged).await;
    assert!(before.0 < began(&machine, "demo-app-1") && before.1 < began(&machine, "demo-db-1"));
    assert!(began(&machine, "demo-db-1").map(|db| db + Duration::from_millis(100)) <= began(&machine, "demo-app-1"));
    assert_eq!(ids("demo-app-1"), before.2, "the same container");
    assert!(status.items.iter().all(|item| item.restarts == 0 && item.attempt == 0), "{status:#?}");
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((count(&machine, Operation::Stop), count(&machine, Operation::Start)), (2, 4));
    assert_eq!(machine.engine.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_a_database_restarts_nobody_else() {
    let (machine, daemon, _demo) = running(DEMO).await;
    let before = began(&machine, "demo-app-1");
    ask(&daemon, restart("db"), |status| status.converged).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(began(&machine, "demo-app-1"), before);
    assert_eq!(count(&machine, Operation::Stop), 1);
}

#[tokio::test(start_paused = true)]
async fn one_replica_is_always_ready_while_all_are_restarted() {
    let (machine, daemon, _demo) = running(FOUR).await;
    let before = [began(&machine, "demo-app-1"), began(&machine, "demo-app-2")];
    let mut published = daemon.handle.watch();
    let watching = tokio::spawn(async move {
        let mut least = usize::MAX;
        while published.changed().await.is_ok() {
            let status = published.borrow_and_update().status.clone();
            least = least.min(status.items.iter().filter(|item| item.name == "app" && item.ready).count());
            if status.converged && least < 2 {
                break;
            }
        }
        least
    });
    ask(&daemon, restart("app"), |status| status.converged).await;
    assert_eq!(watching.await.expect("no panic"), 1);
    assert!(before < [began(&machine, "demo-app-1"), began(&machine, "demo-app-2")]);
}

/// A machine whose app is in a crash loop, and would last from now on.
async fn looping() -> (Machine, Daemon) {
    let (machine, daemon, _demo) = running(DEMO).await;
    machine.engine.script("app", Script::ends(Duration::from_secs(1), 1));
    machine.engine.foreign(&Foreign::Kill("demo-app-1".to_owned())).expect("it runs");
    daemon.until("app", |item| item.state == State::CrashLoop).await;
    machine.engine.script("app", Script::default());
    (machine, daemon)
}

#[tokio::test(start_paused = true)]
async fn a_restart_leaves_a_crash_loop_and_starts_at_once() {
    let (_machine, daemon) = looping().await;
    let (generation, _) = daemon.handle.hand(restart("app")).await.expect("a wish that makes sense");
    let soon = tokio::time::timeout(Duration::from_secs(5), daemon.settled(generation, |status| status.converged)).await;
    let status = soon.expect("nothing of its past delays it");
    let app = status.items.iter().find(|item| item.name == "app").expect("it is declared");
    assert_eq!((app.attempt, app.restarts, app.state), (0, 10, State::Running), "{app:#?}");
}

/// A client that waits goes by what it is told: a failure that is over would end its wait.
#[tokio::test(start_paused = true)]
async fn what_ended_is_not_told_as_failed_while_its_successor_is_made() {
    let (_machine, daemon) = looping().await;
    let mut published = daemon.handle.watch();
    let generation = daemon.up(&stack(&DEMO.replace("[services.app]", "[services.app]\nenv.MENDED = \"1\""))).await;
    let mut told = Vec::new();
    loop {
        published.changed().await.expect("the daemon lives");
        let now = published.borrow_and_update().clone();
        if now.generation < generation || !now.looked {
            continue;
        }
        told.extend(now.status.items.iter().filter(|item| item.name == "app").map(|item| item.state));
        if now.status.converged {
            break;
        }
    }
    told.dedup();
    assert_eq!(told, [State::Starting, State::Running]);
}

/// A daemon that dies after `calls` calls since it was asked to restart all, and the next one.
async fn killed_in_a_restart(calls: usize) -> bool {
    let (machine, daemon, demo) = running(DEMO).await;
    let before = (began(&machine, "demo-app-1"), began(&machine, "demo-db-1"));
    let already = machine.trace().calls.len();
    let (generation, _) = daemon.handle.hand(restart("")).await.expect("a wish that makes sense");
    let published = daemon.handle.watch();
    let died = loop {
        if machine.trace().calls.len() >= already + calls {
            break true;
        }
        let now = published.borrow().clone();
        if now.generation >= generation && now.looked && now.status.converged {
            break false;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    daemon.kill().await;
    let daemon = machine.daemon(&demo);
    let generation = daemon.resume(&demo).await;
    daemon.settled(generation, |status| status.converged).await;
    tokio::time::sleep(A_WHILE).await;
    let after = (began(&machine, "demo-app-1"), began(&machine, "demo-db-1"));
    assert!(before.0 < after.0 && before.1 < after.1, "lost after {calls} calls");
    assert_eq!(machine.engine.violations(), Vec::<String>::new(), "after {calls} calls");
    let ended: Vec<usize> =
        machine.engine.with(|world| world.containers.values().map(|container| container.ended.len()).collect());
    assert_eq!(ended, [1, 1], "done twice after {calls} calls: {:#?}", machine.trace().lines());
    died
}

#[tokio::test(start_paused = true)]
async fn a_kill_after_any_call_of_a_restart_loses_none_and_repeats_none() {
    let mut kills = 0;
    for calls in 0.. {
        if !killed_in_a_restart(calls).await {
            break;
        }
        kills += 1;
    }
    assert!(kills > 5, "only {kills} kills: this test proves little");
}

#[tokio::test(start_paused = true)]
async fn a_number_of_replicas_holds_until_it_is_taken_back() {
    let (machine, daemon, four) = running(FOUR).await;
    let status = ask(&daemon, scale("app", 3), |status| status.converged).await;
    let apps = status.items.iter().filter(|item| item.name == "app");
    assert!(apps.clone().count() == 3 && apps.clone().all(|item| item.held && item.ready), "{status:#?}");
    assert_eq!(apps.map(|item| item.cause.as_str()).collect::<Vec<_>>(), ["scaled to 3 by hand, 2 in stack.toml", "", ""]);
    daemon.kill().await;
    let daemon = machine.daemon(&four);
    machine.engine.restart_engine(Duration::from_secs(5));
    let generation = daemon.resume(&four).await;
    daemon.settled(generation, |status| status.converged).await;
    assert_eq!(state(&machine, "demo-app-3"), "running");
    for saved in [FOUR.replace("app:1", "app:2"), FOUR.replace("replicas = 2", "replicas = 1")] {
        assert_ne!(saved, FOUR);
        let generation = daemon.save(&stack(&saved)).await;
        let status = daemon.settled(generation, |status| status.converged).await;
        let apps: Vec<_> = status.items.iter().filter(|item| item.name == "app").collect();
        assert!(apps.len() == 3 && apps.iter().all(|item| item.held && item.ready), "{status:#?}");
    }
    let seen = ask(&daemon, scale("app", 1), |status| status.converged).await;
    assert_eq!(seen.items.iter().filter(|item| item.name == "app").count(), 1);
    assert_eq!(machine.containers().iter().filter(|told| told.starts_with("demo-app-")).count(), 1);
    let generation = daemon.up_of(&four, &["app"]).await;
    daemon.settled(generation, |status| status.converged).await;
    assert_eq!(state(&machine, "demo-app-2"), "running");
    assert!(daemon.handle.status().items.iter().all(|item| !item.held));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_goes_is_shown_until_it_is_gone() {
    let (machine, daemon, _four) = running(FOUR).await;
    machine.engine.script("app", Script { slow_stop: Duration::from_secs(4), ..Script::default() });
    let going = |status: &Status| status.items.iter().any(|item| item.replica == 2 && item.state == State::Stopping);
    ask(&daemon, scale("app", 1), going).await;
    assert!(!daemon.handle.status().converged);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused_whole_and_changes_nothing() {
    let text = format!(
        "{DEMO}[services.web]\nimage = \"app:1\"\nport = 8000\nports = [\"8080:8000\"]\n\
         [postgres.far]\nurl = \"postgres://u:p@example.test/x\"\n[jobs.tidy]\nimage = \"app:1\"\nrun = \"manual\"\n"
    );
    let machine = Machine::new();
    let stack = stack(&text);
    let daemon = machine.daemon(&stack);
    daemon.up(&stack).await;
    daemon.until("app", |item| item.ready).await;
    let before = machine.trace().mutating_calls().len();
    for (wish, words) in [
        (scale("db", 2), "db is a postgres: only services are scaled"),
        (scale("tidy", 2), "tidy is a job, which does not keep running; this version does not run jobs"),
        (scale("web", 2), "2 replicas of web can't share port 8080 of the host"),
        (scale("app", 0), "0 replicas of app are none"),
        (scale("app", 1001), "1001 replicas of app are too many"),
        (stop("app far"), "far is an external server: witwd does not run it"),
        (restart("tidy"), "tidy is a job, which does not keep running; this version does not run jobs"),
        (stop("app.2"), "there is no app.2: app has 1 replica"),
        (start("wbe"), "stack demo has no wbe"),
    ] {
        let refused = daemon.handle.hand(wish).await;
        let Err(HandError::Refused(refusal)) = refused else { panic!("{words}: {refused:?}") };
        assert_eq!(refusal.message, words);
        assert!(refusal.hint.is_some() && !refusal.depends_on_state, "{refusal:?}");
    }
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(machine.trace().mutating_calls().len(), before);
    ask(&daemon, stop("app"), |status| is_stopped(status, "app")).await;
    for wish in [restart("app"), scale("app", 2)] {
        let Err(HandError::Refused(refusal)) = daemon.handle.hand(wish).await else { panic!("it is stopped") };
        assert_eq!((refusal.message.as_str(), refusal.depends_on_state), ("app is stopped by hand", true));
    }
    daemon.down_and_wait().await;
    let Err(HandError::Refused(refusal)) = daemon.handle.hand(start("app")).await else { panic!("it is down") };
    assert_eq!(refusal.message, "the stack is not up");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_while_a_stack_goes_down_keeps_nobody_waiting_for_it() {
    let (_machine, daemon, _) = running(DEMO).await;
    let down = daemon.handle.down(witwd::supervisor::Down::default()).await.expect("a daemon that lives");
    assert!(daemon.handle.hand(restart("app")).await.is_err());
    daemon.settled(down, |status| status.converged).await;
    assert_eq!(daemon.handle.watch().borrow().generation, down, "no later request");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_before_a_daemon_goes_on_is_not_undone_by_that() {
    let (machine, daemon, demo) = running(DEMO).await;
    daemon.kill().await;
    let daemon = machine.daemon(&demo);
    let down = daemon.handle.down(witwd::supervisor::Down::default()).await.expect("a daemon that lives");
    assert_eq!(daemon.resume(&demo).await, down);
    daemon.settled(down, |status| status.converged).await;
    assert_eq!(machine.containers(), Vec::<String>::new());
}

#[test]
fn a_state_that_knows_nothing_of_hands_is_read_as_before() {
    let machine = Machine::new();
    let path = std::path::PathBuf::from("/stack/.witwd/state.json");
    machine.disk.write_atomic(&path, br#"{"v":1,"goal":"down","builds":{"app":"one"}}"#).expect("the simulated disk writes");
    let mut state = StateFile::new(machine.disk.clone(), path);
    let (history, unusable) = state.load();
    let history = history.expect("a state");
    assert_eq!((history.goal, unusable, history.builds.len()), (Goal::Down, None, 1));
    assert_eq!(history.by_hand, ByHand::default());
}
