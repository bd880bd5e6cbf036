//! The command line as a person and a program meet it. No engine answers here.

use assert_cmd::Command;
use expect_test::expect;

/// The program in an empty directory, with an engine that is not there.
pub fn witwd(directory: &std::path::Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("witwd"));
    command
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("DOCKER_HOST", format!("unix://{}/no-engine.sock", directory.display()))
        .env("WITWD_RUNTIME_DIR", directory.join("run"));
    command
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_shows_every_verb_with_an_example() {
    let directory = scratch();
    let help = text(&witwd(directory.path()).arg("--help").assert().code(0).get_output().stdout);
    for verb in [
        "up",
        "down",
        "ps",
        "ls",
        "port",
        "open",
        "logs",
        "events",
        "plan",
        "top",
        "restart",
        "stop",
        "start",
        "scale",
        "init",
        "build",
        "pull",
        "check",
        "config",
        "schema",
        "doctor",
        "clean",
        "exec",
        "run",
        "db",
        "psql",
        "completions",
        "enable",
        "disable",
        "daemon",
    ] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is not in the help");
        let of_verb = text(&witwd(directory.path()).args([verb, "--help"]).assert().code(0).get_output().stdout);
        assert!(of_verb.contains("Example"), "{verb} has no example");
    }
    assert!(!help.contains("__guardian"));
}

#[test]
fn words_of_other_tools_are_answered_with_ours() {
    let directory = scratch();
    let mut answers = String::new();
    for word in ["status", "deploy", "rollback", "reload", "validate", "shell", "ssh", "console", "env", "rm", "kill", "cp"] {
        let said = text(&witwd(directory.path()).args([word, "web"]).assert().code(2).get_output().stderr);
        let rest = said.strip_prefix(&format!("error: there is no `witwd {word}`\n hint: "));
        answers += word;
        answers += ": ";
        answers += rest.unwrap_or(&said);
    }
    expect![[r#"
        status: `witwd ps` shows what runs, and why what does not
        deploy: `witwd up` applies stack.toml
        rollback: put the old stack.toml back (`git checkout`) and `witwd up` applies it
        reload: `witwd up` applies stack.toml; only what changed is touched
        validate: `witwd check` validates stack.toml
        shell: `witwd exec NAME` opens a shell in a running container
        ssh: `witwd exec NAME` opens a shell in a running container
        console: `witwd exec NAME` opens a shell in a running container, `witwd psql` one in the database
        env: `witwd config` shows the resolved stack, `witwd config --origin` where its values came from
        rm: `witwd down` removes the containers of the stack
        kill: `witwd stop NAME` stops one, `witwd down` the stack
        cp: `witwd exec NAME cat FILE > HERE` copies a file out of a container
    "#]]
    .assert_eq(&answers);
}

#[test]
fn verbs_of_later_versions_say_so() {
    let directory = scratch();
    let verbs = ["job", "secret", "import", "history", "export", "bundle", "promote", "watch"];
    let of_db = [["db", "upgrade"]];
    for words in verbs.iter().map(std::slice::from_ref).chain(of_db.iter().map(<[&str; 2]>::as_slice)) {
        let said = text(&witwd(directory.path()).args(words).assert().code(2).get_output().stderr);
        assert!(said.contains(&format!("`witwd {}` is not in this version", words.join(" "))), "{said}");
    }
    let said = text(&witwd(directory.path()).args(["--host", "user@vm", "ps"]).assert().code(2).get_output().stderr);
    assert!(said.contains("--host is not in this version"), "{said}");
}

#[test]
fn a_slip_is_answered_with_what_is_meant() {
    let directory = scratch();
    let said = text(&witwd(directory.path()).arg("lgos").assert().code(2).get_output().stderr);
    expect![[r"
        error: there is no `witwd lgos`
         hint: did you mean `witwd logs`?
    "]]
    .assert_eq(&said);
}

#[test]
fn a_failure_for_programs_is_one_document() {
    let directory = scratch();
    let output = witwd(directory.path()).args(["ps", "--json"]).assert().code(2).get_output().clone();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["error"]["code"], "usage");
    assert!(document["error"]["message"].as_str().is_some_and(|message| message.contains("there is no stack.toml")));
    assert!(document["error"]["hint"].is_string() && output.stderr.is_empty());
    let output = witwd(directory.path()).args(["--json", "up", "--wat"]).assert().code(2).get_output().clone();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["error"]["message"], "unexpected argument '--wat' found");
}

#[test]
fn completions_come_for_each_shell() {
    let directory = scratch();
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&witwd(directory.path()).args(["completions", shell]).assert().code(0).get_output().stdout);
        assert!(script.contains("witwd") && script.contains("doctor"), "{shell}");
    }
}

#[test]
fn commands_page_is_fresh() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(page.parent().expect("a directory")).expect("docs");
        std::fs::write(&page, witwd::cli::commands_page()).expect("writing the page");
    }
    let fresh = std::fs::read_to_string(&page).is_ok_and(|text| text == witwd::cli::commands_page());
    assert!(fresh, "docs/commands.md is stale: UPDATE_DOCS=1 cargo test -p witwd --test it commands_page");
}

#[test]
fn closed_output_is_no_failure() {
    let directory = scratch();
    let program = assert_cmd::cargo::cargo_bin!("witwd");
    let script = format!("'{}' completions bash | head -1; exit ${{PIPESTATUS[0]}}", program.display());
    Command::new("bash").args(["-c", &script]).current_dir(directory.path()).assert().code(0);
}

#[test]
fn nothing_moves_or_has_colour_when_piped() {
    let directory = scratch();
    let said = witwd(directory.path()).arg("lgos").assert().code(2).get_output().stderr.clone();
    assert!(!said.contains(&0x1b));
}

#[test]
fn plan_of_a_broken_file_says_where_and_plan_without_an_engine_says_so() {
    let directory = scratch();
    let file = directory.path().join("stack.toml");
    std::fs::write(&file, "name = \"shop\"\n[services.web]\nimagee = \"app:1\"\n").expect("a file");
    let said = text(&witwd(directory.path()).args(["plan", "--exit-code"]).assert().code(3).get_output().stderr);
    assert!(said.contains("stack.toml:3") || said.contains("imagee"), "{said}");
    std::fs::write(&file, "name = \"shop\"\n[services.web]\nimage = \"app:1\"\n").expect("a file");
    witwd(directory.path()).args(["plan", "--exit-code"]).assert().code(4);
    let output = witwd(directory.path()).args(["plan", "--json"]).assert().code(4).get_output().stdout.clone();
    let document: serde_json::Value = serde_json::from_slice(&output).expect("a document");
    assert_eq!(document["error"]["code"], "engine_unavailable");
    assert!(!directory.path().join(".witwd").exists(), "a look leaves nothing");
    witwd(directory.path()).args(["plan", "nobody"]).assert().code(2);
}
