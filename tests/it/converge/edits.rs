//! What follows a saved edit: the literal lines of the plan, and why it waits where it does.

use std::fmt::Write as _;

use expect_test::expect_file;
use witwd::supervisor::{Occasion, Up};

use super::ENOUGH;
use super::foreseen::foresee;
use crate::scenarios::stacks::stack;
use crate::scenarios::world::Machine;

const BEFORE: &str = r#"
name = "demo"
[services.app]
image = "app:1"
port = 8000
health.http = "/healthz"
env.DATABASE_URL = "${db.url}"
[services.cache]
image = "cache:1"
volumes = ["kept:/data"]
[postgres.db]
image = "postgres:17"
[volumes]
kept = {}
"#;

/// Each edit: what it is, what is replaced, and by what.
const EDITS: &[(&str, &str, &str)] = &[
    ("a comment", "[services.app]", "# the app\n[services.app]"),
    ("a variable", "[services.cache]", "env.COLOUR = \"blue\"\n[services.cache]"),
    ("an image", "app:1", "app:2"),
    ("a command", "port = 8000", "port = 8000\ncommand = \"serve --fast\""),
    ("an entrypoint", "port = 8000", "port = 8000\nentrypoint = \"/bin/serve\""),
    ("a user", "port = 8000", "port = 8000\nuser = \"1000\""),
    ("a published port", "port = 8000", "port = 8000\nports = [\"8000\"]"),
    ("another path of a probe", "/healthz", "/alive"),
    ("no probe", "health.http = \"/healthz\"\n", ""),
    ("a restart policy", "port = 8000", "port = 8000\nrestart = \"on-failure\""),
    ("a grace", "port = 8000", "port = 8000\nstop_grace = \"30s\""),
    ("a back-off", "port = 8000", "port = 8000\nbackoff = { max = \"10s\" }"),
    ("a dependency", "port = 8000", "port = 8000\ndepends_on = [\"cache\"]"),
    ("more replicas", "port = 8000", "port = 8000\nreplicas = 3"),
    ("a limit of memory", "port = 8000", "port = 8000\nresources.memory = \"64M\""),
    ("a read-only root", "port = 8000", "port = 8000\nhardening.read_only = true"),
    ("a label", "port = 8000", "port = 8000\nlabels.team = \"a\""),
    ("another name on the network", "port = 8000", "port = 8000\naliases = [\"front\"]"),
    ("a path in memory", "port = 8000", "port = 8000\ntmpfs = [\"/tmp\"]"),
    ("a new volume", "port = 8000", "port = 8000\nvolumes = [\"kept:/shared\"]"),
    ("a mount taken away", "volumes = [\"kept:/data\"]\n", ""),
    ("a service more", "[postgres.db]", "[services.next]\nimage = \"app:1\"\n[postgres.db]"),
    ("a service less", "[services.cache]\nimage = \"cache:1\"\nvolumes = [\"kept:/data\"]\n", ""),
    ("a service of another name", "[services.cache]", "[services.store]"),
    ("a service that is built", "image = \"cache:1\"", "build = \".\""),
    ("a setting of the server", "postgres:17\"", "postgres:17\"\nsettings.work_mem = \"8MB\""),
    ("an extension", "postgres:17\"", "postgres:17\"\nextensions = [\"pg_trgm\"]"),
    ("a database", "postgres:17\"", "postgres:17\"\ndatabases = [\"reports\"]"),
    ("a published database", "postgres:17\"", "postgres:17\"\nports = [\"5432\"]"),
    ("another major version", "postgres:17", "postgres:18"),
    ("no database", "env.DATABASE_URL = \"${db.url}\"\n[services.cache]", "[services.cache]"),
    ("a server less", "[postgres.db]\nimage = \"postgres:17\"\n", ""),
];

/// A server that goes takes its references with it.
fn after(replaced: &str, by: &str) -> String {
    let text = BEFORE.replacen(replaced, by, 1);
    assert_ne!(text, BEFORE, "{replaced}");
    if text.contains("[postgres.db]") { text } else { text.replace("env.DATABASE_URL = \"${db.url}\"\n", "") }
}

#[tokio::test(start_paused = true)]
async fn each_edit_is_followed_by_these_actions() {
    let mut told = String::new();
    for (what, replaced, by) in EDITS {
        let machine = Machine::new();
        let first = stack(BEFORE);
        let daemon = machine.daemon(&first);
        daemon.up(&first).await;
        tokio::time::sleep(ENOUGH).await;
        let up = Up { occasion: Occasion::Saved, ..Up::of(stack(&after(replaced, by))) };
        let preview = foresee(&machine, Some(&daemon), up).await;
        writeln!(told, "{what}").expect("text");
        for action in &preview.actions {
            writeln!(told, "    {}", action.line).expect("text");
        }
        for blocked in &preview.blocked {
            writeln!(told, "    blocked {} | {}", blocked.target, blocked.cause).expect("text");
        }
        for reason in &preview.held {
            writeln!(told, "    waits for `witwd up`: {reason}").expect("text");
        }
    }
    expect_file!["edits.txt"].assert_eq(&told);
}
