//! From nothing, from anything, to what the file says; and then nothing more.

use std::time::Duration;

use witwd::control::{Outcome, Restarts, outcome};
use witwd::engine::ErrorKind;
use witwd::engine::sim::{Fault, Foreign, Operation, PullCourse, Script};
use witwd::host::Clock as _;
use witwd::model::status::State;

use super::stacks::stack;
use super::world::{DEMO, Machine};

/// A stack of `count` services that need nothing.
fn wide(count: usize) -> String {
    let services = (0..count).map(|number| format!("[services.s{number}]\nimage = \"app:1\"\nport = 8000\n"));
    format!("name = \"demo\"\n{}", services.collect::<String>())
}

#[tokio::test(start_paused = true)]
async fn an_app_and_its_database_come_up_in_order() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    let status = daemon.up_and_wait(&demo).await;
    assert!(status.items.iter().all(|item| item.ready && item.state == State::Running), "{status:#?}");
    let trace = machine.trace();
    let starts: Vec<&str> = trace.of(Operation::Start).iter().map(|call| call.target.as_str()).collect();
    assert_eq!(starts.len(), 2);
    assert_eq!(machine.containers(), ["demo-app-1 running", "demo-db-1 running"]);
    let started = |name: &str| {
        machine.engine.with(|world| world.by_name(name).and_then(|container| container.run.as_ref().map(|run| run.began)))
    };
    // Not only started: ready, which takes it 300 ms.
    let ready = started("demo-db-1").map(|began| began + Duration::from_millis(300));
    assert!(ready.is_some() && ready <= started("demo-app-1"));
    assert_eq!(machine.engine.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_converged_stack_is_left_alone() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let before = machine.trace().mutating_calls().len();
    tokio::time::sleep(Duration::from_secs(600)).await;
    daemon.up_and_wait(&demo).await;
    assert_eq!(machine.trace().mutating_calls().len(), before);
    assert!(daemon.handle.status().converged);
}

#[tokio::test(start_paused = true)]
async fn independent_services_are_worked_on_as_wide_as_the_cap() {
    let machine = Machine::new();
    machine.engine.add_image("app:1");
    let wide = stack(&wide(40));
    let daemon = machine.daemon(&wide);
    daemon.up_and_wait(&wide).await;
    assert_eq!(machine.trace().max_in_flight(), witwd::supervisor::PRIMITIVES);
    assert_eq!(machine.containers().len(), 40);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_many_share_is_pulled_once() {
    let machine = Machine::new();
    let wide = stack(&wide(5));
    let daemon = machine.daemon(&wide);
    daemon.up_and_wait(&wide).await;
    assert_eq!(machine.trace().of(Operation::Pull).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_what_changed_is_recreated_and_its_successor_comes_first() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let database = machine.engine.with(|world| world.by_name("demo-db-1").map(|container| container.id.clone()));
    let before = machine.trace().mutating_calls().len();
    let changed = stack(&DEMO.replace("app:1", "app:2"));
    daemon.up_and_wait(&changed).await;
    let trace = machine.trace();
    let after: Vec<&str> = trace.mutating_calls()[before..].iter().map(|call| call.operation.words()).collect();
    assert_eq!(
        after,
        ["pull image", "create container", "stop container", "start container", "remove container", "rename container"]
    );
    assert_eq!(machine.engine.with(|world| world.by_name("demo-db-1").map(|container| container.id.clone())), database);
    assert_eq!(machine.containers(), ["demo-app-1 running", "demo-db-1 running"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_left_the_file_goes_and_volumes_stay() {
    let machine = Machine::new();
    let both =
        stack(&format!("{DEMO}[services.cache]\nimage = \"cache:1\"\nvolumes = [\"kept:/data\"]\n[volumes]\nkept = {{}}\n"));
    let daemon = machine.daemon(&both);
    daemon.up_and_wait(&both).await;
    let demo = stack(DEMO);
    daemon.up_and_wait(&demo).await;
    assert_eq!(machine.containers(), ["demo-app-1 running", "demo-db-1 running"]);
    daemon.down_and_wait().await;
    assert_eq!(machine.containers(), Vec::<String>::new());
    let volumes: Vec<String> = machine.engine.with(|world| world.volumes.keys().cloned().collect());
    assert_eq!(volumes, ["demo_db-17", "demo_kept"]);
    assert_eq!(machine.engine.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_slow_pull_delays_nobody_else() {
    let machine = Machine::new();
    machine.engine.publish("slow:1", PullCourse::Takes(Duration::from_secs(300)));
    let text = format!("{DEMO}[services.slow]\nimage = \"slow:1\"\n");
    let both = stack(&text);
    let daemon = machine.daemon(&both);
    let generation = daemon.up(&both).await;
    let app_ready = |status: &witwd::model::status::Status| status.items.iter().any(|item| item.name == "app" && item.ready);
    let status = daemon.settled(generation, app_ready).await;
    let slow = status.items.iter().find(|item| item.name == "slow").expect("it is declared");
    assert_eq!(slow.state, State::Pulling);
    daemon.settled(generation, |status| status.converged).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_ninety_seconds_delays_nobody_else() {
    let machine = Machine::new();
    let text = format!("{DEMO}[services.deaf]\nimage = \"cache:1\"\nstop_grace = \"90s\"\n");
    machine.engine.script("deaf", Script { ignore_sigterm: true, ..Script::default() });
    let three = stack(&text);
    let daemon = machine.daemon(&three);
    daemon.up_and_wait(&three).await;
    let generation = daemon.up(&stack(DEMO)).await;
    daemon.settled(generation, |_| true).await;
    machine.engine.foreign(&Foreign::Kill("demo-app-1".to_owned())).expect("it runs");
    let app = daemon.until("app", |item| item.ready && item.restarts == 1).await;
    assert_eq!(app.last_exit.expect("it was killed").code, 137);
    assert!(machine.containers().contains(&"demo-deaf-1 running".to_owned()), "{:?}", machine.containers());
    daemon.settled(generation, |status| status.converged).await;
    assert_eq!(machine.containers(), ["demo-app-1 running", "demo-db-1 running"]);
}

#[tokio::test(start_paused = true)]
async fn where_no_registry_answers_a_fallback_is_built() {
    let machine = Machine::new();
    machine.engine.set_offline(true);
    let text = DEMO
        .replace("[services.app]\n", "[services.app]\nfallback = { context = \".\" }\n")
        .replace("image = \"postgres:17\"", "image = \"postgres:17\"\npull = \"never\"");
    machine.engine.add_image("postgres:17");
    let demo = stack(&text);
    let daemon = machine.daemon(&demo);
    let status = daemon.up_and_wait(&demo).await;
    let app = status.items.iter().find(|item| item.name == "app").expect("it is declared");
    assert_eq!(app.image, "localhost/demo-app:latest");
}

#[tokio::test(start_paused = true)]
async fn the_last_words_before_a_long_silence_are_shown() {
    let machine = Machine::new();
    let demo = stack("name = \"demo\"\n[services.app]\nbuild = \".\"\n");
    let daemon = machine.daemon(&demo);
    daemon.up(&demo).await;
    // Two lines at once and then nothing: what is published at most now and then still ends with the second.
    daemon.until("app", |app| app.cause.contains("Step 2/2")).await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_many_share_by_extends_is_built_once() {
    let others = "[services.one]\nextends = \"app\"\n[services.two]\nextends = \"one\"\n";
    let with = |image: &str| format!("name = \"demo\"\n[services.app]\n{image}\n{others}");
    let build = stack(&with("build = \".\""));
    let fallback = stack(&with("image = \"app:1\"\nfallback = { context = \".\" }"));
    for (stack, pulls, tag) in [(build, 0, "localhost/demo-app:built"), (fallback, 1, "localhost/demo-app:latest")] {
        let machine = Machine::new();
        machine.engine.set_offline(true);
        let daemon = machine.daemon(&stack);
        let status = daemon.up_and_wait(&stack).await;
        assert!(status.items.iter().all(|item| item.image == tag), "{status:#?}");
        let trace = machine.trace();
        assert_eq!((trace.of(Operation::Build).len(), trace.of(Operation::Pull).len()), (1, pulls), "{tag}");
        // Also by a daemon that has forgotten what it built.
        daemon.kill().await;
        machine.forget();
        let next = machine.daemon(&stack);
        next.up_and_wait(&stack).await;
        assert_eq!(machine.trace().mutating_calls().len(), trace.mutating_calls().len(), "{tag}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_was_taken_over_leaves_an_image_that_is_here_alone() {
    let machine = Machine::new();
    machine.engine.add_image("app:1");
    machine.engine.set_offline(true);
    let text = "name = \"demo\"\n[services.app]\nimage = \"app:1\"\nfallback = { context = \".\" }\n\
                [services.next]\nextends = \"app\"\nimage = \"app:2\"\n";
    let stack = stack(text);
    let daemon = machine.daemon(&stack);
    let status = daemon.up_and_wait(&stack).await;
    let images: Vec<&str> = status.items.iter().map(|item| item.image.as_str()).collect();
    assert_eq!(images, ["app:1", "localhost/demo-app:latest"]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(machine.trace().of(Operation::Create).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_makes_no_second_container() {
    for operation in [Operation::Create, Operation::Start, Operation::CreateNetwork, Operation::CreateVolume] {
        let machine = Machine::new();
        machine.engine.fail_next(operation, Fault::LostAck(ErrorKind::Timeout));
        let demo = stack(DEMO);
        let daemon = machine.daemon(&demo);
        daemon.up_and_wait(&demo).await;
        assert_eq!(machine.containers(), ["demo-app-1 running", "demo-db-1 running"], "{operation:?}");
        assert_eq!(machine.engine.violations(), Vec::<String>::new(), "{operation:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_engine_is_away_nothing_is_called_dead() {
    let machine = Machine::new();
    machine.engine.set_live_restore(true);
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let before = machine.trace().mutating_calls().len();
    machine.engine.restart_engine(Duration::from_secs(60));
    let away = daemon.shown(|status| status.engine == witwd::model::status::EngineStatus::Down).await;
    assert!(!away.converged);
    let back = daemon.settled(0, |status| status.converged).await;
    assert!(back.items.iter().all(|item| item.restarts == 0), "{back:#?}");
    assert_eq!(machine.trace().mutating_calls().len(), before);
}

#[tokio::test(start_paused = true)]
async fn what_foreign_hands_remove_is_made_again() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let old = daemon.until("app", |item| item.ready).await.container;
    machine.engine.foreign(&Foreign::Remove("demo-app-1".to_owned())).expect("it is there");
    daemon.until("app", |item| item.ready && item.container != old).await;
    assert_eq!(machine.containers(), ["demo-app-1 running", "demo-db-1 running"]);
}

#[tokio::test(start_paused = true)]
async fn what_foreign_hands_take_from_the_network_is_put_back_and_not_restarted() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    let before = daemon.up_and_wait(&demo).await;
    let runs = |status: &witwd::model::status::Status| {
        status.items.iter().map(|item| (item.container.clone(), item.since, item.restarts)).collect::<Vec<_>>()
    };
    let calls = machine.trace().mutating_calls().len();
    let (container, network) = ("demo-app-1".to_owned(), "demo".to_owned());
    let names = || machine.engine.with(|world| world.by_name("demo-app-1").and_then(|app| app.networks.get("demo").cloned()));
    let at_rest = async || {
        // The events of the foreign hand wake the daemon: this is much less than a look every 30 s.
        tokio::time::sleep(Duration::from_secs(2)).await;
        daemon.settled(0, |status| status.converged).await
    };
    machine.engine.foreign(&Foreign::Disconnect { container: container.clone(), network: network.clone() }).expect("it is on it");
    at_rest().await;
    assert_eq!(names(), Some(["app".to_owned()].into()));
    // As the database: that is not left so either.
    machine.engine.foreign(&Foreign::Disconnect { container: container.clone(), network: network.clone() }).expect("it is on it");
    machine.engine.foreign(&Foreign::Connect { container, network, alias: "db".to_owned() }).expect("it is not on it");
    let after = at_rest().await;
    assert_eq!(names(), Some(["app".to_owned()].into()));
    assert_eq!(runs(&after), runs(&before));
    let trace = machine.trace();
    let done: Vec<&str> = trace.mutating_calls()[calls..].iter().map(|call| call.operation.words()).collect();
    assert_eq!(done, ["connect container", "disconnect container", "connect container"]);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_somebody_moved_recreates_nothing_and_makes_nothing_twice() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let before = machine.trace().mutating_calls().len();
    // Twice: the second pull means another image.
    machine.engine.publish("app:1", PullCourse::Takes(Duration::from_secs(1)));
    machine.engine.alter(|world| world.images.add_as("app:1", witwd::model::name::ImageId("sha256:moved".to_owned())));
    daemon.up_and_wait(&demo).await;
    assert_eq!(machine.trace().mutating_calls().len(), before);
    machine.engine.foreign(&Foreign::Remove("demo-app-1".to_owned())).expect("it is there");
    let gone = daemon.until("app", |item| !item.ready).await;
    let back = daemon.until("app", |item| item.ready).await;
    assert_ne!(gone.container, back.container);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(machine.trace().of(Operation::Create).len(), 3, "two at first, one for the removed one");
    assert_eq!(machine.containers(), ["demo-app-1 running", "demo-db-1 running"]);
}

#[tokio::test(start_paused = true)]
async fn what_this_version_does_not_carry_out_is_not_waited_for() {
    let machine = Machine::new();
    let waiting = "[services.page]\nimage = \"cache:1\"\ndepends_on = [\"migrate\"]\n[jobs.migrate]\nimage = \"cache:1\"\n";
    let secret = "[services.mail]\nimage = \"cache:1\"\nsecrets = [\"token\"]\n[secrets]\ntoken = {}\n";
    machine.engine.fail_next(Operation::CreateNetwork, Fault::Delay(Duration::from_secs(5)));
    let daemon = machine.daemon(&stack(DEMO));
    let generation = daemon.up(&stack(&format!("{DEMO}{waiting}{secret}"))).await;
    let status = daemon.settled(generation, |status| outcome(status, &Restarts::new()) == Outcome::Failed).await;
    let of = |name: &str| status.items.iter().find(|item| item.name == name).map(|item| (item.state, item.cause.as_str()));
    let page = (State::NeedsOperator, "waiting for migrate: jobs are not run by this version");
    let mail = (State::NeedsOperator, "needs secret token: secrets are not carried out by this version");
    assert_eq!((of("page"), of("mail")), (Some(page), Some(mail)));
    // Nobody gave up before the rest was ready.
    assert!(status.items.iter().any(|item| item.name == "app" && item.ready), "{status:#?}");
}

#[tokio::test(start_paused = true)]
async fn an_up_that_names_some_is_done_without_the_rest() {
    let machine = Machine::new();
    let both = stack(&format!("{DEMO}[services.cache]\nimage = \"cache:1\"\n"));
    let daemon = machine.daemon(&both);
    let generation = daemon.up_of(&both, &["cache"]).await;
    let status = daemon.settled(generation, |status| status.converged).await;
    assert_eq!(outcome(&status, &Restarts::new()), Outcome::Ready);
    let app = status.items.iter().find(|item| item.name == "app").expect("it is declared");
    assert_eq!((app.state, app.cause.as_str()), (State::Stopped, "not asked for: `witwd up app` starts it"));
    assert_eq!(machine.containers(), ["demo-cache-1 running"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_look_is_waited_for_and_not_asked_about_again_and_again() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    machine.engine.fail_next(Operation::Observe, Fault::Delay(Duration::from_secs(20)));
    daemon.up_and_wait(&demo).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_taken_back_recreates_nothing() {
    let machine = Machine::new();
    let demo = stack(DEMO);
    let daemon = machine.daemon(&demo);
    let old = daemon.up_and_wait(&demo).await;
    machine.engine.fail_next(Operation::Create, Fault::FailBefore(ErrorKind::Other));
    daemon.up(&stack(&DEMO.replace("app:1", "app:2"))).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(machine.trace().of(Operation::Pull).len(), 3, "the new image is here");
    let new = daemon.up_and_wait(&demo).await;
    let containers =
        |status: &witwd::model::status::Status| status.items.iter().map(|item| item.container.clone()).collect::<Vec<_>>();
    assert_eq!(containers(&old), containers(&new));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_got_another_name_keeps_its_data_to_itself() {
    let machine = Machine::new();
    machine.engine.script("db", Script { slow_stop: Duration::from_secs(20), ..Script::default() });
    let old = stack("name = \"demo\"\n[postgres.db]\nimage = \"postgres:17\"\nvolume = \"data\"\n[volumes]\ndata = {}\n");
    let new = stack("name = \"demo\"\n[postgres.main]\nimage = \"postgres:17\"\nvolume = \"data\"\n[volumes]\ndata = {}\n");
    let daemon = machine.daemon(&old);
    daemon.up_and_wait(&old).await;
    daemon.up_and_wait(&new).await;
    assert_eq!(machine.containers(), ["demo-main-1 running"]);
    assert_eq!(machine.engine.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_lost_its_liveness_comes_back_although_it_ended_well() {
    let machine = Machine::new();
    machine.engine.script("app", Script { flap: Some(Duration::from_secs(90)), ..Script::default() });
    let demo = stack(&DEMO.replace("health.http", "restart = \"on-failure\"\nhealth.http"));
    let daemon = machine.daemon(&demo);
    daemon.up_and_wait(&demo).await;
    let app = daemon.until("app", |item| item.ready && item.restarts == 1).await;
    assert_eq!(app.last_exit.expect("it was stopped").code, 0);
    // Also where the daemon dies between the stop and the start.
    let is_over = || machine.containers().contains(&"demo-app-1 exited".to_owned());
    while !is_over() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    daemon.kill().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(is_over(), "{:?}", machine.containers());
    let next = machine.daemon(&demo);
    next.up(&demo).await;
    next.until("app", |item| item.ready && item.restarts == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_down_does_not_wait_for_a_pull() {
    let machine = Machine::new();
    machine.engine.publish("slow:1", PullCourse::Takes(Duration::from_secs(600)));
    let both = stack(&format!("{DEMO}[services.slow]\nimage = \"slow:1\"\n"));
    let daemon = machine.daemon(&both);
    let generation = daemon.up(&both).await;
    daemon.settled(generation, |status| status.items.iter().any(|item| item.name == "app" && item.ready)).await;
    let began = machine.clock.moment();
    daemon.down_and_wait().await;
    let took = machine.clock.moment().since(began);
    assert!(took < Duration::from_secs(30), "it took {took:?}");
    assert_eq!(machine.containers(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn only_a_start_that_was_not_answered_may_still_come() {
    // After a refusal what was to be started stays until its successor runs.
    for (error, goes_first) in [(ErrorKind::Other, false), (ErrorKind::Timeout, true)] {
        let machine = Machine::new();
        machine.engine.add_image("app:2");
        let demo = stack(DEMO);
        let daemon = machine.daemon(&demo);
        daemon.up_and_wait(&demo).await;
        let old = machine.engine.with(|world| world.by_name("demo-app-1").map(|container| container.id.clone())).expect("an app");
        machine.engine.fail_next(Operation::Start, Fault::FailBefore(error));
        machine.engine.foreign(&Foreign::Kill("demo-app-1".to_owned())).expect("it runs");
        // Before it is tried again.
        tokio::time::sleep(Duration::from_millis(500)).await;
        daemon.up_and_wait(&stack(&DEMO.replace("app:1", "app:2"))).await;
        let trace = machine.trace();
        let last = |operation, of: &str| {
            trace.of(operation).iter().filter(|call| call.target.contains(of)).map(|call| call.at).next_back()
        };
        let (removed, started) = (last(Operation::Remove, &old.to_string()), last(Operation::Start, ""));
        assert!(removed.is_some() && started.is_some(), "{removed:?} {started:?}");
        assert_eq!(removed < started, goes_first, "{error:?}: {removed:?} {started:?}");
    }
}
