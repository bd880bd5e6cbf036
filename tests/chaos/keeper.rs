//! Who keeps the stack: witwd, or docker compose with the engine's own `restart: always`.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::private::PrivateEngine;
use crate::recorder::Recorder;
use crate::stack::TestStack;
use crate::support::{SOON, TINY, ended, eventually};

/// Names the compose to run beside.
pub const COMPOSE: &str = "WITWD_BENCH_COMPOSE";
/// The database's image.
pub const IMAGE: &str = "localhost/witwd-test-postgres:17";
/// What the project of compose is called.
const PROJECT: &str = "chaos";

const STACK: &str = r#"
name = "NAME"
[services.app]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8000"]
port = 8000
ports = ["8000:8000"]
health = { http = "/", interval = "1s", timeout = "1s", start_period = "5s" }
stop_grace = "1s"
backoff.max = "1s"
env.DATABASE_URL = "${db.url}"
[services.worker]
image = "TINY"
entrypoint = []
command = ["/tiny", "sleep"]
stop_grace = "1s"
backoff.max = "1s"
depends_on = ["db"]
[postgres.db]
image = "localhost/witwd-test-postgres:17"
pull = "never"
backup.enabled = false
password = "ledger"
user = "app"
database = "app"
ports = ["5432:5432"]
"#;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Witwd,
    /// Compose.
    Compose,
}

impl Kind {
    /// For the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Witwd => "witwd",
            Self::Compose => "docker compose, `restart: always`",
        }
    }
}

/// The one that keeps the stack of this run.
pub enum Keeper {
    /// The daemon that `up -d` left.
    Witwd(Box<TestStack>),
    /// What `compose up -d` left on the engine.
    Compose {
        /// The program and its first words.
        words: Vec<String>,
        /// Where its file lies.
        directory: tempfile::TempDir,
        /// The engine.
        host: String,
    },
}

impl Keeper {
    /// Brings the stack up.
    pub fn up(kind: Kind, engine: &PrivateEngine, line: &Recorder) -> Self {
        match kind {
            Kind::Witwd => {
                let mut stack = TestStack::on(engine, "chaos", STACK);
                stack.docker_host = Some(line.host());
                stack.done(&["up", "-d"]);
                Self::Witwd(Box::new(stack))
            }
            Kind::Compose => {
                let named = std::env::var(COMPOSE).expect("a compose");
                let words = named.split_whitespace().map(str::to_owned).collect();
                let directory = tempfile::tempdir().expect("a directory");
                std::fs::write(directory.path().join("compose.yaml"), definition().to_string()).expect("compose.yaml");
                let keeper = Self::Compose { words, directory, host: engine.host() };
                keeper.mend();
                keeper
            }
        }
    }

    /// What a person would say to have it as it was.
    pub fn mend(&self) {
        match self {
            Self::Witwd(stack) => drop(stack.run(&["up", "-d"])),
            Self::Compose { words, directory, host } => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]).args(["-p", PROJECT, "up", "-d", "--force-recreate"]);
                command.current_dir(directory.path()).env("DOCKER_HOST", host).stdin(Stdio::null());
                let output = ended(command);
                assert!(output.status.success(), "compose up: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }

    /// The filter that finds a service's container.
    pub fn filters(&self, name: &str) -> [String; 2] {
        match self {
            Self::Witwd(stack) => [format!("label=dev.witwd.stack={}", stack.name), format!("label=dev.witwd.name={name}")],
            Self::Compose { .. } => {
                [format!("label=com.docker.compose.project={PROJECT}"), format!("label=com.docker.compose.service={name}")]
            }
        }
    }

    /// The label that its objects have, and its value.
    pub fn mark(&self) -> (&str, &str) {
        match self {
            Self::Witwd(stack) => ("dev.witwd.stack", &stack.name),
            Self::Compose { .. } => ("com.docker.compose.project", PROJECT),
        }
    }

    /// The network of the stack.
    pub fn network(&self) -> String {
        match self {
            Self::Witwd(stack) => stack.name.clone(),
            Self::Compose { .. } => format!("{PROJECT}_default"),
        }
    }

    /// Sends a signal to the daemon, where there is one.
    pub fn signal(&self, signal: &str) {
        let Self::Witwd(stack) = self else { return };
        // Not by asking it: it may be stopped.
        let is_daemon = |words: &&String| words.contains(" daemon ") && !words.contains(" __guardian ");
        let processes = stack.processes();
        let pid = processes.iter().find(is_daemon).and_then(|words| words.split(' ').next());
        let pid = pid.unwrap_or_else(|| panic!("no daemon: {processes:?}"));
        assert!(Command::new("kill").args(["-s", signal, pid]).status().is_ok_and(|status| status.success()), "kill {pid}");
    }

    /// Waits until the daemon says that all is as the file says; compose has none that could say so.
    pub async fn rests(&self, limit: Duration) -> bool {
        let Self::Witwd(stack) = self else { return true };
        let is_so = async || {
            let status: Value = serde_json::from_slice(&stack.run(&["ps", "--json"]).stdout).ok()?;
            (status["converged"] == true && status["daemon"]["pid"].is_u64()).then_some(())
        };
        tokio::time::timeout(limit, eventually(limit + SOON, "it rests", is_so)).await.is_ok()
    }
}

/// The same services for compose.
fn definition() -> Value {
    let service = |image: &str| {
        json!({
            "image": image,
            "init": true,
            "restart": "always",
            "pids_limit": 4096,
            "security_opt": ["no-new-privileges:true"],
            "logging": { "driver": "local", "options": { "max-size": "10m", "max-file": "5" } },
        })
    };
    let (mut app, mut worker, mut db) = (service(TINY), service(TINY), service(IMAGE));
    app["entrypoint"] = json!(["/tiny"]);
    app["command"] = json!(["serve", "--port", "8000"]);
    app["ports"] = json!(["127.0.0.1:8000:8000"]);
    app["healthcheck"] =
        json!({ "test": ["CMD", "/tiny", "get", "http://127.0.0.1:8000/"], "interval": "1s", "timeout": "1s", "retries": 3 });
    worker["entrypoint"] = json!(["/tiny"]);
    worker["command"] = json!(["sleep"]);
    for service in [&mut app, &mut worker] {
        service["stop_grace_period"] = json!("1s");
        service["depends_on"] = json!({ "db": { "condition": "service_healthy" } });
    }
    db["environment"] = json!({ "POSTGRES_USER": "app", "POSTGRES_PASSWORD": "ledger", "POSTGRES_DB": "app" });
    db["ports"] = json!(["127.0.0.1:5432:5432"]);
    db["volumes"] = json!(["data:/var/lib/postgresql/data"]);
    db["shm_size"] = json!("256m");
    db["stop_signal"] = json!("SIGINT");
    db["stop_grace_period"] = json!("60s");
    let test = ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", "app"];
    db["healthcheck"] = json!({ "test": test, "interval": "1s", "timeout": "5s", "retries": 60 });
    json!({ "services": { "app": app, "worker": worker, "db": db }, "volumes": { "data": {} } })
}
