//! Tests of what `init` recognises and writes. Every text is read by our own reader.

use std::path::Path;

use expect_test::{Expect, expect, expect_file};

use super::compose_values::interpolated;
use super::facts::Facts;
use super::proposal::{Proposal, propose};
use super::{append_missing, missing};
use crate::config::{LoadRequest, load};

/// A directory of this name with these files.
fn directory(name: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, std::path::PathBuf) {
    let above = tempfile::tempdir().expect("a directory");
    let directory = above.path().join(name);
    std::fs::create_dir(&directory).expect("a directory");
    for (name, text) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    (above, directory)
}

fn proposed(directory: &Path) -> Proposal {
    propose(&Facts::of(directory).expect("facts"), None).expect("a proposal")
}

/// What is said beside the file.
fn said(proposal: &Proposal) -> String {
    let lists = [(".gitignore", &proposal.gitignore), (".dockerignore", &proposal.dockerignore)];
    let ignored = lists.map(|(name, lines)| format!("{name}: {}\n", lines.join(" ")));
    let notes = proposal.notes.iter().fold(String::new(), |notes, note| notes + "note: " + note + "\n");
    format!("{}---\n{}{notes}", proposal.text, ignored.concat())
}

fn check(name: &str, files: &[(&str, &str)], expected: &Expect) {
    let text = valid(name, files);
    let says = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with('#');
    let lines = text.lines().take_while(|line| *line != "---").filter(says).count();
    assert!(lines <= 20, "{lines} lines, more than one would write:\n{text}");
    expected.assert_eq(&text);
}

/// What is proposed, which our own reader must take.
fn valid(name: &str, files: &[(&str, &str)]) -> String {
    let (_above, directory) = directory(name, files);
    let proposal = proposed(&directory);
    let file = directory.join("stack.toml");
    std::fs::write(&file, &proposal.text).expect("a file");
    let loaded = load(&LoadRequest { file, ..LoadRequest::default() });
    let problems = loaded.map(|loaded| loaded.warnings).map_err(|invalid| invalid.problems);
    assert_eq!(problems, Ok(Vec::new()));
    said(&proposal)
}

#[test]
fn a_dockerfile_says_where_it_listens() {
    let files = [
        (
            "Dockerfile",
            r#"FROM debian AS build
EXPOSE 1
FROM scratch
ENV A=1 PORT=9000
EXPOSE $PORT/tcp \
  9001
CMD ["/app"]
"#,
        ),
        (".env", "A=1\n"),
    ];
    check(
        "shop",
        &files,
        &expect![[r##"
        #:schema ./.witwd/stack.schema.json
        name = "shop"

        [services.app]
        build = "."
        ports = ["9000"]                          # http://127.0.0.1:9000
        health.tcp = true                         # better, where it has one: health.http = "/healthz"
        env_files = [{ optional = true, path = ".env" }]
        ---
        .gitignore: .witwd/ .env
        .dockerignore: .witwd/ .env .git/
        note: found Dockerfile
    "##]],
    );
}

#[test]
fn django_with_a_queue() {
    let files = [
        (
            "manage.py",
            r#"import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
"#,
        ),
        ("shop/wsgi.py", ""),
        ("requirements.txt", "Django>=5\npsycopg[binary]>=3.1\ngunicorn==22.0 # the server\ncelery[redis]\n"),
    ];
    check(
        "Shop_2",
        &files,
        &expect![[r##"
        #:schema ./.witwd/stack.schema.json
        name = "shop-2"

        [services.app]
        build = "."                               # needs a Dockerfile: there is none yet
        command = "gunicorn shop.wsgi --bind 0.0.0.0:8000"
        ports = ["8000"]                          # http://127.0.0.1:8000; a guess: what it listens on
        health.tcp = true                         # better, where it has one: health.http = "/healthz"
        env.DATABASE_URL = "${db.url}"            # also says: start db first
        env.REDIS_URL = "redis://redis:6379/0"
        depends_on = ["redis"]

        [services.worker]
        extends = "app"
        command = "celery -A shop worker"

        [services.redis]
        image = "redis:7"
        port = 6379
        health.tcp = true

        [postgres.db]
        image = "postgres:17"

        # This version of witwd does not run jobs yet. Until it does: witwd exec app python manage.py migrate --noinput
        # [jobs.migrate]
        # extends = "app"
        # command = "python manage.py migrate --noinput"
        ---
        .gitignore: .witwd/ volumes/backups/
        .dockerignore: .witwd/ volumes/backups/ .git/ __pycache__/
        note: "Shop_2" is no name of a stack: it is called shop-2
        note: found Django
        note: redis has no volume: what it holds is lost when it is recreated
        note: the app is told its database as DATABASE_URL; where it wants other names: ${db.host}, ${db.port}, ${db.user}, ${db.password}, ${db.database}
        note: migrations are yours to run for now: `witwd exec app python manage.py migrate --noinput`
        note: there is no Dockerfile yet, and `build = "."` needs one
    "##]],
    );
}

#[test]
fn rails() {
    let files = [
        (
            "Dockerfile",
            r#"FROM ruby:3.3
ENTRYPOINT ["/rails/bin/docker-entrypoint"]
EXPOSE 3000
"#,
        ),
        (
            "Gemfile",
            r#"source "https://rubygems.org"
gem "rails", "~> 8.0"
gem "pg"
# gem "redis"
"#,
        ),
        (
            "config/routes.rb",
            r#"get "up" => "rails/health#show"
"#,
        ),
        ("config/credentials.yml.enc", "x"),
    ];
    check(
        "shop",
        &files,
        &expect![[r##"
        #:schema ./.witwd/stack.schema.json
        name = "shop"

        [services.app]
        build = "."
        ports = ["3000"]                          # http://127.0.0.1:3000
        health.http = "/up"
        env.DATABASE_URL = "${db.url}"            # also says: start db first
        env.RAILS_MASTER_KEY = "${env.RAILS_MASTER_KEY:-}"

        [postgres.db]
        image = "postgres:17"

        # This version of witwd does not run jobs yet. Until it does: witwd exec app bin/rails db:prepare
        # [jobs.migrate]
        # extends = "app"
        # command = "bin/rails db:prepare"
        ---
        .gitignore: .witwd/ volumes/backups/
        .dockerignore: .witwd/ volumes/backups/ .git/
        note: found Rails, Dockerfile
        note: the app is told its database as DATABASE_URL; where it wants other names: ${db.host}, ${db.port}, ${db.user}, ${db.password}, ${db.database}
        note: migrations are yours to run for now: `witwd exec app bin/rails db:prepare`
        note: put RAILS_MASTER_KEY (from config/master.key) into .env
    "##]],
    );
}

#[test]
fn node() {
    let files = [
        (
            "package.json",
            r#"{"scripts":{"start":"node server.js"},"dependencies":{"express":"4","pg":"8","ioredis":"5"},"devDependencies":{"pgvector":"1"}}"#,
        ),
        ("pnpm-lock.yaml", ""),
    ];
    check(
        "shop",
        &files,
        &expect![[r##"
        #:schema ./.witwd/stack.schema.json
        name = "shop"

        [services.app]
        build = "."                               # needs a Dockerfile: there is none yet
        command = "pnpm start"
        ports = ["3000"]                          # http://127.0.0.1:3000; a guess: what it listens on
        health.tcp = true                         # better, where it has one: health.http = "/healthz"
        env.DATABASE_URL = "${db.url}"            # also says: start db first
        env.REDIS_URL = "redis://redis:6379/0"
        depends_on = ["redis"]

        [services.redis]
        image = "redis:7"
        port = 6379
        health.tcp = true

        [postgres.db]
        image = "postgres:17"
        ---
        .gitignore: .witwd/ volumes/backups/
        .dockerignore: .witwd/ volumes/backups/ .git/ node_modules/
        note: found Node
        note: redis has no volume: what it holds is lost when it is recreated
        note: the app is told its database as DATABASE_URL; where it wants other names: ${db.host}, ${db.port}, ${db.user}, ${db.password}, ${db.database}
        note: there is no Dockerfile yet, and `build = "."` needs one
    "##]],
    );
}

#[test]
fn go() {
    let files = [(
        "go.mod",
        "module example.com/shop\n\nrequire (\n\tgithub.com/jackc/pgx/v5 v5.5.0\n\tgithub.com/redis/go-redis/v9 v9.0.0 // indirect\n)\n",
    )];
    check(
        "shop",
        &files,
        &expect![[r##"
        #:schema ./.witwd/stack.schema.json
        name = "shop"

        [services.app]
        build = "."                               # needs a Dockerfile: there is none yet
        ports = ["8080"]                          # http://127.0.0.1:8080; a guess: what it listens on
        health.tcp = true                         # better, where it has one: health.http = "/healthz"
        env.DATABASE_URL = "${db.url}"            # also says: start db first

        [postgres.db]
        image = "postgres:17"
        ---
        .gitignore: .witwd/ volumes/backups/
        .dockerignore: .witwd/ volumes/backups/ .git/
        note: found Go
        note: the app is told its database as DATABASE_URL; where it wants other names: ${db.host}, ${db.port}, ${db.user}, ${db.password}, ${db.database}
        note: there is no Dockerfile yet, and `build = "."` needs one
    "##]],
    );
}

#[test]
fn rust() {
    let files = [
        (
            "Cargo.toml",
            r#"[package]
name = "shop"
[dependencies]
axum = "0.8"
sqlx = { version = "0.8", features = ["runtime-tokio", "postgres"] }
redis = "1"
"#,
        ),
        (
            "Dockerfile",
            r#"FROM rust:1
HEALTHCHECK CMD /app health
CMD ["/app"]
"#,
        ),
    ];
    check(
        "shop",
        &files,
        &expect![[r##"
        #:schema ./.witwd/stack.schema.json
        name = "shop"

        [services.app]
        build = "."
        ports = ["3000"]                          # http://127.0.0.1:3000; a guess: what it listens on
        env.DATABASE_URL = "${db.url}"            # also says: start db first
        env.REDIS_URL = "redis://redis:6379/0"
        depends_on = ["redis"]

        [services.redis]
        image = "redis:7"
        port = 6379
        health.tcp = true

        [postgres.db]
        image = "postgres:17"
        ---
        .gitignore: .witwd/ volumes/backups/
        .dockerignore: .witwd/ volumes/backups/ .git/ target/
        note: found Rust, Dockerfile
        note: redis has no volume: what it holds is lost when it is recreated
        note: the app is told its database as DATABASE_URL; where it wants other names: ${db.host}, ${db.port}, ${db.user}, ${db.password}, ${db.database}
    "##]],
    );
}

#[test]
fn a_procfile_says_how_it_starts() {
    let files = [
        (
            "Procfile",
            "# processes\nweb: gunicorn shop:app --bind 0.0.0.0:${PORT:-5000}\nworker: rq worker\nrelease: alembic upgrade head\n",
        ),
        ("requirements/base.txt", "flask\npsycopg2-binary\ngeoalchemy2\n"),
    ];
    check(
        "shop",
        &files,
        &expect![[r##"
        #:schema ./.witwd/stack.schema.json
        name = "shop"

        [services.web]
        build = "."                               # needs a Dockerfile: there is none yet
        command = ["sh", "-c", "gunicorn shop:app --bind 0.0.0.0:$${PORT:-5000}"]
        ports = ["5000"]                          # http://127.0.0.1:5000; a guess: what it listens on
        health.tcp = true                         # better, where it has one: health.http = "/healthz"
        env.PORT = 5000
        env.DATABASE_URL = "${db.url}"            # also says: start db first

        [services.worker]
        extends = "web"
        command = "rq worker"

        [postgres.db]
        image = "postgis/postgis:17-3.5"
        extensions = ["postgis"]

        # This version of witwd does not run jobs yet. Until it does: witwd exec web alembic upgrade head
        # [jobs.migrate]
        # extends = "web"
        # command = "alembic upgrade head"
        ---
        .gitignore: .witwd/ volumes/backups/
        .dockerignore: .witwd/ volumes/backups/ .git/
        note: found Python, Procfile
        note: the app is told its database as DATABASE_URL; where it wants other names: ${db.host}, ${db.port}, ${db.user}, ${db.password}, ${db.database}
        note: migrations are yours to run for now: `witwd exec web alembic upgrade head`
        note: there is no Dockerfile yet, and `build = "."` needs one
    "##]],
    );
}

#[test]
fn nothing() {
    check(
        "empty",
        &[],
        &expect![[r##"
        #:schema ./.witwd/stack.schema.json
        name = "empty"

        # Nothing here was recognised. An app and its database look like this:
        #
        # [services.app]
        # build = "."
        # ports = ["8000"]
        # env.DATABASE_URL = "${db.url}"
        #
        # [postgres.db]
        # image = "postgres:17"
        ---
        .gitignore: .witwd/
        .dockerignore: 
        note: nothing here was recognised: the file holds an example, as comments
    "##]],
    );
}

#[test]
fn a_directory_whose_name_is_none_of_a_stack() {
    let files = [("Dockerfile", "FROM nginx\nEXPOSE 80\n")];
    check(
        "2024 — Größe!",
        &files,
        &expect![[r##"
        #:schema ./.witwd/stack.schema.json
        name = "gr-e"

        [services.app]
        build = "."
        ports = ["8080:80"]                       # http://127.0.0.1:8080
        health.tcp = true                         # better, where it has one: health.http = "/healthz"
        ---
        .gitignore: .witwd/
        .dockerignore: .witwd/ .git/
        note: "2024 — Größe!" is no name of a stack: it is called gr-e
        note: found Dockerfile
    "##]],
    );
}

#[test]
fn a_compose_file_with_a_postgres() {
    let files = [
        ("docker-compose.yml", include_str!("test_data/docker-compose.yml")),
        (".env", "SET=1\nPASSWORD=x\n"),
        ("sql/one.sql", "select 1;"),
        ("static/a", ""),
    ];
    expect_file!["test_data/docker-compose.txt"].assert_eq(&valid("shop", &files));
}

#[test]
fn a_small_compose_file_stays_small() {
    let files = [
        (
            "compose.yaml",
            r#"
services:
  app:
    build: .
    ports: ["8000:8000"]
    environment: [DATABASE_URL=postgresql://postgres:postgres@db/postgres]
    depends_on: [db]
  db:
    image: postgres
    environment: { POSTGRES_PASSWORD: postgres }
    volumes: ["data:/var/lib/postgresql/data"]
volumes:
  data:
"#,
        ),
        ("Dockerfile", "FROM scratch"),
    ];
    check(
        "shop",
        &files,
        &expect![[r##"
        #:schema ./.witwd/stack.schema.json
        name = "shop"

        [services.app]
        build = "."
        ports = ["8000"]
        env.DATABASE_URL = "${db.url}"

        [postgres.db]
        image = "postgres"
        volume = "db-data"                        # the image's tag does not say which major version it is
        database = "postgres"
        user = "postgres"
        ---
        .gitignore: .witwd/ volumes/backups/
        .dockerignore: .witwd/ volumes/backups/ .git/
        note: carried over from compose.yaml, which stays as it is
        note: db begins with an empty volume of its own: the data of the old one stays there; move it with pg_dump and `witwd psql`
        note: ports are published on 127.0.0.1; compose does on every address: write "0.0.0.0:80:80" where that is meant
    "##]],
    );
}

#[test]
fn what_variables_without_a_value_leave_open_is_ours_to_choose() {
    let compose = r#"
x-base: &base { image: "app:1", environment: { URL: "postgres://${USER}:${PASS}@db:5432/${NAME}", PASS: "${PASS}" } }
services:
  web: { <<: *base, command: serve }
  db: { image: "postgres:17", environment: { POSTGRES_USER: "${USER}", POSTGRES_PASSWORD: "${PASS}", POSTGRES_DB: "${NAME}" } }
"#;
    let text = valid("shop", &[("compose.yml", compose)]);
    assert!(
        text.contains("env.URL = \"${db.url}\"\n") && text.contains("\n[postgres.db]\nimage = \"postgres:17\"\n---"),
        "{text}"
    );
    let text = valid("shop", &[("compose.yml", compose), (".env", "USER=a\nexport PASS=b\nNAME=c\n# NO=1\n")]);
    assert!(text.contains("database = \"${env.NAME}\"\nuser = \"${env.USER}\"\npassword = \"${env.PASS}\"\n"), "{text}");
}

#[test]
fn names_of_the_engine_are_none_of_a_stack() {
    for (directory, expected) in [("host", "host-stack"), ("default", "default-stack"), ("日本", "stack"), ("--", "stack")] {
        let facts = Facts { directory: directory.to_owned(), ..Facts::default() };
        let text = propose(&facts, None).expect("a proposal").text;
        assert!(text.contains(&format!("name = \"{expected}\"\n")), "{text}");
    }
    let facts = Facts { directory: "shop".to_owned(), ..Facts::default() };
    assert!(propose(&facts, Some("other")).expect("a proposal").text.contains("name = \"other\"\n"));
}

#[test]
fn a_compose_file_that_is_none_is_named() {
    let (_above, directory) = directory("shop", &[("compose.yml", "services: [")]);
    let error = propose(&Facts::of(&directory).expect("facts"), None).expect_err("no proposal");
    assert!(error.starts_with("failed to read compose.yml: "), "{error}");
}

#[test]
fn variables_of_compose_are_ours() {
    let known = ["SET"].into();
    for (theirs, ours) in [
        ("${SET}/$SET", "${env.SET}/${env.SET}"),
        ("$OPEN-${OPEN}", "${env.OPEN:-}-${env.OPEN:-}"),
        ("${A:-b}${A-${SET}}", "${env.A:-b}${env.A:-${env.SET}}"),
        ("${A:?say A}${A?say A}", "${env.A:?say A}${env.A:?say A}"),
        ("$$HOME $${HOME} 5$ $1", "$HOME $${HOME} 5$ ${env.1:-}"),
        ("${open", "${open"),
        ("größer $SETé", "größer ${env.SET}é"),
    ] {
        assert_eq!(interpolated(theirs, &known), ours, "{theirs}");
    }
}

#[test]
fn lines_are_added_where_they_are_missing_and_nothing_else_changes() {
    let lines = [".witwd/", ".env"];
    for (before, added) in [
        ("", ".witwd/\n.env\n"),
        ("*.log\n", ".witwd/\n.env\n"),
        ("*.log", "\n.witwd/\n.env\n"),
        ("*.log\r\n/.witwd\r\n", ".env\r\n"),
        (".witwd\n.env", ""),
    ] {
        assert_eq!(missing(before.as_bytes(), &lines), added, "{before:?}");
    }
    let (_above, directory) = directory("shop", &[]);
    let path = directory.join(".gitignore");
    std::fs::write(&path, b"caf\xe9\n").expect("a file");
    for _ in 0..2 {
        append_missing(&path, &lines).expect("it is written");
        assert_eq!(std::fs::read(&path).expect("a file"), b"caf\xe9\n.witwd/\n.env\n");
    }
}
