//! A stack for simulated runs, and how one is read.

use std::sync::Arc;

use witwd::config::{LoadRequest, Loaded, load};
use witwd::model::stack::Stack;

/// Three services on a postgres, one of them in two replicas.
pub const FOUR: &str = r#"
name = "demo"
[services.app]
image = "app:1"
port = 8000
health.http = "/healthz"
replicas = 2
env.DATABASE_URL = "${db.url}"
[services.worker]
image = "app:1"
health.exec = ["alive"]
depends_on = ["app"]
[services.cache]
image = "cache:1"
port = 6379
health.tcp = true
volumes = ["kept:/data"]
[postgres.db]
image = "postgres:17"
[volumes]
kept = {}
"#;

/// The stack that this text says.
pub fn stack(text: &str) -> Arc<Stack> {
    Arc::new(loaded(text).stack)
}

/// The same with all that was learnt while it was read.
pub fn loaded(text: &str) -> Loaded {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("stack.toml");
    std::fs::write(&file, text).expect("writing a stack");
    load(&LoadRequest { file, ..LoadRequest::default() }).unwrap_or_else(|invalid| panic!("{invalid}: {:#?}", invalid.problems))
}
