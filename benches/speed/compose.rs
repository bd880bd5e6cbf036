//! docker compose, where it is installed: the same services with the same settings.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::TINY;

/// A compose that answers.
pub struct Compose {
    words: Vec<String>,
    version: String,
}

impl Compose {
    /// `WITWD_BENCH_COMPOSE`, else the plugin, else the program of its own.
    pub fn find() -> Option<Self> {
        let named = std::env::var("WITWD_BENCH_COMPOSE").ok();
        let candidates = named.iter().map(String::as_str).chain(["docker compose", "docker-compose"]);
        candidates.map(str::to_owned).find_map(|candidate| {
            let words: Vec<String> = candidate.split_whitespace().map(str::to_owned).collect();
            let output = Command::new(&words[0]).args(&words[1..]).args(["version", "--short"]).output().ok()?;
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success().then_some(Self { words, version })
        })
    }

    /// Which one it is.
    pub fn describe(&self) -> String {
        format!("docker compose {} ({})", self.version, self.words.join(" "))
    }

    /// Runs a verb in a project's directory; it must succeed.
    pub fn run(&self, project: &Path, verb: &[&str]) {
        let mut command = Command::new(&self.words[0]);
        let output = command.args(&self.words[1..]).args(verb).current_dir(project).stdin(Stdio::null()).output();
        let output = output.expect("compose runs");
        assert!(output.status.success(), "compose {verb:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A project of so many services that wait, with the settings that witwd gives a container.
pub fn project(directory: &Path, name: &str, services: usize) {
    use std::fmt::Write as _;
    let mut text = format!("name: {name}\nservices:\n");
    for number in 1..=services {
        write!(
            text,
            "  s{number}:\n    image: {TINY}\n    entrypoint: []\n    command: [/tiny, sleep, 24h]\n    init: true\n    \
             pids_limit: 4096\n    security_opt: [\"no-new-privileges:true\"]\n    hostname: s{number}\n    \
             extra_hosts: [\"host.docker.internal:host-gateway\"]\n    labels: {{dev.witwd.test: {name}}}\n    \
             logging: {{driver: local, options: {{max-size: 10m, max-file: \"5\"}}}}\n"
        )
        .unwrap();
    }
    std::fs::write(directory.join("compose.yaml"), text).unwrap();
    // Older ones know no `name` in the file.
    std::fs::write(directory.join(".env"), format!("COMPOSE_PROJECT_NAME={name}\n")).unwrap();
}
