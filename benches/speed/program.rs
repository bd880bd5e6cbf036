//! The program itself: how fast it starts, how large it is, how long it takes to build.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::measure::{Samples, judge, print, rounds, shown, timed_blocking};

/// The program that is measured, here and on the engine.
const PROGRAM: &str = env!("CARGO_BIN_EXE_witwd");

/// Makes the program as it is released. The one that stands here was made for the benchmarks, with
/// what their dependencies switch on in its own; `cargo build --release` puts its own in this place.
pub fn as_released() {
    let target = Path::new(PROGRAM).ancestors().nth(2).expect("target/release/witwd");
    if !Path::new(PROGRAM).starts_with(target.join("release")) {
        return println!("{PROGRAM} is not built as it is released: these numbers mean nothing");
    }
    println!("making {PROGRAM} as it is released (the first time some minutes)");
    let built = cargo(&["build", "--release", "--locked", "--quiet", "--target-dir"]).arg(target).status();
    assert!(built.is_ok_and(|status| status.success()), "the release build failed");
}

/// `witwd --version` beside a program that does nothing, and the size of the binary.
pub fn start_and_size() {
    let mut all = ["witwd --version", "/bin/true", "docker --version"].map(Samples::of);
    for _ in 0..rounds() * 3 {
        all[0].add(timed_blocking(|| run(PROGRAM, &["--version"])).0);
        all[1].add(timed_blocking(|| run("/bin/true", &[])).0);
        all[2].add(timed_blocking(|| run("docker", &["--version"])).0);
    }
    print("start of the program", &all);
    let bytes = std::fs::metadata(PROGRAM).unwrap().len();
    let megabytes = f64::from(u32::try_from(bytes).unwrap()) / 1e6;
    println!("size of the binary: {megabytes:.1} MB");
    judge("below 25 MB", &format!("{megabytes:.1} MB"), megabytes < 25.0);
}

/// A release build from nothing, into a directory of its own; the crates' sources are there. On two
/// cores, where there are as many.
pub fn release_build() {
    let target = tempfile::tempdir().unwrap();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2));
    let fetched = cargo(&["fetch", "--locked", "--quiet"]).status();
    assert!(fetched.is_ok_and(|status| status.success()), "cargo fetch failed");
    let (time, ()) = timed_blocking(|| {
        let mut build = cargo(&["build", "--release", "--locked", "--quiet", "--target-dir"]);
        let status = build.arg(target.path()).env("CARGO_BUILD_JOBS", cores.to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "the release build failed");
    });
    println!("release build from nothing with {cores} jobs at a time, once: {}", shown(time));
    judge("below 6 minutes on 2 cores", &shown(time), time < Duration::from_secs(360));
}

/// The cargo that runs the benchmarks, in the root of the sources.
fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output();
    assert!(output.is_ok_and(|output| output.status.success()), "{program} {words:?} failed");
}
