//! A restore on a real server: in the place of what is there and back, beside it, damaged, not well, interrupted.

use std::process::Stdio;

use serde_json::Value;

use crate::backups::{self, first, kill, session, sets};
use crate::postgres::{IMAGE, image};
use crate::postgres_data::Derived;
use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, end_of, ended, eventually};

/// The app is ready where there is a table `must`, and takes a while to end.
const TEXT: &str = r#"
name = "NAME"
[postgres.db]
image = "IMAGE"
pull = "never"
database = "app"
backup = { every = "24h", min_free = "0M", verify = "read" }
[services.app]
image = "IMAGE"
pull = "never"
entrypoint = ["sh", "-c", "trap 'sleep 2; exit 0' INT TERM; sleep 3600 & wait"]
env.DATABASE_URL = "${db.url}"
stop_grace = "20s"
health = { exec = ["sh", "-c", "psql $DATABASE_URL -Atqc 'SELECT FROM must'"], interval = "1s", start_period = "1s" }
"#;

/// A stack whose first set is taken, and whose app is ready.
pub async fn stack(name: &str) -> TestStack {
    image().await;
    let stack = TestStack::new(name, &TEXT.replace("IMAGE", IMAGE)).await;
    let mut up = stack.command(&["up", "-d"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    eventually(SOON * 2, "the database", async || (stack.item("db")["ready"] == true).then_some(())).await;
    sql(&stack, "CREATE TABLE must (n int); GRANT SELECT ON must TO public");
    assert!(end_of(&mut up).success());
    first(&stack).await;
    stack
}

pub fn sql(stack: &TestStack, statements: &str) -> String {
    sql_in(stack, "app", statements)
}

pub fn sql_in(stack: &TestStack, database: &str, statements: &str) -> String {
    stack.done(&["psql", "--superuser", "--", "-d", database, "-v", "ON_ERROR_STOP=1", "-XAtqc", statements]).trim().to_owned()
}

/// A set of what is there now: its id.
pub fn set_of_now(stack: &TestStack) -> String {
    stack.done(&["backup", "now"]);
    sets(stack)[0]["id"].as_str().expect("an id").to_owned()
}

/// Catalogue and data of a database, its own rights and settings too, in one order.
pub fn canonical(stack: &TestStack, database: &str) -> Vec<String> {
    let container = stack.item("db")["container"].as_str().expect("a container").to_owned();
    let output = docker(&["exec", "-u", "postgres", &container, "pg_dump", "--create", "--no-tablespaces", "-d", database]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let dump = text(&output.stdout);
    // Each dump has a key of its own.
    dump.lines().filter(|line| !line.contains("restrict ")).map(str::to_owned).collect()
}

/// The databases of users, and of restores.
pub fn databases(stack: &TestStack) -> String {
    sql_in(stack, "postgres", "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate")
}

pub fn nothing_is_left(stack: &TestStack) {
    backups::nothing_is_left(stack);
    assert!(!databases(stack).contains("witwd_new_"), "{}", databases(stack));
}

/// What an archive loses under another name, and what it must not lose.
pub const ODD: &str = r#"
CREATE ROLE "Odd ""role" LOGIN;
CREATE ROLE reader;
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, twice text GENERATED ALWAYS AS (v || v) STORED);
INSERT INTO t (v) SELECT 'row ' || n FROM generate_series(1, 500) n;
ALTER TABLE t OWNER TO "Odd ""role";
CREATE INDEX ON t (v);
CREATE SEQUENCE s START 77;
SELECT nextval('s');
CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t;
CREATE TABLE p (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
INSERT INTO p SELECT '2026-01-02', n FROM generate_series(1, 77) n;
CREATE TABLE secret (n int);
INSERT INTO secret VALUES (1), (2);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret USING (n = 1);
CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RETURN; END';
CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION told();
SELECT lo_from_bytea(0, 'a large object');
CREATE EXTENSION postgis;
INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text) VALUES (990001, 'ours', 1, 'ours', '+proj=longlat +no_defs');
CREATE TABLE places (at geometry(Point, 990001));
INSERT INTO places SELECT ST_SetSRID(ST_MakePoint(n, n), 990001) FROM generate_series(1, 50) n;
CREATE INDEX ON places USING gist (at);
ALTER DATABASE app SET timezone TO 'Europe/Zurich';
ALTER DATABASE app SET search_path TO "$user", public;
ALTER ROLE "Odd ""role" IN DATABASE app SET work_mem TO '5MB';
GRANT CONNECT ON DATABASE app TO reader WITH GRANT OPTION;
REVOKE TEMPORARY ON DATABASE app FROM public;
COMMENT ON DATABASE app IS 'it''s odd';
"#;

#[tokio::test]
async fn a_restore_brings_all_of_it_back_can_be_undone_and_makes_copies() {
    let stack = stack("restore-whole").await;
    sql(&stack, ODD);
    let before = canonical(&stack, "app");
    let needles = ["Odd", "lo_", "Europe/Zurich", "ROW LEVEL SECURITY", "EVENT TRIGGER", "GENERATED", "it''s odd", "5MB"];
    for needle in
        needles.iter().chain(&["+proj=longlat +no_defs", "geometry(Point,990001)", "MATERIALIZED VIEW", "ATTACH PARTITION"])
    {
        assert!(before.iter().any(|line| line.contains(needle)), "{needle} is what this is about");
    }
    let set = set_of_now(&stack);
    sql(&stack, "DELETE FROM t WHERE id > 3; CREATE TABLE later (n int); DROP TABLE p; ALTER DATABASE app RESET timezone");
    sql_in(&stack, "postgres", "CREATE DATABASE other");
    let after = canonical(&stack, "app");
    let run = stack.item("app")["since"].clone();

    let refused = stack.run(&["restore", &set]);
    assert_eq!(refused.status.code(), Some(6), "nobody said yes: {}", text(&refused.stderr));
    let said = stack.done(&["restore", &set, "--yes"]);
    assert!(said.contains(&format!("restored app from set {set}")), "{said}");
    assert_eq!(canonical(&stack, "app"), before);
    let app = stack.item("app");
    assert!(app["ready"] == true && app["since"] != run && app["restarts"] == 0, "{app}");
    let safety = sets(&stack)[0].clone();
    assert_eq!(safety["reason"], format!("before a restore of {set}"));
    assert!(databases(&stack).starts_with("app other postgres witwd_old_"), "{}", databases(&stack));
    assert!(stack.done(&["ps"]).contains("`witwd restore undo`"), "{}", stack.done(&["ps"]));

    stack.done(&["restore", "undo", "--yes"]);
    assert_eq!(canonical(&stack, "app"), after);
    stack.done(&["restore", "undo", "--yes"]);
    assert_eq!(canonical(&stack, "app"), before);

    stack.done(&["restore", safety["id"].as_str().expect("an id"), "--to", "a copy"]);
    assert_eq!(sql_in(&stack, "a copy", "SELECT count(*) FROM t"), "3");
    assert_eq!(canonical(&stack, "app"), before, "a copy changes nothing else");
    let taken = stack.run(&["restore", "latest", "--to", "a copy"]);
    assert_eq!(taken.status.code(), Some(6), "{}", text(&taken.stderr));
    // The next set goes on as before, and has nothing of what was put aside.
    let names: Vec<Value> = {
        set_of_now(&stack);
        sets(&stack)[0]["databases"].as_array().expect("databases").iter().map(|one| one["name"].clone()).collect()
    };
    assert_eq!(names, ["a copy", "app", "other", "postgres"]);
    nothing_is_left(&stack);
}

#[tokio::test]
async fn a_damaged_set_never_gets_near_the_live_database() {
    let stack = stack("restore-damaged").await;
    sql(&stack, "CREATE TABLE t AS SELECT generate_series(1, 500) AS n");
    let set = set_of_now(&stack);
    sql(&stack, "DELETE FROM t");
    let directory = sets(&stack)[0]["dir"].as_str().expect("a directory").to_owned();
    let file = std::path::Path::new(&directory).join("app.dump.zst");
    let mut bytes = std::fs::read(&file).expect("a dump");
    let last = bytes.len() - 9;
    bytes[last] ^= 4;
    std::fs::write(&file, &bytes).expect("it is ours");
    let (before, count) = (canonical(&stack, "app"), sets(&stack).len());
    let output = stack.run(&["restore", &set, "--yes"]);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("failed to restore: app.dump.zst: "), "{}", text(&output.stderr));
    assert_eq!((canonical(&stack, "app"), sets(&stack).len()), (before, count));
    assert_eq!(databases(&stack), "app postgres");
    // `latest` is the one before it, without the table.
    let again = stack.run(&["restore", &set, "--yes"]);
    assert_eq!(again.status.code(), Some(6), "it is known now: {}", text(&again.stderr));
    nothing_is_left(&stack);
}

#[tokio::test]
async fn an_app_that_does_not_come_up_with_the_restored_data_gets_its_own_back() {
    let stack = stack("restore-back").await;
    sql(&stack, "ALTER TABLE must RENAME TO must_not");
    let set = set_of_now(&stack);
    sql(&stack, "ALTER TABLE must_not RENAME TO must; CREATE TABLE later (n int)");
    eventually(SOON, "the app is ready", async || (stack.item("app")["ready"] == true).then_some(())).await;
    let before = canonical(&stack, "app");
    let output = stack.run(&["restore", &set, "--yes", "--without-safety-set"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert!(said.contains("failed to restore: not well with what was restored: app: ") && said.contains("is back"), "{said}");
    eventually(SOON, "the app is ready", async || (stack.item("app")["ready"] == true).then_some(())).await;
    assert_eq!(canonical(&stack, "app"), before);
    eventually(SOON, "what was made for it is gone", async || (databases(&stack) == "app postgres").then_some(())).await;
    let none = stack.run(&["restore", "undo", "--yes"]);
    assert_eq!(none.status.code(), Some(1), "{}", text(&none.stderr));
    nothing_is_left(&stack);
}

#[tokio::test]
async fn a_name_that_somebody_holds_is_not_waited_for_without_end() {
    let stack = stack("restore-held").await;
    let set = set_of_now(&stack);
    sql(&stack, "CREATE TABLE later (n int)");
    let before = canonical(&stack, "app");
    let mut holder = session(&stack, "postgres", "BEGIN; COMMENT ON DATABASE app IS 'held'");
    let output = stack.run(&["restore", &set, "--yes", "--without-safety-set"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("lock timeout"), "{}", text(&output.stderr));
    eventually(SOON * 2, "the app is ready", async || (stack.item("app")["ready"] == true).then_some(())).await;
    drop(holder.stdin.take());
    end_of(&mut holder);
    assert_eq!(canonical(&stack, "app"), before);
    eventually(SOON * 2, "what was made for it is gone", async || (databases(&stack) == "app postgres").then_some(())).await;
    stack.done(&["restore", &set, "--yes", "--without-safety-set"]);
    assert_ne!(canonical(&stack, "app"), before);
}

/// How far the restore is that the state tells of.
pub fn step(stack: &TestStack) -> Option<String> {
    let state = std::fs::read(stack.path().join(".witwd/state.json")).ok()?;
    let state = text(&state);
    let state: Value = serde_json::from_str(state.lines().next()?).ok().or_else(|| serde_json::from_str(&state).ok())?;
    let restoring = &state["backups"]["db"]["restoring"];
    Some(restoring["step"]["step"].as_str().unwrap_or("none").to_owned())
}

#[tokio::test]
async fn a_daemon_that_is_killed_at_any_step_leaves_all_of_the_old_or_all_of_the_new() {
    let stack = stack("restore-killed").await;
    sql(&stack, "CREATE TABLE t AS SELECT n, repeat(md5(n::text), 20) AS v FROM generate_series(1, 50000) n");
    let new = canonical(&stack, "app");
    let set = set_of_now(&stack);
    for at in ["making", "changing", "watching"] {
        sql(&stack, "TRUNCATE t");
        let old = canonical(&stack, "app");
        let words = ["restore", &set, "--yes", "--without-safety-set"];
        let mut asked = stack.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        eventually(SOON * 2, at, async || {
            let is_made = at != "making" || databases(&stack).contains("witwd_new_");
            (step(&stack).as_deref() == Some(at) && is_made).then_some(())
        })
        .await;
        ended(kill(stack.daemon_pid()));
        assert_ne!(end_of(&mut asked).code(), Some(0), "who asked is not told that it is done");
        eventually(SOON * 2, "the next daemon is done with it", async || {
            let ready = |name: &str| stack.item(name)["ready"] == true;
            let output = stack.run(&["ps", "--json"]);
            let is_up = output.status.success() && ready("db") && ready("app");
            (is_up && step(&stack).as_deref() == Some("none")).then_some(())
        })
        .await;
        let found = canonical(&stack, "app");
        assert!(found == old || found == new, "killed while {at}: neither the old nor the new");
        assert_eq!(found == new, at != "making", "killed while {at}");
        let names = databases(&stack);
        assert_eq!(names.split(' ').filter(|name| *name == "app").count(), 1, "{names}");
        nothing_is_left(&stack);
    }
}

#[tokio::test]
async fn a_reset_empties_the_databases_runs_init_anew_and_can_be_undone() {
    image().await;
    let text_of = TEXT.replace("IMAGE", IMAGE).replace("verify = \"read\" }", "verify = \"read\" }\ninit = [\"init.sql\"]");
    let stack = TestStack::new("restore-reset", &text_of).await;
    let init = "CREATE TABLE must (n int); GRANT ALL ON must TO public; INSERT INTO must VALUES (7);";
    std::fs::write(stack.path().join("init.sql"), init).expect("it is ours");
    stack.done(&["up", "-d"]);
    sql(&stack, "CREATE TABLE mine AS SELECT 1 AS n; UPDATE must SET n = 8");
    let before = canonical(&stack, "app");
    assert_eq!(stack.run(&["db", "reset"]).status.code(), Some(6));
    let said = stack.done(&["db", "reset", "--yes"]);
    assert!(said.contains("app: empty; what was there is set "), "{said}");
    assert_eq!(sets(&stack)[0]["reason"], "before `witwd db reset`");
    eventually(SOON, "the app is ready again", async || (stack.item("app")["ready"] == true).then_some(())).await;
    assert_eq!(sql(&stack, "SELECT n FROM must"), "7", "init ran anew");
    assert_eq!(sql(&stack, "SELECT count(*) FROM pg_class WHERE relname = 'mine'"), "0");
    stack.done(&["restore", "undo", "--yes"]);
    assert_eq!(canonical(&stack, "app"), before);
    nothing_is_left(&stack);
}

#[tokio::test]
async fn a_reset_whose_init_fails_gives_the_old_data_back_and_init_never_runs_in_it() {
    image().await;
    let text_of = TEXT.replace("IMAGE", IMAGE).replace("verify = \"read\" }", "verify = \"read\" }\ninit = [\"init.sql\"]");
    let stack = TestStack::new("restore-init", &text_of).await;
    let write = |init: &str| std::fs::write(stack.path().join("init.sql"), init).expect("it is ours");
    write("CREATE TABLE must (n int); GRANT ALL ON must TO public; INSERT INTO must VALUES (7);");
    stack.done(&["up", "-d"]);
    sql(&stack, "UPDATE must SET n = 8");
    let before = canonical(&stack, "app");
    write("CREATE TABLE half (n int); INSRT INTO half VALUES (1);");
    let failed = stack.run(&["db", "reset", "--yes"]);
    let said = text(&failed.stderr);
    assert_ne!(failed.status.code(), Some(0), "{said}");
    assert!(said.contains("syntax error") && said.contains("what was there before is back"), "{said}");
    eventually(SOON, "the app is ready again", async || (stack.item("app")["ready"] == true).then_some(())).await;
    assert_eq!(canonical(&stack, "app"), before);
    nothing_is_left(&stack);
    // Whatever is provisioned later, and by whom: it is the data of users again.
    write("UPDATE must SET n = 9;");
    stack.done(&["down"]);
    stack.done(&["up", "-d"]);
    assert_eq!(canonical(&stack, "app"), before);
}

#[tokio::test]
async fn a_set_is_taken_before_another_image_and_before_data_goes_and_without_one_nothing_goes() {
    let stack = stack("restore-before").await;
    sql(&stack, "CREATE TABLE t AS SELECT generate_series(1, 500) AS n");
    let other = Derived::with(&stack, "17-other", "LABEL other=1");
    let before = sets(&stack).len();
    stack.write(&TEXT.replacen("IMAGE", &other.0, 1).replace("IMAGE", IMAGE));
    let planned = stack.done(&["plan", "--json"]);
    assert!(planned.contains("it gets another image"), "{planned}");
    stack.done(&["up", "-d"]);
    let taken = sets(&stack);
    assert_eq!(taken.len(), before + 1, "one set, and once");
    assert_eq!(taken[0]["reason"], "it gets another image");
    assert_eq!(sql(&stack, "SELECT count(*) FROM t"), "500");

    // Neither does the data go of which nobody knows what it is any more.
    let whole = std::fs::read_to_string(stack.path().join("stack.toml")).expect("the file");
    stack.write(
        "name = \"NAME\"\n[services.app]\nimage = \"IMAGE\"\npull = \"never\"\ncommand = [\"sleep\", \"60\"]\n"
            .replace("IMAGE", IMAGE)
            .as_str(),
    );
    stack.done(&["up", "-d"]);
    let refused = stack.run(&["down", "--volumes", "--yes"]);
    assert_eq!(refused.status.code(), Some(6), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("the file names no such Postgres"), "{}", text(&refused.stderr));
    std::fs::write(stack.path().join("stack.toml"), whole).expect("it is ours");
    stack.done(&["up", "-d"]);
    assert_eq!(sql(&stack, "SELECT count(*) FROM t"), "500");

    // A set that can't be taken keeps the data.
    let backups = stack.path().join("volumes/backups/db");
    stack.done(&["stop", "db"]);
    let refused = stack.run(&["down", "--volumes", "--yes"]);
    assert_eq!(refused.status.code(), Some(6), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("no last set of db can be taken: its database is not ready"));
    stack.done(&["start", "db"]);
    eventually(SOON * 2, "the database", async || (stack.item("db")["ready"] == true).then_some(())).await;
    let said = stack.run(&["down", "--volumes", "--yes"]);
    assert!(said.status.success() && text(&said.stderr).contains("of db is the last one"), "{}", text(&said.stderr));
    let last = std::fs::read_dir(backups).expect("sets").flatten().filter(|entry| entry.path().join("manifest.json").exists());
    assert_eq!(last.count(), before + 2);
}
