//! Tests of what is pure here, and of passwords. Those on a real server: `tests/docker/postgres.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::family::{Family, Glibc, Library, Refusal};
use super::init::{Script, first_error};
use super::marker::{Decision, Freshness, decide};
use super::objects::wanted_roles;
use super::passwords::Passwords;
use super::readiness::{Answer, ask};
use super::sql::{identifier, literal};
use super::whole::read;
use crate::engine::answer::ImageFacts;
use crate::host::sim::{SimDisk, SimRng};
use crate::host::{Disk, SystemDisk};
use crate::model::container::ContainerSettings;
use crate::model::hash::SpecHash;
use crate::model::image::{ImageOrigin, ImageSource, PullPolicy};
use crate::model::name::{ImageId, SqlName, WorkloadName};
use crate::model::postgres::{Backup, BackupSchedule, Postgres, Role};
use crate::model::probe::{Check, Probe, Probes};
use crate::model::stack::{DaemonSettings, Stack, StackParts};
use crate::model::template::{Part, Template};
use crate::model::workload::{Kind, Workload};

fn sql(name: &str) -> SqlName {
    name.parse().unwrap()
}

fn db() -> WorkloadName {
    "db".parse().unwrap()
}

fn server() -> Postgres {
    Postgres {
        url: None,
        database: sql("app"),
        user: sql("app"),
        password: None,
        databases: vec![],
        roles: BTreeMap::new(),
        volume: "db-17".parse().unwrap(),
        major: Some(17),
        extensions: vec![],
        init: vec![],
        settings: BTreeMap::new(),
        probes: Probes::both(Probe::new(Check::Postgres, None)),
        backup: Backup {
            enabled: false,
            schedule: BackupSchedule::Every(std::time::Duration::from_secs(3600)),
            keep: BTreeMap::new(),
            directory: PathBuf::from("/stack/volumes/backups/db"),
            trial_restore: true,
            min_free: None,
            offsite: None,
        },
    }
}

fn workload(kind: Kind, env: &[(&str, Template)]) -> Workload {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let name = if matches!(kind, Kind::Postgres(_)) { "db" } else { "app" };
    Workload {
        name: name.parse().unwrap(),
        kind,
        image: ImageSource {
            reference: "postgres:17".to_owned(),
            origin: ImageOrigin::Pull { policy: PullPolicy::Missing, fallback: None },
            platform: None,
        },
        container: ContainerSettings { env, ..ContainerSettings::default() },
        dependencies: vec![],
        spec: SpecHash::of(&serde_json::Value::Null),
    }
}

fn stack(server: Postgres) -> Stack {
    Stack::new(StackParts {
        renamed_from: None,
        name: "shop".parse().unwrap(),
        directory: PathBuf::from("/stack"),
        profiles: vec![],
        workloads: vec![workload(Kind::Postgres(Box::new(server)), &[])],
        volumes: BTreeMap::new(),
        secrets: BTreeMap::new(),
        daemon: DaemonSettings::default(),
    })
    .unwrap()
}

const FILE: &str = "/stack/.witwd/secrets.json";

fn open(disk: &Arc<SimDisk>, seed: u64) -> (Passwords, Option<String>) {
    Passwords::open(disk.clone(), Arc::new(SimRng::new(seed)), PathBuf::from(FILE))
}

fn text(passwords: &Passwords, role: &str) -> Option<String> {
    passwords.get(&db(), &sql(role)).map(|password| password.expose_secret().to_owned())
}

fn password_of(role: &str) -> Template {
    Template::new([Part::Text("postgres://app:".to_owned()), Part::Password { postgres: db(), role: sql(role) }])
}

#[test]
fn a_digest_of_passwords_is_of_no_use_to_who_reads_it() {
    let stack_of = |seed: u64| Passwords::open(Arc::new(SimDisk::default()), Arc::new(SimRng::new(seed)), "/state".into());
    let digest = |seed: u64, word: &str| stack_of(seed).0.keyed_digest(&["app".to_owned(), word.to_owned()]).unwrap();
    assert_eq!(digest(1, "letmein"), digest(1, "letmein"));
    assert_ne!(digest(1, "letmein"), digest(2, "letmein"), "the same password under another key");
    assert_ne!(digest(1, "letmein"), digest(1, "letmeout"));
}

#[test]
fn a_password_is_made_once_and_kept() {
    let disk = Arc::new(SimDisk::default());
    let (passwords, damage) = open(&disk, 1);
    assert_eq!(damage, None);
    passwords.ensure(&stack(server())).unwrap();
    let (own, ours) = (text(&passwords, "app").unwrap(), text(&passwords, "postgres").unwrap());
    assert!(own.len() == 32 && own.bytes().all(|byte| byte.is_ascii_alphanumeric()) && own != ours);
    assert_eq!(text(&passwords, "nobody"), None);
    let (again, _) = open(&disk, 2);
    again.ensure(&stack(server())).unwrap();
    assert_eq!((text(&again, "app"), text(&again, "postgres")), (Some(own.clone()), Some(ours)));
    assert!(!format!("{again:?}").contains(&own));
}

#[test]
fn what_the_file_gives_wins_and_may_be_taken_back() {
    let disk = Arc::new(SimDisk::default());
    let (passwords, _) = open(&disk, 1);
    passwords.ensure(&stack(server())).unwrap();
    let made = text(&passwords, "app");
    let report = Role { password: Some(password_of("app")), ..Role::default() };
    let given =
        Postgres { password: Some(Template::text("literal")), roles: BTreeMap::from([(sql("report"), report)]), ..server() };
    passwords.ensure(&stack(given)).unwrap();
    assert_eq!(text(&passwords, "app").as_deref(), Some("literal"));
    assert_eq!(text(&passwords, "report").as_deref(), Some("postgres://app:literal"));
    passwords.ensure(&stack(server())).unwrap();
    assert_eq!(text(&passwords, "app"), made);
}

#[test]
fn a_password_that_is_its_own_is_none() {
    let (passwords, _) = open(&Arc::new(SimDisk::default()), 1);
    passwords.ensure(&stack(Postgres { password: Some(password_of("app")), ..server() })).unwrap();
    assert_eq!(text(&passwords, "app"), None);
    let secret = Template::new([Part::Secret("token".parse().unwrap())]);
    passwords.ensure(&stack(Postgres { password: Some(secret), ..server() })).unwrap();
    assert_eq!(text(&passwords, "app"), None);
}

#[test]
fn a_password_that_can_not_be_kept_is_not_used() {
    let disk = Arc::new(SimDisk::default());
    let (passwords, _) = open(&disk, 1);
    disk.set_full(true);
    passwords.ensure(&stack(server())).unwrap_err();
    assert_eq!(text(&passwords, "app"), None);
    disk.set_full(false);
    passwords.ensure(&stack(server())).unwrap();
    let kept = String::from_utf8(disk.read(Path::new(FILE)).unwrap().unwrap()).unwrap();
    assert!(kept.contains(&text(&passwords, "app").unwrap()));
}

#[test]
fn a_damaged_store_is_moved_aside_and_told_of_without_its_content() {
    for content in ["", "{\"version\":1,\"key\":\"hunter2", "{\"version\":9,\"key\":\"\",\"passwords\":{}}", "[\"hunter2\"]"] {
        let disk = Arc::new(SimDisk::default());
        disk.write_atomic(Path::new(FILE), content.as_bytes()).unwrap();
        let (passwords, damage) = open(&disk, 1);
        let damage = damage.expect("it is told of");
        assert_eq!(disk.read(Path::new("/stack/.witwd/secrets.json.damaged")).unwrap().unwrap(), content.as_bytes());
        assert!(!damage.contains("hunter2") && damage.contains("secrets.json.damaged"), "{damage}");
        passwords.ensure(&stack(server())).unwrap();
        assert!(text(&passwords, "app").is_some());
    }
}

#[test]
fn earlier_damaged_stores_are_kept() {
    let disk = Arc::new(SimDisk::default());
    for number in 1..4 {
        disk.write_atomic(Path::new(FILE), format!("broken {number}").as_bytes()).unwrap();
        assert!(open(&disk, 1).1.is_some());
    }
    let names = disk.list(Path::new("/stack/.witwd")).unwrap();
    let kept = ["secrets.json", "secrets.json.1", "secrets.json.damaged", "secrets.json.damaged-2", "secrets.json.damaged-3"];
    assert_eq!(names, kept);
}

#[test]
fn passwords_outlive_any_damage_of_their_file() {
    let disk = Arc::new(SimDisk::default());
    let (passwords, _) = open(&disk, 1);
    passwords.ensure(&stack(server())).unwrap();
    let whole = disk.read(Path::new(FILE)).unwrap().unwrap();
    for at in 0..whole.len() {
        let mut content = whole.clone();
        content[at] ^= 1;
        disk.write_atomic(Path::new(FILE), &content).unwrap();
        let (again, damage) = open(&disk, 2);
        again.ensure(&stack(server())).unwrap();
        assert_eq!(text(&again, "app"), text(&passwords, "app"), "byte {at}");
        assert!(damage.is_some_and(|damage| damage.contains("its copy is used")), "byte {at}");
    }
}

#[test]
fn on_a_full_disk_known_passwords_are_used_and_no_new_one_is() {
    let disk = Arc::new(SimDisk::default());
    open(&disk, 1).0.ensure(&stack(server())).unwrap();
    disk.set_full(true);
    let (again, damage) = open(&disk, 2);
    assert_eq!(damage, None);
    again.ensure(&stack(server())).unwrap();
    let (fresh, damage) = Passwords::open(disk, Arc::new(SimRng::new(3)), "/elsewhere/secrets.json".into());
    assert!(damage.is_some_and(|damage| damage.contains("no storage space")));
    fresh.ensure(&stack(server())).unwrap_err();
}

#[test]
fn the_store_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".witwd/secrets.json");
    let (passwords, _) = Passwords::open(Arc::new(SystemDisk), Arc::new(SimRng::new(1)), path.clone());
    passwords.ensure(&stack(server())).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_fingerprint_tells_that_a_value_changed_and_nothing_else() {
    let disk = Arc::new(SimDisk::default());
    let (passwords, _) = open(&disk, 1);
    let given = |password: &str| stack(Postgres { password: Some(Template::text(password)), ..server() });
    let app = workload(Kind::Postgres(Box::new(server())), &[("A", password_of("app")), ("B", Template::text("plain"))]);
    let of = |password: &str| {
        passwords.ensure(&given(password)).unwrap();
        passwords.fingerprint(&app).expect("it has a hole")
    };
    let (one, same, other) = (of("one"), of("one"), of("other"));
    assert_eq!(one, same);
    assert!(one.differs_from(&other));
    assert_eq!(crate::model::hash::Fingerprint::parse(&one.to_string()), Some(one.clone()));
    assert_eq!(one.key_id.len(), 8);
    assert_eq!(passwords.fingerprint(&workload(Kind::Postgres(Box::new(server())), &[])), None);
    let (elsewhere, _) = open(&Arc::new(SimDisk::default()), 2);
    elsewhere.ensure(&given("other")).unwrap();
    assert!(!one.differs_from(&elsewhere.fingerprint(&app).unwrap()), "another key: nothing is known");
}

#[test]
fn templates_are_filled_and_a_hole_without_a_value_is_named() {
    let (passwords, _) = open(&Arc::new(SimDisk::default()), 1);
    passwords.ensure(&stack(Postgres { password: Some(Template::text("p")), ..server() })).unwrap();
    assert_eq!(passwords.fill(&password_of("app")), Ok("postgres://app:p".to_owned()));
    let unknown = password_of("nobody");
    assert_eq!(passwords.fill(&unknown).unwrap_err().to_string(), "${db.roles.nobody.password}");
}

#[test]
fn the_server_gets_its_password_in_a_file() {
    let (passwords, _) = open(&Arc::new(SimDisk::default()), 1);
    passwords.ensure(&stack(server())).unwrap();
    let files = passwords.files_for(&workload(Kind::Postgres(Box::new(server())), &[]));
    let [file] = files.as_slice() else { panic!("one file") };
    assert_eq!((file.path.as_str(), file.uid, file.gid, file.mode), ("postgres_password", 999, 999, 0o400));
    assert_eq!(Some(String::from_utf8(file.content.clone()).unwrap()), text(&passwords, "postgres"));
}

#[test]
fn an_external_server_has_the_password_of_its_url() {
    let (passwords, _) = open(&Arc::new(SimDisk::default()), 1);
    let url = Some(Template::text("postgresql://app:geheim@db.example:5433/app"));
    passwords.ensure(&stack(Postgres { url, ..server() })).unwrap();
    assert_eq!((text(&passwords, "app").as_deref(), text(&passwords, "postgres")), (Some("geheim"), None));
    let access = passwords.access(&db()).unwrap();
    assert!(access.url.is_some() && !format!("{access:?}").contains("geheim"));
}

#[tokio::test]
async fn an_external_server_that_is_silent_is_named_without_its_password() {
    let (passwords, _) = open(&Arc::new(SimDisk::default()), 1);
    let limit = std::time::Duration::from_secs(5);
    for (url, expected) in [
        ("postgresql://app:geheim@127.0.0.1:1/app", Ok(Answer::Silent("127.0.0.1:1: connection refused".into()))),
        ("postgresql://app:geheim@127.0.0.1:1/app?sslmode=require", Ok(Answer::Silent("127.0.0.1:1: connection refused".into()))),
        (
            "postgresql://app:geheim@127.0.0.1:1/app?sslrootcert=gone.pem",
            Ok(Answer::Unfit("failed to read sslrootcert /stack/gone.pem: No such file or directory (os error 2)".into())),
        ),
        (
            "postgresql://app:geheim@127.0.0.1:1/app?sslkey=a.pem",
            Ok(Answer::Unfit(
                "its url says sslkey: of the options of TLS witwd knows sslmode, sslrootcert and sslnegotiation".into(),
            )),
        ),
    ] {
        passwords.ensure(&stack(Postgres { url: Some(Template::text(url)), ..server() })).unwrap();
        let access = passwords.access(&db()).unwrap();
        assert_eq!(ask(&access, None, &crate::host::SystemClock::new(), limit).await, expected);
    }
}

#[test]
fn the_marker_decides_about_init() {
    let ours = Some("witwd: initialised by version 0.3.0");
    for (comment, freshness, expected) in [
        (ours, Freshness::Fresh, Decision::Nothing),
        (ours, Freshness::Interrupted, Decision::Nothing),
        (Some("witwd: adopted by version 0.3.0"), Freshness::Settled, Decision::Nothing),
        (None, Freshness::Fresh, Decision::Initialise),
        (Some("default administrative connection database"), Freshness::Fresh, Decision::Initialise),
        (None, Freshness::Interrupted, Decision::Refuse),
        (Some(super::marker::MADE), Freshness::Interrupted, Decision::Initialise),
        (None, Freshness::Settled, Decision::Adopt),
        (Some("default administrative connection database"), Freshness::Settled, Decision::Adopt),
    ] {
        assert_eq!(decide(comment, freshness), expected, "{comment:?} {freshness:?}");
    }
}

#[test]
fn a_change_of_names_leaves_no_marker_by_which_init_would_run_in_data_of_users() {
    let ours = "witwd: initialised by version 0.3.0";
    let adopted = super::marker::statement(Decision::Adopt);
    let kept = format!("COMMENT ON DATABASE postgres IS '{ours}'");
    let made = super::marker::made_statement();
    for (comment, initialise, app, postgres, expected) in [
        (Some(ours), true, true, false, Some(&made)),
        (None, true, true, true, Some(&made)),
        (Some(ours), false, true, false, None),
        (Some(ours), false, true, true, Some(&kept)),
        (Some(super::marker::MADE), false, true, false, Some(&adopted)),
        (None, false, true, true, Some(&adopted)),
        (Some(super::marker::MADE), false, false, false, None),
        (Some(super::marker::MADE), false, false, true, None),
    ] {
        let found = super::marker::after_exchange(comment, initialise, app, postgres);
        assert_eq!(found.as_ref(), expected, "{comment:?} {initialise} {app} {postgres}");
    }
}

#[test]
fn the_apps_role_creates_databases_and_is_no_superuser() {
    let roles = wanted_roles(&server());
    assert!(roles["app"].createdb && !roles["app"].superuser);
    let own = Role { superuser: true, grant: vec!["pg_monitor".to_owned()], ..Role::default() };
    let roles = wanted_roles(&Postgres { user: sql("postgres"), roles: BTreeMap::from([(sql("boss"), own)]), ..server() });
    assert!(roles["boss"].superuser && !roles["boss"].createdb && roles["boss"].grant == ["pg_monitor"]);
    assert!(!roles["postgres"].createdb, "the superuser is left as it is");
}

#[test]
fn names_and_texts_are_quoted() {
    assert_eq!((identifier("a-b").as_str(), identifier("a\"b").as_str()), ("\"a-b\"", "\"a\"\"b\""));
    assert_eq!((literal("it's").as_str(), literal("a\\b'").as_str()), ("'it''s'", " E'a\\\\b'''"));
}

#[test]
fn statements_that_end_the_transaction_are_found() {
    for (sql, expected) in [
        ("CREATE TABLE a();\ncommit;", Some((2, "COMMIT"))),
        ("BEGIN;\nINSERT INTO a VALUES (1);\nEND;", Some((3, "END"))),
        ("-- COMMIT;\n/* ROLLBACK; /* nested */ COMMIT; */\nrollback", Some((3, "ROLLBACK"))),
        ("SAVEPOINT s; ROLLBACK TO s; ROLLBACK WORK TO SAVEPOINT s;", None),
        ("PREPARE TRANSACTION 'x';", Some((1, "PREPARE"))),
        ("PREPARE q AS SELECT 1;", None),
        ("ABORT", Some((1, "ABORT"))),
        ("SELECT 1;\n\\connect other\n", Some((2, "\\connect"))),
        ("\\c other", Some((1, "\\c"))),
        ("\\q", Some((1, "\\q"))),
        ("\\copy a from 'b'\n\\set x COMMIT\n\\echo ; COMMIT;\n", None),
        ("SELECT ';COMMIT;', \";COMMIT;\", E'\\';COMMIT;', $$;COMMIT;$$, $a$;$$COMMIT;$a$;", None),
        ("DO $$ BEGIN PERFORM 1; END; $$;", None),
        ("SELECT 1 $1; COMMIT;", Some((1, "COMMIT"))),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END;\n SELECT 2;\nEND;\nSELECT 1;", None),
        ("CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC SELECT 1; END; COMMIT;", Some((1, "COMMIT"))),
        ("COPY a (b) FROM stdin;\nCOMMIT;\n'\n\\.\nSELECT 1;", None),
        ("COPY a FROM STDIN WITH (FORMAT csv);\n1\n\\.\nCOMMIT;", Some((4, "COMMIT"))),
        ("SELECT 1 \\gset\nCOMMIT;", Some((2, "COMMIT"))),
        ("", None),
        ("CREATE TABLE commit_log(); SELECT 'Ü' AS \"ende\"; -- ende", None),
    ] {
        assert_eq!(read(sql).escape, expected.map(|(line, word)| (line, word.to_owned())), "in {sql:?}");
    }
}

#[test]
fn a_text_is_closed_so_that_the_next_one_is_not_part_of_it() {
    for (sql, expected) in [
        ("", "\n"),
        ("SELECT 1;", "\n"),
        ("SELECT 1", "\n;\n"),
        ("(SELECT 1)", "\n;\n"),
        ("'", "\n;\n"),
        ("SELECT 1; -- end\n/* end */\n", "\n"),
        ("SELECT 1 \\gset", "\n"),
        ("\\echo hello", "\n"),
        ("COPY a FROM stdin;\n1\n\\.\n", "\n"),
        ("COPY a FROM stdin;\n1\n", "\n\\.\n"),
        ("SELECT '", "\n;\n"),
    ] {
        assert_eq!(read(sql).closing, expected, "after {sql:?}");
    }
}

#[test]
fn the_version_of_glibc_is_read_from_the_library_itself() {
    let version = |text: &str| super::examine::version_in(text.as_bytes());
    let debian = "\0GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\nCopyright";
    assert_eq!(version(debian), Some(Glibc(2, 36)));
    assert_eq!(version("musl libc (x86_64)\nVersion 1.2.5"), None);
    assert_eq!(
        [Glibc::parse("2.41"), Glibc::parse("153.120.44"), Glibc::parse("")],
        [Some(Glibc(2, 41)), Some(Glibc(153, 120)), None]
    );
}

proptest::proptest! {
    #[test]
    fn reading_sql_never_panics(sql in "[-a-zÜ;'\"$\\\\\\n/*() 0-9.E]{0,80}") {
        let _ = read(&sql);
    }
}

#[test]
fn an_error_of_init_names_the_file_and_its_own_line() {
    let files = [
        (PathBuf::from("init/01.sql"), b"CREATE TABLE a();\nSELECT 1".to_vec()),
        (PathBuf::from("init/02.sql"), b"SELECT 1;\nSELECT gone();\n".to_vec()),
    ];
    let script = Script::new(&files);
    let line = script.line_of("init/02.sql").expect("it is in the script") + 2;
    let complaint = format!(
        "NOTICE: nothing\npsql:<stdin>:{line}: ERROR:  function gone() does not exist\nLINE 1: SELECT gone('hunter2');\n               ^\nHINT:  No function matches."
    );
    let words = script.explain(&complaint);
    assert_eq!(words, "init/02.sql:2: ERROR: function gone() does not exist HINT: No function matches.");
    assert_eq!(first_error("psql: error: connection failed"), "psql: error: connection failed");
    assert_eq!(first_error(""), "psql said nothing");
}

fn image(env: &[(&str, &str)]) -> ImageFacts {
    ImageFacts {
        id: ImageId("sha256:0".to_owned()),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        entrypoint: vec![],
        user: String::new(),
        volumes: vec![],
        stop_signal: None,
        has_healthcheck: false,
        labels: BTreeMap::new(),
    }
}

#[test]
fn an_image_must_be_of_the_family_of_the_data_directory() {
    let debian = |major: &str| Family::of(&image(&[("PG_MAJOR", major), ("PG_VERSION", "17.2-1.pgdg120+1")]), "postgres:17");
    let alpine = Family::of(&image(&[("PG_MAJOR", "17"), ("PG_SHA256", "00")]), "postgres@sha256:00");
    let tagged = Family::of(&image(&[("PG_MAJOR", "17")]), "postgis/postgis:17-3.5-alpine");
    assert_eq!(debian("17").fits(debian("17"), &db()), Ok(()));
    assert_eq!(debian("16").fits(debian("17"), &db()), Err(Refusal::Major { postgres: db(), made: 16, wanted: 17 }));
    assert_eq!(
        debian("17").fits(alpine, &db()),
        Err(Refusal::Library { postgres: db(), made: Library::Glibc, wanted: Library::Musl })
    );
    assert_eq!(alpine, tagged);
    assert_eq!(Family::default().fits(alpine, &db()), Ok(()), "what is not known fits");
    assert_eq!(alpine.fits(Family::of(&image(&[]), "registry.example/own:1"), &db()), Ok(()));
    let words = debian("16").fits(debian("17"), &db()).unwrap_err().to_string();
    assert!(words.starts_with("data directory of major 16, image is 17: "), "{words}");
}
