//! Saves that never cease, that nobody but a person may apply, that come back, and that can't be followed.

use std::time::Duration;

use serde_json::{Value, json};
use witwd::host::{Clock as _, SystemClock};

use crate::live::{STACK, file_is, put, running, shows};
use crate::stack::{TestStack, text};
use crate::support::{SOON, end_of, eventually};

/// A save that goes on is looked at this often (`src/cli/live.rs`).
const LONGEST: Duration = Duration::from_millis(1200);
/// Without a save for so long they are over for the daemon; a little less, for the clocks are not one.
const QUIET: Duration = Duration::from_millis(120);

fn made(stack: &TestStack) -> usize {
    stack.done(&["events"]).lines().filter(|line| line.contains("  web  create  ")).count()
}

/// Saves a hundred times a second, each other time this greeting, and ends at it. Returns how often the
/// daemon may have looked meanwhile: every so often, after each pause that this machine made, and at the end.
async fn storm(stack: &TestStack, last: &str) -> usize {
    let clock = SystemClock::new();
    let begun = clock.moment();
    let (mut pace, mut before, mut pauses) = (tokio::time::interval(Duration::from_millis(10)), begun, 0);
    for number in 0..200 {
        pace.tick().await;
        pauses += usize::from(clock.moment().since(before) >= QUIET);
        before = clock.moment();
        stack.write(&STACK.replace("hello", if number % 2 == 0 { "other" } else { last }));
    }
    let while_it_went_on = clock.moment().since(begun).as_millis() / LONGEST.as_millis();
    usize::try_from(while_it_went_on).expect("a number") + pauses + 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_saves_a_second_between_two_versions_end_at_the_last() {
    let stack = running("live-storm").await;
    let ends_at_the_last = async |shape: &str| {
        let before = made(&stack);
        let looks = storm(&stack, "last").await;
        shows(&stack, "GREETING=last").await;
        file_is(&stack, "it is applied", |file| file["ok"] == true && file["pending"] == false).await;
        // The last look at it, too, has been.
        put(&stack, "web.env", &format!("SHAPE={shape}\n"));
        shows(&stack, &format!("SHAPE={shape}")).await;
        let made = made(&stack) - before - 1;
        assert!(made <= looks, "{made} new containers by {looks} looks");
        made
    };
    assert!(ends_at_the_last("round").await >= 1);
    // What runs already is where it ends.
    ends_at_the_last("square").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_of_a_service_manager_applies_a_save_only_when_asked_or_where_the_file_says_so() {
    let stack = TestStack::new("live-managed", STACK).await;
    put(&stack, "more.toml", "");
    let mut daemon = stack.command(&["daemon"]).stderr(std::process::Stdio::null()).spawn().expect("a daemon");
    let keeps_web = |status: Value| (!status["daemon"].is_null() && status["items"][0]["name"] == "web").then_some(());
    eventually(SOON, "a daemon that keeps web", async || keeps_web(stack.ps())).await;
    shows(&stack, "GREETING=hello").await;
    let before = stack.identities();
    let waits = async |what: &str| {
        let file = file_is(&stack, what, |file| file["pending"] == true).await;
        assert_eq!(file["reasons"], json!(["this daemon applies a saved file only when asked"]));
    };
    stack.write(&STACK.replace("hello", "asked"));
    waits("a save waits").await;
    assert_eq!(stack.identities(), before);
    stack.done(&["up", "-d"]);
    shows(&stack, "GREETING=asked").await;
    file_is(&stack, "nothing waits", |file| file["pending"] == false).await;

    let by_itself =
        |greeting: &str, reload: &str| format!("{}[daemon]\nreload = \"{reload}\"\n", STACK.replace("hello", greeting));
    stack.write(&by_itself("saved", "save"));
    shows(&stack, "GREETING=saved").await;
    stack.write(&by_itself("again", "save"));
    shows(&stack, "GREETING=again").await;
    stack.write(&by_itself("more", "up"));
    waits("the file says so itself").await;
    stack.done(&["down"]);
    assert!(end_of(&mut daemon).success());

    // And one in the background, which would apply it.
    stack.write(&by_itself("hello", "up"));
    stack.done(&["up", "-d"]);
    stack.write(&by_itself("more", "up"));
    waits("it waits there too").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_goes_and_comes_back_is_followed_by_the_same_daemon() {
    let stack = running("live-return").await;
    let (before, daemon) = (stack.identities(), stack.daemon_pid());
    for greeting in ["first", "second"] {
        std::fs::remove_file(stack.path().join("stack.toml")).expect("removed");
        let is_gone = |file: &Value| file["errors"][0]["message"].as_str().is_some_and(|words| words.contains("not there"));
        file_is(&stack, "it is gone", |file| file["ok"] == false && is_gone(file)).await;
        assert!(greeting != "first" || stack.identities() == before, "{:?}", stack.identities());
        stack.write(&STACK.replace("hello", greeting));
        shows(&stack, &format!("GREETING={greeting}")).await;
        file_is(&stack, "it is valid", |file| file["ok"] == true && file["pending"] == false).await;
    }
    assert_eq!(stack.daemon_pid(), daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_the_socket_can_not_be_given_to_is_told_once_and_waits() {
    let stack = running("live-door").await;
    let (before, own) = (stack.identities(), std::fs::read_to_string(stack.path().join(".witwd/instance")).expect("an id"));
    let socket = std::fs::read_to_string(stack.path().join(".witwd/socket")).expect("an address");
    let room = std::path::Path::new(&socket).with_file_name(format!("{own}.d"));
    std::fs::write(&room, "").expect("something in its place");
    let group = text(&std::process::Command::new("id").arg("-gn").output().expect("id").stdout).trim().to_owned();
    let of_group = |greeting: &str| format!("{}[daemon]\ngroup = \"{group}\"\n", STACK.replace("hello", greeting));
    stack.write(&of_group("early"));
    let file = file_is(&stack, "it waits", |file| file["pending"] == true).await;
    let reason = file["reasons"][0].as_str().expect("a reason");
    assert!(reason.contains(&format!("failed to open the control socket to the group {group}")), "{file:#}");
    // Another save, which is looked at too.
    stack.write("");
    file_is(&stack, "it is broken", |file| file["ok"] == false).await;
    stack.write(&of_group("early"));
    file_is(&stack, "it waits again", |file| file["ok"] == true && file["pending"] == true).await;
    assert_eq!(stack.identities(), before);
    assert_eq!(stack.log().matches("the file can't be looked at").count(), 0, "{}", stack.log());
    let told = stack.done(&["events"]).lines().filter(|line| line.contains("  pending  ")).count();
    assert_eq!(told, 2, "{}", stack.done(&["events"]));
    std::fs::remove_file(&room).expect("removed");
    stack.write(&of_group("late"));
    shows(&stack, "GREETING=late").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_can_not_be_kept_waits_and_says_why_once() {
    let stack = running("live-unkept").await;
    let (copy, aside) = (stack.path().join(".witwd/environment.json.1"), stack.path().join("aside"));
    std::fs::rename(&copy, &aside).expect("moved");
    std::fs::create_dir(&copy).expect("a directory in its place");
    stack.write(&STACK.replace("hello", "kept"));
    let told = file_is(&stack, "it waits", |file| file["pending"] == true).await;
    let reason = told["reasons"][0].as_str().expect("a reason").to_owned();
    assert!(reason.contains("environment.json.1"), "{reason}");
    std::fs::remove_dir(&copy).expect("removed");
    std::fs::rename(&aside, &copy).expect("moved back");
    // Nothing is saved once more: it is tried again by itself.
    shows(&stack, "GREETING=kept").await;
    file_is(&stack, "it is applied", |file| file["pending"] == false).await;
    let log = stack.log();
    assert_eq!(log.matches("the file can't be looked at").count(), 1, "{log}");
}
