//! The caretaker of Postgres against a real server: the image made from Debian packages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;
use witwd::engine::Engine;
use witwd::engine::answer::Reach;
use witwd::engine::request::{MountFrom, MountRequest};
use witwd::health::{Asked, Outcome, Prober, SystemProber};
use witwd::host::sim::SimRng;
use witwd::host::{Clock, SystemClock, SystemDisk};
use witwd::model::container::ContainerSettings;
use witwd::model::family::Glibc;
use witwd::model::hash::SpecHash;
use witwd::model::image::{ImageOrigin, ImageSource, PullPolicy};
use witwd::model::name::{ContainerId, SqlName, WorkloadName};
use witwd::model::observed::RunId;
use witwd::model::postgres::{Backup, BackupSchedule, Postgres, Role};
use witwd::model::probe::{Check, Probe, Probes};
use witwd::model::stack::{DaemonSettings, Stack, StackParts};
use witwd::model::template::Template;
use witwd::model::workload::{Kind, Workload};
use witwd::postgres::{Caretaker, Freshness, Passwords, PostgresError, ProvisionRequest, Provisioned};

use crate::support::{SOON, TestEngine, docker, eventually, inspect};

/// The image: made where it is not there, and left.
pub const IMAGE: &str = "localhost/witwd-test-postgres:17";

/// Sees to it that the image is there.
pub async fn image() {
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        if docker(&["image", "inspect", IMAGE]).status.success() {
            return;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("images/postgres/build");
        let status = std::process::Command::new(&script).env("WITWD_IMAGE", IMAGE).arg("17").status();
        assert!(status.is_ok_and(|status| status.success()), "{} failed", script.display());
    })
    .await;
}

fn db() -> WorkloadName {
    "db".parse().unwrap()
}

fn sql(name: &str) -> SqlName {
    name.parse().unwrap()
}

fn server(database: &str, user: &str) -> Postgres {
    Postgres {
        url: None,
        database: sql(database),
        user: sql(user),
        password: None,
        databases: vec![],
        roles: BTreeMap::new(),
        volume: "db-17".parse().unwrap(),
        major: Some(17),
        extensions: vec![],
        init: vec![],
        settings: BTreeMap::new(),
        probes: Probes::both(query()),
        backup: Backup {
            enabled: false,
            schedule: BackupSchedule::Every(Duration::from_secs(3600)),
            keep: BTreeMap::new(),
            directory: PathBuf::from("backups"),
            trial_restore: true,
            min_free: None,
            offsite: None,
        },
    }
}

/// What a provisioning says that found everything there: only what the image sorts text by.
fn nothing() -> Provisioned {
    Provisioned { glibc: Some(Glibc(2, 41)), ..Provisioned::default() }
}

fn query() -> Probe {
    Probe { timeout: Duration::from_secs(10), ..Probe::new(Check::Postgres, None) }
}

fn workload(postgres: &Postgres) -> Workload {
    Workload {
        name: db(),
        kind: Kind::Postgres(Box::new(postgres.clone())),
        image: ImageSource {
            reference: IMAGE.to_owned(),
            origin: ImageOrigin::Pull { policy: PullPolicy::Never, fallback: None },
            platform: None,
        },
        container: ContainerSettings::default(),
        dependencies: vec![],
        spec: SpecHash::of(&serde_json::Value::Null),
    }
}

fn passwords(test: &TestEngine, postgres: &Postgres, seed: u64) -> Arc<Passwords> {
    let path = test.directory.path().join(format!("state-{seed}/secrets.json"));
    let (passwords, damage) = Passwords::open(Arc::new(SystemDisk), Arc::new(SimRng::new(seed)), path);
    assert_eq!(damage, None);
    let passwords = Arc::new(passwords);
    know(&passwords, test, postgres);
    passwords
}

fn know(passwords: &Passwords, test: &TestEngine, postgres: &Postgres) {
    let parts = StackParts {
        renamed_from: None,
        name: test.stack.clone(),
        directory: test.directory.path().to_owned(),
        profiles: vec![],
        workloads: vec![workload(postgres)],
        volumes: BTreeMap::new(),
        secrets: BTreeMap::new(),
        daemon: DaemonSettings::default(),
    };
    passwords.ensure(&Stack::new(parts).unwrap()).unwrap();
}

/// A server that was started on an empty volume.
struct Server {
    test: TestEngine,
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    passwords: Arc<Passwords>,
    container: ContainerId,
}

impl Server {
    async fn start(name: &str, postgres: &Postgres) -> Self {
        let server = Self::launch(name, postgres).await;
        server.until_it_answers().await;
        server
    }

    async fn launch(name: &str, postgres: &Postgres) -> Self {
        image().await;
        let test = TestEngine::new(name).await;
        let passwords = passwords(&test, postgres, 1);
        test.engine.create_network(&test.network()).await.unwrap();
        test.engine.create_volume(&test.volume("db-17")).await.unwrap();
        let secrets = test.directory.path().join("secrets");
        std::fs::create_dir(&secrets).unwrap();
        let mut request = test.container("db", &["postgres", "-c", "log_statement=all", "-c", "fsync=off"]);
        IMAGE.clone_into(&mut request.image);
        request.network = Some(test.stack.network());
        request.env.insert("POSTGRES_PASSWORD_FILE".to_owned(), "/run/secrets/postgres_password".to_owned());
        let mount = |source, target: &str, read_only| MountRequest { source, target: target.to_owned(), read_only };
        request.mounts = vec![
            mount(MountFrom::Volume(test.volume("db-17").name), "/var/lib/postgresql/data", false),
            mount(MountFrom::Bind(secrets), "/run/secrets", false),
        ];
        let container = test.engine.create(&request).await.unwrap();
        test.engine.put_files(&container, "/run/secrets", &passwords.files_for(&workload(postgres))).await.unwrap();
        test.engine.start(&container).await.unwrap();
        let engine: Arc<dyn Engine> = Arc::new(test.engine.clone());
        Self { test, engine, clock: Arc::new(SystemClock::new()), passwords, container }
    }

    async fn provision(&self, postgres: &Postgres, freshness: Freshness) -> Result<Provisioned, PostgresError> {
        self.provision_with(&self.passwords, postgres, freshness).await
    }

    async fn provision_with(
        &self,
        passwords: &Arc<Passwords>,
        postgres: &Postgres,
        freshness: Freshness,
    ) -> Result<Provisioned, PostgresError> {
        let disk = Arc::new(SystemDisk);
        let caretaker = Caretaker::new(self.engine.clone(), self.clock.clone(), disk, passwords.clone());
        let workload = workload(postgres);
        caretaker
            .provision(ProvisionRequest { postgres: &workload, container: self.container.clone(), freshness, run_began: None })
            .await
    }

    async fn ask(&self, passwords: &Arc<Passwords>) -> Outcome {
        let prober = SystemProber::new(self.engine.clone(), self.clock.clone(), passwords.clone());
        let run = RunId { container: self.container.clone(), started_at: Timestamp::UNIX_EPOCH };
        prober.probe(&Asked::Container { workload: db(), run }, &query()).await
    }

    /// Waits until it answers those who ask as the app; returns what they were told, the answer last.
    async fn until_it_answers(&self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        eventually(SOON * 3, "the server answers", async || {
            outcomes.push(self.ask(&self.passwords).await);
            matches!(outcomes.last(), Some(Outcome::Refused(words)) if !words.contains("57P03")).then_some(())
        })
        .await;
        outcomes
    }

    /// A text that a query brings, asked as a role.
    async fn text(&self, database: &str, role: &str, query: &str) -> Result<Option<String>, tokio_postgres::Error> {
        let (Reach::Direct(address) | Reach::Published(address)) = self.engine.reach(&self.container, 5432).await.unwrap();
        let password = self.passwords.get(&db(), &sql(role)).unwrap();
        let mut config = tokio_postgres::Config::new();
        config.host(address.ip().to_string()).port(address.port()).dbname(database).user(role);
        let (client, connection) = config.password(password.expose_secret()).connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        let row = client.query_opt(query, &[]).await;
        drop(client);
        connection.await.unwrap().unwrap();
        Ok(row?.and_then(|row| row.get(0)))
    }

    /// As if nobody had ever left a mark.
    fn forget_comment(&self) {
        let words = ["exec", "-u", "postgres", &self.container.0, "psql", "-qc", "COMMENT ON DATABASE postgres IS NULL"];
        assert!(docker(&words).status.success());
    }

    async fn comment(&self) -> String {
        let query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'postgres'";
        self.text("postgres", "postgres", query).await.unwrap().unwrap_or_default()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.test.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

#[tokio::test]
async fn what_is_asked_for_is_made_once_and_the_app_is_let_in_only_then() {
    let report = Role { grant: vec!["pg_read_all_data".to_owned()], createdb: true, ..Role::default() };
    let postgres = Postgres {
        databases: vec![sql("second-one")],
        roles: BTreeMap::from([(sql("report"), report)]),
        extensions: vec!["pg_trgm".to_owned(), "postgis".to_owned()],
        ..server("a-b", "app-user")
    };
    let server = Server::launch("pg-made", &postgres).await;

    // While initdb's own server runs nobody answers; then somebody does who does not know the app.
    let outcomes = server.until_it_answers().await;
    let (last, before) = outcomes.split_last().unwrap();
    let answers = before.iter().skip_while(|outcome| matches!(outcome, Outcome::Failure(_)));
    let mut answers = answers.map(|outcome| matches!(outcome, Outcome::Refused(words) if words.contains("57P03")));
    assert!(answers.all(|starting| starting), "{before:?}");
    assert!(matches!(before[0], Outcome::Failure(_)), "{before:?}");
    assert!(matches!(last, Outcome::Refused(words) if words.contains("SQLSTATE 28P01")), "{last:?}");

    let done = server.provision(&postgres, Freshness::Fresh).await.unwrap();
    assert!(!done.init_ran);
    for made in ["role app-user", "role report", "grant of pg_read_all_data to report", "database a-b", "database second-one"] {
        assert!(done.created.iter().any(|created| created == made), "{made}: {:?}", done.created);
    }
    assert!(server.comment().await.starts_with("witwd: initialised"));
    assert_eq!(server.ask(&server.passwords).await, Outcome::Success);
    assert_eq!(server.provision(&postgres, Freshness::Fresh).await.unwrap(), nothing());

    let rights = "SELECT concat_ws(' ', rolsuper, rolcreatedb, rolcanlogin) FROM pg_roles WHERE rolname = current_user";
    assert_eq!(server.text("a-b", "app-user", rights).await.unwrap().as_deref(), Some("f t t"));
    let extensions = "SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql'";
    for database in ["a-b", "second-one"] {
        assert_eq!(server.text(database, "report", extensions).await.unwrap().as_deref(), Some("pg_trgm postgis"));
    }
    let owner = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = 'second-one'";
    assert_eq!(server.text("a-b", "app-user", owner).await.unwrap().as_deref(), Some("app-user"));

    no_password_is_told(&server, &["postgres", "app-user", "report"]);
    alive_on_any_sqlstate(&server).await;
}

/// With every statement in the server's log.
fn no_password_is_told(server: &Server, roles: &[&str]) {
    let logs = docker(&["logs", &server.container.0]);
    let inspected = inspect(&server.container.0).to_string();
    let told =
        [String::from_utf8_lossy(&logs.stdout).into_owned(), String::from_utf8_lossy(&logs.stderr).into_owned(), inspected];
    assert!(told.iter().any(|text| text.contains("CREATE ROLE")), "statements are logged");
    for role in roles {
        let password = server.passwords.get(&db(), &sql(role)).unwrap();
        assert!(told.iter().all(|text| !text.contains(password.expose_secret())), "the password of {role} is told");
    }
}

async fn alive_on_any_sqlstate(server: &Server) {
    for (wrong, code, right) in [
        (r#"ALTER ROLE "app-user" CONNECTION LIMIT 0"#, "53300", r#"ALTER ROLE "app-user" CONNECTION LIMIT -1"#),
        (r#"ALTER ROLE "app-user" NOLOGIN"#, "28000", r#"ALTER ROLE "app-user" LOGIN"#),
        (r#"ALTER DATABASE "a-b" ALLOW_CONNECTIONS false"#, "55000", r#"ALTER DATABASE "a-b" ALLOW_CONNECTIONS true"#),
        (r#"ALTER DATABASE "a-b" RENAME TO elsewhere"#, "3D000", r#"ALTER DATABASE elsewhere RENAME TO "a-b""#),
    ] {
        server.text("postgres", "postgres", wrong).await.unwrap();
        let outcome = server.ask(&server.passwords).await;
        assert!(matches!(&outcome, Outcome::Refused(words) if words.contains(code)), "{code}: {outcome:?}");
        server.text("postgres", "postgres", right).await.unwrap();
    }
    docker(&["pause", &server.container.0]);
    let outcome = server.ask(&server.passwords).await;
    docker(&["unpause", &server.container.0]);
    assert!(matches!(&outcome, Outcome::Failure(words) if words.contains("no answer within 10s")), "{outcome:?}");
    assert_eq!(server.ask(&server.passwords).await, Outcome::Success);
}

#[tokio::test]
async fn init_is_all_or_nothing() {
    let mut postgres = server("app", "app");
    let server = Server::start("pg-init", &postgres).await;
    let first = server.file("01-tables.sql", "CREATE TABLE place (name text);\nCOPY place FROM stdin;\nBerlin\n\\.\n");
    let second = server.file("02-more.sql", "-- Ü\nINSERT INTO place VALUES ('Rom');\nSELECT gone('hunter2');\n");
    postgres.init = vec![first, second.clone()];

    let error = server.provision(&postgres, Freshness::Fresh).await.unwrap_err();
    let words = error.to_string();
    assert!(words.contains("02-more.sql:3: ERROR: function gone(unknown) does not exist"), "{words}");
    assert!(!words.contains("hunter2") && !error.needs_operator());
    let tables = "SELECT count(*)::text FROM pg_class WHERE relname = 'place'";
    assert_eq!(server.text("app", "app", tables).await.unwrap().as_deref(), Some("0"));
    assert!(!server.comment().await.starts_with("witwd: "));

    // The directory is known to be whole: an interruption here only means that it is tried again.
    let again = server.provision(&postgres, Freshness::Interrupted).await.unwrap_err();
    assert_eq!(again.to_string(), words);
    server.forget_comment();
    let interrupted = server.provision(&postgres, Freshness::Interrupted).await.unwrap_err();
    assert!(matches!(interrupted, PostgresError::Interrupted(_)) && interrupted.needs_operator(), "{interrupted}");

    server.file("02-more.sql", "INSERT INTO place VALUES ('Rom');\nCOMMIT;\n");
    let error = server.provision(&postgres, Freshness::Fresh).await.unwrap_err();
    assert!(error.to_string().contains("02-more.sql:2: COMMIT would end the transaction"), "{error}");

    server.file("02-more.sql", "INSERT INTO place VALUES ('Rom')");
    let done = server.provision(&postgres, Freshness::Fresh).await.unwrap();
    assert!(done.init_ran && done.created.is_empty(), "{done:?}");
    let rows = "SELECT count(*)::text FROM place";
    assert_eq!(server.text("app", "postgres", rows).await.unwrap().as_deref(), Some("2"));
    for freshness in [Freshness::Fresh, Freshness::Interrupted, Freshness::Settled] {
        assert_eq!(server.provision(&postgres, freshness).await.unwrap(), nothing());
    }
    assert_eq!(server.text("app", "postgres", rows).await.unwrap().as_deref(), Some("2"));
}

#[tokio::test]
async fn what_ends_the_transaction_in_secret_is_found_and_an_older_directory_is_adopted() {
    let mut postgres = server("app", "app");
    let server = Server::start("pg-escape", &postgres).await;
    postgres.init = vec![server.file("01.sql", "CREATE TABLE half ();\nSELECT 'COMMIT' \\gexec\n")];
    let error = server.provision(&postgres, Freshness::Fresh).await.unwrap_err();
    assert!(matches!(error, PostgresError::InitEscaped(_)) && error.needs_operator(), "{error}");
    assert!(!server.comment().await.starts_with("witwd: "));
    postgres.init = vec![server.file("01.sql", "CREATE TABLE other ();\n\\set ON_ERROR_STOP 0\nSELECT gone();\n")];
    let error = server.provision(&postgres, Freshness::Fresh).await.unwrap_err();
    assert!(matches!(error, PostgresError::InitEscaped(_)), "{error}");

    server.forget_comment();
    let done = server.provision(&postgres, Freshness::Settled).await.unwrap();
    assert!(!done.init_ran);
    assert!(server.comment().await.starts_with("witwd: adopted"));

    let wrong = Postgres { major: Some(16), ..postgres };
    let error = server.provision(&wrong, Freshness::Settled).await.unwrap_err();
    assert!(matches!(error, PostgresError::Major { running: 17, wanted: 16, .. }), "{error}");
}

#[tokio::test]
async fn passwords_that_do_not_fit_are_set_anew() {
    let postgres = server("app", "app");
    let server = Server::start("pg-password", &postgres).await;
    server.provision(&postgres, Freshness::Fresh).await.unwrap();

    // The store was lost: other passwords, also of the superuser.
    let others = passwords(&server.test, &postgres, 2);
    let outcome = server.ask(&others).await;
    assert!(matches!(&outcome, Outcome::Refused(words) if words.contains("28P01")), "{outcome:?}");
    let done = server.provision_with(&others, &postgres, Freshness::Settled).await.unwrap();
    assert_eq!(done.created, ["password of role app"]);
    assert_eq!(server.ask(&others).await, Outcome::Success);

    // The file gives one, and not a plain one.
    let given = Postgres { password: Some(Template::text("it's \\ geheim: Ü")), ..postgres };
    know(&others, &server.test, &given);
    let done = server.provision_with(&others, &given, Freshness::Settled).await.unwrap();
    assert_eq!(done.created, ["password of role app"]);
    assert_eq!(server.ask(&others).await, Outcome::Success);
    assert_eq!(server.provision_with(&others, &given, Freshness::Settled).await.unwrap(), nothing());
    // A refusal for another reason says nothing of the password, which was changed meanwhile.
    let change = "ALTER ROLE app NOLOGIN PASSWORD 'another'";
    let said = docker(&["exec", "-u", "postgres", &server.container.0, "psql", "-X", "-c", change]);
    assert!(said.status.success(), "{said:?}");
    server.provision_with(&others, &given, Freshness::Settled).await.unwrap();
    docker(&["exec", "-u", "postgres", &server.container.0, "psql", "-X", "-c", "ALTER ROLE app LOGIN"]);
    assert_eq!(server.ask(&others).await, Outcome::Success);
}
