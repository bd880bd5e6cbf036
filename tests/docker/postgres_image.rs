//! The Debian-made Postgres image keeps the conventions of the official one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use crate::postgres::{IMAGE, image};
use crate::stack::text;
use crate::support::{SOON, TEST, docker, eventually, inspect, remove_labelled, unique};

/// Containers and volumes of one test, run by hand and removed with it.
struct Servers {
    label: String,
    name: String,
    files: tempfile::TempDir,
}

impl Servers {
    async fn new(name: &str) -> Self {
        image().await;
        let name = unique(name);
        let files = tempfile::tempdir().expect("a directory");
        // The server's own user reads them.
        std::fs::set_permissions(files.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
        Self { label: format!("{TEST}={name}"), name, files }
    }

    /// A file that the server may read, with this mode.
    fn file(&self, name: &str, content: &[u8], mode: u32) {
        let path = self.files.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("a mode");
    }

    /// The words that mount one of the directories.
    fn mounted(&self, directory: &str, at: &str) -> String {
        format!("{}:{at}:ro", self.files.path().join(directory).display())
    }

    fn run(&self, options: &[&str], command: &[&str]) -> Output {
        docker(&[&["run", "--label", &self.label], options, &[IMAGE], command].concat())
    }

    /// Starts a server in the background; returns its container.
    fn start(&self, options: &[&str]) -> String {
        let output = self.run(&[&["-d"], options].concat(), &["-c", "fsync=off"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    /// A volume that outlives its containers.
    fn volume(&self) -> String {
        self.volume_at("data", "/var/lib/postgresql/data")
    }

    fn volume_at(&self, name: &str, path: &str) -> String {
        let name = format!("{}-{name}", self.name);
        assert!(docker(&["volume", "create", "--label", &self.label, &name]).status.success());
        format!("{name}:{path}")
    }

    /// Bytes as a program of the image packs them.
    fn packed(&self, program: &str, content: &str) -> Vec<u8> {
        let mut command = assert_cmd::Command::new("docker");
        command.args(["run", "-i", "--rm", "--label", &self.label, "--entrypoint", program, IMAGE, "-c"]);
        command.write_stdin(content.to_owned()).timeout(SOON).output().expect("docker run").stdout
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        remove_labelled(&[], &self.label);
    }
}

/// What a query brings, asked over the network with a password; `Err`: psql's words.
fn ask(container: &str, [user, password, database]: [&str; 3], query: &str) -> Result<String, String> {
    let (password, host) = (format!("PGPASSWORD={password}"), format!("exec psql -XAtw -h $(hostname) {}", "\"$@\""));
    let words = ["exec", "-e", &password, container, "sh", "-c", &host, "psql", "-U", user, "-d", database, "-c", query];
    let output = docker(&words);
    if output.status.success() { Ok(text(&output.stdout).trim().to_owned()) } else { Err(text(&output.stderr)) }
}

async fn until_ready(container: &str, who: [&str; 3]) {
    eventually(SOON * 3, "the server answers", async || ask(container, who, "select 1").ok()).await;
}

fn log(container: &str) -> String {
    let output = docker(&["logs", container]);
    text(&output.stdout) + &text(&output.stderr)
}

#[tokio::test]
async fn its_user_its_version_its_directory_and_its_signal_are_those_of_the_official_image() {
    let servers = Servers::new("pgimg").await;
    let config = inspect(IMAGE)["Config"].clone();
    let env = config["Env"].as_array().expect("an environment").clone();
    for variable in ["PG_MAJOR=17", "PGDATA=/var/lib/postgresql/data"] {
        assert!(env.iter().any(|found| found == variable), "no {variable}: {env:?}");
    }
    assert_eq!((&config["StopSignal"], &config["Cmd"]), (&"SIGINT".into(), &serde_json::json!(["postgres"])));
    assert!(config["ExposedPorts"]["5432/tcp"].is_object() && config["Volumes"]["/var/lib/postgresql/data"].is_object());
    let output = servers.run(&["--rm", "--entrypoint", "id"], &["postgres"]);
    assert!(text(&output.stdout).starts_with("uid=999(postgres) gid=999(postgres)"), "{output:?}");
    assert!(text(&servers.run(&["--rm"], &["postgres", "--version"]).stdout).contains(" 17."));

    // Without a password nothing is made.
    let output = servers.run(&["--rm"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("superuser password is not specified"), "{output:?}");

    // Each may be given as a file, and not twice.
    servers.file("given/password", b"from a file", 0o644);
    let given = servers.mounted("given", "/given");
    let twice = ["--rm", "-v", &given, "-e", "POSTGRES_PASSWORD=x", "-e", "POSTGRES_PASSWORD_FILE=/given/password"];
    let output = servers.run(&twice, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are both set"), "{output:?}");
}

/// Bytes as gzip packs them.
fn packed(content: &str) -> Vec<u8> {
    let mut command = assert_cmd::Command::new("gzip");
    command.arg("-c").write_stdin(content.to_owned()).output().expect("gzip").stdout
}

/// One init file of each kind; each needs what the one before it made.
fn init_files(servers: &Servers) {
    let script = "#!/bin/sh\nset -e\npsql -v ON_ERROR_STOP=1 -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\" -c \"insert into step values ('run')\"\n";
    servers.file("init/1.sql", b"create table step (name text); insert into step values ('sql');", 0o644);
    servers.file("init/2.sql.gz", &packed("insert into step select 'gz' from step;"), 0o644);
    servers.file("init/3.sh", script.as_bytes(), 0o755);
    let sourced = "run_psql --dbname \"$POSTGRES_DB\" <<<\"insert into step values ('sourced')\"\n";
    servers.file("init/4.sh", sourced.as_bytes(), 0o644);
    servers.file("init/5.txt", b"not for a server", 0o644);
}

/// Superuser and database of those names, init files in their order, initdb's own words.
fn is_as_told(container: &str, who: [&str; 3]) {
    let [user, _, database] = who;
    let asked = "select current_user, current_database(), (select rolsuper from pg_roles where rolname = current_user)";
    assert_eq!(ask(container, who, asked).as_deref(), Ok(format!("{user}|{database}|t").as_str()));
    let refused = ask(container, [user, "another", database], "select 1").expect_err("a wrong password");
    assert!(refused.contains("password authentication failed"), "{refused}");
    let steps = "select string_agg(name, ' ') from step";
    assert_eq!(ask(container, who, steps).as_deref(), Ok("sql gz run sourced"));
    let locale = "select datcollate from pg_database where datname = current_database()";
    assert_eq!(ask(container, who, locale).as_deref(), Ok("C"));
    assert!(log(container).contains("5.txt is left out"), "{}", log(container));
}

#[tokio::test]
async fn it_is_told_by_variables_and_init_files() {
    let servers = Servers::new("pgenv").await;
    init_files(&servers);
    let init = servers.mounted("init", "/docker-entrypoint-initdb.d");
    let env = [
        "POSTGRES_USER=chief",
        "POSTGRES_PASSWORD=pass word",
        "POSTGRES_DB=an-archive",
        "POSTGRES_INITDB_ARGS=--locale=C --encoding='UTF8'",
    ];
    let options: Vec<&str> = ["-v", &init].into_iter().chain(env.iter().flat_map(|variable| ["-e", *variable])).collect();
    let (container, who) = (servers.start(&options), ["chief", "pass word", "an-archive"]);
    until_ready(&container, who).await;
    is_as_told(&container, who);
    // What it stops at is a fast end.
    docker(&["stop", &container]);
    assert_eq!(inspect(&container)["State"]["ExitCode"], 0);
    assert!(log(&container).contains("received fast shutdown request"), "{}", log(&container));
    // The second start does none of it again.
    docker(&["start", &container]);
    until_ready(&container, who).await;
    is_as_told(&container, who);
}

#[tokio::test]
async fn it_is_told_by_files() {
    let servers = Servers::new("pgfiles").await;
    init_files(&servers);
    let settings =
        [("USER", "chief"), ("PASSWORD", "pass word"), ("DB", "an-archive"), ("INITDB_ARGS", "--locale=C --encoding='UTF8'")];
    let mut options = vec!["-v".to_owned(), servers.mounted("init", "/docker-entrypoint-initdb.d")];
    for (name, value) in settings {
        servers.file(&format!("given/{name}"), format!("{value}\n").as_bytes(), 0o644);
        options.extend(["-e".to_owned(), format!("POSTGRES_{name}_FILE=/given/{name}")]);
    }
    options.extend(["-v".to_owned(), servers.mounted("given", "/given")]);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let (container, who) = (servers.start(&options), ["chief", "pass word", "an-archive"]);
    until_ready(&container, who).await;
    is_as_told(&container, who);
}

const CHIEF: [&str; 3] = ["postgres", "secret", "postgres"];

/// Adds a row, then waits until it may go on.
const WAITS: &str = "psql -U postgres -c 'create table half (n int)' -c 'insert into half values (1)'\n\
                     until [ -e /docker-entrypoint-initdb.d/go ]; do sleep 0.1; done\n";

#[tokio::test]
async fn a_first_start_that_is_killed_begins_anew() {
    let servers = Servers::new("pghalf").await;
    servers.file("init/1.sh", WAITS.as_bytes(), 0o755);
    servers.file("init/2.sql", b"insert into half values (2)", 0o644);
    let (volume, init) = (servers.volume(), servers.mounted("init", "/docker-entrypoint-initdb.d"));
    let log_volume = servers.volume_at("wal", "/wal");
    let wal = "POSTGRES_INITDB_WALDIR=/wal/of-this";
    let options = ["-v", &volume, "-v", &init, "-v", &log_volume, "-e", wal, "-e", "POSTGRES_PASSWORD=secret"];
    let first = servers.start(&options);
    eventually(SOON * 3, "the first half", async || log(&first).contains("INSERT 0 1").then_some(())).await;
    let refused = ask(&first, CHIEF, "select 1").expect_err("nobody is let in while it is made");
    assert!(refused.contains("Connection refused"), "{refused}");
    docker(&["kill", &first]);
    assert_eq!(inspect(&first)["State"]["ExitCode"], 137);
    // Whoever looks at the volume sees nothing finished.
    let looked = ["--rm", "-v", &volume, "--entrypoint", "test"];
    assert!(!servers.run(&looked, &["-e", "/var/lib/postgresql/data/PG_VERSION"]).status.success());

    servers.file("init/go", b"", 0o644);
    let second = servers.start(&options);
    until_ready(&second, CHIEF).await;
    assert_eq!(ask(&second, CHIEF, "select string_agg(n::text, ' ' order by n) from half").as_deref(), Ok("1 2"));
}

#[tokio::test]
async fn its_places_its_door_and_its_user_can_be_chosen() {
    let servers = Servers::new("pgplaces").await;
    servers.file("init/1.sql.xz", &servers.packed("xz", "create table step (name text); insert into step values ('xz');"), 0o644);
    servers.file("init/2.sql.zst", &servers.packed("zstd", "insert into step values ('zst');"), 0o644);
    servers.file("given/wal", b"/tmp/wal/of-this\n", 0o644);
    servers.file("given/method", b"trust\n", 0o644);
    let (init, given) = (servers.mounted("init", "/docker-entrypoint-initdb.d"), servers.mounted("given", "/given"));
    let (wal, method) = ("POSTGRES_INITDB_WALDIR_FILE=/given/wal", "POSTGRES_HOST_AUTH_METHOD_FILE=/given/method");
    let options = ["--user", "999", "-v", &init, "-v", &given, "-e", "PGDATA=/tmp/pg/data", "-e", wal, "-e", method];
    let container = servers.start(&options);
    let anybody = ["postgres", "no password at all", "postgres"];
    until_ready(&container, anybody).await;
    assert_eq!(ask(&container, anybody, "select string_agg(name, ' ') from step").as_deref(), Ok("xz zst"));
    assert_eq!(ask(&container, anybody, "show data_directory").as_deref(), Ok("/tmp/pg/data"));
    let link = docker(&["exec", &container, "readlink", "/tmp/pg/data/pg_wal"]);
    assert_eq!(text(&link.stdout).trim(), "/tmp/wal/of-this");

    let method = ["-e", "POSTGRES_PASSWORD=secret", "-e", "POSTGRES_HOST_AUTH_METHOD=md5"];
    let container = servers.start(&method);
    until_ready(&container, CHIEF).await;
    let rules = "select string_agg(distinct auth_method, ' ') from pg_hba_file_rules where address = 'all'";
    assert_eq!(ask(&container, CHIEF, rules).as_deref(), Ok("md5"));
}

#[tokio::test]
async fn an_init_file_that_fails_leaves_nothing_that_looks_ready() {
    let servers = Servers::new("pgfail").await;
    servers.file("init/1.sql", b"create table half (n int);", 0o644);
    servers.file("init/2.sql", b"select gone;", 0o644);
    let (volume, init) = (servers.volume(), servers.mounted("init", "/docker-entrypoint-initdb.d"));
    let options = ["-v", &volume, "-v", &init, "-e", "POSTGRES_PASSWORD=secret"];
    for start in ["first", "second"] {
        let output = servers.run(&[&["--rm"], options.as_slice()].concat(), &["-c", "fsync=off"]);
        assert_eq!(output.status.code(), Some(3), "{start}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("column \"gone\" does not exist"), "{start}: {}", text(&output.stderr));
    }
    std::fs::remove_file(Path::new(servers.files.path()).join("init/2.sql")).expect("removed");
    let container = servers.start(&options);
    until_ready(&container, CHIEF).await;
    assert_eq!(ask(&container, CHIEF, "select count(*) from half").as_deref(), Ok("0"));
}
