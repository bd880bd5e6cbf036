//! A database and an app that needs it, until both are ready.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

use crate::measure::{ROUNDS, Samples, print, timed, timed_blocking};
use crate::raw::{Made, Raw, Recipe};
use crate::stack::TestStack;

const IMAGE: &str = "localhost/witwd-test-postgres:17";
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

/// Ours makes roles, databases and passwords too. The raw calls do what cannot be left out: start the
/// server, ask it until it answers a query, start the app, ask that.
pub async fn database_then_app() {
    image();
    let raw = Raw::new();
    let mut recipe = Recipe::of("bench-db", STACK).await;
    recipe.adjust("-db-", without_files);
    let mut all = [Samples::of("witwd up -d"), Samples::of("raw engine calls")];
    for _ in 0..ROUNDS {
        let stack = TestStack::new("bench-db", STACK).await;
        all[0].add(timed_blocking(|| stack.done(&["up", "-d"])).0);
        stack.done(&["down", "--volumes", "--yes"]);
        let (time, (made, volume)) = timed(up(&recipe, &raw)).await;
        all[1].add(time);
        made.down(&raw).await;
        raw.call("DELETE", &format!("/volumes/{volume}"), None).await;
    }
    print("a database, then an app, until both are ready", &all);
    let beyond = all[0].median().as_secs_f64() - all[1].median().as_secs_f64();
    println!("  witwd beyond the raw calls: {beyond:.2} s");
}

/// The password in the environment instead of a file that nobody put there.
fn without_files(body: &mut Value) {
    let mounts = body["HostConfig"]["Mounts"].as_array_mut().expect("mounts");
    mounts.retain(|mount| mount["Type"] == "volume");
    let env = body["Env"].as_array_mut().expect("an environment");
    env.retain(|variable| !variable.as_str().is_some_and(|text| text.contains("_FILE=") || text.starts_with("POSTGRES_USER")));
    env.push(json!("POSTGRES_PASSWORD=bench"));
}

async fn up(recipe: &Recipe, raw: &Raw) -> (Made, String) {
    let network = recipe.network(raw).await;
    let db = recipe.container_of(raw, "-db-", &network).await;
    let (address, volume) = where_is(raw, &db).await;
    until(async || answers(&address).await).await;
    let app = recipe.container_of(raw, "-app-", &network).await;
    let (address, _) = where_is(raw, &app).await;
    until(async || TcpStream::connect((address.as_str(), 8080)).await.is_ok()).await;
    (Made::of(network, vec![app, db]), volume)
}

async fn where_is(raw: &Raw, container: &str) -> (String, String) {
    let seen = raw.json("GET", &format!("/containers/{container}/json"), None).await;
    let networks = seen["NetworkSettings"]["Networks"].as_object().expect("networks");
    let address = networks.values().find_map(|network| network["IPAddress"].as_str()).expect("an address");
    let volume = seen["Mounts"].as_array().and_then(|mounts| mounts.iter().find_map(|mount| mount["Name"].as_str()));
    (address.to_owned(), volume.unwrap_or_default().to_owned())
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

async fn until(mut check: impl AsyncFnMut() -> bool) {
    while !check().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn image() {
    let there = Command::new("docker").args(["image", "inspect", IMAGE]).output();
    if there.is_ok_and(|output| output.status.success()) {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("images/postgres/build");
    let status = Command::new(&script).env("WITWD_IMAGE", IMAGE).arg("17").status();
    assert!(status.is_ok_and(|status| status.success()), "{} failed", script.display());
}
