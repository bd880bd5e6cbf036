//! Data that is taken away, a database that dies, a state that is damaged, a disk that is full.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::daemon_killed::{DATABASE, server};
use crate::oracles::ledger::Ledger;
use crate::oracles::watch::Watch;
use crate::postgres::{IMAGE, image};
use crate::private::{PrivateEngine, handed_to_root};
use crate::stack::{TestStack, text};
use crate::support::{SOON, docker, eventually};
use crate::up::{TWO, kill_daemon};

const APP: &str = r#"
[services.app]
image = "TINY"
entrypoint = []
command = ["/tiny", "serve", "--port", "8080"]
port = 8080
health.http = "/"
env.DATABASE_URL = "${db.url}"
"#;

fn of(stack: &TestStack, name: &str) -> String {
    let line = stack.identities().into_iter().find(|line| line.contains(&format!("-{name}-1 ")));
    line.unwrap_or_else(|| panic!("no {name}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_is_back_with_every_row_its_app_goes_on_and_without_its_volume_none_is_begun() {
    image().await;
    let stack = TestStack::new("dies", &format!("{}{APP}", DATABASE.replace("IMAGE", IMAGE))).await;
    stack.done(&["up", "-d"]);
    let (app, ledger) = (of(&stack, "app"), Ledger::start(server(&stack)).await);
    let watch = Watch::of(&stack, Path::new("/var/run/docker.sock"));
    let container = || stack.item("db")["container"].as_str().expect("a container").to_owned();
    for words in [&["kill"][..], &["rm", "-f"]] {
        assert!(docker(&[words, &[&container()]].concat()).status.success());
        eventually(SOON * 2, "the database is back", async || (stack.item("db")["ready"] == true).then_some(())).await;
        ledger.grows().await;
    }
    assert_eq!(of(&stack, "app"), app, "whose own probe passes is left alone");
    watch.is_clean();
    drop(watch);
    ledger.balance().is_even();

    // The container can be made anew before the volume is gone: until then they are taken away together.
    let volume = format!("{}_db-17", stack.name);
    eventually(SOON * 2, "the volume is taken away", async || {
        docker(&["rm", "-f", &format!("{}-db-1", stack.name)]);
        docker(&["volume", "rm", &volume]).status.success().then_some(())
    })
    .await;
    let item = eventually(SOON, "a person is needed", async || {
        let item = stack.item("db");
        (item["state"] == "needs_operator").then_some(item)
    })
    .await;
    assert!(item["cause"].to_string().contains(&volume) && item["ready"] == false, "{item:#}");
    // A container that was just being made brings an empty volume with it: no server is started on that.
    let runs = docker(&["ps", "-q", "--filter", &format!("volume={volume}")]);
    assert_eq!(text(&runs.stdout), "");
    let refused = stack.run(&["up", "-d", "--timeout", "20s"]);
    // Whether the empty volume is called empty or somebody's: it is not gone on with.
    assert!(matches!(refused.status.code(), Some(1 | 6)), "{}", text(&refused.stderr));
    assert_eq!(text(&docker(&["ps", "-q", "--filter", &format!("volume={volume}")]).stdout), "");
    // It has no label of ours that it would go by.
    stack.done(&["down"]);
    docker(&["volume", "rm", &volume]);
}

/// What is done to a state file, in words and in deed.
type Damage = (&'static str, fn(&Path));

/// How a state file can be damaged.
fn damages() -> Vec<Damage> {
    fn write(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(path).expect("the state");
        change(&mut bytes);
        std::fs::write(path, bytes).expect("the state");
    }
    vec![
        ("cut short", |path| write(path, |bytes| bytes.truncate(bytes.len() / 2))),
        ("empty", |path| write(path, Vec::clear)),
        ("a byte is another", |path| {
            write(path, |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x55;
            });
        }),
        ("noise", |path| {
            let noise = |number: u32| u8::try_from(number * 7919 % 251).unwrap();
            write(path, |bytes| *bytes = (0..1024).map(noise).collect());
        }),
        ("a directory", |path| {
            std::fs::remove_file(path).expect("the state");
            std::fs::create_dir(path).expect("a directory");
        }),
        ("nobody may read it", |path| {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("its mode");
        }),
        ("gone", |path| std::fs::remove_file(path).expect("the state")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_damaged_in_any_way_restarts_nobody() {
    let stack = TestStack::new("damage", TWO).await;
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    let state = stack.path().join(".witwd/state.json");
    for (how, damage) in damages() {
        damage(&state);
        kill_daemon(&stack).await;
        let is_so = async || (stack.ps()["converged"] == true && state.is_file()).then_some(());
        eventually(SOON, &format!("the daemon has it again: {how}"), is_so).await;
        assert_eq!(stack.identities(), before, "{how}\n{}", stack.log());
        assert!(!stack.log().contains("panicked"), "{how}\n{}", stack.log());
    }
}

/// A file system of this size in a file, mounted until it is dropped.
struct SmallDisk {
    mounted: PathBuf,
    _directory: tempfile::TempDir,
}

impl SmallDisk {
    fn new(megabytes: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (image, mounted) = (directory.path().join("disk"), directory.path().join("mounted"));
        std::fs::create_dir(&mounted).expect("a directory");
        std::fs::File::create(&image).and_then(|file| file.set_len(megabytes << 20)).expect("a file of that size");
        done(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image));
        done(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mounted));
        Self { mounted, _directory: directory }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The engine was killed: the kernel may still be taking leave of it.
        let _ = Command::new("umount").arg("-l").arg(&self.mounted).status();
    }
}

fn done(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_disk_is_full_is_told_about_and_gone_on_with_when_there_is_room() {
    if handed_to_root().await {
        return;
    }
    let disk = SmallDisk::new(96);
    let engine = PrivateEngine::start_in(json!({}), Some(&disk.mounted)).await;
    let stack = TestStack::on(&engine, "full", TWO);
    stack.done(&["up", "-d"]);
    let before = stack.identities();
    let filler = disk.mounted.join("filler");
    let full = Command::new("dd").args(["if=/dev/zero", "bs=4k"]).arg(format!("of={}", filler.display())).output().expect("dd");
    assert!(text(&full.stderr).contains("No space left"), "{}", text(&full.stderr));
    stack.write(&TWO.replace("[services.web]\n", "[services.web]\nenv.COLOUR = \"blue\"\n"));
    let output = stack.run(&["up", "-d", "--timeout", "8s"]);
    let complaint = text(&output.stderr);
    assert!(!output.status.success() && complaint.contains("no space left"), "{complaint}");
    let old: Vec<String> = stack.identities().into_iter().filter(|line| before.contains(line)).collect();
    assert_eq!(old, before, "what ran runs on");
    let tries = stack.log().matches("create web").count();
    assert!(tries <= 5, "not in a hot loop: {tries}");
    std::fs::remove_file(filler).expect("room");
    eventually(Duration::from_secs(40), "all is as the file says", async || (stack.ps()["converged"] == true).then_some(()))
        .await;
    assert_eq!(stack.identities().len(), 2);
}
