//! A stack of a test's own, run by the real binary on the real engine.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::private::PrivateEngine;
use crate::support::{ENDLESS, TINY, connect, docker, ended, remove_labelled, tiny, unique};

/// A directory with a `stack.toml` under a name of its own. All that it leaves on the engine goes
/// with it, by its label.
pub struct TestStack {
    /// Its name.
    pub name: String,
    directory: tempfile::TempDir,
    /// Set where the daemon is to reach its engine through something else.
    pub docker_host: Option<String>,
    /// The engine of the test's own that it is on: its address, and the options of `nsenter` that lead
    /// to where its containers are reached.
    private: Option<(String, Vec<String>)>,
}

impl TestStack {
    /// A stack of this text; `NAME` in it stands for its name, `TINY` for the small image.
    pub async fn new(name: &str, text: &str) -> Self {
        tiny(&connect().await).await;
        Self::made(name, text, None)
    }

    /// The same on an engine of the test's own, which must outlive it.
    pub fn on(engine: &PrivateEngine, name: &str, text: &str) -> Self {
        Self::at(engine.host(), engine.namespaces().network(), name, text)
    }

    /// The same, with a daemon that sees the engine's processes as the engine does: as on a machine.
    pub fn beside(engine: &PrivateEngine, name: &str, text: &str) -> Self {
        Self::at(engine.host(), engine.namespaces().all(), name, text)
    }

    /// A stack at the engine with this address, run in these namespaces (options of `nsenter`).
    pub fn at(host: String, namespaces: Vec<String>, name: &str, text: &str) -> Self {
        Self::made(name, text, Some((host, namespaces)))
    }

    fn made(name: &str, text: &str, private: Option<(String, Vec<String>)>) -> Self {
        let name = unique(name);
        let docker_host = private.as_ref().map(|(host, _)| host.clone());
        let stack = Self { name, directory: tempfile::tempdir().expect("a directory"), docker_host, private };
        stack.write(text);
        stack
    }

    /// Replaces the file.
    pub fn write(&self, text: &str) {
        std::fs::create_dir_all(self.path()).expect("the stack's directory");
        let text = text.replace("NAME", &self.name).replace("TINY", TINY);
        std::fs::write(self.path().join("stack.toml"), text).expect("writing stack.toml");
    }

    /// Its directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("stack")
    }

    /// A command of the binary in the stack's directory.
    pub fn command(&self, words: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_witwd");
        let mut command = match &self.private {
            None => Command::new(program),
            Some((_, namespaces)) => {
                let mut command = Command::new("nsenter");
                // Among other mounts no working directory is kept.
                command.args(namespaces).args(["env", "-C"]).arg(self.path()).arg(program);
                command
            }
        };
        command.args(words).current_dir(self.path()).stdin(Stdio::null());
        command.env("WITWD_RUNTIME_DIR", self.runtime());
        if let Some(host) = &self.docker_host {
            command.env("DOCKER_HOST", host);
        }
        command
    }

    fn runtime(&self) -> PathBuf {
        let directory = self.directory.path().join("run");
        std::fs::create_dir_all(&directory).expect("the runtime directory");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&directory, private).expect("a private runtime directory");
        directory
    }

    /// Runs a verb to its end.
    pub fn run(&self, words: &[&str]) -> Output {
        ended(self.command(words))
    }

    /// Runs a verb that must succeed; returns what it printed.
    pub fn done(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "`witwd {}` ended with {}\n{out}\n{err}\n{}",
            words.join(" "),
            output.status,
            self.log()
        );
        out
    }

    /// The document of `ps`.
    pub fn ps(&self) -> Value {
        serde_json::from_str(&self.done(&["ps", "--json"])).expect("JSON of ps")
    }

    /// One item of `ps`.
    pub fn item(&self, name: &str) -> Value {
        let status = self.ps();
        let items = status["items"].as_array().expect("items").clone();
        items.into_iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name} in {status:#}"))
    }

    /// What the daemon logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join(".witwd/daemon.log")).unwrap_or_default()
    }

    /// Id, process and start of each container of the stack, in order of name: its identity.
    pub fn identities(&self) -> Vec<String> {
        let ids = self.ids();
        let format = "{{.Name}} {{.Id}} {{.State.Pid}} {{.State.StartedAt}}";
        let words: Vec<&str> = ["inspect", "-f", format].into_iter().chain(ids.iter().map(String::as_str)).collect();
        let mut lines: Vec<String> =
            if ids.is_empty() { Vec::new() } else { text(&self.docker(&words).stdout).lines().map(str::to_owned).collect() };
        lines.sort();
        lines
    }

    fn ids(&self) -> Vec<String> {
        let filter = format!("label=dev.witwd.stack={}", self.name);
        text(&self.docker(&["ps", "-aq", "--no-trunc", "--filter", &filter]).stdout)
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    /// Runs the engine's own command line on the engine that the stack is on.
    pub fn docker(&self, words: &[&str]) -> Output {
        docker(&[&self.engine(), words].concat())
    }

    /// The options of the engine's command line that name the engine it is on.
    pub fn engine(&self) -> Vec<&str> {
        self.private.iter().flat_map(|(host, _)| ["-H", host]).collect()
    }

    /// Number and words of each process that works for the stack: its directory for the daemon's
    /// address is in the environment of all that the test starts, and of what those start.
    pub fn processes(&self) -> Vec<String> {
        let ours = format!("WITWD_RUNTIME_DIR={}", self.runtime().display());
        let of_stack = |process: std::fs::DirEntry| {
            let environment = text(&std::fs::read(process.path().join("environ")).ok()?);
            let words = text(&std::fs::read(process.path().join("cmdline")).ok()?).replace('\0', " ");
            let is_ours = environment.split('\0').any(|variable| variable == ours);
            (is_ours && !words.is_empty()).then(|| format!("{} {words}", process.file_name().to_string_lossy()))
        };
        std::fs::read_dir("/proc").expect("processes").flatten().filter_map(of_stack).collect()
    }

    /// The process of the daemon.
    pub fn daemon_pid(&self) -> u64 {
        self.ps()["daemon"]["pid"].as_u64().expect("a daemon runs")
    }
}

impl Drop for TestStack {
    fn drop(&mut self) {
        // The daemon first, or it would make anew what is removed.
        let down = assert_cmd::Command::from_std(self.command(&["down", "--volumes", "--yes", "--without-last-set"]))
            .timeout(ENDLESS)
            .output();
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}\nits end: {down:?}", self.log());
        }
        // By its directory: a test may have run it under other names too.
        let directory = self.path().canonicalize().unwrap_or_else(|_| self.path());
        remove_labelled(&self.engine(), &format!("dev.witwd.directory={}", directory.display()));
    }
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
