//! Profiles, include, extends, interpolation, environment files.

use std::time::Duration;

use super::Stack;
use crate::config::EnvOrigin;
use crate::model::container::MountSource;
use crate::model::image::ImageOrigin;
use crate::model::template::Template;
use crate::model::workload::{Kind, Workload};

const WEB: &str = "name = \"app\"\n[services.web]\nimage = \"web:1\"\n";

fn workload<'a>(loaded: &'a crate::config::Loaded, name: &str) -> &'a Workload {
    loaded.stack.workload(&name.parse().expect("a name")).expect("a workload")
}

fn env(loaded: &crate::config::Loaded, name: &str, variable: &str) -> String {
    workload(loaded, name).container.env.get(variable).map(Template::to_string).unwrap_or_default()
}

fn needs(loaded: &crate::config::Loaded, name: &str) -> Vec<String> {
    workload(loaded, name).dependencies.iter().map(|dependency| dependency.on.to_string()).collect()
}

#[test]
fn a_profile_is_merged_deep_and_replaces_arrays() {
    let stack = Stack::of(&format!(
        "{WEB}env = {{ A = 1, B = 2 }}\nports = [\"80\", \"81\"]\n[services.mail]\nimage = \"m:1\"\nprofiles = [\"dev\"]\n"
    ))
    .with("stack.prod.toml", "[services.web]\nenv.B = 3\nports = [\"443\"]\n");
    let plain = stack.loaded();
    assert_eq!(plain.stack.in_order().count(), 1);
    let stack = stack.profile("prod").profile("dev");
    let loaded = stack.loaded();
    assert_eq!((env(&loaded, "web", "A"), env(&loaded, "web", "B")), ("1".to_owned(), "3".to_owned()));
    assert_eq!(workload(&loaded, "web").container.ports.len(), 1);
    assert_eq!(loaded.stack.in_order().count(), 2);
    assert_eq!(loaded.stack.profiles(), ["prod", "dev"]);
}

#[test]
fn a_profile_that_does_nothing_is_an_error() {
    let stack = Stack::of(&format!("{WEB}[services.mail]\nimage = \"m:1\"\nprofiles = [\"dev\"]\n")).profile("dve");
    assert!(
        stack.said().contains("the profile `dve` does nothing: there is no stack.dve.toml, and nothing lists it in `profiles`")
    );
    assert!(stack.said().contains("did you mean `dev`?"));
    assert!(Stack::of(WEB).profile("none").loaded().stack.profiles().is_empty());
    assert!(Stack::of(WEB).profile("../x").load().is_err());
}

#[test]
fn included_tables_are_added_and_a_clash_is_an_error() {
    let shared = "[services.redis]\nimage = \"redis:7\"\nvolumes = [\"./conf:/conf\"]\n";
    let text = format!("include = [\"lib/redis.toml\"]\n{WEB}");
    let loaded = Stack::of(&text).with("lib/redis.toml", shared).loaded();
    let MountSource::Bind(path) = &workload(&loaded, "redis").container.mounts[0].source else { panic!("a bind") };
    assert!(path.ends_with("demo/lib/conf"), "{}", path.display());
    let said = Stack::of(&text).with("lib/redis.toml", "[services.web]\nport = 80\n").said();
    assert!(said.starts_with("lib/redis.toml:1:11: `services.web` is in stack.toml and in lib/redis.toml"), "{said}");
    let said = Stack::of(&text).with("lib/redis.toml", "include = [\"../stack.toml\"]\n").said();
    assert!(said.contains("lib/redis.toml:1:12: this file includes itself"), "{said}");
}

#[test]
fn a_service_takes_over_what_the_contract_lists_and_no_more() {
    let text = r#"
name = "app"
[services.web]
build = "."
command = "serve"
ports = ["8000"]
health.http = "/"
env = { A = 1, B = 2 }
depends_on = ["redis"]
labels.x = "y"
[services.worker]
extends = "web"
env.B = 3
[services.beat]
extends = "worker"
[services.redis]
image = "redis:7"
[jobs.migrate]
extends = "web"
command = "migrate"
"#;
    let loaded = Stack::of(text).loaded();
    let (web, worker, beat, job) =
        (workload(&loaded, "web"), workload(&loaded, "worker"), workload(&loaded, "beat"), workload(&loaded, "migrate"));
    assert_eq!(web.image.reference, "localhost/app-web:built");
    assert_eq!([&worker.image, &beat.image, &job.image], [&web.image; 3]);
    assert!(matches!(beat.image.origin, ImageOrigin::Build(_)));
    assert_eq!((worker.container.command.clone(), worker.container.ports.len(), worker.container.labels.len()), (None, 0, 0));
    assert!(worker.probes().is_empty());
    assert_eq!((env(&loaded, "beat", "A"), env(&loaded, "beat", "B")), ("1".to_owned(), "3".to_owned()));
    assert_eq!(needs(&loaded, "worker"), ["redis"]);
    assert!(needs(&loaded, "migrate").is_empty());
}

#[test]
fn references_to_a_postgres_are_dependencies_and_those_to_a_service_are_not() {
    let text = "name = \"my-app\"\n[services.web]\nimage = \"w:1\"\nport = 80\nenv = { D = \"${db.url}\", H = \"${db.host}:${db.port}\", A = \"${api.url}\", L = \"$${env.X}\", S = \"${stack.name}/${stack.profile}\" }\n[services.api]\nimage = \"a:1\"\nports = [\"8080:9000\"]\n[postgres.db]\nimage = \"postgres:17\"\n";
    let loaded = Stack::of(text).loaded();
    assert_eq!(env(&loaded, "web", "D"), "postgresql://my_app:${db.roles.my_app.password}@db:5432/my_app");
    assert_eq!(env(&loaded, "web", "H"), "db:5432");
    assert_eq!(env(&loaded, "web", "A"), "http://api:9000");
    assert_eq!(env(&loaded, "web", "L"), "${env.X}");
    assert_eq!(env(&loaded, "web", "S"), "my-app/");
    assert_eq!(needs(&loaded, "web"), ["db"]);
}

#[test]
fn an_external_postgres_answers_the_same_references() {
    let text = "name = \"app\"\n[services.web]\nimage = \"w:1\"\nenv = { U = \"${db.url}\", H = \"${db.host}\", P = \"${db.password}\", N = \"${db.user}\", O = \"${db.databases.other.url}\" }\n[postgres.db]\nurl = \"postgres://me%40x:${secret.pw}@localhost:6432/real?sslmode=require\"\ndatabases = [\"other\"]\n[secrets]\npw = {}\n";
    let loaded = Stack::of(text).loaded();
    assert_eq!(env(&loaded, "web", "U"), "postgresql://me%40x:${secret.pw}@host.docker.internal:6432/real?sslmode=require");
    assert_eq!(env(&loaded, "web", "O"), "postgresql://me%40x:${secret.pw}@host.docker.internal:6432/other?sslmode=require");
    assert_eq!(
        [env(&loaded, "web", "H"), env(&loaded, "web", "P"), env(&loaded, "web", "N")],
        ["host.docker.internal", "${secret.pw}", "me@x"]
    );
    let db = workload(&loaded, "db");
    assert_eq!(db.replicas(), 0);
    assert!(!db.postgres().expect("a postgres").backup.enabled);
}

#[test]
fn variables_come_from_the_caller_then_the_files() {
    let text = "name = \"app\"\n[services.web]\nimage = \"w:${env.TAG}\"\nreplicas = \"${env.N:-2}\"\nhardening.read_only = \"${env.RO}\"\nenv = { E = \"${env.E:-a}\", D = \"${env.D:-${env.TAG}}\" }\n";
    let stack = Stack::of(text)
        .with(".env", "# note\nexport TAG='1 # no'\nRO=\"true\"\nE=\nN=${x} # literal\n")
        .env("TAG", "7")
        .env("N", "3");
    let loaded = stack.loaded();
    let web = workload(&loaded, "web");
    assert_eq!((web.image.reference.as_str(), web.replicas(), web.container.hardening.read_only), ("w:7", 3, true));
    assert_eq!((env(&loaded, "web", "E"), env(&loaded, "web", "D")), ("a".to_owned(), "7".to_owned()));
    assert_eq!(loaded.env_origins.get("TAG"), Some(&EnvOrigin::Environment));
    assert_eq!(loaded.env_origins.get("E"), Some(&EnvOrigin::Default));
    assert!(matches!(loaded.env_origins.get("RO"), Some(EnvOrigin::File(_))));
    let names: Vec<String> = loaded.mentioned.iter().cloned().collect();
    assert_eq!(names, ["D", "E", "N", "RO", "TAG"]);
}

#[test]
fn mistakes_in_environment_files_have_places() {
    let said = Stack::of(WEB).with(".env", "A=1\nnonsense\nB=\"open\n").said();
    assert!(said.contains(".env:2:1: this line has no `=`"), "{said}");
    assert!(said.contains(".env:3:1: the quote is not closed"), "{said}");
}

#[test]
fn each_key_that_the_contract_lists_is_taken_over() {
    let taken = r#"
image = "web:1"
fallback = { command = "make" }
pull = "always"
platform = "linux/arm64"
env = { A = 1 }
env_files = [".env.web"]
secrets = ["key"]
volumes = ["./data:/data"]
tmpfs = ["/scratch"]
user = "7"
workdir = "/work"
resources = { memory = "64M", cpus = 2 }
hardening = { pids = 9, read_only = true }
"#;
    let head = format!("name = \"app\"\nsecrets.key = {{}}\n[services.web]\n{taken}");
    let of = |rest: &str| Stack::of(&format!("{head}{rest}")).with(".env.web", "B=2\n").loaded();
    let extended = of("[services.worker]\nextends = \"web\"\n[jobs.tidy]\nextends = \"web\"\n");
    let web = workload(&extended, "web");
    for name in ["worker", "tidy"] {
        let mut other = workload(&extended, name).container.clone();
        other.hostname.clone_from(&web.container.hostname);
        other.aliases.clone_from(&web.container.aliases);
        assert_eq!(other, web.container, "{name}");
        assert_eq!(workload(&extended, name).image, web.image, "{name}");
    }
    // Each of them matters: without it the container or the image is another one.
    for line in taken.lines().filter(|line| !line.is_empty() && !line.starts_with("image")) {
        let text = format!("{head}[services.other]\nimage = \"web:1\"\n").replacen(line, "", 1);
        let loaded = Stack::of(&text).with(".env.web", "B=2\n").loaded();
        let without = workload(&loaded, "web");
        assert!(without.container != web.container || without.image != web.image, "{line}");
    }
}

#[test]
fn what_is_off_may_have_unset_variables() {
    let text = format!("{WEB}[services.s3]\nimage = \"s3:1\"\nprofiles = [\"prod\"]\nenv.KEY = \"${{env.S3_KEY:?needed}}\"\n");
    Stack::of(&text).loaded();
    assert!(Stack::of(&text).profile("prod").said().contains("S3_KEY is not set: needed"));
}

#[test]
fn a_postgres_container_is_what_the_official_image_expects() {
    let text = "name = \"app\"\n[postgres.old]\nimage = \"postgis/postgis:17-3.5\"\nsettings = { work_mem = \"16MB\", fsync = true }\n[postgres.new]\nimage = \"postgres:18\"\n";
    let loaded = Stack::of(text).loaded();
    let (old, new) = (&workload(&loaded, "old").container, &workload(&loaded, "new").container);
    let words = ["postgres", "-c", "fsync=true", "-c", "work_mem=16MB"];
    assert_eq!(old.command.as_deref(), Some(words.map(str::to_owned).as_slice()));
    assert_eq!(
        (old.mounts[0].target.as_str(), new.mounts[0].target.as_str()),
        ("/var/lib/postgresql/data", "/var/lib/postgresql")
    );
    assert_eq!(env(&loaded, "new", "PGDATA"), "/var/lib/postgresql/18/docker");
    assert_eq!((old.stop_signal.as_deref(), old.stop_grace), (Some("SIGINT"), Duration::from_secs(90)));
    assert!(loaded.stack.volumes().contains_key(&"old-17".parse().expect("a name")));
    assert!(matches!(&workload(&loaded, "old").kind, Kind::Postgres(postgres) if postgres.major == Some(17)));
}

#[test]
fn what_this_version_leaves_out_is_said() {
    let text = "name = \"app\"\n[services.web]\nimage = \"w:1\"\ndepends_on = [\"migrate\"]\nenv.K = \"${secret.k}\"\n[jobs.migrate]\nextends = \"web\"\n[postgres.db]\nimage = \"postgres:17\"\n[secrets]\nk = {}\n";
    let loaded = Stack::of(text).loaded();
    assert_eq!(
        loaded.not_carried_out,
        [
            "jobs.migrate is not run by this version: what depends on it waits (web)",
            "secrets.k has no value in this version: what uses it waits",
        ]
    );
}

#[test]
fn what_means_nothing_of_a_server_elsewhere_is_said() {
    let base = "name = \"app\"\n[postgres.db]\nurl = \"postgresql://a:pw@db.example.com/app\"\nimage = \"postgres:17\"\n";
    assert_eq!(Stack::of(base).loaded().not_carried_out, Vec::<String>::new());
    let said = |more: &str| Stack::of(&format!("{base}{more}")).loaded().not_carried_out;
    assert_eq!(said("volume = \"data\"\n"), ["postgres.db is a server elsewhere (`url`): `volume` is left out"]);
    assert_eq!(
        said("ports = [\"5432\"]\nextensions = [\"citext\"]\nsettings.work_mem = \"8MB\"\n"),
        ["postgres.db is a server elsewhere (`url`): `extensions`, `ports` and `settings` are left out"]
    );
}

#[test]
fn what_an_address_asks_of_tls_is_checked_with_the_file() {
    let base = "name = \"app\"\n[services.web]\nimage = \"w:1\"\nenv = { U = \"${db.url}\", P = \"${db.password}\" }\n[postgres.db]\nurl = ";
    let of = |query: &str| Stack::of(&format!("{base}\"postgresql://a:pw@db.example.com/app?{query}\"\n"));
    let loaded = of("sslmode=verify-full&sslrootcert=ca.pem").loaded();
    assert_eq!(loaded.not_carried_out, Vec::<String>::new());
    assert_eq!(env(&loaded, "web", "U"), "postgresql://a:pw@db.example.com:5432/app?sslmode=verify-full&sslrootcert=ca.pem");
    assert_eq!(env(&loaded, "web", "P"), "pw");
    let said = of("sslmode=verify_full").said();
    assert!(
        said.contains("its url says sslmode=verify_full: write disable, prefer, require, verify-ca or verify-full"),
        "{said}"
    );
}

#[test]
fn a_link_that_leads_out_is_refused() {
    let stack = Stack::of(&format!("{WEB}volumes = [\"./link:/x\"]\n"));
    std::os::unix::fs::symlink("/srv", stack.directory.path().join("demo/link")).expect("a link");
    assert!(stack.said().contains("./link leads through a link to /srv, outside the stack's directory"), "{}", stack.said());
}

#[test]
fn sizes_and_encodings_of_files_are_bounded() {
    let large = format!("{WEB}# {}\n", "x".repeat(1 << 20));
    assert!(Stack::of(&large).said().contains("it is larger than 1 MiB"));
    let endless = "name = \"app\"\n[services.web]\nimage = \"web:1\"\nenv_files = [\"/dev/zero\"]\n";
    assert!(Stack::of(endless).said().contains("it is larger than 1 MiB"), "{}", Stack::of(endless).said());
    let stack = Stack::of("");
    std::fs::write(&stack.request.file, b"name = \"\xff\"").expect("a file");
    assert!(stack.said().contains("it is not UTF-8"));
    std::fs::remove_file(&stack.request.file).expect("a file");
    assert!(stack.said().contains("can't be read: it is not there"));
}

#[test]
fn an_address_may_stand_beside_all_other_keys() {
    let base = "name = \"app\"\n[services.web]\nimage = \"w:1\"\nenv.U = \"${db.url}\"\n[postgres.db]\nimage = \"postgres:17\"\ndatabase = \"one\"\nuser = \"two\"\nports = [\"5432\"]\nvolume = \"data\"\ninit = []\nurl = \"${env.DATABASE_URL:-}\"\n";
    assert_eq!(workload(&Stack::of(base).loaded(), "db").replicas(), 1);
    let stack = Stack::of(base).env("DATABASE_URL", "postgres://me:pw@db.example.com/real");
    let loaded = stack.loaded();
    assert_eq!(env(&loaded, "web", "U"), "postgresql://me:pw@db.example.com:5432/real");
    assert_eq!(workload(&loaded, "db").replicas(), 0);
    let shown = format!("{}{:?}", crate::config::resolved(&loaded), loaded.definitions);
    assert!(!shown.contains(":pw@"), "{shown}");
}

#[test]
fn what_could_not_be_read_is_not_called_missing() {
    let said = Stack::of(
        "name = \"app\"\n[services.web]\nimagee = \"w:1\"\n[services.proxy]\nimage = \"p:1\"\ndepends_on = [\"web\"]\n",
    )
    .said();
    assert!(!said.contains("there is no service"), "{said}");
}

#[test]
fn inline_tables_may_have_lines_as_toml_1_1_allows() {
    let loaded = Stack::of("name = \"app\"\n[services.web]\nimage = \"w:1\"\nenv = {\n  A = 1, # one\n  B = 2,\n}\n").loaded();
    assert_eq!(env(&loaded, "web", "B"), "2");
}

#[test]
fn binding_the_directory_itself_hides_the_state() {
    let loaded = Stack::of(&format!("{WEB}volumes = [\".:/app:ro\"]\ntmpfs = [\"/tmp\"]\n")).loaded();
    assert_eq!(workload(&loaded, "web").container.tmpfs, ["/app/.witwd", "/tmp"]);
    let plain = Stack::of(&format!("{WEB}volumes = [\"./conf:/app\"]\n")).loaded();
    assert!(workload(&plain, "web").container.tmpfs.is_empty());
}
