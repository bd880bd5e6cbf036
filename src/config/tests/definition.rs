//! What changes the hash of a definition and what does not.

use std::fmt::Write as _;

use super::Stack;

const BASE: &str = r#"
name = "app"
[services.web]
image = "nginx:1.27"
command = "serve --port 80"
env = { A = "1", B = "${secret.key}", C = "${db.url}" }
ports = ["8080:80"]
volumes = ["./conf:/etc/conf:ro", "media:/media"]
secrets = ["key"]
[jobs.migrate]
extends = "web"
command = "migrate"
[postgres.db]
image = "postgres:17"
settings.work_mem = "16MB"
[volumes]
media = {}
[secrets]
key = {}
"#;

fn hash(text: &str, name: &str) -> String {
    let loaded = Stack::of(text).loaded();
    loaded.stack.workload(&name.parse().expect("a name")).expect("a workload").spec.to_string()
}

/// Changing any of these recreates containers that run: never without a new scheme number.
#[test]
fn hashes_are_pinned() {
    let loaded = Stack::of(BASE).loaded();
    let mut text = String::new();
    for (name, definition) in &loaded.definitions {
        let spec = &loaded.stack.workload(name).expect("a workload").spec;
        let _ = writeln!(text, "{name} {spec}\n  {}", crate::model::hash::canonical(definition));
    }
    expect_test::expect![[r#"
        db 1-5ba4cbda4ef46804
          {"image":"postgres:17","settings":{"work_mem":"16MB"}}
        migrate 1-81fc616f18bd7495
          {"command":["migrate"],"env":{"A":"1","B":"${secret.key}","C":"postgresql://app:${db.roles.app.password}@db:5432/app"},"image":"nginx:1.27","secrets":["key"],"volumes":["./conf:/etc/conf:ro","media:/media"]}
        web 1-d7496674fb855e2e
          {"command":["serve","--port","80"],"env":{"A":"1","B":"${secret.key}","C":"postgresql://app:${db.roles.app.password}@db:5432/app"},"image":"nginx:1.27","ports":["127.0.0.1:8080:80/tcp"],"secrets":["key"],"volumes":["./conf:/etc/conf:ro","media:/media"]}
    "#]].assert_eq(&text);
}

#[test]
fn edits_that_leave_the_container_alone_keep_the_hash() {
    let kept = [
        ("a comment", "[services.web]\n", "[services.web] # the web\n"),
        ("white space", "image = \"nginx:1.27\"", "image    =   'nginx:1.27'"),
        (
            "order",
            "image = \"nginx:1.27\"\ncommand = \"serve --port 80\"",
            "command = \"serve --port 80\"\nimage = \"nginx:1.27\"",
        ),
        ("a command as words", "command = \"serve --port 80\"", "command = [\"serve\", \"--port\", \"80\"]"),
        ("a number for a string", "A = \"1\"", "A = 1"),
        ("order of variables", "A = \"1\", B = \"${secret.key}\"", "B = \"${secret.key}\", A = \"1\""),
        ("a port in full", "\"8080:80\"", "\"127.0.0.1:8080:80/tcp\""),
        ("another spelling of a path", "./conf:", "././conf/:"),
        ("a note", "[services.web]\n", "[services.web]\nx-note = \"mine\"\n"),
        ("an empty array", "[services.web]\n", "[services.web]\ntmpfs = []\n"),
        ("replicas", "[services.web]\n", "[services.web]\nreplicas = 1\n"),
        ("restart and backoff", "[services.web]\n", "[services.web]\nrestart = \"never\"\nbackoff = { max = \"5s\" }\n"),
        ("stop_grace", "[services.web]\n", "[services.web]\nstop_grace = \"1m\"\n"),
        ("a probe", "[services.web]\n", "[services.web]\nhealth.http = \"/\"\n"),
        ("port", "[services.web]\n", "[services.web]\nport = 81\n"),
        ("depends_on", "[services.web]\n", "[services.web]\ndepends_on = [\"db\"]\n"),
        ("pull", "[services.web]\n", "[services.web]\npull = \"always\"\n"),
        ("a fallback", "[services.web]\n", "[services.web]\nfallback = \".\"\n"),
        ("a secret's source", "key = {}", "key.env = \"KEY\""),
    ];
    for (what, from, to) in kept {
        assert!(BASE.contains(from), "{what}");
        let edited = BASE.replacen(from, to, 1);
        assert_eq!(hash(BASE, "web"), hash(&edited, "web"), "{what}");
    }
}

#[test]
fn edits_that_make_another_container_change_the_hash() {
    let changed = [
        ("the image", "nginx:1.27", "nginx:1.28"),
        ("the command", "--port 80", "--port 81"),
        ("a variable", "A = \"1\"", "A = \"2\""),
        ("a published port", "8080:80", "8081:80"),
        ("a mount", ":ro", ""),
        ("a secret", "secrets = [\"key\"]", "secrets = []"),
        ("who may read a secret", "key = {}", "key.uid = 1000"),
        ("a user", "[services.web]\n", "[services.web]\nuser = \"1000\"\n"),
        ("memory", "[services.web]\n", "[services.web]\nresources.memory = \"64M\"\n"),
        ("hardening", "[services.web]\n", "[services.web]\nhardening.read_only = true\n"),
        ("a label", "[services.web]\n", "[services.web]\nlabels.a = \"b\"\n"),
        ("the log", "[services.web]\n", "[services.web]\nlogs.max_size = \"1M\"\n"),
        ("a default written out", "[services.web]\n", "[services.web]\nhardening.pids = 4096\n"),
    ];
    for (what, from, to) in changed {
        assert!(BASE.contains(from), "{what}");
        let edited = BASE.replacen(from, to, 1);
        assert_ne!(hash(BASE, "web"), hash(&edited, "web"), "{what}");
    }
}

#[test]
fn a_postgres_is_recreated_for_its_container_only() {
    let db = "[postgres.db]\n";
    for key in [
        "databases = [\"more\"]",
        "roles.reader = {}",
        "extensions = [\"postgis\"]",
        "password = \"other\"",
        "database = \"other\"",
        "user = \"other\"",
        "backup.enabled = false",
        "stop_grace = \"5m\"",
    ] {
        assert_eq!(hash(BASE, "db"), hash(&BASE.replacen(db, &format!("{db}{key}\n"), 1), "db"), "{key}");
    }
    for key in
        ["settings.max_connections = 50", "shm_size = \"1G\"", "ports = [\"5432\"]", "env.TZ = \"UTC\"", "volume = \"other\""]
    {
        assert_ne!(hash(BASE, "db"), hash(&BASE.replacen(db, &format!("{db}{key}\n"), 1), "db"), "{key}");
    }
}

#[test]
fn inputs_and_env_files_count_by_content() {
    let text = "name = \"app\"\n[services.web]\nimage = \"a:1\"\ninputs = [\"conf/**\"]\nenv_files = [\"web.env\"]\n";
    let of = |conf: &str, env: &str| {
        let loaded = Stack::of(text).with("conf/deep/a.conf", conf).with("web.env", env).loaded();
        loaded.stack.in_order().next().expect("a service").spec.to_string()
    };
    assert_eq!(of("one", "A=1"), of("one", "# note\nA=\"1\""));
    assert_ne!(of("one", "A=1"), of("two", "A=1"));
    assert_ne!(of("one", "A=1"), of("one", "A=2"));
}

#[test]
fn the_secret_itself_is_never_in_the_definition() {
    let text = "name = \"app\"\n[services.web]\nimage = \"a:1\"\nenv.P = \"${db.password}\"\n[postgres.db]\nimage = \"postgres:17\"\npassword = \"hunter2\"\n";
    let loaded = Stack::of(text).loaded();
    let shown = format!("{:?}{}", loaded.definitions, crate::config::resolved(&loaded));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn directories_below_a_pattern_of_inputs_are_watched_also_while_they_are_empty() {
    let text = "name = \"app\"\n[services.web]\nimage = \"a:1\"\ninputs = [\"src/**/*.txt\", \"whole\"]\n";
    let stack = Stack::of(text).with("src/a.txt", "1").with("whole/b", "1");
    let base = stack.request.file.parent().expect("a directory").to_owned();
    for name in ["src/new/deep", "whole/new", "src/.git/objects"] {
        std::fs::create_dir_all(base.join(name)).expect("a directory");
    }
    let files = stack.loaded().files;
    for name in ["src", "src/new", "src/new/deep", "whole/new"] {
        assert!(files.contains(&base.join(name)), "{name} is not among {files:#?}");
    }
    assert!(!files.contains(&base.join("src/.git/objects")));
}
