//! What references can mean: every postgres, service, job and secret of the file, known before the
//! file is read in earnest.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::model::name::{SqlName, WorkloadName};
use crate::model::template::{Part, Template};
use crate::model::tls::{TlsWish, decode};

use super::suggest::{did_you_mean, list};
use super::values::{Mistake, mistake};

/// The names of a stack.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    /// Each postgres with what is known of it.
    pub postgres: BTreeMap<String, Facts>,
    /// Each service with its port.
    pub services: BTreeMap<String, Option<u16>>,
    /// The jobs.
    pub jobs: BTreeSet<String>,
    /// The secrets.
    pub secrets: BTreeSet<String>,
}

/// What is known of a postgres.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The app's database.
    pub database: String,
    /// The app's role.
    pub user: String,
    /// More databases.
    pub databases: Vec<String>,
    /// More roles.
    pub roles: Vec<String>,
    /// The server elsewhere; a message where its address can't be used.
    pub external: Option<Result<Address, Mistake>>,
}

/// Where a server is, in the form in which it stands in an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    user: Template,
    password: Option<Template>,
    host: String,
    port: u16,
    query: String,
    /// The database that the address names.
    pub database: Option<String>,
    /// The role that the address names, decoded.
    pub user_name: Option<String>,
    password_value: Option<Template>,
}

const FIELDS: [&str; 6] = ["url", "host", "port", "user", "password", "database"];

impl Facts {
    /// The value of `${NAME.rest}`.
    pub fn field(&self, name: &str, rest: &str) -> Result<Template, Mistake> {
        let (user, database, field) = match rest.split('.').collect::<Vec<_>>().as_slice() {
            ["databases", database, field] => {
                known("database", database, &self.databases, &self.database)?;
                (None, Some(*database), *field)
            }
            ["roles", role, field] => {
                known("role", role, &self.roles, &self.user)?;
                (Some(*role), None, *field)
            }
            [field] => (None, None, *field),
            _ => (None, None, rest),
        };
        if !FIELDS.contains(&field) {
            let all = format!("it has {}, and `databases.NAME.url`, `roles.NAME.url`", list(FIELDS));
            return mistake(format!("a postgres has no `{field}`"), did_you_mean(field, FIELDS, &all));
        }
        let address = self.address(name, user, database)?;
        address.field(name, field)
    }

    /// A password that stands in the address in clear.
    pub fn password_in_clear(&self) -> Vec<String> {
        let Some(Ok(address)) = &self.external else { return Vec::new() };
        let forms = [&address.password, &address.password_value];
        forms.into_iter().flatten().filter_map(|form| form.as_text()).filter(|text| !text.is_empty()).map(str::to_owned).collect()
    }

    fn address(&self, name: &str, user: Option<&str>, database: Option<&str>) -> Result<Address, Mistake> {
        let mut address = match &self.external {
            Some(external) => external.clone()?,
            None => Address {
                user: Template::text(self.user.as_str()),
                password: password(name, &self.user),
                password_value: password(name, &self.user),
                host: name.to_owned(),
                port: 5432,
                query: String::new(),
                database: None,
                user_name: None,
            },
        };
        if let Some(user) = user {
            address.user = Template::text(user);
            address.user_name = Some(user.to_owned());
            address.password = password(name, user);
            address.password_value.clone_from(&address.password);
        }
        let own = address.database.take().unwrap_or_else(|| self.database.clone());
        address.database = Some(database.map_or(own, str::to_owned));
        Ok(address)
    }
}

fn known(what: &str, wanted: &str, more: &[String], own: &str) -> Result<(), Mistake> {
    if wanted == own || more.iter().any(|name| name == wanted) {
        return Ok(());
    }
    let hint =
        did_you_mean(wanted, more.iter().map(String::as_str).chain([own]), &format!("add it to the {what}s of this postgres"));
    mistake(format!("this postgres has no {what} `{wanted}`"), hint)
}

fn password(postgres: &str, role: &str) -> Option<Template> {
    let (postgres, role) = (postgres.parse::<WorkloadName>().ok()?, role.parse::<SqlName>().ok()?);
    Some(Template::new([Part::Password { postgres, role }]))
}

impl Address {
    /// Reads `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, where user and password may have holes.
    pub fn parse(url: &Template) -> Result<Self, Mistake> {
        let holes: Vec<&Part> = url.holes().collect();
        let mut count = 0_usize;
        let text: String = url
            .parts()
            .iter()
            .map(|part| {
                if let Part::Text(text) = part {
                    text.clone()
                } else {
                    count += 1;
                    format!("{MARK}{}{MARK}", count - 1)
                }
            })
            .collect();
        let fill = |text: &str| refill(text, &holes);
        let parsed = match Url::parse(&text) {
            Ok(parsed) if matches!(parsed.scheme(), "postgres" | "postgresql") => parsed,
            _ => {
                return mistake(
                    "this is not the address of a postgres",
                    "write `postgresql://USER:PASSWORD@HOST:5432/DATABASE`; user and password may be `${secret.NAME}`",
                );
            }
        };
        let host = parsed.host_str().unwrap_or_default();
        let query = parsed.query().map(|query| format!("?{query}")).unwrap_or_default();
        if host.is_empty() || [host, parsed.path(), query.as_str()].iter().any(|part| part.contains(MARK)) {
            return mistake(
                "the host and database of this address can't be read here",
                "write them out, or take them from `${env.NAME}`; only user and password may be secrets",
            );
        }
        if let Err(error) = TlsWish::split(&text) {
            return mistake(error.to_string(), "mend what follows the `?` of `url`: for example `?sslmode=require`");
        }
        let database = decode(parsed.path().trim_start_matches('/'));
        let user = (!parsed.username().is_empty()).then(|| parsed.username());
        Ok(Self {
            user: fill(user.unwrap_or("postgres")),
            user_name: user.filter(|user| !user.contains(MARK)).map(decode),
            password: parsed.password().map(fill),
            password_value: parsed.password().map(decode).map(|text| fill(&text)),
            host: if is_here(host) { "host.docker.internal".to_owned() } else { host.to_owned() },
            port: parsed.port().unwrap_or(5432),
            query,
            database: (!database.is_empty()).then_some(database),
        })
    }

    fn field(&self, name: &str, field: &str) -> Result<Template, Mistake> {
        let database = self.database.clone().unwrap_or_default();
        Ok(match field {
            "host" => Template::text(self.host.as_str()),
            "port" => Template::text(self.port.to_string()),
            "user" => self.user_name.as_deref().map_or_else(|| self.user.clone(), Template::text),
            "database" => Template::text(database),
            "password" => match &self.password_value {
                Some(password) => password.clone(),
                None => {
                    return mistake(
                        format!("the `url` of postgres.{name} has no password"),
                        "put it there: `postgresql://USER:PASSWORD@HOST/DATABASE`",
                    );
                }
            },
            _ => {
                let mut parts = vec![Part::Text("postgresql://".to_owned())];
                parts.extend(self.user.parts().iter().cloned());
                if let Some(password) = &self.password {
                    parts.push(Part::Text(":".to_owned()));
                    parts.extend(password.parts().iter().cloned());
                }
                parts.push(Part::Text(format!("@{}:{}/{database}{}", self.host, self.port, self.query)));
                Template::new(parts)
            }
        })
    }
}

/// Stands around the number of a hole while an address is taken apart.
const MARK: &str = "Q9Xwitwd7Z";

fn refill(text: &str, holes: &[&Part]) -> Template {
    let mut parts = Vec::new();
    for (at, piece) in text.split(MARK).enumerate() {
        match piece.parse::<usize>().ok().and_then(|number| holes.get(number)) {
            Some(hole) if at % 2 == 1 => parts.push((*hole).clone()),
            _ => parts.push(Part::Text(piece.to_owned())),
        }
    }
    Template::new(parts)
}

/// Whether a host means this machine, which a container can't reach by that name.
fn is_here(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
