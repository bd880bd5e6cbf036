//! `restore --file` on a real server: archives of others, as they are and compressed; what is none is refused.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::restore::{canonical, databases, nothing_is_left, set_of_now, sql, sql_in, stack};
use crate::stack::{TestStack, text};
use crate::support::docker;

/// A database of somebody else: other roles, an extension that only a superuser makes, rights.
const FOREIGN: &str = r#"
CREATE ROLE stranger;
CREATE EXTENSION pg_stat_statements;
CREATE EXTENSION pgcrypto;
COMMENT ON EXTENSION pg_stat_statements IS 'ours';
CREATE EXTENSION postgis;
INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text) VALUES (990001, 'ours', 1, 'ours', '+proj=longlat +no_defs');
CREATE TABLE places AS SELECT ST_SetSRID(ST_MakePoint(1, 1), 990001) AS at;
CREATE SCHEMA "own one";
COMMENT ON SCHEMA "own one" IS 'kept too';
CREATE TABLE "own one".t (n int);
CREATE FUNCTION trap(name, name) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'called as %', current_user; END $$;
CREATE OPERATOR !~ (LEFTARG = name, RIGHTARG = name, FUNCTION = trap);
CREATE TABLE must (n int);
CREATE VIEW changed AS SELECT 'what an entry of an archive says can be changed'::text AS v;
CREATE TABLE legacy (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
INSERT INTO legacy (v) SELECT 'row ' || n FROM generate_series(1, 300) n;
ALTER TABLE legacy OWNER TO stranger;
COMMENT ON TABLE legacy IS 'kept';
GRANT SELECT ON legacy TO stranger;
"#;

/// What a program of the server's container writes.
fn dumped(stack: &TestStack, words: &[&str]) -> Vec<u8> {
    let container = stack.item("db")["container"].as_str().expect("a container").to_owned();
    let output = docker(&[&["exec", "-u", "postgres", &container], words].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    output.stdout
}

fn through(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is on every Debian");
    let mut input = child.stdin.take().expect("its input");
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().expect("it ends");
    writing.join().expect("no panic").expect("it reads all");
    assert!(output.status.success());
    output.stdout
}

fn file(stack: &TestStack, name: &str, bytes: &[u8]) -> PathBuf {
    let path = stack.path().join(name);
    std::fs::write(&path, bytes).expect("it is ours");
    path
}

#[tokio::test]
async fn an_archive_of_others_is_restored_by_a_role_that_owns_nothing_else_and_what_is_none_changes_nothing() {
    let stack = stack("restore-file").await;
    sql_in(&stack, "postgres", "CREATE DATABASE elsewhere");
    sql_in(&stack, "elsewhere", FOREIGN);
    let archive = dumped(&stack, &["pg_dump", "-Fc", "elsewhere"]);
    let plain = dumped(&stack, &["pg_dump", "elsewhere"]);
    let tar = dumped(&stack, &["pg_dump", "-Ft", "elsewhere"]);
    sql_in(&stack, "postgres", "DROP DATABASE elsewhere");
    sql_in(&stack, "postgres", "DROP ROLE stranger");
    sql(&stack, "CREATE TABLE mine AS SELECT 1 AS n; ALTER DATABASE app SET timezone TO 'Europe/Zurich'");
    let before = canonical(&stack, "app");

    // An entry that says something else, of the same length.
    let (begin, evil) = (b"CREATE VIEW public.changed AS", b"DROP DATABASE app WITH (FORCE);--");
    let at = archive.windows(begin.len()).position(|bytes| bytes == begin).expect("a view");
    let mut changed = archive.clone();
    changed[at..at + evil.len()].copy_from_slice(evil);
    let mut cut = archive.clone();
    cut.truncate(archive.len() - 1);
    let refused: [(&str, &[u8], &str); 6] = [
        ("changed.dump", &changed, "must be owner of database app"),
        ("cut.dump", &cut, "pg_restore ended with 1"),
        ("cut.dump.gz", &through("gzip", &archive)[..archive.len() / 8], "can't be restored here"),
        ("plain.sql", &plain, "it is text, and no archive in the custom format"),
        ("some.tar", &tar, "it is a tar"),
        ("empty", b"", "it is empty"),
    ];
    for (name, bytes, words) in refused {
        let path = file(&stack, name, bytes);
        let output = stack.run(&["restore", "--yes", "--file", path.to_str().expect("a path")]);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(6) && said.contains(words), "{name}: {said}");
        assert_eq!((canonical(&stack, "app"), databases(&stack)), (before.clone(), "app postgres".to_owned()), "{name}");
    }
    let none = stack.run(&["restore", "--yes", "--file", "nowhere.dump"]);
    assert_eq!(none.status.code(), Some(2), "{}", text(&none.stderr));

    let path = file(&stack, "legacy.dump.gz", &through("gzip", &archive));
    stack.done(&["restore", "--file", path.to_str().expect("a path"), "--to", "looked_at"]);
    assert_eq!(canonical(&stack, "app"), before, "a copy changes nothing else");
    let told = "SELECT count(*), (SELECT obj_description('legacy'::regclass)), (SELECT count(*) FROM pg_extension) FROM legacy";
    assert_eq!(sql_in(&stack, "looked_at", told), "300|kept|4");
    for (name, why) in [("witwd_old_7", "such names are witwd's own"), ("template1", "it is the server's own")] {
        let output = stack.run(&["restore", "--file", path.to_str().expect("a path"), "--to", name]);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(why), "{name}: {said}");
    }

    let path = file(&stack, "legacy.dump", &archive);
    let said = stack.done(&["restore", "--yes", "--file", path.to_str().expect("a path")]);
    assert!(said.contains("restored app from ") && said.contains("what was there is set "), "{said}");
    assert_eq!(sql(&stack, told), "300|kept|4");
    let placed = "SELECT ST_SRID(at), (SELECT proj4text FROM spatial_ref_sys WHERE srid = 990001) FROM places";
    assert_eq!(sql(&stack, placed), "990001|+proj=longlat +no_defs");
    // What the archive brought is not what the superuser finds.
    set_of_now(&stack);
    let owner = "SELECT tableowner = (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'app'), \
         current_setting('timezone') FROM pg_tables WHERE tablename = 'legacy'";
    assert_eq!(sql(&stack, owner), "t|Europe/Zurich", "its owner and settings are those of the stack");
    assert!(stack.item("app")["ready"] == true, "who needs it runs on it");
    stack.done(&["restore", "undo", "--yes"]);
    assert_eq!(canonical(&stack, "app"), before);
    nothing_is_left(&stack);
}
