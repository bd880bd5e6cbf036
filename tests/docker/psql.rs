//! `db psql` and `psql` in a real server.

use std::process::Output;

use crate::postgres::{IMAGE, image};
use crate::stack::{TestStack, text};
use crate::support::ENDLESS;

const ONE: &str = r#"
name = "NAME"
[postgres.db]
image = "IMAGE"
pull = "never"
backup.enabled = false
database = "shop"
user = "clerk"
"#;

const OTHER: &str = r#"
[postgres.other]
image = "IMAGE"
pull = "never"
backup.enabled = false
database = "archive"
user = "keeper"
"#;

/// Both ways to say it.
const VERBS: [&[&str]; 2] = [&["db", "psql"], &["psql"]];

/// What a verb with this on its standard input comes to.
fn fed(stack: &TestStack, words: &[&str], script: &str) -> Output {
    let mut command = assert_cmd::Command::from_std(stack.command(words));
    command.write_stdin(script).timeout(ENDLESS).output().expect("an end")
}

/// The end of a verb with these words behind it.
fn ends(stack: &TestStack, verb: &[&str], words: &[&str], script: &str) -> (Option<i32>, String, String) {
    let output = fed(stack, &[verb, words].concat(), script);
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A success that prints this and nothing else.
fn done(said: &str) -> (Option<i32>, String, String) {
    (Some(0), said.to_owned(), String::new())
}

const WHO: &str = "select current_user, current_database()";

fn takes_scripts_and_arguments(stack: &TestStack, verb: &[&str]) {
    let script = "\\pset format unaligned\n\\pset tuples_only on\nselect current_user;\nselect 6 *\n  7;\n";
    let (code, said, complaint) = ends(stack, verb, &["-q"], script);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{said}");
    assert!(said.ends_with("clerk\n42\n"), "{said}");
    assert_eq!(ends(stack, verb, &["--", "-Atc", "select 1"], ""), done("1\n"));
    assert_eq!(ends(stack, verb, &["db", "--", "-Atc", WHO], ""), done("clerk|shop\n"));
    assert_eq!(ends(stack, verb, &["--superuser", "--", "-Atc", WHO], ""), done("postgres|shop\n"));
}

fn ends_as_psql_ends(stack: &TestStack, verb: &[&str]) {
    let (code, said, complaint) = ends(stack, verb, &["--", "-At"], "select 1;\nselect gone;\nselect 2;\n");
    assert_eq!((code, said.as_str()), (Some(3), "1\n"), "a script ends at its first error: {complaint}");
    assert!(complaint.contains("column \"gone\" does not exist"), "{complaint}");
    let (code, _, complaint) = ends(stack, verb, &["--", "-c", "select gone"], "");
    assert_eq!(code, Some(1), "{complaint}");
    let (code, ..) = ends(stack, verb, &["--", "--dbname=nowhere", "-c", "select 1"], "");
    assert_eq!(code, Some(2), "no connection");
    let (code, _, complaint) = ends(stack, verb, &["--", "-c", "create role more"], "");
    assert_eq!(code, Some(1), "the app's role is no superuser: {complaint}");
}

fn wants_a_name_where_there_are_two(stack: &TestStack, verb: &[&str]) {
    let (code, said, complaint) = ends(stack, verb, &["--", "-Atc", WHO], "");
    assert_eq!((code, said.as_str()), (Some(2), ""), "{complaint}");
    assert!(complaint.contains("in which postgres?") && complaint.contains("db, other"), "{complaint}");
    assert_eq!(ends(stack, verb, &["db", "--", "-Atc", WHO], ""), done("clerk|shop\n"));
    assert_eq!(ends(stack, verb, &["other", "--", "-Atc", WHO], ""), done("keeper|archive\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_runs_in_the_server_and_ends_as_it_ends() {
    image().await;
    let stack = TestStack::new("psql", &ONE.replace("IMAGE", IMAGE)).await;
    for verb in VERBS {
        let (code, _, complaint) = ends(&stack, verb, &["--", "-c", "select 1"], "");
        assert_eq!(code, Some(125), "nothing runs yet: {complaint}");
    }
    stack.done(&["up", "-d"]);
    for verb in VERBS {
        takes_scripts_and_arguments(&stack, verb);
        ends_as_psql_ends(&stack, verb);
    }
    stack.write(&format!("{ONE}{OTHER}").replace("IMAGE", IMAGE));
    stack.done(&["up", "-d"]);
    for verb in VERBS {
        wants_a_name_where_there_are_two(&stack, verb);
    }
}

/// A server that is elsewhere for the stack: behind one of its own services.
const ELSEWHERE: &str = r#"
name = "NAME"
[services.server]
image = "IMAGE"
pull = "never"
port = 5432
health.tcp = true
env.POSTGRES_PASSWORD = "pass word"
[postgres.far]
url = "postgresql://postgres:pass%20word@server:5432/postgres"
image = "IMAGE"
pull = "never"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_server_elsewhere_psql_runs_in_a_container_of_its_own() {
    image().await;
    let stack = TestStack::new("elsewhere", &ELSEWHERE.replace("IMAGE", IMAGE)).await;
    stack.done(&["up", "-d", "server"]);
    let before = stack.identities();
    let verb = &["psql"][..];
    assert_eq!(ends(&stack, verb, &["--", "-Atc", WHO], ""), done("postgres|postgres\n"));
    assert_eq!(ends(&stack, verb, &["far", "--", "-At"], "select 6 *\n 7;\n"), done("42\n"));
    let (code, _, complaint) = ends(&stack, verb, &[], "select gone;\nselect 1;\n");
    assert!(code == Some(3) && complaint.contains("column \"gone\" does not exist"), "{code:?} {complaint}");
    let (code, _, complaint) = ends(&stack, verb, &["--superuser"], "");
    assert!(code == Some(125) && complaint.contains("its superuser is not witwd's to know"), "{code:?} {complaint}");
    assert_eq!(stack.identities(), before, "a client is left, or the server was touched");
}
