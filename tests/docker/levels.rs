//! What each level of proof finds alone, with the others off, of what can become of a dump. L1 alone is tried in
//! `src/postgres/backup/tests/files.rs`: it needs no server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use witwd::config::{LoadRequest, load};
use witwd::host::{Clock, Disk, SystemClock, SystemDisk, SystemRng};
use witwd::model::backup::Proof;
use witwd::model::name::{ContainerId, ImageId, InstanceId};
use witwd::model::stack::Stack;
use witwd::postgres::Passwords;
use witwd::postgres::backup::manifest::Manifest;
use witwd::postgres::backup::{BackupError, Order, Sets, Wanted};

use crate::backups::{nothing_is_left, sets};
use crate::postgres::IMAGE;
use crate::postgres_data::Derived;
use crate::restore::{set_of_now, sql, stack};
use crate::stack::{TestStack, text};
use crate::support::{SOON, connect, docker, eventually};

/// How many looks are under way at once.
const AT_ONCE: usize = 2;

/// A good set of a server, and what takes and looks at sets, without a daemon.
struct Bench {
    stack: TestStack,
    loaded: Stack,
    sets: Sets,
    set: PathBuf,
    manifest: Manifest,
    scratch: tempfile::TempDir,
}

impl Bench {
    async fn new(name: &str, statements: &str) -> Self {
        let stack = stack(name).await;
        sql(&stack, statements);
        let id = set_of_now(&stack);
        let set = PathBuf::from(sets(&stack)[0]["dir"].as_str().expect("a directory"));
        let content = std::fs::read(set.join("manifest.json")).expect("a manifest");
        let mut manifest = Manifest::parse(id.parse().expect("an id"), &content).expect("it is ours");
        // Only the app's database is damaged.
        manifest.databases.retain(|database| database.name == "app");
        let file = stack.path().join("stack.toml");
        let loaded = load(&LoadRequest { file, ..LoadRequest::default() }).expect("it runs");
        let (clock, disk): (Arc<dyn Clock>, Arc<dyn Disk>) = (Arc::new(SystemClock::new()), Arc::new(SystemDisk));
        let scratch = tempfile::tempdir().expect("a directory");
        let secrets = stack.path().join(".witwd/secrets.json");
        let passwords = Passwords::look(disk.clone(), Arc::new(SystemRng), secrets, &loaded.stack);
        let sets = Sets {
            engine: Arc::new(connect().await),
            clock,
            disk,
            passwords: Arc::new(passwords),
            instance: InstanceId(stack.name.clone()),
            secrets_directory: scratch.path().to_owned(),
        };
        Self { stack, loaded: loaded.stack, sets, set, manifest, scratch }
    }

    fn order(&self, image: &str) -> Order<'_> {
        let container = ContainerId(self.stack.item("db")["container"].as_str().expect("a container").to_owned());
        Order {
            stack: &self.loaded,
            workload: self.loaded.workload(&"db".parse().expect("a name")).expect("it is in the file"),
            container,
            image: ImageId(image.to_owned()),
            progress: Arc::new(|_| ()),
        }
    }

    /// What was dumped of the app's database.
    fn dump(&self) -> Vec<u8> {
        let file = std::fs::File::open(self.set.join("app.dump.zst")).expect("a dump");
        zstd::decode_all(file).expect("it is whole")
    }

    /// What the server's `pg_dump` makes of the app's database with these flags.
    fn dumped(&self, flags: &[&str]) -> Vec<u8> {
        let container = self.order("").container.0;
        let words = ["exec", "-u", "postgres", &container, "pg_dump", "-Fc", "-Z0", "-d", "app"];
        let output = docker(&[&words, flags].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        output.stdout
    }

    /// The set with something else in the place of the dump of the app's database, well compressed.
    fn with(&self, name: &str, dump: &[u8]) -> PathBuf {
        let set = self.scratch.path().join(name);
        std::fs::create_dir(&set).expect("a directory");
        std::fs::copy(self.set.join("globals.sql.zst"), set.join("globals.sql.zst")).expect("a copy");
        std::fs::write(set.join("app.dump.zst"), zstd::encode_all(dump, 3).expect("it fits")).expect("it is ours");
        set
    }

    async fn passes(&self, set: &Path, level: Proof) -> Result<(), BackupError> {
        self.sets.passes(&self.order(&self.manifest.image_digest), set, &self.manifest, level).await
    }

    /// The damages that a level does not find.
    async fn unseen(&self, level: Proof, damages: Vec<(String, Vec<u8>)>) -> Vec<String> {
        assert!(damages.len() > 3, "this proves little");
        let look = |(name, dump): (String, Vec<u8>)| async move {
            let set = self.with(&name, &dump);
            match self.passes(&set, level).await {
                Err(BackupError::Damaged { .. } | BackupError::Differs { .. }) => None,
                // So ends the program that restores, where it can't.
                Err(BackupError::Program { code: 1, .. }) if level == Proof::Restored => None,
                other => Some(format!("{name}: {other:?}")),
            }
        };
        let looks: Vec<Option<String>> = stream::iter(damages).map(look).buffer_unordered(AT_ONCE).collect().await;
        looks.into_iter().flatten().collect()
    }
}

const CONTENT: &str = "CREATE EXTENSION pgcrypto; CREATE TABLE t AS SELECT n, md5(n::text) AS v FROM generate_series(1, 2000) n; \
     CREATE INDEX ON t (v); CREATE TABLE u AS SELECT 1 AS n; SELECT lo_from_bytea(0, 'large')";

/// What a terminal does to what passes it (`postgres-facts.md`, 3.1).
fn through_a_terminal(dump: &[u8]) -> Vec<u8> {
    dump.iter().flat_map(|byte| if *byte == b'\n' { &b"\r\r\n"[..] } else { std::slice::from_ref(byte) }).copied().collect()
}

fn flipped(dump: &[u8], at: usize) -> Vec<u8> {
    let mut dump = dump.to_vec();
    dump[at] ^= 0x10;
    dump
}

#[tokio::test]
async fn reading_alone_finds_every_cut_and_what_is_not_that_database() {
    let bench = Bench::new("level-read", CONTENT).await;
    let dump = bench.dump();
    bench.passes(&bench.with("as it is", &dump), Proof::Read).await.expect("nothing happened to it");
    let cuts = (0..64).map(|part| dump.len() * part / 64).chain((1..=8).map(|less| dump.len() - less));
    let mut damages: Vec<(String, Vec<u8>)> =
        cuts.map(|length| (format!("cut to {length} of {}", dump.len()), dump[..length].to_vec())).collect();
    // The magic, the version, the sizes of its numbers; of the table of contents its length.
    damages.extend([0, 4, 5, 8, 9, 11].map(|at| (format!("byte {at} of the head"), flipped(&dump, at))));
    damages.push(("terminal".to_owned(), through_a_terminal(&dump)));
    damages.push(("empty database".to_owned(), bench.dumped(&["--exclude-table=*"])));
    damages.push(("another database".to_owned(), {
        zstd::decode_all(std::fs::File::open(bench.set.join("postgres.dump.zst")).expect("a dump")).expect("it is whole")
    }));
    damages.push(("rows of a table".to_owned(), bench.dumped(&["--exclude-table-data=t"])));
    let unseen = bench.unseen(Proof::Read, damages).await;
    assert!(unseen.is_empty(), "{} unseen:\n{}", unseen.len(), unseen.join("\n"));
    nothing_is_left(&bench.stack);
}

#[tokio::test]
async fn a_trial_restore_alone_finds_what_does_not_come_back() {
    let bench = Bench::new("level-trial", CONTENT).await;
    let dump = bench.dump();
    bench.passes(&bench.with("as it is", &dump), Proof::Restored).await.expect("nothing happened to it");
    let row = dump.windows(3).position(|bytes| bytes == b"77\t").expect("a row");
    // Each takes a server of its own: a few of the cuts, all of which are tried on the level below.
    let cuts = [dump.len() / 2, dump.len() - 1];
    let mut damages: Vec<(String, Vec<u8>)> = cuts.map(|length| (format!("cut to {length}"), dump[..length].to_vec())).into();
    damages.push(("empty database".to_owned(), bench.dumped(&["--exclude-table=*"])));
    damages.push(("rows of a table".to_owned(), bench.dumped(&["--exclude-table-data=t"])));
    damages.push(("a table".to_owned(), bench.dumped(&["--exclude-table=u"])));
    damages.push(("indexes".to_owned(), bench.dumped(&["--section=pre-data", "--section=data"])));
    damages.push(("large objects".to_owned(), bench.dumped(&["--no-blobs"])));
    damages.push(("an extension".to_owned(), bench.dumped(&["--schema=public", "--blobs"])));
    // A number that is none any more: `g7`.
    damages.push(("a row".to_owned(), {
        let mut dump = dump.clone();
        dump[row] = b'g';
        dump
    }));
    let unseen = bench.unseen(Proof::Restored, damages).await;
    assert!(unseen.is_empty(), "{} unseen:\n{}", unseen.len(), unseen.join("\n"));
    nothing_is_left(&bench.stack);
}

/// An image whose `pg_dump` does something else.
fn with_dump(bench: &Bench, tag: &str, script: &str) -> Derived {
    let lines = format!("#!/bin/sh\\nreal=$(PATH=${{PATH#*:}} command -v pg_dump)\\n{script}\\n");
    let run = format!("RUN printf '{lines}' > /usr/local/sbin/pg_dump && chmod 755 /usr/local/sbin/pg_dump");
    Derived::with(&bench.stack, tag, &run)
}

#[tokio::test]
async fn a_dump_alone_counts_only_where_it_ended_well_and_brought_an_archive() {
    let bench = Bench::new("level-dump", CONTENT).await;
    let wanted = Wanted { slot: None, reason: "a test".to_owned(), safe_for: None };
    let before = sets(&bench.stack).len();
    let scripts = [
        ("fails", "\"$real\" \"$@\"; exit 3", "pg_dump ended with 3"),
        ("nothing", "exit 0", "it brought nothing"),
        ("text", "echo PGDUMB; exit 0", "what it brought is no archive"),
        ("half", "\"$real\" \"$@\" | head -c 3000; exit 1", "pg_dump ended with 1"),
    ];
    for (tag, script, words) in scripts {
        let image = with_dump(&bench, tag, script);
        let failed = bench.sets.take(&bench.order(&image.0), &wanted).await.expect_err(tag).to_string();
        assert!(failed.contains(words), "{tag}: {failed}");
    }
    // All of it is written, and nobody says how it ended.
    let image = with_dump(&bench, "gone", "\"$real\" \"$@\"; exec >&- 2>&-; exec sleep 600");
    let order = bench.order(&image.0);
    let dump = format!("label=dev.witwd.directory={}", bench.stack.path().display());
    let killing = eventually(SOON, "it has written all", async || {
        let ids = docker(&["ps", "-q", "--filter", &dump, "--filter", "label=dev.witwd.kind=dump"]).stdout;
        let id = text(&ids).trim().to_owned();
        let is_done = !id.is_empty() && text(&docker(&["top", &id]).stdout).contains("sleep 600");
        is_done.then(|| docker(&["rm", "-f", "-v", &id])).map(drop)
    });
    let (taken, ()) = tokio::join!(bench.sets.take(&order, &wanted), killing);
    let failed = taken.expect_err("nobody knows how it ended").to_string();
    assert!(failed.contains("pg_dump"), "{failed}");
    assert_eq!(sets(&bench.stack).len(), before, "none of them is a set");
    // The image itself is well.
    bench.sets.take(&bench.order(IMAGE), &wanted).await.expect("it ends well");
    assert_eq!(sets(&bench.stack).len(), before + 1);
    nothing_is_left(&bench.stack);
}
