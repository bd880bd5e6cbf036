//! What a person at a terminal meets: a real pseudo-terminal, the real binary, the real engine.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::stack::{TestStack, text};
use crate::support::{SOON, eventually};

const WEB: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080", "--print", "here I am"]
port = 8080
health.tcp = true
"#;

/// One that takes its time to stop.
const SLOW: &str = r#"
name = "NAME"
[services.slow]
image = "TINY"
entrypoint = []
command = ["/tiny", "sleep", "--ignore-term"]
stop_grace = "60s"
"#;

/// A program that a person runs at a terminal.
pub struct Person {
    master: File,
    /// The other side, held open: the terminal outlives the program.
    terminal: File,
    child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Person {
    /// Runs a verb of the binary at a terminal of 80 columns.
    pub fn runs(stack: &TestStack, words: &[&str]) -> Self {
        Self::runs_with(stack, words, &[])
    }

    /// The same with more environment.
    pub fn runs_with(stack: &TestStack, words: &[&str], environment: &[(&str, &str)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("its other side");
        let path = ptsname(&master, Vec::new()).expect("its name");
        let terminal = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other side");
        let (master, terminal) = (File::from(master), File::from(terminal));
        size(&master, 80, 24);
        // A session of its own, whose terminal this is: Ctrl-C means whoever is in front of it.
        let asked = stack.command(words);
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(asked.get_program()).args(asked.get_args());
        command.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        command.envs(environment.iter().copied());
        command.current_dir(stack.path());
        let side = || terminal.try_clone().expect("a file descriptor");
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("setsid");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (into, mut reader) = (seen.clone(), master.try_clone().expect("a file descriptor"));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                into.lock().expect("no panic").extend_from_slice(&buffer[..count]);
            }
        });
        Self { master, terminal, child, seen }
    }

    pub fn seen(&self) -> String {
        text(&self.seen.lock().expect("no panic"))
    }

    /// Waits until this was shown.
    pub async fn sees(&self, words: &str) {
        let waited = tokio::time::timeout(SOON, async {
            while !self.seen().contains(words) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "{words:?} was not shown: {:?}", self.seen());
    }

    pub fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("a terminal that listens");
    }

    /// Whether the terminal passes every key on.
    pub fn is_raw(&self) -> bool {
        !tcgetattr(&self.terminal).expect("a terminal").local_modes.contains(LocalModes::ICANON | LocalModes::ISIG)
    }

    pub async fn ends(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually(SOON, "an end", async || child.try_wait().expect("a child")).await
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("on the terminal: {}", self.seen());
        }
        let _ = self.child.kill();
    }
}

fn size(terminal: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a terminal with a size");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_at_a_terminal_has_its_size_its_keys_and_gives_its_code_and_the_terminal_back() {
    let stack = TestStack::new("tty", WEB).await;
    stack.done(&["up", "-d"]);
    let mut person = Person::runs(&stack, &["exec", "web", "/tiny", "tty", "42"]);
    person.sees("80 columns, 24 rows").await;
    assert!(person.is_raw());
    size(&person.master, 111, 33);
    person.sees("111 columns, 33 rows").await;
    person.types("\r");
    assert_eq!(person.ends().await.code(), Some(42));
    assert!(!person.is_raw(), "the terminal is as it was");
    // Ctrl-C is a key: it ends the command there, not the one here.
    let mut person = Person::runs(&stack, &["exec", "web", "/tiny", "sleep", "--print", "sleeping", "--term-code", "9"]);
    person.sees("sleeping").await;
    person.types("\u{3}");
    assert_eq!(person.ends().await.code(), Some(9));
    assert!(!person.is_raw());
    // One that is ended by others gives the terminal back as well.
    let mut person = Person::runs(&stack, &["exec", "web", "/tiny", "sleep", "--print", "sleeping"]);
    person.sees("sleeping").await;
    assert!(person.is_raw());
    let own = children(person.child.id());
    Command::new("kill").args(["-TERM", &own]).status().expect("kill");
    assert_eq!(person.ends().await.code(), Some(143));
    assert!(!person.is_raw());
}

/// The program below setsid.
fn children(pid: u32) -> String {
    let path = format!("/proc/{pid}/task/{pid}/children");
    std::fs::read_to_string(path).unwrap_or_default().split_whitespace().next().map_or_else(|| pid.to_string(), str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_ctrl_c_stops_the_stack_and_the_second_kills_it() {
    let stack = TestStack::new("ctrlc", SLOW).await;
    let mut person = Person::runs(&stack, &["up"]);
    person.sees("is ready").await;
    person.types("\u{3}");
    person.sees("Ctrl-C again kills it").await;
    person.sees("SIGTERM ignored").await;
    person.types("\u{3}");
    let ended =
        tokio::time::timeout(Duration::from_secs(20), person.ends()).await.expect("it did not wait for the grace of a minute");
    assert_eq!(ended.code(), Some(0));
    assert_eq!(stack.identities(), Vec::<String>::new());
    assert!(person.seen().contains("killing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_of_an_up_that_joined_leaves_the_stack_and_says_so() {
    let stack = TestStack::new("leave", WEB).await;
    stack.done(&["up", "-d"]);
    let (before, daemon) = (stack.identities(), stack.daemon_pid());
    let mut person = Person::runs(&stack, &["up"]);
    person.sees(&format!("joined the daemon (process {daemon})")).await;
    person.sees("is ready").await;
    person.types("\u{3}");
    person.sees("left the daemon; the stack goes on").await;
    assert_eq!(person.ends().await.code(), Some(0));
    assert_eq!((stack.identities(), stack.daemon_pid()), (before, daemon));
}

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_the_stack_restarts_and_gives_the_terminal_back() {
    let stack = TestStack::new("top", WEB).await;
    let output = stack.run(&["top"]);
    assert_eq!(output.status.code(), Some(2), "without a terminal");
    assert!(text(&output.stderr).contains("`witwd ps`"), "{}", text(&output.stderr));
    let mut person = Person::runs(&stack, &["top"]);
    person.sees("no daemon runs").await;
    assert_eq!(person.ends().await.code(), Some(1));

    stack.done(&["up", "-d"]);
    let before = stack.identities();
    let mut person = Person::runs(&stack, &["top"]);
    for words in ["web", "running", "EVENTS", "MEMORY", "iB"] {
        person.sees(words).await;
    }
    assert!(person.is_raw());
    person.types("l");
    person.sees("LOG").await;
    person.sees("here").await;
    person.types("\u{1b}");
    person.types("r");
    eventually(SOON, "a restart", async || (stack.identities() != before).then_some(())).await;
    person.types("q");
    assert_eq!(person.ends().await.code(), Some(0));
    assert!(!person.is_raw(), "the terminal is as it was");
    assert!(person.seen().contains("\u{1b}[?1049l"), "and shows what it showed");

    // Ended by others, and by the end of the daemon.
    let mut person = Person::runs(&stack, &["top"]);
    person.sees("EVENTS").await;
    Command::new("kill").args(["-TERM", &children(person.child.id())]).status().expect("kill");
    assert_eq!((person.ends().await.code(), person.is_raw()), (Some(143), false));
    let mut person = Person::runs(&stack, &["top"]);
    person.sees("EVENTS").await;
    stack.done(&["down"]);
    assert_eq!((person.ends().await.code(), person.is_raw()), (Some(1), false));
    person.sees("the stack is taken down").await;
}
