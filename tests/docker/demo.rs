//! The demo of the root `stack.toml`, from its own text: images made, the page played, data kept.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::browser::{RoundResult, plays_a_round};
use crate::stack::TestStack;
use crate::support::{SOON, docker, eventually};

/// The root file under a name of the test's own, on a free port, its commands found from elsewhere.
fn demo_text() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(Path::new(root).join("stack.toml")).expect("the root stack.toml");
    let changes = [
        ("name = \"witw\"", "name = \"NAME\"".to_owned()),
        ("ports = [\"8000\"]", "ports = [\"auto:8000\"]".to_owned()),
        ("command = \"demo/", format!("command = \"{root}/demo/")),
        ("command = \"images/", format!("command = \"{root}/images/")),
    ];
    changes.into_iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "the root stack.toml has no {from} any more");
        text.replace(from, &to)
    })
}

/// The images that the stack made, removed with the test.
struct Images(String);

impl Drop for Images {
    fn drop(&mut self) {
        for image in [format!("localhost/{}-app:built", self.0), format!("localhost/{}-db:latest", self.0)] {
            docker(&["image", "rm", "-f", &image]);
        }
    }
}

fn init_files(stack: &TestStack) {
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("volumes/init"), stack.path().join("volumes/init"));
    std::fs::create_dir_all(&to).expect("a directory for init files");
    for entry in std::fs::read_dir(from).expect("the init files") {
        let entry = entry.expect("an init file");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copying an init file");
    }
}

fn address(stack: &TestStack) -> String {
    let port = stack.item("app")["ports"][0]["host"].as_u64().expect("a published port");
    format!("http://127.0.0.1:{port}")
}

async fn text_of(url: &str) -> String {
    eventually(SOON, url, async || reqwest::get(url).await.ok()?.error_for_status().ok()?.text().await.ok()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_is_played_in_a_browser_and_keeps_its_data() {
    // What is declared first goes last: images after the containers that use them.
    let mut images = Images(String::new());
    let stack = TestStack::new("demo", &demo_text()).await;
    images.0.clone_from(&stack.name);
    init_files(&stack);
    stack.done(&["up", "-d", "--timeout", "15m"]);
    let base = address(&stack);

    let rounds = plays_a_round(&base).await;
    for round in &rounds {
        assert!((round.metres - round.expected).abs() < 1.0, "{round:?}");
    }
    let posted = reqwest::Client::new().post(format!("{base}/app")).send().await.expect("an answer");
    assert!(posted.status().is_success());
    let posted: serde_json::Value = serde_json::from_str(&posted.text().await.expect("a body")).expect("JSON");
    let before = text_of(&format!("{base}/display")).await;
    let at = posted["at"].as_str().expect("a time");
    assert!(at.parse::<jiff::Timestamp>().is_ok() && before.contains(at), "{at} in {before}");
    let scores = text_of(&format!("{base}/api/scores")).await;
    let has_score = |round: &RoundResult| scores.contains(&format!("\"id\":{},", round.score));
    assert!(rounds.iter().all(has_score) && scores.contains("\"total\":2"), "{scores}");
    counts_what_it_serves(&base).await;
    logs_json(&stack);
    says_when_its_database_is_away(&stack).await;

    stack.done(&["down"]);
    assert_eq!(stack.identities(), Vec::<String>::new());
    stack.done(&["up", "-d"]);
    let after = text_of(&format!("{}/display", address(&stack))).await;
    assert_eq!(after, before);
    assert_eq!(text_of(&format!("{}/api/scores", address(&stack))).await, scores);
    stays_up(&stack).await;
}

/// The number of requests of a route with a status, as `/metrics` has it.
async fn counted(base: &str, route: &str, status: u16) -> u64 {
    let metrics = text_of(&format!("{base}/metrics")).await;
    let labels = [format!("route=\"{route}\""), format!("status=\"{status}\"")];
    let of_route = |line: &&str| line.starts_with("witw_http_requests_total{") && labels.iter().all(|label| line.contains(label));
    let count = metrics.lines().find(of_route).and_then(|line| line.rsplit(' ').next()).map(str::parse);
    count.transpose().unwrap_or_else(|error| panic!("{error}: {metrics}")).unwrap_or_default()
}

async fn counts_what_it_serves(base: &str) {
    assert!(text_of(&format!("{base}/metrics")).await.contains("# TYPE witw_http_requests_total counter"));
    let before = counted(base, "/display", 200).await;
    assert!(before >= 1, "/display was asked for");
    text_of(&format!("{base}/display")).await;
    assert_eq!(counted(base, "/display", 200).await, before + 1);
}

/// Each line of its log is an object with a level and a message.
fn logs_json(stack: &TestStack) {
    let said = stack.done(&["logs", "app", "--json"]);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
    let records = lines.iter().map(|line| {
        let line = line["line"].as_str().expect("a line");
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });
    let records: Vec<Value> = records.collect();
    for record in &records {
        assert!(record["level"].is_string() && record["message"].is_string(), "{record:#}");
    }
    for message in ["listening", "request"] {
        assert!(records.iter().any(|record| record["message"] == message), "no {message}: {said}");
    }
    // A person reads the same objects.
    let shown = stack.done(&["logs", "app"]);
    assert!(shown.lines().all(|line| line.contains('{') && line.ends_with('}')), "{shown}");
}

/// The status of a path and what it says.
async fn status_of(base: &str, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("{base}{path}")).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("its text"))
}

/// Alive, and not ready, while the database is stopped by hand.
async fn says_when_its_database_is_away(stack: &TestStack) {
    let (base, alive) = (address(stack), (200, "alive\n".to_owned()));
    let app = || stack.identities().into_iter().find(|line| line.contains("-app-1 "));
    let before = app();
    assert_eq!(status_of(&base, "/healthz").await, alive);
    let (code, words) = status_of(&base, "/readyz").await;
    assert!(code == 200 && words.starts_with("ready: "), "{code} {words}");
    stack.done(&["stop", "db"]);
    let (code, words) = status_of(&base, "/readyz").await;
    assert!(code == 503 && words.starts_with("not ready: "), "{code} {words}");
    assert_eq!(status_of(&base, "/healthz").await, alive);
    // Three times in a row, ten seconds apart.
    eventually(SOON * 3, "app is out of rotation", async || (stack.item("app")["ready"] == false).then_some(())).await;
    assert!(counted(&base, "/readyz", 503).await >= 1);
    stack.done(&["start", "db"]);
    eventually(SOON, "ready again", async || (status_of(&base, "/readyz").await.0 == 200).then_some(())).await;
    assert_eq!(app(), before, "nobody restarted it");
}

/// A database that is restarted restarts nobody else.
async fn stays_up(stack: &TestStack) {
    let app = |all: &[String]| all.iter().find(|line| line.contains("-app-1 ")).cloned();
    let before = app(&stack.identities());
    let database = stack.item("db")["container"].as_str().expect("an id").to_owned();
    docker(&["kill", &database]);
    eventually(Duration::from_secs(60), "the database is back", async || {
        let item = stack.item("db");
        (item["ready"] == true && item["restarts"] == 1).then_some(())
    })
    .await;
    assert_eq!(app(&stack.identities()), before);
    text_of(&format!("{}/readyz", address(stack))).await;
}
