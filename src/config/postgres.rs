//! `[postgres.NAME]`, without its backups.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::hash::SpecHash;
use crate::model::image::{ImageOrigin, ImageSource, PullPolicy};
use crate::model::name::{SqlName, VolumeName};
use crate::model::postgres::{Postgres, Role};
use crate::model::probe::{Check, Probe, Probes};
use crate::model::workload::{Kind, Workload};

use super::backup::backup;
use super::catalog::{Address, Facts};
use super::container::common;
use super::definition::{Shape, definition};
use super::draft::{Draft, Owner, dependencies, is_active};
use super::image::image;
use super::not_yet;
use super::ports::ports;
use super::postgres_container;
use super::reader::Reader;
use super::renamed::old_volume;
use super::suggest::did_you_mean;
use super::values::{Mistake, named};

/// How long a fast shutdown may take.
const GRACE: Duration = Duration::from_secs(90);

/// The image whose psql and `pg_dump` are used for a server elsewhere.
const CLIENT_IMAGE: &str = "postgres:17";

/// Reads a postgres.
pub(super) fn postgres(reader: Reader<'_>, owner: &Owner<'_>) -> Option<Draft> {
    let active = is_active(&reader, owner.profiles);
    reader.cx.scope.dormant.set(!active);
    let image = server_image(&reader, owner);
    let mut container = common(&reader, "postgres");
    container.stop_grace = reader.duration_or_zero("stop_grace").unwrap_or(GRACE);
    let ports = ports(&reader);
    container.ports = ports.iter().map(|(port, _)| port.clone()).collect();
    refuse_own_names(&reader);
    if container.secrets.iter().any(|secret| secret.as_str() == "postgres_password") {
        reader.error(
            reader.value_place("secrets"),
            "`postgres_password` is the file of witwd's own password",
            "give the secret another name",
        );
    }
    let postgres = server(&reader, owner, image.as_ref());
    let old_volume = old_volume(&reader, owner, postgres.as_ref());
    let depends = dependencies(&reader, owner);
    let (Some(image), Some(postgres)) = (image, postgres) else {
        reader.finish();
        return None;
    };
    let definition = definition(&reader, &Shape { container: &container, image: &image, inputs: None });
    postgres_container::complete(&mut container, &postgres);
    let left_out = if postgres.is_external() { not_yet::left_out(&reader) } else { Vec::new() };
    reader.finish();
    let workload = Workload {
        name: owner.name.clone(),
        kind: Kind::Postgres(Box::new(postgres)),
        image,
        container,
        dependencies: Vec::new(),
        spec: SpecHash::of(&definition),
    };
    Some(Draft { workload, place: owner.place, active, depends, ports, definition, old_volume, left_out })
}

/// The address of a server elsewhere; an empty one (`${env.DATABASE_URL:-}`) is none.
fn url(reader: &Reader<'_>) -> Option<crate::model::template::Template> {
    reader.template("url").filter(|url| url.as_text().is_none_or(|text| !text.trim().is_empty()))
}

fn server_image(reader: &Reader<'_>, owner: &Owner<'_>) -> Option<ImageSource> {
    let image = image(reader, owner);
    if image.is_some() || reader.has("image") || reader.has("build") {
        return image;
    }
    if url(reader).is_some() {
        let origin = ImageOrigin::Pull { policy: PullPolicy::Missing, fallback: None };
        return Some(ImageSource { reference: CLIENT_IMAGE.to_owned(), origin, platform: None });
    }
    reader.error(
        owner.place,
        format!("`{}` has no image", reader.path),
        "give it `image = \"postgres:17\"`, or `url` for a server elsewhere",
    );
    None
}

/// How long a server may be silent before its first answer. While a new data directory is made, and
/// while files of `/docker-entrypoint-initdb.d` run, it does not listen on TCP at all.
const FIRST_ANSWER: Duration = Duration::from_secs(600);

fn server(reader: &Reader<'_>, owner: &Owner<'_>, image: Option<&ImageSource>) -> Option<Postgres> {
    let facts = facts(reader, owner.data_name.as_str());
    let url = url(reader);
    if let Some(Err(mistake)) = facts.external.clone() {
        reader.report::<()>(reader.value_place("url"), Err(mistake));
    }
    let major = image.and_then(|image| crate::model::postgres::major_of(&image.reference));
    let interval = Probe { start_period: FIRST_ANSWER, ..Probe::new(Check::Postgres, Some(5432)) };
    let database = sql_name(reader, "database", &facts.database);
    let user = sql_name(reader, "user", &facts.user).or_else(|| owner_role(&facts));
    let volume = volume(reader, owner, major, url.is_some());
    let mut postgres = Postgres {
        database: stand_in()?,
        user: stand_in()?,
        password: password(reader),
        databases: databases(reader, &facts),
        roles: roles(reader, &facts),
        volume: "none".parse().ok()?,
        major,
        extensions: extensions(reader),
        init: init(reader),
        settings: settings(reader),
        probes: Probes::both(interval),
        backup: backup(reader, owner, url.is_some()),
        url,
    };
    // Only now: what is wrong with these must not hide what is wrong with the rest.
    (postgres.database, postgres.user, postgres.volume) = (database?, user?, volume?);
    Some(postgres)
}

fn stand_in() -> Option<SqlName> {
    "postgres".parse().ok()
}

/// Database, role, more databases, more roles and the address: what references need.
pub(super) fn facts(reader: &Reader<'_>, stack: &str) -> Facts {
    let default = stack.replace('-', "_");
    let external = url(reader).map(|url| Address::parse(&url));
    let address = external.as_ref().and_then(|external| external.as_ref().ok());
    let from_url = |pick: fn(&Address) -> Option<String>| address.and_then(pick);
    let (database, user) = (reader.filled("database"), reader.filled("user"));
    Facts {
        database: from_url(|address| address.database.clone()).or(database).unwrap_or_else(|| default.clone()),
        user: from_url(|address| address.user_name.clone()).or(user).unwrap_or(default),
        databases: reader.list("databases").into_iter().map(|(name, _)| name).collect(),
        roles: reader.entries("roles", ROLES_HINT).into_iter().map(|(name, _)| name.to_owned()).collect(),
        external,
    }
}

/// A server elsewhere may have roles whose names witwd would not make; then its own name stands in.
fn owner_role(facts: &Facts) -> Option<SqlName> {
    facts.external.as_ref().and_then(|_| stand_in())
}

fn sql_name(reader: &Reader<'_>, key: &'static str, text: &str) -> Option<SqlName> {
    if url(reader).is_some() && !reader.has(key) {
        return text.parse().ok();
    }
    reader.report(reader.value_place(key), named(text))
}

fn password(reader: &Reader<'_>) -> Option<crate::model::template::Template> {
    let password = reader.template("password")?;
    if password.as_text() == Some("") {
        reader.error(
            reader.value_place("password"),
            format!("`{}` is empty", reader.name("password")),
            "leave it out: witwd makes one",
        );
    }
    Some(password)
}

fn databases(reader: &Reader<'_>, facts: &Facts) -> Vec<SqlName> {
    let mut names: Vec<SqlName> = Vec::new();
    for (text, place) in reader.list("databases") {
        match named::<SqlName>(&text) {
            Err(Mistake { message, hint }) => reader.error(place, message, hint),
            Ok(name) if names.contains(&name) || text == facts.database => {
                reader.error(
                    place,
                    format!("the database `{text}` is there already"),
                    "`databases` names more databases, beside `database`",
                );
            }
            Ok(name) => names.push(name),
        }
    }
    names
}

fn roles(reader: &Reader<'_>, facts: &Facts) -> BTreeMap<SqlName, Role> {
    let mut roles = BTreeMap::new();
    for (name, entry) in reader.entries("roles", ROLES_HINT) {
        if name.starts_with("x-") {
            continue;
        }
        let inner = Reader::new(reader.cx, "role", format!("{}.{name}", reader.name("roles")), &entry.node);
        let role = Role {
            password: password(&inner),
            superuser: inner.flag("superuser").unwrap_or(false),
            createdb: inner.flag("createdb").unwrap_or(false),
            grant: grants(&inner),
        };
        inner.finish();
        match named::<SqlName>(name) {
            Err(Mistake { message, hint }) => reader.error(entry.key, message, hint),
            Ok(_) if name == facts.user => {
                reader.error(entry.key, format!("`{name}` is the `user` of this postgres already"), "give the role another name");
            }
            Ok(_) if name == "postgres" => {
                reader.error(entry.key, "`postgres` is witwd's own superuser", "give the role another name");
            }
            Ok(_) if name.starts_with("pg_") => reader.error(
                entry.key,
                format!("{name:?} is not a name of a role: Postgres keeps `pg_` for itself"),
                "give the role another name",
            ),
            Ok(name) => {
                roles.insert(name, role);
            }
        }
    }
    roles
}

const ROLES_HINT: &str = "write `roles.NAME = { grant = [\"pg_read_all_data\"] }`";

fn grants(reader: &Reader<'_>) -> Vec<String> {
    let grants = reader.list("grant");
    for (text, place) in &grants {
        if let Err(error) = text.parse::<SqlName>() {
            reader.error(*place, error.to_string(), "`grant` names roles, not privileges: `grant = [\"pg_read_all_data\"]`");
        }
    }
    grants.into_iter().map(|(text, _)| text).collect()
}

fn volume(reader: &Reader<'_>, owner: &Owner<'_>, major: Option<u32>, external: bool) -> Option<VolumeName> {
    if let Some(text) = reader.filled("volume") {
        if text.contains([':', '/']) {
            reader.error(
                reader.value_place("volume"),
                "`volume` is the name of a volume, witwd knows where it belongs",
                format!("write `volume = \"{}\"`", text.split([':', '/']).find(|part| !part.is_empty()).unwrap_or("data")),
            );
            return None;
        }
        return reader.report(reader.value_place("volume"), named(&text));
    }
    match major {
        Some(major) => format!("{}-{major}", owner.name).parse().ok(),
        None if external => format!("{}-none", owner.name).parse().ok(),
        None if !reader.has("image") && !reader.has("build") => None,
        None => {
            let place = reader.key_place(if reader.has("image") { "image" } else { "build" });
            reader.error(
                place,
                format!("the major version of Postgres can't be read from the image of `{}`", reader.path),
                format!(
                    "use a tag that begins with it (`postgres:17`), or name the data's volume: `volume = \"{}-17\"`",
                    owner.name
                ),
            );
            None
        }
    }
}

fn extensions(reader: &Reader<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for (text, place) in reader.list("extensions") {
        let body = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        // A longer one is cut by the server, and then means another.
        if !body || text.starts_with('-') || !(1..=63).contains(&text.len()) {
            reader.error(place, format!("{text:?} is not a name of an extension"), "write its name: \"postgis\", \"pg_trgm\"");
        } else if text == "pgvector" {
            reader.error(place, "the extension of pgvector is called `vector`", "write \"vector\"");
        } else if !names.contains(&text) {
            names.push(text);
        }
    }
    names
}

fn init(reader: &Reader<'_>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (pattern, place) in reader.list("init") {
        let base = reader.cx.path(place, ".");
        let found = reader.cx.files.matching(&base, &pattern).unwrap_or_default();
        if found.is_empty() {
            reader.error(place, format!("there is no file {pattern}"), "`init` names SQL files: \"volumes/init/*.sql\"");
        }
        for file in found.iter().filter(|file| file.extension().is_none_or(|end| end != "sql")) {
            let hint = "only SQL is run here; what a script does belongs into a job";
            reader.error(place, format!("{} is not an SQL file", file.file_name().unwrap_or_default().to_string_lossy()), hint);
        }
        files.extend(found);
    }
    files
}

/// Settings that witwd itself decides, with what to write instead.
const OWN_SETTINGS: [(&str, &str); 4] = [
    ("port", "it is 5432; `ports = [\"15432:5432\"]` publishes it elsewhere"),
    ("data_directory", "`volume` names the volume that holds the data"),
    ("listen_addresses", "who reaches the server is said by `ports`"),
    ("unix_socket_directories", "witwd and the image use the socket in /var/run/postgresql"),
];

fn settings(reader: &Reader<'_>) -> BTreeMap<String, String> {
    let settings = reader.strings("settings");
    for (name, entry) in reader.entries("settings", "write `settings = { max_connections = 50 }`") {
        if let Some((_, hint)) = OWN_SETTINGS.iter().find(|(own, _)| *own == name) {
            reader.error(entry.key, format!("`{}.{name}` is witwd's to set", reader.name("settings")), *hint);
        } else if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte)) {
            reader.error(
                entry.key,
                format!("{name:?} is not a name of a setting"),
                did_you_mean(name, ["shared_buffers", "max_connections"], "a name has letters, digits, _ and . in it"),
            );
        }
    }
    settings
}

/// Variables of the image that witwd sets, with the key that says the same.
const OWN_VARIABLES: [(&str, &str); 7] = [
    ("POSTGRES_PASSWORD", "leave it out: a password is made, `password` gives one"),
    ("POSTGRES_PASSWORD_FILE", "leave it out: a password is made, `password` gives one"),
    ("POSTGRES_USER", "here it is `user`"),
    ("POSTGRES_USER_FILE", "here it is `user`"),
    ("POSTGRES_DB", "here it is `database`"),
    ("POSTGRES_DB_FILE", "here it is `database`"),
    ("PGDATA", "`volume` names the volume that holds the data"),
];

/// Reports what would take the server out of witwd's hands.
fn refuse_own_names(reader: &Reader<'_>) {
    for (name, entry) in reader.entries("env", "write `env = { NAME = \"value\" }`") {
        if let Some((_, hint)) = OWN_VARIABLES.iter().find(|(own, _)| *own == name) {
            reader.error(entry.key, format!("`{}.{name}` is witwd's to set", reader.name("env")), *hint);
        }
    }
    for item in reader.items("volumes") {
        let super::node::Value::Text(text) = &item.value else { continue };
        let target = text.split(':').nth(1).unwrap_or_default().trim_end_matches('/');
        if target == "/var/lib/postgresql/data" || target == "/var/lib/postgresql" {
            let name = text.split(':').next().unwrap_or_default();
            reader.error(
                item.place,
                "the data directory has a volume of its own",
                format!("leave it out; to choose its name: `volume = {name:?}`"),
            );
        }
    }
}
