//! A headless chromium of our own, through Debian's chromedriver.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

/// A browser with a profile of its own, which ends with this value.
pub struct Browser {
    /// The session.
    pub client: Client,
    _driver: Driver,
}

impl Browser {
    /// Starts chromedriver on a free port, and a browser with an empty profile.
    pub async fn start() -> Self {
        let mut driver = Driver::start();
        let port = driver.port();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(&driver.profile))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a session of chromium");
        Self { client, _driver: driver }
    }

    /// What the console has said so far.
    pub async fn console(&self) -> Vec<Value> {
        let log = self.client.issue_cmd(ConsoleLog).await.expect("the console");
        log.as_array().expect("a list").clone()
    }
}

/// The process of chromedriver. It and its browser end with this value, in a panic too.
struct Driver {
    process: Child,
    profile: tempfile::TempDir,
}

impl Driver {
    fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory for the profile");
        let process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver runs (Debian: apt-get install chromium chromium-driver)");
        Self { process, profile }
    }

    /// The free port that it chose, from what it says.
    fn port(&mut self) -> u16 {
        let stdout = self.process.stdout.as_mut().expect("its stdout");
        BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver says on which port it listens")
    }
}

fn capabilities(profile: &tempfile::TempDir) -> serde_json::Map<String, Value> {
    let profile = format!("--user-data-dir={}", profile.path().display());
    let options = json!({
        "goog:chromeOptions": { "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server",
            "--force-prefers-reduced-motion", "--window-size=1280,1000", profile,
        ] },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    options.as_object().expect("an object").clone()
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Chromium has a process group of its own; only the profile in its arguments tells whose it is.
        let profile = self.profile.path().display().to_string();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
            let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if let Some(pid) = pid.filter(|_| String::from_utf8_lossy(&arguments).contains(&profile)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}

/// Chromedriver's own command for what the console has said.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (hyper::Method, Option<String>) {
        (hyper::Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}
