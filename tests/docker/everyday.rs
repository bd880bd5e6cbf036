//! `db url`, `port`, `open` and `ls` with the real binary on the real engine.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::postgres::{IMAGE, image};
use crate::stack::{TestStack, text};
use crate::terminal::Person;

const WEB: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
ports = ["auto:8080"]
health.tcp = true
[services.quiet]
image = "TINY"
command = ["sleep"]
"#;

fn json(stack: &TestStack, words: &[&str]) -> Value {
    serde_json::from_str(&stack.done(words)).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_finds_what_is_wrong_with_the_machine_and_the_file() {
    let stack = TestStack::new("doctor", WEB).await;
    let found = |code: i32| {
        let output = stack.run(&["doctor", "--json"]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stdout));
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let items = document["items"].as_array().expect("items").clone();
        items.into_iter().map(|item| (item["check"].as_str().unwrap_or_default().to_owned(), item)).collect::<Vec<_>>()
    };
    let healthy = found(0);
    let checks: Vec<&str> = healthy.iter().map(|(check, _)| check.as_str()).collect();
    let wanted = ["clock", "permissions", "daemon", "file", "disk of the stack", "engine", "disk of the engine", "ports"];
    assert_eq!(checks, wanted);
    stack.write("name = 1");
    let broken = found(1);
    let file = &broken.iter().find(|(check, _)| check == "file").expect("a finding").1;
    assert_eq!((&file["level"], &file["hint"]), (&"critical".into(), &"`witwd check` shows what is wrong".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_port_is_printed_opened_and_said_to_be_missing() {
    let stack = TestStack::new("port", WEB).await;
    let output = stack.run(&["port", "web"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("`witwd up -d web` makes and starts it"));
    stack.done(&["up", "-d"]);
    let host = stack.item("web")["ports"][0]["host"].as_u64().expect("a port");
    assert_eq!(stack.done(&["port", "web", "8080"]), format!("127.0.0.1:{host}\n"));
    assert_eq!(stack.done(&["port", "web"]), format!("8080/tcp -> 127.0.0.1:{host}\n"));
    let found = json(&stack, &["port", "--json", "web"]);
    assert_eq!((&found["v"], &found["items"][0]["host"]), (&1.into(), &host.into()));
    assert_eq!(stack.run(&["port", "quiet"]).status.code(), Some(1));
    assert_eq!(stack.run(&["port", "wbe"]).status.code(), Some(2));

    // Piped, the address is all there is, and nothing is started.
    let address = format!("http://127.0.0.1:{host}");
    assert_eq!(stack.done(&["open"]), format!("{address}\n"));
    let opened = json(&stack, &["open", "web", "--json"]);
    assert_eq!((&opened["address"], &opened["opened"]), (&address.as_str().into(), &false.into()));
    assert_eq!(stack.run(&["open", "quiet"]).status.code(), Some(1));
    // A person with a screen sees the page, one without reads the address.
    let (programs, seen) = (stack.path().join("bin"), stack.path().join("opened"));
    std::fs::create_dir(&programs).expect("a directory");
    let script = format!("#!/bin/sh\necho \"$1\" > {}\n", seen.display());
    std::fs::write(programs.join("xdg-open"), script).expect("a program");
    std::fs::set_permissions(programs.join("xdg-open"), PermissionsExt::from_mode(0o755)).expect("a mode");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("a path"));
    let mut person = Person::runs_with(&stack, &["open"], &[("PATH", &path), ("DISPLAY", ":7")]);
    assert_eq!(person.ends().await.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&seen).expect("it was opened"), format!("{address}\n"));
    std::fs::write(programs.join("xdg-open"), "#!/bin/sh\nexit 3\n").expect("a program that finds no browser");
    let mut person = Person::runs_with(&stack, &["open"], &[("PATH", &path), ("DISPLAY", ":7")]);
    person.sees(&address).await;
    person.sees("there is no browser here").await;
    assert_eq!(person.ends().await.code(), Some(0));

    // The port is known without a daemon too.
    crate::up::kill_with_guardian(&stack).await;
    assert_eq!(stack.done(&["port", "web", "8080"]), format!("127.0.0.1:{host}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ls_shows_every_stack_of_the_machine_and_who_keeps_it() {
    let stack = TestStack::new("ls", WEB).await;
    let own = |stack: &TestStack| {
        let items = json(stack, &["ls", "--json"])["items"].as_array().expect("items").clone();
        items.into_iter().find(|item| item["name"] == stack.name.as_str())
    };
    assert_eq!(own(&stack), None);
    stack.done(&["up", "-d"]);
    let item = own(&stack).expect("listed");
    let directory = stack.path().canonicalize().expect("a directory");
    assert_eq!(item["directory"], directory.to_str().expect("text"));
    let facts = |item: &Value| (item["daemon"].clone(), item["running"].clone(), item["total"].clone());
    assert_eq!(facts(&item), ("up".into(), 2.into(), 2.into()));
    assert_eq!(item["pid"], stack.daemon_pid());
    let lines = stack.done(&["ls"]);
    assert!(lines.starts_with("NAME") && lines.contains(&stack.name) && lines.contains("2/2"), "{lines}");
    stack.done(&["stop", "quiet"]);
    crate::up::kill_with_guardian(&stack).await;
    let item = own(&stack).expect("listed");
    assert_eq!(facts(&item), ("down".into(), 1.into(), 2.into()));
    assert_eq!(item["pid"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_database_lets_a_tool_in_as_the_app_and_as_the_superuser() {
    image().await;
    let file = format!(
        "name = \"NAME\"\n[postgres.db]\nimage = \"{IMAGE}\"\npull = \"never\"\nbackup.enabled = false\n\
         password = \"a/b@c:d%e\"\nuser = \"clerk\"\n"
    );
    let stack = TestStack::new("url", &file).await;
    let output = stack.run(&["db", "url"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()), "{}", text(&output.stderr));
    stack.done(&["up", "-d"]);
    assert_eq!(who(&stack.done(&["db", "url"])).await, "clerk");
    assert_eq!(who(&stack.done(&["db", "url", "db", "--superuser"])).await, "postgres");
    // Published, it is the address that other machines of the file's choice have too.
    stack.write(&format!("{file}ports = [\"auto:5432\"]\n"));
    stack.done(&["up", "-d"]);
    let found = json(&stack, &["db", "url", "--json"]);
    let url = found["url"].as_str().expect("an address");
    let host = stack.item("db")["ports"][0]["host"].to_string();
    assert!(url.contains(&format!("@127.0.0.1:{host}/")), "{url}");
    assert_eq!(who(url).await, "clerk");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_database_has_the_address_of_the_file() {
    let file = "name = \"NAME\"\n[postgres.far]\nurl = \"postgresql://a:b@db.invalid:5432/c?sslmode=require\"\n";
    let stack = TestStack::new("far-url", file).await;
    assert_eq!(stack.done(&["db", "url"]), "postgresql://a:b@db.invalid:5432/c?sslmode=require\n");
    let output = stack.run(&["db", "url", "--superuser"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
}

/// As whom a server lets in who has this address.
async fn who(url: &str) -> String {
    let (client, connection) = tokio_postgres::connect(url.trim(), tokio_postgres::NoTls).await.expect("let in");
    let connection = tokio::spawn(connection);
    let row = client.query_one("SELECT current_user::text", &[]).await.expect("an answer");
    drop(client);
    let _ = connection.await;
    row.get(0)
}
