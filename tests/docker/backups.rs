//! Backup sets of a real server: taken, proven, damaged, interrupted, kept.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::postgres::{IMAGE, image};
use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, ended, eventually};

const TEXT: &str = r#"
name = "NAME"
[postgres.db]
image = "IMAGE"
pull = "never"
database = "app"
databases = ["second db"]
backup = { every = "24h", min_free = "0M" }
"#;

/// A stack whose Postgres is ready and whose first set is taken.
async fn stack(name: &str, text: &str) -> TestStack {
    image().await;
    let stack = TestStack::new(name, &text.replace("IMAGE", IMAGE).replace("\"second db\"", "\"second-db\"")).await;
    stack.done(&["up", "-d"]);
    first(&stack).await;
    stack
}

/// Waits for the set that is taken once the server is ready.
pub async fn first(stack: &TestStack) {
    eventually(SOON * 4, "the first set", async || {
        let backup = stack.item("db")["backup"].clone();
        assert_eq!(backup["failed"], Value::Null, "{backup}");
        (backup["sets"].as_u64() > Some(0) && backup["under_way"].is_null()).then_some(())
    })
    .await;
}

pub fn sets(stack: &TestStack) -> Vec<Value> {
    let document: Value = serde_json::from_str(&stack.done(&["backup", "list", "--json"])).expect("JSON");
    document["items"].as_array().expect("items").clone()
}

fn sql(stack: &TestStack, database: &str, statements: &str) -> String {
    stack.done(&["psql", "--superuser", "--", "-d", database, "-XAtqc", statements])
}

fn path_of(set: &Value) -> PathBuf {
    PathBuf::from(set["dir"].as_str().expect("a directory"))
}

/// What dumps and trial restores leave on the engine: nothing.
pub fn nothing_is_left(stack: &TestStack) {
    for kind in ["dump", "verify"] {
        let mine = format!("label=dev.witwd.directory={}", stack.path().display());
        let kind = format!("label=dev.witwd.kind={kind}");
        for words in [vec!["ps", "-aq"], vec!["volume", "ls", "-q"]] {
            let words = [words, vec!["--filter", &mine, "--filter", &kind]].concat();
            assert_eq!(text(&docker(&words).stdout), "", "{words:?}");
        }
    }
    let half = std::fs::read_dir(stack.path().join("volumes/backups/db/.partial")).expect("sets were taken");
    let half: Vec<PathBuf> = half.flatten().map(|entry| entry.path()).collect();
    assert!(half.is_empty(), "half written: {half:?}\n{}", stack.log());
}

/// Everything that a dump can get wrong in one database: odd roles, large objects, sequences, identities, generated
/// columns, views that hold rows, partitions, rows that only some may see.
const ODD: &str = r#"
CREATE ROLE "Odd ""role" LOGIN;
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, twice text GENERATED ALWAYS AS (v || v) STORED);
INSERT INTO t (v) SELECT 'row ' || n FROM generate_series(1, 1000) n;
ALTER TABLE t OWNER TO "Odd ""role";
CREATE INDEX ON t (v);
CREATE UNLOGGED TABLE u AS SELECT generate_series(1, 10) AS n;
CREATE MATERIALIZED VIEW m AS SELECT n FROM u WHERE n = 1;
INSERT INTO u VALUES (1); DELETE FROM u WHERE n = 2;
CREATE MATERIALIZED VIEW never AS SELECT 1 AS n WITH NO DATA;
CREATE TABLE p (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
INSERT INTO p SELECT '2026-01-15', n FROM generate_series(1, 77) n;
CREATE TABLE "od d"" table" (n int); INSERT INTO "od d"" table" VALUES (1);
CREATE TABLE secret_rows (n int); INSERT INTO secret_rows VALUES (1), (2);
ALTER TABLE secret_rows ENABLE ROW LEVEL SECURITY; ALTER TABLE secret_rows FORCE ROW LEVEL SECURITY;
SELECT lo_from_bytea(0, 'a large object');
CREATE SEQUENCE s START 42; SELECT nextval('s');
ALTER DATABASE app SET timezone = 'Europe/Zurich';
"#;

#[tokio::test]
async fn a_set_is_taken_read_back_and_restored_in_a_trial_unasked() {
    let stack = stack("backups", TEXT).await;
    sql(&stack, "app", ODD);
    let said = stack.done(&["backup", "now"]);
    assert!(said.contains("restored in a trial"), "{said}");
    let sets = sets(&stack);
    let set = &sets[0];
    assert_eq!((sets.len(), &set["proof"], &set["offsite"]), (2, &"restored".into(), &"off".into()), "{set}");
    // 1000 in t, 10 in u, 77 in p1, 1 in the odd one, 2 that row-level security hides; and 1 in m, which is older than
    // what it is made of: a restore fills it anew.
    assert_eq!((set["rows"].as_u64(), set["rows_equal"].as_u64()), (Some(1091), Some(1090)), "{set}");
    let names: Vec<&str> = set["databases"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["app", "postgres", "second-db"]);
    let shown = stack.done(&["ps"]);
    assert!(shown.contains("last backup") && shown.contains("1,090 rows equal"), "{shown}");
    let listed = stack.done(&["backup", "list"]);
    assert!(listed.contains("1,091") && listed.contains("hourly"), "{listed}");
    for file in std::fs::read_dir(path_of(set)).expect("a set").flatten() {
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().expect("a file").permissions());
        assert_eq!(mode & 0o077, 0, "{file:?} is for others too");
    }
    nothing_is_left(&stack);
}

#[tokio::test]
async fn a_set_can_be_restored_by_hand_with_public_tools() {
    let stack = stack("backups-hand", TEXT).await;
    sql(&stack, "app", "CREATE TABLE t AS SELECT generate_series(1, 500) AS n");
    stack.done(&["backup", "now"]);
    let set = path_of(&sets(&stack)[0]);
    sql(&stack, "postgres", "CREATE DATABASE by_hand TEMPLATE template0");
    let container = stack.item("db")["container"].as_str().expect("a container").to_owned();
    // As docs/backups.md says it.
    let words = format!("zstd -dc {}/app.dump.zst | docker exec -i -u postgres {container} pg_restore -d by_hand", set.display());
    let mut shell = Command::new("bash");
    shell.args(["-o", "pipefail", "-c", &words]);
    let output = ended(shell);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(sql(&stack, "by_hand", "SELECT count(*) FROM t").trim(), "500");
}

#[tokio::test]
async fn a_damaged_set_is_found_and_told_and_kept_from_everybody() {
    let stack = stack("backups-damaged", TEXT).await;
    stack.done(&["backup", "now"]);
    let set = sets(&stack)[0].clone();
    let (id, file) = (set["id"].as_str().unwrap(), path_of(&set).join("app.dump.zst"));
    let mut bytes = std::fs::read(&file).expect("a dump");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).expect("it is ours");
    let output = stack.run(&["backup", "verify", id]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("set {id} is not good: app.dump.zst: ")), "{said}");
    let found = sets(&stack).into_iter().find(|one| one["id"] == set["id"]).expect("it is not removed");
    assert_eq!(found["proof"], "none", "{found}");
    // `latest` is the one before it.
    let other = stack.done(&["backup", "verify", "latest"]);
    assert!(!other.contains(id) && other.contains("restored in a trial"), "{other}");
    eventually(SOON, "ps tells it", async || stack.done(&["ps"]).contains("can't be used").then_some(())).await;
    nothing_is_left(&stack);
}

#[tokio::test]
async fn a_daemon_that_is_killed_while_it_takes_a_set_leaves_none_and_the_next_one_is_good() {
    let stack = stack("backups-killed", TEXT).await;
    sql(&stack, "app", "CREATE TABLE t AS SELECT n, repeat(md5(n::text), 30) AS v FROM generate_series(1, 60000) n");
    let before = sets(&stack).len();
    for step in ["dumping app", "reading app", "trial restore"] {
        let asked = stack.command(&["backup", "now"]).stderr(std::process::Stdio::null()).spawn().expect("it runs");
        let seen = eventually(SOON * 2, step, async || {
            let words = stack.item("db")["backup"]["under_way"].clone();
            words.as_str().filter(|words| words.starts_with(step)).map(str::to_owned)
        });
        seen.await;
        let pid = stack.daemon_pid();
        ended(kill(pid));
        let mut asked = asked;
        let status = crate::support::end_of(&mut asked);
        assert_eq!(status.code(), Some(1), "who asked is told");
        // The guardian has it back; what was left is found by its labels.
        eventually(SOON, "a new daemon", async || {
            let now = stack.run(&["ps", "--json"]);
            let status: Value = serde_json::from_slice(&now.stdout).ok()?;
            (status["daemon"]["pid"].as_u64().is_some_and(|found| found != pid)).then_some(())
        })
        .await;
        eventually(SOON, "what was left is gone", async || {
            let mine = format!("label=dev.witwd.directory={}", stack.path().display());
            let left = ["dump", "verify"].map(|kind| {
                let kind = format!("label=dev.witwd.kind={kind}");
                let containers = docker(&["ps", "-aq", "--filter", &mine, "--filter", &kind]).stdout;
                let volumes = docker(&["volume", "ls", "-q", "--filter", &mine, "--filter", &kind]).stdout;
                text(&containers).trim().len() + text(&volumes).trim().len()
            });
            (left == [0, 0]).then_some(())
        })
        .await;
    }
    for set in sets(&stack) {
        assert!(["read", "restored"].contains(&set["proof"].as_str().unwrap()), "{set}");
    }
    let said = stack.done(&["backup", "now"]);
    assert!(said.contains("60,000 rows equal"), "{said}");
    // The one whose trial was interrupted was published before: it had been read back whole.
    assert!(sets(&stack).len() > before, "{before}");
    nothing_is_left(&stack);
}

/// A session that has carried this out, and stays until its input is closed.
pub fn session(stack: &TestStack, database: &str, statements: &str) -> Child {
    let mut command = stack.command(&["psql", "--superuser", "--", "-d", database, "-XAtq"]);
    let mut psql = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql");
    let input = psql.stdin.as_mut().expect("an input");
    input.write_all(format!("{statements}; SELECT 'done';\n").as_bytes()).expect("it reads");
    let mut line = String::new();
    BufReader::new(psql.stdout.as_mut().expect("an output")).read_line(&mut line).expect("a line");
    assert_eq!(line, "done\n");
    psql
}

pub fn kill(pid: u64) -> Command {
    let mut command = Command::new("kill");
    command.args(["-9", &pid.to_string()]);
    command
}

#[tokio::test]
async fn a_set_that_fails_leaves_nothing_says_why_and_is_tried_again() {
    let stack = stack("backups-failing", TEXT).await;
    let before = sets(&stack).len();
    // A dump does not wait for ever behind somebody who changes a table.
    sql(&stack, "app", "CREATE TABLE t (n int)");
    let mut holder = session(&stack, "app", "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    let output = stack.run(&["backup", "now"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("failed to take a set: pg_dump ended with 1") && said.contains("LOCK TABLE public.t"), "{said}");
    let backup = stack.item("db")["backup"].clone();
    assert_eq!(backup["failed"]["reason"], "dump_failed", "{backup}");
    assert_eq!(sets(&stack).len(), before);
    drop(holder.stdin.take());
    crate::support::end_of(&mut holder);
    assert!(stack.done(&["backup", "now"]).contains("restored in a trial"));
    assert_eq!(stack.item("db")["backup"]["failed"], Value::Null);
    nothing_is_left(&stack);
}

#[tokio::test]
async fn old_sets_go_by_the_rules_and_pinned_ones_stay() {
    let keep = "keep = { last = 2, hourly = 0, daily = 0, weekly = 0, monthly = 0 }, verify = \"read\" }";
    let stack = stack("backups-keep", &TEXT.replace("min_free = \"0M\" }", &format!("min_free = \"0M\", {keep}"))).await;
    let first = sets(&stack)[0]["id"].as_str().unwrap().to_owned();
    stack.done(&["backup", "pin", &first]);
    for _ in 0..3 {
        stack.done(&["backup", "now"]);
    }
    let left = sets(&stack);
    let ids: Vec<&str> = left.iter().map(|set| set["id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids[2]), (3, first.as_str()), "{ids:?}");
    assert_eq!(left[2]["kept_by"], serde_json::json!(["pinned"]));
    let why = stack.done(&["backup", "prune", "--dry-run"]);
    assert!(why.contains(&format!("{first}  kept: pinned")), "{why}");
    stack.done(&["backup", "pin", "--undo", &first[..first.len() - 1]]);
    assert!(stack.done(&["backup", "prune"]).contains(&format!("removed {first}")));
    stack.done(&["backup", "now"]);
    // The slot had its set, which went by the rules: it is not taken again, and again.
    eventually(SOON, "it waits for the next slot", async || {
        let backup = stack.item("db")["backup"].clone();
        (backup["under_way"].is_null() && backup["next"].is_string()).then_some(())
    })
    .await;
    let output = stack.run(&["backup", "verify", "2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("2 is the beginning of 2 backup sets"), "{}", text(&output.stderr));
    nothing_is_left(&stack);
}

#[tokio::test]
async fn a_set_that_is_asked_for_was_begun_afterwards_and_what_can_not_be_dumped_is_named() {
    let stack = stack("backups-asked", TEXT).await;
    let mut earlier = stack.command(&["backup", "now"]).stdout(std::process::Stdio::null()).spawn().expect("it runs");
    eventually(SOON * 2, "the earlier one is tried", async || {
        let words = stack.item("db")["backup"]["under_way"].clone();
        words.as_str().is_some_and(|words| words.starts_with("trial restore")).then_some(())
    })
    .await;
    sql(&stack, "app", "CREATE TABLE late AS SELECT generate_series(1, 321) AS n");
    sql(&stack, "postgres", "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'second-db'");
    let output = stack.run(&["backup", "now"]);
    assert!(text(&output.stdout).contains("321 rows equal"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("database second-db is not in it: "), "{}", text(&output.stderr));
    assert!(crate::support::end_of(&mut earlier).success());
    assert!(sets(&stack)[0]["skipped"]["second-db"].is_string());
    nothing_is_left(&stack);
}
