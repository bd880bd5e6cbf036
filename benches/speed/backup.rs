//! A backup set of a database of 1 GB: the dumps beside the same pipeline in a shell, and what the daemon
//! takes of memory meanwhile.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::database::{IMAGE, image};
use crate::measure::{Samples, judge, print, rounds, timed_blocking, turns, until};
use crate::stack::TestStack;
use crate::support::docker;

/// No trial, which is no part of what is compared.
const STACK: &str = r#"
name = "NAME"
[postgres.db]
image = "localhost/witwd-test-postgres:17"
database = "app"
backup = { every = "24h", verify = "read", keep = { last = 2, hourly = 0, daily = 0, weekly = 0, monthly = 0 } }
"#;

/// Rows that are neither all alike nor all different: about 1 GB as a dump.
const ROWS: &str = "CREATE TABLE t AS SELECT n, md5(n::text) AS a, repeat(md5((n / 100)::text), 3) AS b, now() AS at \
     FROM generate_series(1, 6000000) n";

/// The dumps of a set, and memory, in turns with a shell that runs the same programs in containers of the same image.
pub async fn backup() {
    image();
    let stack = TestStack::new("bench-backup", STACK).await;
    stack.done(&["up", "-d"]);
    until("the first set", Duration::from_millis(200), async || sets(&stack) > 0 && is_idle(&stack)).await;
    stack.done(&["psql", "--superuser", "--", "-d", "app", "-qc", ROWS, "-c", "CHECKPOINT"]);
    let mut all = Samples::of_all(["dumps of a set", "pg_dump | zstd -3, in a shell"].map(str::to_owned));
    let (mut growth, mut bytes) = (Vec::new(), 0);
    for round in 0..rounds() {
        for who in turns(round, all.len()) {
            if who == 0 {
                let (took, plain, grown) = by_witwd(&stack);
                all[0].add(took);
                growth.push(grown);
                bytes = plain;
            } else {
                all[1].add(by_shell(&stack));
            }
        }
    }
    print(&format!("the dumps of {:.2} GB", megabytes(bytes) / 1e3), &all);
    let ratio = all[0].ratio_to(&all[1]);
    judge("at most 1.1 of the same pipeline in a shell", &format!("{ratio:.2}"), ratio <= 1.1);
    growth.sort_by(f64::total_cmp);
    let most = growth.last().copied().unwrap_or_default();
    judge("at most 16 MB of memory more than idle, at the peak", &format!("{most:.1} MB"), most <= 16.0);
    stack.done(&["down", "--volumes", "--yes", "--without-last-set"]);
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap()) / 1e3
}

fn listed(stack: &TestStack) -> Vec<Value> {
    let document: Value = serde_json::from_str(&stack.done(&["backup", "list", "--json"])).unwrap();
    document["items"].as_array().unwrap().clone()
}

fn sets(stack: &TestStack) -> usize {
    listed(stack).len()
}

fn is_idle(stack: &TestStack) -> bool {
    stack.item("db")["backup"]["under_way"].is_null()
}

/// A set: how long its dumps took, how much was dumped, and by how many megabytes the daemon grew.
fn by_witwd(stack: &TestStack) -> (Duration, u64, f64) {
    let daemon = stack.daemon_pid();
    // The peak begins anew.
    std::fs::write(format!("/proc/{daemon}/clear_refs"), "5").unwrap();
    let idle = resident(daemon, "VmRSS:");
    stack.done(&["backup", "now"]);
    let grown = resident(daemon, "VmHWM:") - idle;
    let set = listed(stack)[0].clone();
    let manifest = std::fs::read(Path::new(set["dir"].as_str().unwrap()).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let time = |field: &str| manifest[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let took = Duration::try_from(time("finished").duration_since(time("started"))).unwrap();
    let plain = manifest["databases"].as_array().unwrap().iter().filter_map(|one| one["bytes_plain"].as_u64()).sum();
    (took, plain, grown)
}

/// In megabytes.
fn resident(pid: u64, field: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    let kilobytes: u32 = line.split_whitespace().next().unwrap().parse().unwrap();
    f64::from(kilobytes) * 1024.0 / 1e6
}

/// What a person would write: a container for each dump, without a log as ours, compressed and synced.
fn by_shell(stack: &TestStack) -> Duration {
    let directory = tempfile::tempdir_in(stack.path()).unwrap();
    let password = password(stack);
    let run = format!(
        "docker run --rm --log-driver none --network {} --label dev.witwd.directory={} -e PGPASSWORD={password} -e PGHOST=db -e PGUSER=postgres \
         --entrypoint",
        stack.name,
        stack.path().display()
    );
    let out = directory.path().display();
    let script = format!(
        "set -e -o pipefail\n\
         {run} pg_dump {IMAGE} -Fc -Z0 -d app | tee >(sha256sum > {out}/app.sum) | zstd -q -3 --check -o {out}/app.zst\n\
         {run} pg_dump {IMAGE} -Fc -Z0 -d postgres | tee >(sha256sum > {out}/postgres.sum) | zstd -q -3 --check -o {out}/postgres.zst\n\
         {run} pg_dumpall {IMAGE} --globals-only | zstd -q -3 -o {out}/globals.zst\n\
         sha256sum {out}/*.zst > {out}/sums\nsync {out}/*.zst"
    );
    let (took, status) = timed_blocking(|| Command::new("bash").args(["-c", &script]).status());
    assert!(status.is_ok_and(|status| status.success()), "the shell's way failed");
    took
}

/// The superuser's, from where the server's container finds it.
fn password(stack: &TestStack) -> String {
    let container = stack.item("db")["container"].as_str().unwrap().to_owned();
    let words = ["exec", &container, "sh", "-c", "cat \"$POSTGRES_PASSWORD_FILE\""];
    String::from_utf8(docker(&words).stdout).unwrap().trim().to_owned()
}
