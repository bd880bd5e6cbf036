//! A restore of an archive that nobody knows anything of: one of another server, another tool. It is read whole, and
//! restored by a role that is made for it, owns nothing but the new database, and goes again: an archive can hold any
//! statement. What it made is the app's then.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

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
use super::{LIMIT, archive, exchange, like};
use crate::engine::request::FileToPut;
use crate::model::name::ContainerId;
use crate::model::restore::{Exchange, Restore, Source};
use crate::postgres::SUPERUSER;
use crate::postgres::connect::{Session, within};
use crate::postgres::sql::{identifier, literal};

/// The name that what is made has until it is whole.
const NEW: &str = "witwd_new_1";
/// The role that restores.
pub(super) const STRANGER: &str = "witwd_restore";
/// What of an archive is restored, as a file of the container.
const CHOSEN: &str = "entries";
/// What a program says where the server, and not the file, is in the way.
const OF_SERVER: [&str; 4] = ["server closed the connection", "terminating connection", "could not extend file", "No space left"];

/// An archive that was read whole.
pub(super) struct Foreign {
    path: PathBuf,
    /// What its table of contents says.
    listing: Listing,
    /// The entries that are restored, as `pg_restore --list` shows them.
    entries: Vec<String>,
    /// The extensions that it wants.
    extensions: BTreeSet<String>,
}

impl Sets {
    /// Reads an archive whole, and looks whether this server can take it.
    pub(super) async fn read_foreign(&self, order: &Order<'_>, path: &Path, server: &Server) -> Result<Foreign, BackupError> {
        let facts = std::fs::metadata(path).map_err(|error| unfit(path, format!("it can't be read: {error}")))?;
        if !facts.is_file() {
            return Err(unfit(path, "it is no file"));
        }
        let container = self.reader(order).await?;
        let read = within(self.clock.as_ref(), LIMIT, self.read_through(order, &container, (path, facts.len()))).await;
        self.end(&container).await;
        let late = BackupError::Slow { what: "reading the file".to_owned(), limit: LIMIT, silent: false };
        let foreign = read.unwrap_or(Err(late)).map_err(|error| of_file(path, error))?;
        let session = self.open(order, SUPERUSER).await?;
        let lacks = super::lacking_extension(&session, foreign.extensions.clone()).await;
        session.close(self.clock.as_ref()).await;
        match archive::lacking(&foreign.listing, server).or(lacks?) {
            Some(words) => Err(unfit(path, words)),
            None => Ok(foreign),
        }
    }

    async fn read_through(
        &self,
        order: &Order<'_>,
        container: &ContainerId,
        (path, bytes): (&Path, u64),
    ) -> Result<Foreign, BackupError> {
        let mut meter = Meter::begin(self.clock.as_ref(), &order.progress, "reading the file", Some(bytes));
        // What an archive holds may be compressed in it: its size is that of the script.
        let (command, mut plain) = (["pg_restore", "-f", "-"].map(str::to_owned).to_vec(), 0);
        let feeding = Feeding { container, command, user: None, path };
        let fed = self.feed(feeding, |bytes| plain += bytes.len() as u64, |bytes| meter.add(bytes)).await?;
        ended_well("pg_restore", fed.code, &fed.said)?;
        self.has_room("a restore", plain).await?;
        let (mut listing, mut entries, mut extensions) = (Listing::default(), Vec::new(), BTreeSet::new());
        let told = self.table_of_contents(container, path, |line| {
            listing.line(line);
            extensions.extend(archive::extension(line).map(str::to_owned));
            entries.extend(archive::is_restored(line).then(|| line.to_owned()));
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
        let password = self.make_for_stranger(order, had.as_ref(), server.major()).await?;
        let schemas = self.make_extensions(order, foreign).await?;
        self.fill_foreign(order, (foreign, &schemas), password).await?;
        self.finish_foreign(order, foreign, postgres.user.as_str()).await?;
        let session = self.open(order, SUPERUSER).await?;
        let named = name_it(&session, had.as_ref(), wanted, &name).await;
        session.close(self.clock.as_ref()).await;
        named
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

    /// Makes an empty database, and the role that it is of: its password.
    async fn make_for_stranger(
        &self,
        order: &Order<'_>,
        like: Option<&Described>,
        major: u32,
    ) -> Result<SecretString, BackupError> {
        let make = match like {
            Some(like) => statements::create(NEW, &Properties { owner: STRANGER.to_owned(), ..like.properties.clone() }, major),
            None => format!("CREATE DATABASE {} TEMPLATE template0 OWNER {STRANGER}", identifier(NEW)),
        };
        let session = self.open(order, SUPERUSER).await?;
        let password = facts::one(&session, "think of a password", "SELECT pg_catalog.gen_random_uuid()::text").await?;
        let password: String = facts::get(&password, 0)?;
        let role = format!(
            "CREATE ROLE {STRANGER} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}",
            literal(&password)
        );
        run(&session, "make a role for the file", &role).await?;
        run(&session, "make a database for the file", &make).await?;
        // Nobody but its owner gets in before it is whole.
        run(&session, "keep others out", &format!("REVOKE ALL ON DATABASE {NEW} FROM PUBLIC")).await?;
        session.close(self.clock.as_ref()).await;
        Ok(password.into())
    }

    /// Extensions are of the image, which the file of the stack names: nobody but a superuser may make most of them. To
    /// their tables that users write to, the archive may write too. Returns the schemas that are there then.
    async fn make_extensions(&self, order: &Order<'_>, foreign: &Foreign) -> Result<Vec<String>, BackupError> {
        const GRANT: &str = "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT unnest(extconfig)::regclass FROM pg_extension LOOP \
             EXECUTE format('GRANT SELECT, INSERT ON %s TO witwd_restore', t); END LOOP; END $$";
        let session = self.open(order, NEW).await?;
        // Nobody made anything in it so far.
        run(&session, "say where extensions go", "SET search_path = public").await?;
        let of_stack = order.postgres().into_iter().flat_map(|postgres| &postgres.extensions);
        for extension in of_stack.chain(&foreign.extensions) {
            let make = format!("CREATE EXTENSION IF NOT EXISTS {} CASCADE", identifier(extension));
            run(&session, "make an extension that the file wants", &make).await?;
        }
        run(&session, "let the file write to tables of extensions", GRANT).await?;
        let schemas = facts::rows(&session, "list schemas", "SELECT nspname::text FROM pg_catalog.pg_namespace").await?;
        session.close(self.clock.as_ref()).await;
        schemas.iter().map(|row| facts::get(row, 0)).collect()
    }

    async fn fill_foreign(
        &self,
        order: &Order<'_>,
        what: (&Foreign, &[String]),
        password: SecretString,
    ) -> Result<(), BackupError> {
        let (directory, mount) = self.password_mount(order)?;
        let _directory = Removed(directory);
        let mut env = client_environment(order, NEW);
        env.insert("PGUSER".to_owned(), STRANGER.to_owned());
        let container = self.make(order, Helper::idle(env, vec![mount], true)).await?;
        let filling = async {
            self.put_password_of(order, &container, (STRANGER, Some(password))).await?;
            self.fill_in(order, &container, what).await
        };
        let filled = within(self.clock.as_ref(), LIMIT, filling).await;
        self.end(&container).await;
        filled.unwrap_or(Err(BackupError::Slow { what: "the restore of the file".to_owned(), limit: LIMIT, silent: false }))
    }

    async fn fill_in(
        &self,
        order: &Order<'_>,
        container: &ContainerId,
        (foreign, schemas): (&Foreign, &[String]),
    ) -> Result<(), BackupError> {
        let entries = foreign.entries.iter().filter(|line| !archive::is_of_schema(line, schemas));
        let content = entries.flat_map(|line| [line.as_str(), "\n"]).collect::<String>().into_bytes();
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
        ended_well("pg_restore", fed.code, &fed.said).map_err(|error| match error {
            BackupError::Program { words, .. } if OF_SERVER.iter().any(|of| words.contains(of)) => {
                BackupError::Unavailable(order.workload.name.clone(), words)
            }
            error => of_file(&foreign.path, error),
        })
    }

    /// Whether all tables are there whose rows the archive has; then it is the app's, and ready to be used.
    async fn finish_foreign(&self, order: &Order<'_>, foreign: &Foreign, app: &str) -> Result<(), BackupError> {
        let session = self.open(order, NEW).await?;
        let app = identifier(app);
        let hand_over = format!("REASSIGN OWNED BY {STRANGER} TO {app}; DROP OWNED BY {STRANGER}; DROP ROLE {STRANGER}");
        run(&session, "hand the database over to the app", &hand_over).await?;
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
