//! Facts -> what `init` would write, and what it has to say. Pure.

use super::compose;
use super::facts::Facts;
use super::recognise::{App, Framework, recognise};
use super::text::{Section, file, host_name};
use crate::model::name::StackName;

/// What editors complete and check the file with; every run leaves it there.
const SCHEMA: &str = "#:schema ./.witwd/stack.schema.json\n";
/// The name where the directory's gives none.
const NAMELESS: &str = "stack";

/// What `init` would write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    /// The text of stack.toml.
    pub text: String,
    /// Lines that belong into `.gitignore`.
    pub gitignore: Vec<&'static str>,
    /// Lines that belong into `.dockerignore`; none where nothing here is built.
    pub dockerignore: Vec<&'static str>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Tables and what is to be said of them.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The name that is asked for.
    pub name: Option<String>,
    /// The lines on top, below the name.
    pub top: Section,
    /// The tables.
    pub sections: Vec<Section>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Whether an image is built from this directory.
    pub builds: bool,
    /// Whether there is a Postgres.
    pub has_postgres: bool,
}

/// What would be written for these facts, under `name` where one was given; the error says why a
/// compose file can't be read.
pub(super) fn propose(facts: &Facts, name: Option<&str>) -> Result<Proposal, String> {
    let compose = facts.compose().map(|(file, text)| compose::read(facts, file, text)).transpose()?;
    let draft = match (compose, recognise(facts)) {
        (Some(draft), _) => draft,
        (None, Some(app)) => of_app(facts, &app),
        (None, None) => of_nothing(),
    };
    let wanted = name.or(draft.name.as_deref()).unwrap_or(&facts.directory);
    let (stack, renamed) = stack_name(wanted);
    let mut top = Section::default();
    top.set("name", stack.as_str());
    let mut notes: Vec<String> =
        renamed.then(|| format!("{wanted:?} is no name of a stack: it is called {stack}")).into_iter().collect();
    notes.extend(draft.notes);
    let head = top.text() + &draft.top.text();
    let text = format!("{SCHEMA}{head}\n{}", file(&draft.sections));
    let dockerignore = if draft.builds { dockerignore(facts, draft.has_postgres) } else { Vec::new() };
    Ok(Proposal { text, gitignore: gitignore(facts, draft.has_postgres), dockerignore, notes })
}

/// A name by the rules, and whether it is another than was wanted.
fn stack_name(wanted: &str) -> (String, bool) {
    let near = host_name(wanted).unwrap_or_else(|| NAMELESS.to_owned());
    let name = if near.parse::<StackName>().is_ok() { near } else { format!("{near}-stack") };
    let renamed = name != wanted;
    (name, renamed)
}

fn gitignore(facts: &Facts, has_postgres: bool) -> Vec<&'static str> {
    let mut lines = vec![".witwd/"];
    lines.extend(has_postgres.then_some("volumes/backups/"));
    lines.extend(facts.has(".env").then_some(".env"));
    lines
}

fn dockerignore(facts: &Facts, has_postgres: bool) -> Vec<&'static str> {
    let mut lines = gitignore(facts, has_postgres);
    if facts.has(".dockerignore") {
        return lines;
    }
    // Into a file that somebody wrote nothing is put that an image might need.
    lines.push(".git/");
    for (mark, directory) in [("package.json", "node_modules/"), ("Cargo.toml", "target/"), ("manage.py", "__pycache__/")] {
        lines.extend(facts.has(mark).then_some(directory));
    }
    lines
}

fn of_nothing() -> Draft {
    let mut example = Section::default();
    example.say(
        "Nothing here was recognised. An app and its database look like this:\n\n[services.app]\nbuild = \".\"\nports = [\"8000\"]\n\
         env.DATABASE_URL = \"${db.url}\"\n\n[postgres.db]\nimage = \"postgres:17\"",
    );
    let notes = vec!["nothing here was recognised: the file holds an example, as comments".to_owned()];
    Draft { sections: vec![example], notes, ..Draft::default() }
}

fn of_app(facts: &Facts, app: &App) -> Draft {
    let name = if facts.text("Procfile").lines().any(|line| line.starts_with("web:")) { "web" } else { "app" };
    let mut draft = Draft { builds: true, has_postgres: app.postgres.is_some(), ..Draft::default() };
    draft.notes.push(format!("found {}", found(facts, app)));
    draft.sections.push(service(facts, app, name));
    for (worker, command) in &app.workers {
        let Some(title) = host_name(worker).filter(|worker| !taken(name, worker)) else { continue };
        let mut section = Section::new(format!("services.{title}"));
        section.set("extends", name);
        section.set("command", words(command));
        draft.sections.push(section);
    }
    if app.redis {
        let mut redis = Section::new("services.redis");
        redis.set("image", "redis:7");
        redis.set("port", 6379);
        redis.set("health.tcp", true);
        draft.sections.push(redis);
        draft.notes.push("redis has no volume: what it holds is lost when it is recreated".to_owned());
    }
    if let Some(image) = app.postgres {
        draft.sections.push(postgres(image));
        let note = "the app is told its database as DATABASE_URL; where it wants other names: ${db.host}, ${db.port}, ${db.user}, \
                    ${db.password}, ${db.database}";
        draft.notes.push(note.to_owned());
    }
    if let Some(command) = &app.migrate {
        draft.sections.push(migrate(name, command));
        draft.notes.push(format!("migrations are yours to run for now: `witwd exec {name} {command}`"));
    }
    if app.dockerfile.is_none() {
        draft.notes.push("there is no Dockerfile yet, and `build = \".\"` needs one".to_owned());
    }
    if facts.has("config/credentials.yml.enc") {
        draft.notes.push("put RAILS_MASTER_KEY (from config/master.key) into .env".to_owned());
    }
    draft
}

fn taken(name: &str, other: &str) -> bool {
    other == name || ["db", "redis"].contains(&other) || other.parse::<crate::model::name::WorkloadName>().is_err()
}

fn found(facts: &Facts, app: &App) -> String {
    let mut found: Vec<&str> = app.framework.map(Framework::name).into_iter().collect();
    found.extend(["Dockerfile", "Procfile"].into_iter().filter(|name| facts.has(name)));
    found.join(", ")
}

fn service(facts: &Facts, app: &App, name: &str) -> Section {
    let mut section = Section::new(format!("services.{name}"));
    match app.dockerfile {
        Some(_) => section.set("build", "."),
        None => section.set_with("build", ".", "needs a Dockerfile: there is none yet"),
    }
    if let Some(command) = &app.command {
        section.set("command", words(command));
    }
    listen(&mut section, app);
    if facts.has(".env") {
        section.set("env_files", toml::Value::try_from([EnvFile { path: ".env", optional: true }]).unwrap_or(".env".into()));
    }
    if let Some(port) = app.port.filter(|_| app.command.as_ref().is_some_and(|command| command.contains("PORT"))) {
        section.set("env.PORT", i64::from(port));
    }
    if app.postgres.is_some() {
        section.set_with("env.DATABASE_URL", "${db.url}", "also says: start db first");
    }
    if app.redis {
        section.set("env.REDIS_URL", "redis://redis:6379/0");
        section.set("depends_on", vec!["redis"]);
    }
    if facts.has("config/credentials.yml.enc") {
        section.set("env.RAILS_MASTER_KEY", "${env.RAILS_MASTER_KEY:-}");
    }
    section
}

#[derive(serde::Serialize)]
struct EnvFile {
    path: &'static str,
    optional: bool,
}

/// Where it listens, and how it is asked whether it is well.
fn listen(section: &mut Section, app: &App) {
    let Some(port) = app.port else {
        section.say("ports = [\"8000\"]: what it listens on, to be published on 127.0.0.1");
        return;
    };
    // Below 1024 a user's own programs often can't listen.
    let host = if port < 1024 { 8000 + port % 1000 } else { port };
    let published = if host == port { port.to_string() } else { format!("{host}:{port}") };
    let is_said = app.dockerfile.as_ref().is_some_and(|dockerfile| dockerfile.port == Some(port));
    let whence = if is_said { String::new() } else { "; a guess: what it listens on".to_owned() };
    section.set_with("ports", vec![published], &format!("http://127.0.0.1:{host}{whence}"));
    match app.health {
        Some(path) => section.set("health.http", path),
        None if app.dockerfile.as_ref().is_some_and(|dockerfile| dockerfile.has_health) => {}
        None => section.set_with("health.tcp", true, "better, where it has one: health.http = \"/healthz\""),
    }
}

fn postgres(image: &str) -> Section {
    let mut section = Section::new("postgres.db");
    section.set("image", image);
    let extension = match image.split_once('/') {
        Some(("postgis", _)) => Some("postgis"),
        Some(("pgvector", _)) => Some("vector"),
        _ => None,
    };
    if let Some(extension) = extension {
        section.set("extensions", vec![extension]);
    }
    section
}

/// The job that brings a database up to date, as a comment: this version reads jobs and runs none, and
/// what depends on one would wait for ever.
fn migrate(service: &str, command: &str) -> Section {
    let mut section = Section::default();
    section.say(&format!(
        "This version of witwd does not run jobs yet. Until it does: witwd exec {service} {command}\n\
         [jobs.migrate]\nextends = \"{service}\"\ncommand = {}",
        words(command)
    ));
    section
}

/// A command as our file says it: no shell is run unless it needs one, and `${` is a reference of ours.
fn words(command: &str) -> toml::Value {
    let literal = command.replace("${", "$${");
    if command.contains(['$', '&', '|', ';', '<', '>', '`', '*']) {
        return toml::Value::from(vec!["sh".to_owned(), "-c".to_owned(), literal]);
    }
    toml::Value::from(literal)
}
