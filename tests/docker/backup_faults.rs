//! What happens to a dump and to its disk while rows are written: none is lost, and no half set counts.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::backups::{first, kill, nothing_is_left, session, sets};
use crate::daemon_killed::server;
use crate::killed_writing::injected;
use crate::oracles::ledger::Ledger;
use crate::postgres::{IMAGE, image};
use crate::private::handed_to_root;
use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, end_of, ended, eventually};

pub const TEXT: &str = r#"
name = "NAME"
[postgres.db]
image = "IMAGE"
pull = "never"
user = "app"
password = "ledger"
database = "app"
ports = ["auto:5432"]
backup = { every = "24h", min_free = "0M", verify = "read" }
"#;

/// About 30 MB, half of it when it is compressed.
const MUCH: &str = "CREATE TABLE much AS SELECT n, string_agg(md5(n || ' ' || m || random()::text), '') AS v \
                    FROM generate_series(1, 30000) n, generate_series(1, 30) m GROUP BY n";

fn sql(stack: &TestStack, statements: &str) -> String {
    stack.done(&["psql", "--superuser", "--", "-d", "app", "-v", "ON_ERROR_STOP=1", "-XAtqc", statements])
}

pub fn backup(stack: &TestStack) -> Value {
    stack.item("db")["backup"].clone()
}

pub fn ids(stack: &TestStack) -> Vec<String> {
    sets(stack).iter().map(|set| set["id"].as_str().expect("an id").to_owned()).collect()
}

/// Waits until the server is ready and nothing is done with sets.
async fn rests(stack: &TestStack) {
    eventually(SOON * 2, "it is at rest", async || {
        let output = stack.run(&["ps", "--json"]);
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        let item = &status["items"][0];
        (status["daemon"]["pid"].is_u64() && item["ready"] == true && item["backup"]["under_way"].is_null()).then_some(())
    })
    .await;
}

/// Who ends in the middle of a dump.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    /// The server's process that serves the dump.
    Backend,
    /// The container of the dump.
    Dump,
    /// The container of the server.
    Database,
    /// The daemon, by `SIGKILL`.
    Daemon,
    /// The daemon, by `SIGTERM`.
    DaemonAsked,
}

/// A session that ends the backend of a dump when it is told to.
struct Hand {
    psql: Child,
}

impl Hand {
    fn of(stack: &TestStack) -> Self {
        Self { psql: session(stack, "app", "SET lock_timeout = 0") }
    }

    fn strike(mut self) {
        let statement = b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY %';\n";
        self.psql.stdin.take().expect("an input").write_all(statement).expect("it reads");
        end_of(&mut self.psql);
    }
}

impl Victim {
    fn end(self, stack: &TestStack, hand: Hand, container: &str, daemon: u64) {
        match self {
            Self::Backend => return hand.strike(),
            Self::Dump => {
                let mine = format!("label=dev.witwd.directory={}", stack.path().display());
                let found = docker(&["ps", "-q", "--filter", &mine, "--filter", "label=dev.witwd.kind=dump"]);
                text(&found.stdout).split_whitespace().for_each(|id| drop(docker(&["kill", id])));
            }
            Self::Database => drop(docker(&["kill", container])),
            Self::Daemon => drop(ended(kill(daemon))),
            Self::DaemonAsked => {
                let mut command = Command::new("kill");
                command.args(["-TERM", &daemon.to_string()]);
                drop(ended(command));
            }
        }
        let Hand { mut psql } = hand;
        let _ = psql.kill();
        end_of(&mut psql);
    }
}

/// What is there of sets that are not whole, and how much of the dump of `app` is written.
fn halves(stack: &TestStack) -> BTreeMap<PathBuf, u64> {
    let half = std::fs::read_dir(stack.path().join("volumes/backups/db/.partial"));
    let size = |path: &Path| path.join("app.dump.zst").metadata().map_or(0, |file| file.len());
    half.into_iter().flatten().flatten().map(|entry| (entry.path(), size(&entry.path()))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_ends_anywhere_in_its_middle_loses_no_row_and_counts_for_nothing() {
    image().await;
    let stack = TestStack::new("faults-ends", &TEXT.replace("IMAGE", IMAGE)).await;
    stack.done(&["up", "-d"]);
    first(&stack).await;
    sql(&stack, MUCH);
    stack.done(&["backup", "now"]);
    let dump = Path::new(sets(&stack)[0]["dir"].as_str().expect("a directory")).join("app.dump.zst");
    let whole = dump.metadata().expect("a dump").len();
    let ledger = Ledger::start(server(&stack)).await;
    for victim in [Victim::Backend, Victim::Dump, Victim::Database, Victim::Daemon, Victim::DaemonAsked] {
        for percent in [1, 50, 99] {
            let what = format!("{victim:?} at {percent} %");
            let (before, hand) = (ids(&stack), Hand::of(&stack));
            let (container, daemon) = (stack.item("db")["container"].as_str().expect("an id").to_owned(), stack.daemon_pid());
            // What a dead daemon left goes when the next set is begun.
            let old = halves(&stack);
            let mut asked = stack.command(&["backup", "now"]);
            let mut asked = asked.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
            eventually(SOON, &what, async || {
                let mut new = halves(&stack).into_iter().filter(|(path, _)| !old.contains_key(path));
                new.any(|(_, size)| size >= whole * percent / 100).then_some(())
            })
            .await;
            victim.end(&stack, hand, &container, daemon);
            let told = end_of(&mut asked);
            if victim == Victim::DaemonAsked {
                stack.done(&["up", "-d"]);
            }
            rests(&stack).await;
            let new: Vec<Value> = sets(&stack).into_iter().filter(|set| !before.iter().any(|id| set["id"] == **id)).collect();
            // What was written by then may have been all of it.
            assert!(percent == 99 || (new.is_empty() && told.code() == Some(1)), "{what}: {told} {new:?}\n{}", stack.log());
            assert!(new.iter().all(|set| set["proof"] == "read" || set["proof"] == "restored"), "{what}: {new:?}");
            let is_told = new.len() == 1 || matches!(victim, Victim::Daemon | Victim::DaemonAsked);
            assert!(is_told || backup(&stack)["failed"]["words"].is_string(), "{what}: {}", backup(&stack));
        }
    }
    ledger.grows().await;
    let noted = ledger.noted();
    stack.done(&["backup", "now"]);
    let said = stack.done(&["backup", "verify", "latest"]);
    assert!(said.contains("restored in a trial"), "{said}");
    let rows = sets(&stack)[0]["rows"].as_u64().expect("a count");
    assert!(rows >= 30_000 + noted, "{rows} rows, and {noted} were committed before");
    nothing_is_left(&stack);
    ledger.balance().is_even();
}

/// A file system of its own, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn at(path: PathBuf, size: &str) -> Self {
        std::fs::create_dir_all(&path).expect("a directory");
        Self::mount(&path, size);
        Self(path)
    }

    fn grow(&self, size: &str) {
        Self::mount(&self.0, &format!("remount,{size}"));
    }

    fn mount(path: &Path, options: &str) {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path);
        let output = ended(command);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_or_fails_costs_the_new_set_and_no_old_one() {
    if handed_to_root().await {
        return;
    }
    image().await;
    let stack = TestStack::new("faults-disk", &TEXT.replace("IMAGE", IMAGE)).await;
    let disk = Mounted::at(stack.path().join("volumes/backups"), "size=8m");
    stack.done(&["up", "-d"]);
    first(&stack).await;
    let ledger = Ledger::start(server(&stack)).await;
    sql(&stack, MUCH);
    let before = ids(&stack);

    let fails = |why: &str| {
        let output = stack.run(&["backup", "now"]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
        assert_eq!(ids(&stack), before);
    };
    let why = "No space left on device";
    fails(why);
    rests(&stack).await;
    let failed = backup(&stack)["failed"].clone();
    assert!(failed["reason"] == "disk" && failed["words"].as_str().is_some_and(|words| words.contains(why)), "{failed}");
    assert!(stack.done(&["ps"]).contains(why), "ps tells it unasked");
    nothing_is_left(&stack);
    let said = stack.done(&["backup", "verify", "latest"]);
    assert!(said.contains("restored in a trial"), "{said}");
    disk.grow("size=400m");
    let mut strace = injected(stack.daemon_pid(), "fsync,fdatasync", "error=EIO").await;
    // Whether what was written lasts is open: so it does not count.
    fails("Input/output error");
    let _ = strace.kill();
    end_of(&mut strace);
    rests(&stack).await;
    nothing_is_left(&stack);
    stack.done(&["backup", "now"]);
    assert_eq!(ids(&stack).len(), before.len() + 1);
    assert_eq!(backup(&stack)["failed"], Value::Null);
    ledger.balance().is_even();
}
