//! Who holds a stack: another version of witwd, a directory that lost its state, one that was made
//! anew, one that another process holds. With the real binary on the real engine.

use std::path::Path;
use std::process::Output;

use witwd::host::{SystemDisk, sealed};

use crate::postgres_data::{of, query, stack as with_postgres};
use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, ended, eventually};
use crate::up::kill_with_guardian;

const ONE: &str = r#"
name = "NAME"
[services.web]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.tcp = true
"#;

fn refused(output: &Output, words: &[&str]) {
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{complaint}");
    assert!(words.iter().all(|word| complaint.contains(word)), "{complaint}");
}

/// Whether a process is gone with all its threads, or over and waited for by nobody.
pub fn is_gone(process: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let has = |start: &str| status.lines().any(|line| line.starts_with(start));
    // The first thread is over first: files and sockets are closed with the last.
    status.is_empty() || (has("State:\tZ") && status.lines().any(|line| line == "Threads:\t1"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_is_not_a_lost_stack() {
    let stack = with_postgres("lose").await;
    stack.done(&["up", "-d"]);
    query(&stack, "CREATE TABLE kept AS SELECT 42 AS n").expect("a table");
    let (db, before) = (of(&stack, "db"), stack.identities());
    kill_with_guardian(&stack).await;
    std::fs::remove_dir_all(stack.path().join(".witwd")).expect("the state");

    refused(&stack.run(&["up", "-d"]), &["db", ".witwd", "--take-over"]);
    refused(&stack.run(&["daemon"]), &["--take-over"]);
    assert_eq!(stack.identities(), before);

    stack.done(&["up", "-d", "--take-over"]);
    assert_eq!(of(&stack, "db"), db, "the server runs on");
    assert_eq!(query(&stack, "SELECT n FROM kept").as_deref(), Ok("42"));
    assert_eq!(stack.identities().len(), 2);
    stack.done(&["up", "-d"]);
    assert_eq!(of(&stack, "db"), db);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_made_anew_takes_over_what_the_former_one_left() {
    let stack = with_postgres("anew").await;
    stack.done(&["up", "-d"]);
    query(&stack, "CREATE TABLE kept AS SELECT 42 AS n").expect("a table");
    let db = of(&stack, "db");
    kill_with_guardian(&stack).await;
    let (here, aside) = (stack.path(), stack.path().with_extension("aside"));
    std::fs::rename(&here, &aside).expect("moving the directory");
    std::fs::create_dir(&here).expect("a directory");
    std::fs::copy(aside.join("stack.toml"), here.join("stack.toml")).expect("the file");

    // The labels name this path, and the instance lives on elsewhere: nothing tells, so a person must.
    refused(&stack.run(&["up", "-d"]), &["made anew", "--take-over"]);
    std::fs::remove_dir_all(&aside).expect("the former directory");
    stack.done(&["up", "-d", "--take-over"]);
    assert_eq!(of(&stack, "db"), db, "the server runs on");
    assert_eq!(query(&stack, "SELECT n FROM kept").as_deref(), Ok("42"));

    stack.done(&["down"]);
    assert_eq!(stack.identities(), Vec::<String>::new());
    stack.done(&["up", "-d"]);
    assert_eq!(query(&stack, "SELECT n FROM kept").as_deref(), Ok("42"));
    copies_are_others(&stack);
}

/// What was taken over goes by the labels' instance; a copy of the directory does not.
fn copies_are_others(stack: &TestStack) {
    let copy = stack.path().with_extension("copy");
    let copied = std::process::Command::new("cp").arg("-r").arg(stack.path()).arg(&copy).status().expect("cp");
    assert!(copied.success());
    std::fs::remove_file(copy.join(".witwd/socket")).expect("the address of the daemon");
    let before = stack.identities();
    for words in [["up", "-d"].as_slice(), &["up", "-d", "--take-over"]] {
        let mut command = stack.command(words);
        command.current_dir(&copy);
        refused(&ended(command), &["is still there"]);
    }
    assert_eq!(stack.identities(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_that_a_former_directory_left_are_taken_over_too() {
    let stack = with_postgres("left").await;
    stack.done(&["up", "-d"]);
    query(&stack, "CREATE TABLE kept AS SELECT 42 AS n").expect("a table");
    stack.done(&["down"]);
    let file = std::fs::read(stack.path().join("stack.toml")).expect("the file");
    // Beside it first, so that the new one has another inode.
    let former = stack.path().with_extension("former");
    std::fs::rename(stack.path(), &former).expect("moving the directory");
    std::fs::create_dir(stack.path()).expect("a directory");
    std::fs::remove_dir_all(&former).expect("the former directory");
    std::fs::write(stack.path().join("stack.toml"), file).expect("the file");
    refused(&stack.run(&["up", "-d"]), &["volume", "--take-over"]);
    stack.done(&["up", "-d", "--take-over"]);
    assert_eq!(query(&stack, "SELECT n FROM kept").as_deref(), Ok("42"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_from_a_directory_that_is_there_or_held() {
    let stack = TestStack::new("holder", ONE).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    let other = TestStack::new("taker", ONE).await;
    other.write(&ONE.replace("NAME", &stack.name));
    let here = stack.path().display().to_string();
    refused(&other.run(&["up", "-d", "--take-over"]), &["is still there", &here]);
    // The directory is gone, and its daemon is not.
    let aside = stack.path().with_extension("aside");
    std::fs::rename(stack.path(), &aside).expect("moving the directory");
    let mut elsewhere = other.command(&["up", "-d", "--take-over"]);
    let runtime = stack.path().parent().expect("a parent").join("run");
    elsewhere.env("WITWD_RUNTIME_DIR", runtime);
    refused(&ended(elsewhere), &["its daemon", "runs"]);
    std::fs::rename(&aside, stack.path()).expect("moving it back");
    assert_eq!(stack.identities(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_removed_under_a_daemon_lets_no_second_one_in() {
    let stack = TestStack::new("removed", ONE).await;
    stack.done(&["up", "-d"]);
    let (before, daemon) = (stack.identities(), stack.daemon_pid());
    std::fs::remove_dir_all(stack.path().join(".witwd")).expect("the state");
    assert_eq!(stack.run(&["daemon"]).status.code(), Some(7));
    stack.done(&["up", "-d"]);
    assert_eq!((stack.daemon_pid(), stack.identities()), (daemon, before));
}

fn up_as(stack: &TestStack, version: &str) -> Output {
    let mut command = stack.command(&["up", "-d"]);
    command.env("WITWD_VERSION_IN_TESTS", version);
    ended(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_up_of_another_version_takes_over_and_touches_nothing() {
    let stack = TestStack::new("version", ONE).await;
    assert!(up_as(&stack, "0.1.7").status.success(), "{}", stack.log());
    let (before, daemon) = (stack.identities(), stack.daemon_pid());
    assert_eq!(stack.ps()["daemon"]["version"], "0.1.7");
    let guardian = u64::from(witwd::host::process::parent(u32::try_from(daemon).expect("a pid")).expect("a guardian"));
    let output = up_as(&stack, "0.2.0");
    assert!(output.status.success(), "{}\n{}", text(&output.stderr), stack.log());
    assert!(text(&output.stderr).contains("witwd 0.1.7"), "{}", text(&output.stderr));
    let status = stack.ps();
    assert_eq!((&status["daemon"]["version"], &status["converged"]), (&"0.2.0".into(), &true.into()), "{status:#}");
    assert_eq!(stack.identities(), before);
    eventually(SOON, "the former daemon and its guardian are gone", async || {
        (is_gone(daemon) && is_gone(guardian)).then_some(())
    })
    .await;
    let now = stack.daemon_pid();
    assert!(up_as(&stack, "0.2.0").status.success());
    assert_eq!(stack.daemon_pid(), now, "the same version only joins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_that_can_not_start_leaves_the_former_one() {
    let stack = TestStack::new("back", ONE).await;
    assert!(up_as(&stack, "0.1.7").status.success(), "{}", stack.log());
    let (before, daemon) = (stack.identities(), stack.daemon_pid());
    let state = stack.path().join(".witwd/state.json");
    let kept = std::fs::read(&state).expect("the state");
    let mut later: serde_json::Value = serde_json::from_slice(&kept).expect("JSON");
    later.as_object_mut().expect("an object").remove("checksum");
    later["v"] = 99.into();
    let later = serde_json::to_vec_pretty(&later).expect("JSON");
    sealed::write(&SystemDisk, &state, &later, sealed::Copy::Former).expect("the state");
    let output = up_as(&stack, "0.2.0");
    std::fs::write(&state, kept).expect("the state");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("later witwd"), "{}", text(&output.stderr));
    assert_eq!((stack.daemon_pid(), stack.identities()), (daemon, before));
    brought_back(&stack, daemon);
}

/// The new daemon ends at once, for its program is none: what is found in its place is started again.
fn brought_back(stack: &TestStack, daemon: u64) {
    let copy = stack.path().with_extension("witwd");
    std::fs::copy(env!("CARGO_BIN_EXE_witwd"), &copy).expect("a copy of the binary");
    let before = stack.identities();
    // A binary whose path is gone can't start a guardian.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec 3<\"$1\"; rm \"$1\"; exec /proc/self/fd/3 up -d", "sh"]).arg(&copy).current_dir(stack.path());
    with_surroundings(&mut command, stack);
    command.env("WITWD_VERSION_IN_TESTS", "0.2.0");
    let output = ended(command);
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("could not take the stack over") && complaint.contains("0.1.7 was started again"), "{complaint}");
    let status = stack.ps();
    assert_ne!(status["daemon"]["pid"], daemon);
    assert_eq!(stack.identities(), before);
}

fn with_surroundings(command: &mut std::process::Command, stack: &TestStack) {
    let of_binary = stack.command(&[]);
    for (name, value) in of_binary.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_file_a_stack_is_shown_and_taken_down() {
    let stack = TestStack::new("nofile", ONE).await;
    stack.done(&["up", "-d"]);
    let daemon = stack.daemon_pid();
    std::fs::remove_file(stack.path().join("stack.toml")).expect("the file");
    std::process::Command::new("kill").args(["-9", &daemon.to_string()]).status().expect("kill");
    let status = eventually(SOON, "another daemon answers", async || {
        let status: serde_json::Value = serde_json::from_slice(&stack.run(&["ps", "--json"]).stdout).ok()?;
        (status["daemon"]["pid"].as_u64().is_some_and(|pid| pid != daemon) && status["converged"] == true).then_some(status)
    })
    .await;
    assert_eq!((&status["file"]["ok"], &status["items"][0]["state"]), (&false.into(), &"running".into()), "{status:#}");
    assert!(stack.log().contains("file-invalid"), "{}", stack.log());
    kill_with_guardian(&stack).await;
    let shown = stack.done(&["ps"]);
    assert!(shown.contains("running") && shown.contains("stack.toml can't be used"), "{shown}");
    let output = stack.run(&["down"]);
    assert!(output.status.success() && text(&output.stderr).contains("accepted"), "{}", text(&output.stderr));
    assert_eq!(stack.identities(), Vec::<String>::new());
    let networks = docker(&["network", "ls", "-q", "--filter", &format!("label=dev.witwd.stack={}", stack.name)]);
    assert_eq!(text(&networks.stdout), "");
    assert!(Path::new(&stack.path().join(".witwd/environment.json")).exists());
}
