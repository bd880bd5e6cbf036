//! A restore of an archive that nobody knows anything of: one of another server, another tool. It is read whole, and
//! restored by the app's own role, which may do no more than the app: never by the superuser.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::Sets;
use super::super::check::{Feeding, is_damage};
use super::super::dump::{Removed, ended_well};
use super::super::error::BackupError;
use super::super::facts::{self, Described, Server, run};
use super::super::helper::{Helper, SECRETS, client_environment};
use super::super::listing::Listing;
use super::super::manifest::Properties;
use super::super::progress::Meter;
use super::super::statements;
use super::super::take::Order;
use super::{LIMIT, exchange, like};
use crate::engine::request::FileToPut;
use crate::model::name::ContainerId;
use crate::model::restore::{Exchange, Restore, Source};
use crate::postgres::SUPERUSER;
use crate::postgres::connect::{Session, within};
use crate::postgres::sql::identifier;

/// The name that what is made has until it is whole.
const NEW: &str = "witwd_new_1";
/// What of an archive is restored, as a file of the container.
const CHOSEN: &str = "entries";

/// An archive that was read whole.
pub(super) struct Foreign {
    pub path: std::path::PathBuf,
    /// What its table of contents says.
    listing: Listing,
    /// The entries that are restored, as `pg_restore --list` shows them.
    entries: String,
    /// The extensions that it wants.
    extensions: BTreeSet<String>,
}

impl Sets {
    /// Reads an archive whole, and looks whether this server can take it.
    pub(super) async fn read_foreign(&self, order: &Order<'_>, path: &Path, server: &Server) -> Result<Foreign, BackupError> {
        let role = order.postgres().map(|postgres| postgres.user.as_str()).unwrap_or_default();
        if role == SUPERUSER {
            return Err(unfit(
                path,
                "the app's role is the superuser, and an archive of others is restored by nobody who may do everything",
            ));
        }
        let bytes = std::fs::metadata(path).map_err(|error| unfit(path, format!("it can't be read: {error}")))?.len();
        let container = self.reader(order).await?;
        let read = within(self.clock.as_ref(), LIMIT, self.read_through(order, &container, path, bytes)).await;
        self.end(&container).await;
        let late = BackupError::Slow { what: "reading the file".to_owned(), limit: LIMIT, silent: false };
        let foreign = read.unwrap_or(Err(late)).map_err(|error| of_file(path, error))?;
        match lacking(&foreign.listing, server) {
            Some(words) => Err(unfit(path, words)),
            None => Ok(foreign),
        }
    }

    async fn read_through(
        &self,
        order: &Order<'_>,
        container: &ContainerId,
        path: &Path,
        bytes: u64,
    ) -> Result<Foreign, BackupError> {
        let meter = Meter::begin(self.clock.as_ref(), &order.progress, "reading the file", Some(bytes));
        let plain = self.decode(container, path, meter).await?;
        self.has_room("a restore", plain).await?;
        let (mut listing, mut entries, mut extensions) = (Listing::default(), String::new(), BTreeSet::new());
        let told = self.table_of_contents(container, path, |line| {
            listing.line(line);
            match wanted_extension(line) {
                Some(name) => drop(extensions.insert(name.to_owned())),
                None if is_wanted(line) => entries.extend([line, "\n"]),
                None => {}
            }
        });
        told.await?;
        Ok(Foreign { path: path.to_owned(), listing, entries, extensions })
    }

    /// Makes a database of an archive beside those that are used, like the one whose place it takes.
    pub(super) async fn make_foreign(
        &self,
        order: &Order<'_>,
        wanted: &Restore,
        (foreign, server): (&Foreign, &Server),
    ) -> Result<Vec<Exchange>, BackupError> {
        let Some(postgres) = order.postgres() else { return Ok(Vec::new()) };
        let name = wanted.database.clone().unwrap_or_else(|| postgres.database.to_string());
        let had = self.described(order, &name).await?;
        self.make_for(order, postgres.user.as_str(), had.as_ref(), server.major()).await?;
        self.make_extensions(order, foreign).await?;
        self.fill_foreign(order, foreign).await?;
        self.finish_foreign(order, foreign).await?;
        let session = self.open(order, SUPERUSER).await?;
        let named = name_it(&session, had.as_ref(), wanted, &name).await;
        session.close(self.clock.as_ref()).await;
        named
    }

    /// Makes an empty database of the app's role.
    async fn make_for(&self, order: &Order<'_>, owner: &str, like: Option<&Described>, major: u32) -> Result<(), BackupError> {
        let make = match like {
            Some(like) => statements::create(NEW, &Properties { owner: owner.to_owned(), ..like.properties.clone() }, major),
            None => format!("CREATE DATABASE {NEW} TEMPLATE template0 OWNER {}", identifier(owner)),
        };
        let session = self.open(order, SUPERUSER).await?;
        run(&session, "make a database for the file", &make).await?;
        // Nobody but its owner gets in before it is whole.
        run(&session, "keep others out", &format!("REVOKE ALL ON DATABASE {NEW} FROM PUBLIC")).await?;
        session.close(self.clock.as_ref()).await;
        Ok(())
    }

    /// What a database is like; `None`: there is none of that name.
    async fn described(&self, order: &Order<'_>, name: &str) -> Result<Option<Described>, BackupError> {
        let session = match self.open(order, name).await {
            Ok(session) => session,
            Err(BackupError::Gone(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let described = facts::describe(&session).await;
        session.close(self.clock.as_ref()).await;
        described.map(Some)
    }

    /// Extensions are of the image, which the file of the stack names: the app's role may not make most of them.
    async fn make_extensions(&self, order: &Order<'_>, foreign: &Foreign) -> Result<(), BackupError> {
        let session = self.open(order, NEW).await?;
        let of_stack = order.postgres().into_iter().flat_map(|postgres| &postgres.extensions);
        for extension in of_stack.chain(&foreign.extensions) {
            let make = format!("CREATE EXTENSION IF NOT EXISTS {} CASCADE", identifier(extension));
            run(&session, "make an extension that the file wants", &make).await?;
        }
        session.close(self.clock.as_ref()).await;
        Ok(())
    }

    async fn fill_foreign(&self, order: &Order<'_>, foreign: &Foreign) -> Result<(), BackupError> {
        let (directory, mount) = self.password_mount(order)?;
        let _directory = Removed(directory);
        let mut env = client_environment(order, NEW);
        let role = order.postgres().map(|postgres| postgres.user.to_string()).unwrap_or_default();
        env.insert("PGUSER".to_owned(), role);
        let container = self.make(order, Helper::idle(env, vec![mount], true)).await?;
        let filled = within(self.clock.as_ref(), LIMIT, self.fill_in(order, foreign, &container)).await;
        self.end(&container).await;
        filled.unwrap_or(Err(BackupError::Slow { what: "the restore of the file".to_owned(), limit: LIMIT, silent: false }))
    }

    async fn fill_in(&self, order: &Order<'_>, foreign: &Foreign, container: &ContainerId) -> Result<(), BackupError> {
        self.put_password_of_app(order, container).await?;
        let content = foreign.entries.clone().into_bytes();
        let file = FileToPut { path: CHOSEN.to_owned(), content, uid: 0, gid: 0, mode: 0o600 };
        let put = self.engine.put_files(container, SECRETS, &[file]).await;
        put.map_err(|error| BackupError::Engine("hand a restore what to restore", error))?;
        self.engine.start(container).await.map_err(|error| BackupError::Engine("start a restore", error))?;
        let mut meter = Meter::begin(self.clock.as_ref(), &order.progress, "restoring the file", None);
        let list = format!("--use-list={SECRETS}/{CHOSEN}");
        let (list, into) = (list.as_str(), statements::connection(NEW));
        let flags = ["--exit-on-error", "--no-password", "--no-owner", "--no-privileges", "--no-tablespaces", list, "-d"];
        let command = std::iter::once("pg_restore").chain(flags).chain([into.as_str()]).map(str::to_owned).collect();
        let feeding = Feeding { container, command, user: None, path: &foreign.path };
        let fed = self.feed(feeding, |_| (), |bytes| meter.add(bytes)).await?;
        ended_well("pg_restore", fed.code, &fed.said).map_err(|error| of_file(&foreign.path, error))
    }

    /// Whether all tables are there whose rows the archive has; then it is ready to be used.
    async fn finish_foreign(&self, order: &Order<'_>, foreign: &Foreign) -> Result<(), BackupError> {
        let session = self.open(order, NEW).await?;
        let made = facts::rows(&session, "list tables", facts::TABLES).await?.len();
        let wanted = foreign.listing.rows_of.len();
        let compared = if made < wanted {
            Err(unfit(&foreign.path, format!("of its {wanted} tables {made} came to be")))
        } else {
            run(&session, "collect statistics", "VACUUM (ANALYZE)").await
        };
        session.close(self.clock.as_ref()).await;
        compared
    }
}

/// Gives what was made the rights and settings of the one whose place it takes, and says what is to have its name.
async fn name_it(session: &Session, had: Option<&Described>, wanted: &Restore, name: &str) -> Result<Vec<Exchange>, BackupError> {
    run(session, "let others in", &format!("GRANT CONNECT, TEMPORARY ON DATABASE {NEW} TO PUBLIC")).await?;
    if let Some(Described { properties, settings, .. }) = had {
        like::give(session, NEW, properties, settings).await?;
    }
    match &wanted.to {
        Some(to) => exchange::rename(session, NEW, to).await.map(|()| Vec::new()),
        None => exchange::between(session, NEW, name).await.map(|exchange| vec![exchange]),
    }
}

/// `7; 3079 16385 EXTENSION - postgis `: the extension that a line of a table of contents makes.
fn wanted_extension(line: &str) -> Option<&str> {
    let rest = line.split_once("; ")?.1;
    rest.splitn(3, ' ').nth(2)?.strip_prefix("EXTENSION - ")?.split(' ').next().filter(|name| !name.is_empty())
}

/// Whether an entry is restored. What is said of extensions may be said by their owner alone.
fn is_wanted(line: &str) -> bool {
    let rest = line.split_once("; ").and_then(|(_, rest)| rest.splitn(3, ' ').nth(2));
    !line.starts_with(';') && rest.is_some_and(|rest| !rest.starts_with("COMMENT - EXTENSION "))
}

/// What keeps an archive from being restored.
fn lacking(listing: &Listing, server: &Server) -> Option<String> {
    if listing.entries.is_none_or(|entries| entries == 0) {
        return Some("it has no table of contents".to_owned());
    }
    let of = listing.server.as_deref().unwrap_or_default();
    let major = of.split(['.', ' ']).next().and_then(|major| major.parse::<u32>().ok());
    let is_newer = major.is_some_and(|major| major > server.major());
    is_newer.then(|| format!("it is of PostgreSQL {of}, and the server is {}", server.version))
}

fn unfit(path: &Path, words: impl Into<String>) -> BackupError {
    BackupError::Unfit { source_of: Source::File(path.to_owned()), words: words.into() }
}

/// What a program says of an archive is said of the file.
fn of_file(path: &Path, error: BackupError) -> BackupError {
    match error {
        BackupError::Program { program, code: code @ 1, words } => unfit(path, format!("{program} ended with {code}: {words}")),
        BackupError::File { source, .. } if is_damage(&source) => unfit(path, source.to_string()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_made_by_who_may_and_are_not_commented_on() {
        let lines = [
            (";     dbname: app", None, false),
            ("2; 3079 16385 EXTENSION - postgis ", Some("postgis"), true),
            ("4000; 0 0 COMMENT - EXTENSION postgis ", None, false),
            ("215; 1259 16386 TABLE public EXTENSION - app", None, true),
            ("3346; 0 16386 TABLE DATA public t app", None, true),
            ("", None, false),
        ];
        for (line, extension, is_restored) in lines {
            assert_eq!((wanted_extension(line), is_wanted(line)), (extension, is_restored), "{line}");
        }
    }

    #[test]
    fn what_has_no_contents_or_is_of_a_newer_server_is_refused() {
        let server = |version_num| Server {
            system_identifier: String::new(),
            version_num,
            version: "15.18".to_owned(),
            bootstrap_role: String::new(),
            settings: std::collections::BTreeMap::new(),
            databases: std::collections::BTreeMap::new(),
            bytes: 0,
        };
        let listing = |entries, server: &str| Listing { entries, server: Some(server.to_owned()), ..Listing::default() };
        let table = [
            (listing(None, "15.18"), Some("it has no table of contents")),
            (listing(Some(0), "15.18"), Some("it has no table of contents")),
            (listing(Some(3), "17.2 (Debian)"), Some("it is of PostgreSQL 17.2 (Debian), and the server is 15.18")),
            (listing(Some(3), "9.6.24"), None),
            (listing(Some(3), "15.2"), None),
        ];
        for (listing, want) in table {
            assert_eq!(lacking(&listing, &server(150_018)).as_deref(), want, "{listing:?}");
        }
    }
}
