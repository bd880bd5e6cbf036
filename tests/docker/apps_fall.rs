//! Applications that fall, hang and flap, and foreign hands on their containers: with the real binary on the
//! real engine, and neighbours that must not notice.

use std::time::Duration;

use serde_json::Value;

use crate::stack::{TestStack, text};
use crate::support::{SOON, TEST, TINY, docker, eventually};

/// A service, and a neighbour whose run must stay.
fn beside(service: &str) -> String {
    format!(
        "name = \"NAME\"\n[services.app]\nimage = \"TINY\"\nentrypoint = []\n{service}\n\
         [services.neighbour]\nimage = \"TINY\"\nentrypoint = []\ncommand = [\"/tiny\", \"sleep\"]\n"
    )
}

const SERVES: &str = "command = [\"/tiny\", \"serve\", \"--port\", \"8080\"]\nport = 8080\nstop_grace = \"1s\"\n\
                      health = { http = \"/healthz\", interval = \"500ms\", timeout = \"500ms\", start_period = \"2s\" }\n";

fn of(stack: &TestStack, name: &str) -> String {
    let line = stack.identities().into_iter().find(|line| line.contains(&format!("-{name}-1 ")));
    line.unwrap_or_else(|| panic!("no {name}"))
}

fn container(stack: &TestStack) -> String {
    stack.item("app")["container"].as_str().expect("a container").to_owned()
}

/// Waits until `ps` shows the app as `is` says.
async fn app_is(stack: &TestStack, what: &str, limit: Duration, is: impl Fn(&Value) -> bool) -> Value {
    eventually(limit, what, async || {
        let item = stack.item("app");
        is(&item).then_some(item)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_out_of_memory_is_said_so_and_restarted_and_no_neighbour_notices() {
    let hog = "command = [\"/tiny\", \"hog\", \"256M\"]\nresources.memory = \"24M\"\n";
    let stack = TestStack::new("oom", &beside(hog)).await;
    stack.run(&["up", "-d", "--timeout", "5s"]);
    let neighbour = of(&stack, "neighbour");
    let item = app_is(&stack, "it was restarted twice", SOON, |item| item["restarts"].as_u64() >= Some(2)).await;
    assert_eq!((&item["last_exit"]["oom"], &item["last_exit"]["code"]), (&true.into(), &137.into()), "{item:#}");
    app_is(&stack, "the cause is said", SOON, |item| item["cause"].to_string().contains("out of memory")).await;
    assert_eq!(of(&stack, "neighbour"), neighbour);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_hangs_is_found_from_outside_stopped_killed_and_started() {
    let stack = TestStack::new("hang", &beside(SERVES)).await;
    stack.done(&["up", "-d"]);
    let (app, neighbour) = (container(&stack), of(&stack, "neighbour"));
    let top = docker(&["top", &app, "-eo", "pid"]);
    for pid in text(&top.stdout).lines().skip(1) {
        crate::daemon_stopped::signal("STOP", pid.trim().parse().expect("a process"));
    }
    // Three answers that do not come, half a second each, then the grace: far below this.
    let item = app_is(&stack, "it is back", Duration::from_secs(12), |item| item["restarts"] == 1 && item["ready"] == true).await;
    assert_eq!(item["container"], app.as_str(), "{item:#}");
    let events = stack.done(&["events"]);
    assert!(events.lines().any(|line| line.contains("stop") && line.contains("/healthz")), "the probe's own words: {events}");
    assert_eq!(of(&stack, "neighbour"), neighbour);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_paused_is_shown_and_left_and_goes_on_when_it_goes_on() {
    let stack = TestStack::new("pause", &beside(SERVES)).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    let app = container(&stack);
    assert!(docker(&["pause", &app]).status.success());
    app_is(&stack, "it is shown as paused", SOON, |item| item["state"] == "paused").await;
    // Longer than its probe would have to fail: a container of our own tells the time.
    let label = format!("{TEST}={}", stack.name);
    assert!(docker(&["run", "--rm", "--label", &label, TINY, "sleep", "4s"]).status.success());
    assert_eq!(stack.item("app")["state"], "paused");
    assert!(docker(&["unpause", &app]).status.success());
    app_is(&stack, "it is ready again", SOON, |item| item["ready"] == true && item["state"] == "running").await;
    assert_eq!(stack.identities(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_at_once_is_restarted_ever_more_seldom_and_is_a_crash_loop_in_the_end() {
    let stack = TestStack::new("loop", &beside("command = [\"/tiny\", \"exit\", \"7\"]\nbackoff.max = \"1s\"\n")).await;
    stack.run(&["up", "-d", "--timeout", "5s"]);
    let neighbour = of(&stack, "neighbour");
    let item = app_is(&stack, "a crash loop", SOON * 2, |item| item["state"] == "crash_loop").await;
    assert!(item["restarts"].as_u64() >= Some(10) && item["last_exit"]["code"] == 7, "{item:#}");
    assert!(item["next"].is_string(), "it is tried again: {item:#}");
    let log = stack.log();
    let starts: Vec<&str> = log.lines().filter(|line| line.contains("start app")).collect();
    assert!(starts.len() <= 13, "not in a hot loop: {starts:#?}");
    assert_eq!(of(&stack, "neighbour"), neighbour);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_starts_slowly_is_waited_for_and_not_restarted() {
    // Far more probes fail than would turn the verdict, and each of them before its budget is over.
    let slow = SERVES.replace("\"8080\"]", "\"8080\", \"--delay\", \"8s\"]").replace("2s", "30s");
    let needs = format!(
        "{slow}[services.after]\nimage = \"TINY\"\nentrypoint = []\ncommand = [\"/tiny\", \"sleep\"]\ndepends_on = [\"app\"]\n"
    );
    let stack = TestStack::new("slow", &beside(&needs)).await;
    stack.run(&["up", "-d", "--timeout", "4s"]);
    let waiting = stack.item("after");
    assert!(waiting["state"] == "blocked" && waiting["cause"].to_string().contains("app"), "{waiting:#}");
    stack.done(&["up", "-d"]);
    assert_eq!((&stack.item("app")["restarts"], &stack.item("after")["ready"]), (&0.into(), &true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_twice_and_is_well_again_each_time_is_left_alone() {
    let flaps = SERVES
        .replace("/healthz", "/flap/3")
        .replace("interval = \"500ms\", timeout = \"500ms\"", "interval = \"100ms\", timeout = \"10s\"");
    let stack = TestStack::new("flap", &beside(&format!("{flaps}ports = [\"auto:8080\"]\n"))).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    let port = stack.item("app")["ports"][0]["host"].as_u64().expect("a published port");
    let url = format!("http://127.0.0.1:{port}/hits");
    let asked = async || reqwest::get(&url).await.ok()?.text().await.ok()?.trim().parse::<u32>().ok();
    // Two of three answers are bad, three in a row would turn the verdict.
    eventually(SOON * 2, "sixty probes", async || asked().await.filter(|count| *count >= 60)).await;
    let item = stack.item("app");
    assert_eq!((&item["restarts"], &item["ready"], &item["health"]), (&0.into(), &true.into(), &"healthy".into()), "{item:#}");
    assert_eq!(stack.identities(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_foreign_hands_stop_or_remove_is_there_again() {
    let stack = TestStack::new("hands", &beside(SERVES)).await;
    stack.done(&["up", "-d"]);
    let neighbour = of(&stack, "neighbour");
    let app = container(&stack);
    assert!(docker(&["stop", "-t", "1", &app]).status.success());
    app_is(&stack, "what was stopped is back", SOON, |item| item["ready"] == true && item["restarts"] == 1).await;
    assert!(docker(&["rm", "-f", &app]).status.success());
    let is_new = |item: &Value| item["ready"] == true && item["container"] != app.as_str();
    app_is(&stack, "what was removed is made anew", SOON, is_new).await;
    assert_eq!(of(&stack, "neighbour"), neighbour);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_object_of_the_same_name_is_named_and_never_touched() {
    let stack = TestStack::new("same", &beside(SERVES)).await;
    let label = format!("{TEST}={}", stack.name);
    let name = format!("{}-app-1", stack.name);
    let made = docker(&["run", "-d", "--label", &label, "--name", &name, TINY, "sleep"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let theirs = text(&made.stdout).trim().to_owned();
    let around = || crate::oracles::surroundings::Surroundings::of(&stack, &label);
    let before = around();
    let output = stack.run(&["up", "-d", "--timeout", "10s"]);
    let complaint = text(&output.stderr);
    assert!(!output.status.success() && complaint.contains(&name) && complaint.contains(&theirs[..12]), "{complaint}");
    assert_eq!(stack.item("neighbour")["ready"], true, "the rest is up");
    assert_eq!(around(), before);
    assert!(docker(&["rm", "-f", &theirs]).status.success());
    app_is(&stack, "it is there when its name is free", SOON * 2, |item| item["ready"] == true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_words_costs_the_daemon_nothing_and_the_disk_no_more_than_its_bound() {
    let flood = "command = [\"/tiny\", \"lines\", \"400000\", \"a line that is long enough to fill a log soon, again and again\"]\n\
                 restart = \"never\"\nlogs = { max_size = \"1M\", max_files = 2 }\n";
    let stack = TestStack::new("flood", &beside(flood)).await;
    stack.run(&["up", "-d", "--timeout", "20s"]);
    let before = crate::oracles::leaks::Holdings::of(stack.daemon_pid());
    let said = stack.done(&["logs", "app"]);
    assert!(said.lines().count() > 1000 && said.len() < 8 << 20, "{} lines, {} bytes", said.lines().count(), said.len());
    before.are_not_exceeded_by(&crate::oracles::leaks::Holdings::of(stack.daemon_pid()));
}
