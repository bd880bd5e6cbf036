//! A database and an app that needs it, until both are ready.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::compose::{Compose, Project, service};
use crate::measure::{Samples, judge, print, rounds, timed, timed_blocking, turns, until};
use crate::raw::Raw;
use crate::recipe::{Made, Recipe};
use crate::stack::TestStack;
use crate::support::TINY;

pub const IMAGE: &str = "localhost/witwd-test-postgres:17";
const STACK: &str = r#"
name = "NAME"
[services.app]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.http = "/"
depends_on = ["db"]
[postgres.db]
image = "localhost/witwd-test-postgres:17"
"#;

/// How long until what is not ready is asked again.
const PAUSE: Duration = Duration::from_millis(10);

/// Ours makes roles, databases and passwords too. The raw calls do what cannot be left out: start the
/// server, ask it until it answers a query, start the app, ask that. Compose waits for a health check of
/// each second, and is asked in the same way whether its app is ready.
pub async fn database_then_app(compose: Option<&Compose>) {
    image();
    let raw = Raw::new();
    let mut recipe = Recipe::of("bench-database", STACK).await;
    without_files(recipe.body("db"));
    let server = recipe.body("db").clone();
    let project = compose.map(|compose| Project::new(compose, "bench-database", |name| definition(name, &server)));
    let beside = compose.map(|compose| compose.called("up -d"));
    let mut all = Samples::of_all(["witwd up -d".to_owned(), "raw engine calls".to_owned()].into_iter().chain(beside));
    for round in 0..rounds() {
        for who in turns(round, all.len()) {
            let time = match (who, &project) {
                (0, _) => by_witwd().await,
                (2, Some(project)) => by_compose(project, &raw).await,
                _ => by_calls(&recipe, &raw).await,
            };
            all[who].add(time);
        }
    }
    print("a database, then an app, until both are ready", &all);
    let beyond = all[0].median().as_secs_f64() - all[1].median().as_secs_f64();
    judge("at most 0.3 s above the raw calls, which wait for the same server", &format!("{beyond:.2} s"), beyond <= 0.3);
}

/// The password in the environment instead of a file that nobody put there.
fn without_files(body: &mut Value) {
    let mounts = body["HostConfig"]["Mounts"].as_array_mut().expect("mounts");
    mounts.retain(|mount| mount["Type"] == "volume");
    let env = body["Env"].as_array_mut().expect("an environment");
    env.retain(|variable| !variable.as_str().is_some_and(|text| text.contains("_FILE=")));
    env.push(json!("POSTGRES_PASSWORD=bench"));
}

/// The same for compose, in its own way: a health check of the server, which the app waits for.
fn definition(name: &str, server: &Value) -> Value {
    let (mut db, mut app) = (service(name, "db", IMAGE), service(name, "app", TINY));
    let mount = &server["HostConfig"]["Mounts"][0];
    db["container_name"] = json!(format!("{name}-db"));
    db["environment"] = server["Env"].clone();
    db["shm_size"] = server["HostConfig"]["ShmSize"].clone();
    db["stop_signal"] = server["StopSignal"].clone();
    db["volumes"] = json!([format!("data:{}", mount["Target"].as_str().expect("the data's place"))]);
    // Over the network: the server of a first start, which is for itself only, is not ready.
    let test = ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres"];
    db["healthcheck"] = json!({ "test": test, "interval": "1s", "timeout": "5s", "retries": 60 });
    app["container_name"] = json!(format!("{name}-app"));
    app["entrypoint"] = json!(["/tiny"]);
    app["command"] = json!(["serve", "--port", "8080"]);
    app["depends_on"] = json!({ "db": { "condition": "service_healthy" } });
    json!({ "services": { "db": db, "app": app }, "volumes": { "data": {} } })
}

async fn by_witwd() -> Duration {
    let stack = TestStack::new("bench-database", STACK).await;
    let time = timed_blocking(|| stack.done(&["up", "-d"])).0;
    stack.done(&["down", "--volumes", "--yes"]);
    time
}

async fn by_calls(recipe: &Recipe, raw: &Raw) -> Duration {
    let (time, made) = timed(up(recipe, raw)).await;
    made.down(raw).await;
    time
}

async fn by_compose(project: &Project<'_>, raw: &Raw) -> Duration {
    let app = format!("{}-app", project.name);
    let up = async {
        project.run(&["up", "-d"]);
        until_served(raw, &app).await;
    };
    let time = timed(up).await.0;
    project.run(&["down", "--volumes"]);
    time
}

async fn up(recipe: &Recipe, raw: &Raw) -> Made {
    let mut made = recipe.surroundings(raw).await;
    let db = recipe.start(raw, "db").await;
    let address = address(raw, &db).await;
    until("the database answers a query", PAUSE, async || answers(&address).await).await;
    let app = recipe.start(raw, "app").await;
    until_served(raw, &app).await;
    made.containers = vec![app, db];
    made
}

async fn address(raw: &Raw, container: &str) -> String {
    let seen = raw.container(container).await;
    let networks = seen["NetworkSettings"]["Networks"].as_object().expect("networks");
    let address = networks.values().find_map(|network| network["IPAddress"].as_str());
    address.filter(|address| !address.is_empty()).expect("an address: a container that ran").to_owned()
}

/// Until the app of a container that runs answers.
async fn until_served(raw: &Raw, container: &str) {
    let page = format!("http://{}:8080/", address(raw, container).await);
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build().unwrap();
    let served = async || client.get(&page).send().await.is_ok_and(|answer| answer.status().is_success());
    until("the app answers", PAUSE, served).await;
}

async fn answers(address: &str) -> bool {
    let parameters = format!("host={address} user=postgres password=bench dbname=postgres connect_timeout=1");
    let Ok((client, connection)) = tokio_postgres::connect(&parameters, NoTls).await else { return false };
    let connection = tokio::spawn(connection);
    let answer = client.simple_query("select 1").await;
    drop(client);
    let _ = connection.await;
    answer.is_ok()
}

pub fn image() {
    let there = Command::new("docker").args(["image", "inspect", IMAGE]).output();
    if there.is_ok_and(|output| output.status.success()) {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("images/postgres/build");
    let status = Command::new(&script).env("WITWD_IMAGE", IMAGE).arg("17").status();
    assert!(status.is_ok_and(|status| status.success()), "{} failed", script.display());
}
