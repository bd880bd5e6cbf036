//! The six example stacks load.

use super::Stack;

fn example(text: &str) -> Stack {
    ["nginx.conf", "db/schema.rb", "db/migrate/1.rb", ".env.shop"]
        .iter()
        .fold(Stack::of(text), |stack, file| stack.with(file, ""))
}

#[test]
fn the_examples_load() {
    for (name, text, workloads) in [
        ("daily-ranking", include_str!("../test_data/daily-ranking.toml"), 7),
        ("django-celery", include_str!("../test_data/django-celery.toml"), 6),
        ("nextcloud", include_str!("../test_data/nextcloud.toml"), 4),
        ("pollinate", include_str!("../test_data/pollinate.toml"), 2),
        ("rails-sidekiq", include_str!("../test_data/rails-sidekiq.toml"), 5),
        ("supabase-db", include_str!("../test_data/supabase-db.toml"), 4),
    ] {
        let stack = example(text);
        let loaded = stack.loaded();
        assert_eq!(loaded.stack.in_order().count(), workloads, "{name}");
        assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
    }
}

#[test]
fn a_stack_with_postgis_and_a_build_by_command_loads() {
    let text = "#:schema ./.witwd/stack.schema.json\nname = \"witw\"\nrequires = \"0.3\"\n[services.app]\nbuild = { command = \"make image\" }\nport = 8000\nports = [\"8000\"]\nreadiness.http = \"/readyz\"\nliveness = { http = \"/healthz\", interval = \"5s\" }\nenv = { DATABASE_URL = \"${db.url}\", PORT = \"${app.port}\" }\n[postgres.db]\nimage = \"postgis/postgis:17-3.5\"\nfallback = { command = \"images/postgis.sh\" }\nextensions = [\"postgis\"]\nx-note = \"mine\"\n";
    let stack = Stack::of(text);
    let loaded = stack.loaded();
    assert!(loaded.warnings.is_empty());
    let shown = crate::config::resolved(&loaded);
    let again = Stack::of(&shown.replace("${db.roles.witw.password}", "x")).loaded();
    assert_eq!(again.stack.in_order().count(), 2, "what `config` shows is a stack again");
}
