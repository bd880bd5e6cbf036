//! What `up -d` says at its end, to people and to programs.

use serde_json::Value;

use crate::stack::{TestStack, text};
use crate::up::TWO;

/// Beside [`TWO`]: a program that says why it ends, and ends.
const BROKEN: &str = r#"
[services.broken]
image = "TINY"
entrypoint = []
command = ["/tiny", "sleep", "--print", "no such wardrobe", "--exit-after", "10ms", "--code", "7"]
restart = "never"
"#;

/// How the program that fails ends.
const CAUSE: &str = "exited with code 7";

async fn with_broken(name: &str) -> TestStack {
    TestStack::new(name, &format!("{TWO}{BROKEN}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_up_says_why_once_and_leaves_the_rest_running() {
    let stack = with_broken("broken").await;
    let output = stack.run(&["up", "-d", "--timeout", "60s"]);
    assert_eq!(output.status.code(), Some(1), "{}", stack.log());
    let complaint = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(complaint.matches("no such wardrobe").count(), 1, "{complaint}");
    // On the way each change is a line; at the end it is said what came of it.
    let (way, end) = complaint.split_once("the last lines of broken:\n  no such wardrobe\n").expect("its last lines");
    assert!(way.matches(CAUSE).count() <= 1 && end.matches(CAUSE).count() == 1, "{complaint}");
    assert!(complaint.contains("broken") && complaint.contains("the rest keeps running"), "{complaint}");
    for name in ["web", "cache"] {
        assert_eq!(stack.item(name)["ready"], true, "{complaint}");
    }
}

/// Every line of the answer for programs.
fn documents(stdout: &[u8]) -> Vec<Value> {
    let said = text(stdout);
    assert!(said.ends_with('\n'), "{said}");
    said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// All are events, of which there is one at least.
fn are_events(documents: &[Value]) {
    assert!(!documents.is_empty(), "no event");
    for event in documents {
        let words = ["at", "kind", "target"].map(|name| event[name].is_string());
        assert_eq!(words, [true; 3], "{event:#}");
        assert!(event["items"].is_null(), "{event:#}");
    }
}

/// Whether an item of `ps` is ready.
fn ready(status: &Value, name: &str) -> Value {
    let items = status["items"].as_array().unwrap_or_else(|| panic!("not the document of ps: {status:#}"));
    items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name} in {status:#}"))["ready"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_tells_programs_what_happens_and_then_how_things_are() {
    let stack = TestStack::new("upjson", TWO).await;
    let output = stack.run(&["up", "-d", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    let said = documents(&output.stdout);
    let (status, events) = said.split_last().expect("a document");
    are_events(events);
    assert!(events.iter().any(|event| event["kind"] == "start" && event["target"] == "web"), "{events:#?}");
    assert_eq!((ready(status, "web"), ready(status, "cache")), (true.into(), true.into()));
    assert_eq!(status["converged"], true, "{status:#}");
    // Field by field what `ps` says; only its clock goes on.
    let keys = |document: &Value| document.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(status), keys(&stack.ps()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_up_tells_programs_how_things_are_and_why() {
    let stack = with_broken("failjson").await;
    let output = stack.run(&["up", "-d", "--timeout", "60s", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stack.log());
    let said = documents(&output.stdout);
    let [events @ .., status, failure] = said.as_slice() else { panic!("{said:#?}") };
    are_events(events);
    assert_eq!((ready(status, "web"), ready(status, "broken")), (true.into(), false.into()));
    let message = failure["error"]["message"].as_str().expect("a failure");
    assert!(message.contains("broken") && message.contains(CAUSE), "{failure:#}");
    assert_eq!(text(&output.stderr), "", "programs read one stream");
}
