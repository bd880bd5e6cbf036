//! Passwords of Postgres roles: what the file gives, else one made once and kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::SUPERUSER;
use super::store::Store;
use crate::engine::request::FileToPut;
use crate::host::{Disk, DiskError, Rng, letters_and_digits};
use crate::model::hash::{Fingerprint, hex};
use crate::model::name::{SqlName, WorkloadName};
use crate::model::postgres::Postgres;
use crate::model::stack::Stack;
use crate::model::template::{Part, Template};
use crate::model::tls::TlsWish;
use crate::model::workload::Workload;

/// Length of a generated password: 190 bits in letters and digits.
const LENGTH: usize = 32;
/// The user that the official image runs the server as, and its group.
const SERVER_UID: u32 = 999;
/// The file that `POSTGRES_PASSWORD_FILE` names, below `/run/secrets`.
const PASSWORD_FILE: &str = "postgres_password";
/// A password may be given by another one; a circle of them gives none.
const DEEPEST: u32 = 4;

/// A failed operation on passwords.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// A new password is not used before it is kept.
    #[error("failed to keep a generated password")]
    Keep(#[source] DiskError),
}

/// How the app gets into a Postgres.
#[derive(Debug, Clone)]
pub struct Access {
    /// The address of an external server, filled in; `None`: a container of ours.
    pub url: Option<SecretString>,
    /// The database.
    pub database: SqlName,
    /// The role.
    pub user: SqlName,
    /// Its password, where one is known.
    pub password: Option<SecretString>,
    /// The stack's directory, for paths in `url`.
    pub directory: PathBuf,
}

/// Makes, keeps and fills in passwords. Shared by all who need one; no password is in its `Debug`.
pub struct Passwords {
    disk: Arc<dyn Disk>,
    rng: Arc<dyn Rng>,
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    store: Store,
    servers: BTreeMap<WorkloadName, Postgres>,
    directory: PathBuf,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Passwords").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Passwords {
    /// Opens the store at `path`, or begins one. A file that can't be used is moved aside and told of; its
    /// copy is used. Where that can't be used either, new passwords are safe, for provisioning sets them anew
    /// through the server's local socket.
    pub fn open(disk: Arc<dyn Disk>, rng: Arc<dyn Rng>, path: PathBuf) -> (Self, Option<String>) {
        let (found, damage) = Store::load(disk.as_ref(), &path);
        let is_kept = found.is_some() && damage.is_none();
        let store = found.unwrap_or_else(|| Store::new(rng.as_ref()));
        // A store that can't be written is told of now, not at the first password.
        let unwritten = (!is_kept).then(|| store.save(disk.as_ref(), &path).err()).flatten();
        let unwritten = unwritten.map(|error| format!("{error}: {}", error.source));
        let inner = Mutex::new(Inner { store, servers: BTreeMap::new(), directory: PathBuf::new() });
        (Self { disk, rng, path, inner }, damage.or(unwritten))
    }

    /// Whether a password was ever made for this server.
    pub fn knows(&self, postgres: &WorkloadName) -> bool {
        self.inner().store.password(&key(postgres, SUPERUSER)).is_some()
    }

    /// The store for who only looks: nothing is written, and a password that was never made, or that
    /// can't be read, is not known.
    pub fn look(disk: Arc<dyn Disk>, rng: Arc<dyn Rng>, path: PathBuf, stack: &Stack) -> Self {
        let store = Store::look(disk.as_ref(), &path).unwrap_or_else(|| Store::new(rng.as_ref()));
        let inner = Mutex::new(Inner { store, servers: servers(stack), directory: stack.directory().to_owned() });
        Self { disk, rng, path, inner }
    }

    /// Knows the servers of this stack from now on, and makes and keeps the passwords they lack. To
    /// be called before anything of the stack is created.
    pub fn ensure(&self, stack: &Stack) -> Result<(), PasswordsError> {
        let servers = servers(stack);
        let mut inner = self.inner();
        let missing: Vec<String> = servers
            .iter()
            .flat_map(|(name, postgres)| generated_roles(postgres).into_iter().map(move |role| key(name, role)))
            .filter(|key| inner.store.password(key).is_none())
            .collect();
        if !missing.is_empty() {
            // Nobody sees a password before it is kept.
            let mut store = inner.store.clone();
            for key in missing {
                store.keep(key, SecretString::from(letters_and_digits(self.rng.as_ref(), LENGTH)));
            }
            store.save(self.disk.as_ref(), &self.path).map_err(PasswordsError::Keep)?;
            inner.store = store;
        }
        inner.servers = servers;
        stack.directory().clone_into(&mut inner.directory);
        Ok(())
    }

    /// The password of a role: what the file gives, else the one that was made. `None` where the
    /// file gives one that can't be filled in, and for roles and servers that nobody declared.
    pub fn get(&self, postgres: &WorkloadName, role: &SqlName) -> Option<SecretString> {
        self.inner().password(postgres, role.as_str(), DEEPEST)
    }

    /// The password of witwd's own superuser.
    pub fn superuser(&self, postgres: &WorkloadName) -> Option<SecretString> {
        self.inner().password(postgres, SUPERUSER, DEEPEST)
    }

    /// How the app gets into a Postgres of the stack.
    pub fn access(&self, postgres: &WorkloadName) -> Option<Access> {
        let inner = self.inner();
        let server = inner.servers.get(postgres)?;
        let url = server.url.as_ref().map(|url| inner.fill(url, DEEPEST).map(SecretString::from));
        Some(Access {
            url: match url {
                Some(url) => Some(url?),
                None => None,
            },
            database: server.database.clone(),
            user: server.user.clone(),
            password: inner.password(postgres, server.user.as_str(), DEEPEST),
            directory: inner.directory.clone(),
        })
    }

    /// The text of a template, or the first hole that could not be filled.
    pub fn fill<'a>(&self, template: &'a Template) -> Result<String, &'a Part> {
        let inner = self.inner();
        template.resolve(|part| inner.hole(part, DEEPEST))
    }

    /// The values of all holes in a workload's environment as a keyed hash; `None` where it has no
    /// hole, or one that can't be filled.
    pub fn fingerprint(&self, workload: &Workload) -> Option<Fingerprint> {
        let holes: BTreeSet<&Part> = workload.container.env.values().flat_map(Template::holes).collect();
        if holes.is_empty() {
            return None;
        }
        let inner = self.inner();
        let mut mac = Hmac::<Sha256>::new_from_slice(inner.store.key()).ok()?;
        for hole in holes {
            let value = inner.hole(hole, DEEPEST)?;
            // With lengths, so that no two lists of values read alike.
            for text in [hole.to_string(), value] {
                mac.update(&(text.len() as u64).to_be_bytes());
                mac.update(text.as_bytes());
            }
        }
        Some(Fingerprint { key_id: inner.store.key_id(), mac: hex(&mac.finalize().into_bytes()[..16]) })
    }

    /// A digest of texts, some of them secret: keyed, so that nobody who reads it can try out what they
    /// might be.
    pub fn keyed_digest(&self, texts: &[String]) -> Option<String> {
        let inner = self.inner();
        let mut mac = Hmac::<Sha256>::new_from_slice(inner.store.key()).ok()?;
        for text in texts {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
        Some(hex(&mac.finalize().into_bytes()[..16]))
    }

    /// The files that a workload's container needs below `/run/secrets`: for a Postgres of ours its
    /// superuser's password. The entrypoint reads it as root and again as the server's user.
    pub fn files_for(&self, workload: &Workload) -> Vec<FileToPut> {
        let ours = workload.postgres().is_some_and(|postgres| !postgres.is_external());
        let password = ours.then(|| self.superuser(&workload.name)).flatten();
        let file = password.map(|password| FileToPut {
            path: PASSWORD_FILE.to_owned(),
            content: password.expose_secret().as_bytes().to_owned(),
            uid: SERVER_UID,
            gid: SERVER_UID,
            mode: 0o400,
        });
        file.into_iter().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while passwords are held")
    }
}

impl Inner {
    fn password(&self, name: &WorkloadName, role: &str, depth: u32) -> Option<SecretString> {
        let server = self.servers.get(name)?;
        if let Some(given) = given(server, role) {
            return self.fill(given, depth).map(SecretString::from);
        }
        match &server.url {
            None => self.store.password(&key(name, role)).cloned(),
            Some(url) => {
                let (_, url) = TlsWish::split(&self.fill(url, depth)?).ok()?;
                let config: tokio_postgres::Config = url.parse().ok()?;
                let own = config.get_user() == Some(role);
                let password = config.get_password().filter(|_| own)?;
                Some(String::from_utf8_lossy(password).into_owned().into())
            }
        }
    }

    fn hole(&self, part: &Part, depth: u32) -> Option<String> {
        match part {
            Part::Text(text) => Some(text.clone()),
            // Secrets of the stack have no store yet.
            Part::Secret(_) => None,
            Part::Password { postgres, role } => {
                let depth = depth.checked_sub(1)?;
                self.password(postgres, role.as_str(), depth).map(|password| password.expose_secret().to_owned())
            }
        }
    }

    fn fill(&self, template: &Template, depth: u32) -> Option<String> {
        template.resolve(|part| self.hole(part, depth)).ok()
    }
}

fn servers(stack: &Stack) -> BTreeMap<WorkloadName, Postgres> {
    let servers = stack.in_order().filter_map(|workload| Some((workload.name.clone(), workload.postgres()?.clone())));
    servers.collect()
}

/// The password that the file gives a role.
fn given<'a>(server: &'a Postgres, role: &str) -> Option<&'a Template> {
    let own = server.password.as_ref().filter(|_| server.user.as_str() == role);
    let declared = || server.roles.iter().find(|(name, _)| name.as_str() == role).and_then(|(_, role)| role.password.as_ref());
    own.or_else(declared)
}

/// The roles of a server of ours whose passwords are ours to make.
fn generated_roles(server: &Postgres) -> BTreeSet<&str> {
    if server.is_external() {
        return BTreeSet::new();
    }
    let declared = server.roles.keys().map(SqlName::as_str);
    let all = declared.chain([server.user.as_str(), SUPERUSER]);
    all.filter(|role| given(server, role).is_none()).collect()
}

/// The name of a password in the store.
fn key(postgres: &WorkloadName, role: &str) -> String {
    format!("{postgres}/{role}")
}
