//! What kind of app lies in a directory: its framework, where it listens, how it starts, what it needs.

use std::collections::BTreeSet;

use super::facts::{Facts, is_requirements};

/// A framework, or a language where none is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framework {
    /// Python with Django.
    Django,
    /// Ruby with Rails.
    Rails,
    /// Go.
    Go,
    /// Rust.
    Rust,
    /// Python without Django.
    Python,
    /// JavaScript on a server.
    Node,
}

impl Framework {
    /// Its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Django => "Django",
            Self::Rails => "Rails",
            Self::Go => "Go",
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::Node => "Node",
        }
    }
}

/// What a Dockerfile says of its result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dockerfile {
    /// The first port that it exposes.
    pub port: Option<u16>,
    /// Whether it says what is started.
    pub starts: bool,
    /// Whether it says how its health is asked.
    pub has_health: bool,
}

/// What was recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct App {
    /// The framework, where one is known.
    pub framework: Option<Framework>,
    /// The Dockerfile, where there is one.
    pub dockerfile: Option<Dockerfile>,
    /// What it listens on inside.
    pub port: Option<u16>,
    /// How it starts.
    pub command: Option<String>,
    /// Other processes of the same code: name and command.
    pub workers: Vec<(String, String)>,
    /// How its database is brought up to date.
    pub migrate: Option<String>,
    /// The image of the Postgres that it needs.
    pub postgres: Option<&'static str>,
    /// Whether it needs a Redis.
    pub redis: bool,
    /// A path that answers when it is well.
    pub health: Option<&'static str>,
}

/// Words of dependencies that speak to a Postgres.
const POSTGRES: [&str; 27] = [
    "psycopg",
    "psycopg2",
    "psycopg2-binary",
    "psycopg-binary",
    "asyncpg",
    "aiopg",
    "pg8000",
    "pg",
    "pg-promise",
    "postgres",
    "slonik",
    "postgresql",
    "tokio-postgres",
    "deadpool-postgres",
    "github.com/lib/pq",
    "github.com/jackc/pgx",
    "github.com/jackc/pgx/v4",
    "github.com/jackc/pgx/v5",
    "github.com/go-pg/pg",
    "github.com/go-pg/pg/v10",
    "gorm.io/driver/postgres",
    "github.com/uptrace/bun/driver/pgdriver",
    "sequel_pg",
    "postgis",
    "pgvector",
    "pg-native",
    "activerecord-postgis-adapter",
];
/// Words of dependencies that speak to a Redis.
const REDIS: [&str; 26] = [
    "redis",
    "django-redis",
    "channels-redis",
    "channels_redis",
    "aioredis",
    "rq",
    "django-rq",
    "arq",
    "sidekiq",
    "resque",
    "redis-rails",
    "ioredis",
    "bull",
    "bullmq",
    "bee-queue",
    "connect-redis",
    "@redis/client",
    "fred",
    "deadpool-redis",
    "redis-client",
    "github.com/redis/go-redis/v9",
    "github.com/go-redis/redis/v8",
    "github.com/gomodule/redigo",
    "github.com/hibiken/asynq",
    "apalis-redis",
    "celery-redis",
];
/// Words that ask for more than a plain Postgres, and the image that has it.
const IMAGES: [(&str, &str); 5] = [
    ("postgis", "postgis/postgis:17-3.5"),
    ("activerecord-postgis-adapter", "postgis/postgis:17-3.5"),
    ("geoalchemy2", "postgis/postgis:17-3.5"),
    ("pgvector", "pgvector/pgvector:pg17"),
    ("neighbor", "pgvector/pgvector:pg17"),
];
/// The image without such a word.
const PLAIN: &str = "postgres:17";

/// Recognises the app of a directory; `None` where nothing speaks of one.
pub(super) fn recognise(facts: &Facts) -> Option<App> {
    let dockerfile = facts.texts.get("Dockerfile").map(|text| dockerfile(text));
    let words = words(facts);
    let framework = framework(facts, &words);
    if dockerfile.is_none() && framework.is_none() && !facts.has("Procfile") {
        return None;
    }
    let procfile = procfile(facts.text("Procfile"));
    let of = |name: &str| procfile.iter().find(|(process, _)| process == name).map(|(_, command)| command.clone());
    let starts = dockerfile.as_ref().is_some_and(|dockerfile| dockerfile.starts);
    let mut workers: Vec<(String, String)> =
        procfile.iter().filter(|(name, _)| name != "web" && name != "release").cloned().collect();
    if workers.is_empty() {
        workers.extend(framework.and_then(|framework| worker(facts, &words, framework)));
    }
    let exposed = dockerfile.as_ref().and_then(|dockerfile| dockerfile.port);
    Some(App {
        port: exposed.or_else(|| framework.and_then(|framework| port(framework, &words))),
        command: (!starts).then(|| of("web").or_else(|| command(facts, &words, framework?))).flatten(),
        workers,
        migrate: of("release").or_else(|| migrate(facts, &words, framework?)),
        postgres: postgres(&words),
        redis: REDIS.iter().any(|word| words.contains(*word)),
        health: facts.text("config/routes.rb").contains("rails/health#show").then_some("/up"),
        dockerfile,
        framework,
    })
}

fn framework(facts: &Facts, words: &BTreeSet<String>) -> Option<Framework> {
    let is_python =
        ["pyproject.toml", "Pipfile"].iter().any(|name| facts.has(name)) || facts.names.iter().any(|name| is_requirements(name));
    let known = [
        (Framework::Django, facts.text("manage.py").contains("DJANGO_SETTINGS_MODULE")),
        (Framework::Rails, facts.has("Gemfile") && words.contains("rails")),
        (Framework::Go, facts.has("go.mod")),
        (Framework::Rust, facts.has("Cargo.toml")),
        (Framework::Python, is_python),
        (Framework::Node, facts.has("package.json")),
    ];
    known.into_iter().find(|(_, found)| *found).map(|(framework, _)| framework)
}

fn port(framework: Framework, words: &BTreeSet<String>) -> Option<u16> {
    let has = |word: &str| words.contains(word);
    match framework {
        Framework::Django => Some(8000),
        Framework::Rails | Framework::Node => Some(3000),
        Framework::Go => Some(8080),
        Framework::Rust if has("axum") => Some(3000),
        Framework::Rust if has("actix-web") => Some(8080),
        Framework::Rust if has("rocket") => Some(8000),
        Framework::Python if has("flask") => Some(5000),
        Framework::Python if has("fastapi") || has("uvicorn") || has("gunicorn") || has("starlette") => Some(8000),
        Framework::Rust | Framework::Python => None,
    }
}

fn command(facts: &Facts, words: &BTreeSet<String>, framework: Framework) -> Option<String> {
    match framework {
        Framework::Django => Some(match django_module(facts).filter(|_| words.contains("gunicorn")) {
            Some(module) => format!("gunicorn {module}.wsgi --bind 0.0.0.0:8000"),
            None => "python manage.py runserver 0.0.0.0:8000".to_owned(),
        }),
        Framework::Rails => Some("bin/rails server -b 0.0.0.0".to_owned()),
        Framework::Node => {
            let package: serde_json::Value = serde_json::from_str(facts.text("package.json")).ok()?;
            package["scripts"]["start"].as_str()?;
            Some(format!("{} start", package_manager(facts)))
        }
        Framework::Go | Framework::Rust | Framework::Python => None,
    }
}

fn migrate(facts: &Facts, words: &BTreeSet<String>, framework: Framework) -> Option<String> {
    match framework {
        Framework::Django => Some("python manage.py migrate --noinput".to_owned()),
        Framework::Rails => Some("bin/rails db:prepare".to_owned()),
        Framework::Node if facts.has("prisma/migrations") => Some("npx prisma migrate deploy".to_owned()),
        Framework::Python if words.contains("alembic") => Some("alembic upgrade head".to_owned()),
        _ => None,
    }
}

/// The process of a queue that the dependencies name.
fn worker(facts: &Facts, words: &BTreeSet<String>, framework: Framework) -> Option<(String, String)> {
    let command = match framework {
        Framework::Rails if words.contains("sidekiq") => "bundle exec sidekiq".to_owned(),
        Framework::Django if words.contains("celery") => format!("celery -A {} worker", django_module(facts)?),
        _ => return None,
    };
    Some(("worker".to_owned(), command))
}

/// `shop` of `"DJANGO_SETTINGS_MODULE", "shop.settings"`, where it has a wsgi module.
fn django_module(facts: &Facts) -> Option<String> {
    let (_, after) = facts.text("manage.py").split_once("DJANGO_SETTINGS_MODULE")?;
    let named = after.split(['"', '\'']).find(|piece| piece.starts_with(|first: char| first.is_ascii_alphabetic()))?;
    let module = named.split('.').next()?;
    facts.has(&format!("{module}/wsgi.py")).then(|| module.to_owned())
}

fn package_manager(facts: &Facts) -> &'static str {
    match () {
        () if facts.has("pnpm-lock.yaml") => "pnpm",
        () if facts.has("yarn.lock") => "yarn",
        () => "npm",
    }
}

fn postgres(words: &BTreeSet<String>) -> Option<&'static str> {
    let special = IMAGES.iter().find(|(word, _)| words.contains(*word)).map(|(_, image)| *image);
    special.or_else(|| POSTGRES.iter().any(|word| words.contains(*word)).then_some(PLAIN))
}

/// The words that dependencies are named with, of whatever language.
fn words(facts: &Facts) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let plain = ["Gemfile", "go.mod", "pyproject.toml", "Pipfile"];
    for (_, text) in facts.texts.iter().filter(|(name, _)| plain.contains(&name.as_str()) || is_requirements(name)) {
        // What only others need is not the app's own choice.
        let lines =
            text.lines().filter(|line| !line.contains("// indirect")).map(|line| line.split('#').next().unwrap_or_default());
        let is_word = |letter: char| letter.is_alphanumeric() || "-_./".contains(letter);
        words.extend(lines.flat_map(|line| line.split(move |letter| !is_word(letter))).map(str::to_lowercase));
    }
    node_words(facts, &mut words);
    rust_words(facts.text("Cargo.toml"), &mut words);
    words
}

fn node_words(facts: &Facts, words: &mut BTreeSet<String>) {
    let package: serde_json::Value = serde_json::from_str(facts.text("package.json")).unwrap_or_default();
    let named = ["dependencies", "optionalDependencies"].into_iter().filter_map(|table| package[table].as_object());
    words.extend(named.flat_map(|table| table.keys().cloned()));
    let provider = facts
        .text("prisma/schema.prisma")
        .lines()
        .find(|line| line.trim_start().starts_with("provider") && line.contains("postgresql"));
    words.extend(provider.map(|_| "postgresql".to_owned()));
}

/// Names of crates, and `postgres` where one is told to speak to it.
fn rust_words(text: &str, words: &mut BTreeSet<String>) {
    let Ok(manifest) = text.parse::<toml::Table>() else { return };
    let own = manifest.get("dependencies");
    let shared = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    for (name, wanted) in [own, shared].into_iter().flatten().filter_map(toml::Value::as_table).flatten() {
        words.insert(name.clone());
        let features =
            wanted.get("features").and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str);
        if features.into_iter().any(|feature| feature.contains("postgres")) {
            words.insert("postgres".to_owned());
        }
    }
}

/// Name and command of each process.
fn procfile(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(|line| line.split_once(':'));
    let named = lines.map(|(name, command)| (name.trim().to_owned(), command.trim().to_owned()));
    named.filter(|(name, command)| !name.is_empty() && !command.is_empty()).collect()
}

/// What the last stage says: the one that is built.
fn dockerfile(text: &str) -> Dockerfile {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let (mut found, mut default) = (Dockerfile::default(), None);
    for line in joined.lines() {
        let (word, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        match word.to_uppercase().as_str() {
            "FROM" => (found, default) = (Dockerfile::default(), None),
            "EXPOSE" => found.port = found.port.or_else(|| exposed(rest, default)),
            "ENV" => default = variable(rest, "PORT").or(default),
            "CMD" | "ENTRYPOINT" => found.starts = true,
            "HEALTHCHECK" => found.has_health = !rest.trim().eq_ignore_ascii_case("none"),
            _ => {}
        }
    }
    found.port = found.port.or(default);
    found
}

/// The first port, which may be written as the variable `PORT`.
fn exposed(rest: &str, default: Option<u16>) -> Option<u16> {
    let first = rest.split_whitespace().next()?.split('/').next()?;
    if first.starts_with('$') && first.contains("PORT") { default } else { first.parse().ok() }
}

/// The number of `PORT=8000` or `PORT 8000`.
fn variable(rest: &str, name: &str) -> Option<u16> {
    let values = rest.split_whitespace().filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let spaced = rest.trim().strip_prefix(name).filter(|rest| rest.starts_with(' '));
    values.chain(spaced).find_map(|value| value.trim().trim_matches('"').parse().ok())
}
