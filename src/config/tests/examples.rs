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
