//! docker compose, where it is installed: the same services with the same settings.
//!
//! The contender is version 2, a Go program. Version 1 is a Python program that starts for as long as
//! version 2 takes for all; it stands in only where no version 2 is found, and its name says so.
//!
//! On Debian trixie `apt-get install docker-compose` installs 2.26. On bookworm the same package can be
//! unpacked beside what is installed, for the program in it needs nothing else. As root:
//!
//! ```sh
//! mkdir -p /opt/compose/lists/partial && cd /opt/compose
//! echo 'deb http://deb.debian.org/debian trixie main' > sources.list
//! here="-o Dir::Etc::sourcelist=$PWD/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=$PWD/lists"
//! apt-get $here update && apt-get $here download docker-compose && dpkg-deb -x docker-compose_*.deb .
//! export WITWD_BENCH_COMPOSE=/opt/compose/usr/libexec/docker/cli-plugins/docker-compose
//! ```

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use crate::leftovers::Leftovers;
use crate::support::{TEST, TINY, ended};

/// A compose that answers.
pub struct Compose {
    words: Vec<String>,
    version: String,
}

impl Compose {
    /// `WITWD_BENCH_COMPOSE`, which must answer; else a version 2, as plugin or program; else version 1.
    pub fn find() -> Option<Self> {
        if let Ok(named) = std::env::var("WITWD_BENCH_COMPOSE") {
            let compose = Self::asked(&named);
            return Some(compose.unwrap_or_else(|| panic!("WITWD_BENCH_COMPOSE={named}: `{named} version --short` fails")));
        }
        let mut found: Vec<Self> = ["docker compose", "docker-compose"].into_iter().filter_map(Self::asked).collect();
        found.sort_by_key(Self::is_old);
        found.into_iter().next()
    }

    fn asked(program: &str) -> Option<Self> {
        let words: Vec<String> = program.split_whitespace().map(str::to_owned).collect();
        let (first, rest) = words.split_first()?;
        let output = Command::new(first).args(rest).args(["version", "--short"]).output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('v').to_owned();
        output.status.success().then_some(Self { words, version })
    }

    /// Whether it is the Python program.
    pub fn is_old(&self) -> bool {
        self.version.starts_with("1.")
    }

    /// Which one it is.
    pub fn describe(&self) -> String {
        let note = if self.is_old() { ": version 1, in Python, not the contender; see benches/speed/compose.rs" } else { "" };
        format!("{} ({}){note}", self.called(&self.version), self.words.join(" "))
    }

    /// A verb of it, for the table.
    pub fn called(&self, verb: &str) -> String {
        format!("docker compose {}{verb}", if self.is_old() { "v1 (Python) " } else { "" })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).stdin(Stdio::null());
        if self.is_old() {
            // Its own limit of a minute is too short for many services at once.
            command.env("COMPOSE_HTTP_TIMEOUT", "200");
        }
        command
    }
}

/// A project of compose in a directory of its own. What it made goes with it.
pub struct Project<'a> {
    compose: &'a Compose,
    /// Its name.
    pub name: String,
    directory: tempfile::TempDir,
    _leftovers: Leftovers,
}

impl<'a> Project<'a> {
    /// One whose file is what `definition` makes of its name.
    pub fn new(compose: &'a Compose, name: &str, definition: impl FnOnce(&str) -> Value) -> Self {
        let name = format!("t-{name}-compose-{}", std::process::id());
        let directory = tempfile::tempdir().unwrap();
        // JSON is YAML. Version 1 knows no name in the file.
        std::fs::write(directory.path().join("compose.yaml"), format!("{:#}", definition(&name))).unwrap();
        std::fs::write(directory.path().join(".env"), format!("COMPOSE_PROJECT_NAME={name}\n")).unwrap();
        let label = format!("com.docker.compose.project={name}");
        Self { compose, name, directory, _leftovers: Leftovers::of(label) }
    }

    /// So many services that wait.
    pub fn waiting(compose: &'a Compose, name: &str, services: usize) -> Self {
        Self::new(compose, name, |name| {
            let service = |number: usize| {
                let mut service = service(name, &format!("s{number}"), TINY);
                service["entrypoint"] = json!(["/tiny"]);
                service["command"] = json!(["sleep", "24h"]);
                (format!("s{number}"), service)
            };
            json!({ "services": (1..=services).map(service).collect::<Map<String, Value>>() })
        })
    }

    /// Runs a verb; it must succeed.
    pub fn run(&self, verb: &[&str]) {
        let mut command = self.compose.command();
        command.args(verb).current_dir(self.path());
        let output = ended(command);
        assert!(output.status.success(), "compose {verb:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// A service with the settings that witwd gives a container.
pub fn service(project: &str, name: &str, image: &str) -> Value {
    json!({
        "image": image,
        "init": true,
        "pids_limit": 4096,
        "security_opt": ["no-new-privileges:true"],
        "hostname": name,
        "extra_hosts": ["host.docker.internal:host-gateway"],
        "labels": { TEST: project },
        "logging": { "driver": "local", "options": { "max-size": "10m", "max-file": "5" } },
    })
}
