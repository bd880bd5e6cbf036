//! The program itself: how fast it starts, how large it is, how long it takes to build.

use std::path::Path;
use std::process::Command;

use crate::measure::{ROUNDS, Samples, print, shown, timed_blocking};

/// `witwd --version` beside a program that does nothing, and the size of the binary.
pub fn start_and_size() {
    let program = env!("CARGO_BIN_EXE_witwd");
    let mut all = [Samples::of("witwd --version"), Samples::of("/bin/true"), Samples::of("docker --version")];
    for _ in 0..ROUNDS * 3 {
        all[0].add(timed_blocking(|| run(program, &["--version"])).0);
        all[1].add(timed_blocking(|| run("/bin/true", &[])).0);
        all[2].add(timed_blocking(|| run("docker", &["--version"])).0);
    }
    print("start of the program", &all);
    let bytes = std::fs::metadata(program).unwrap().len();
    println!("size of the binary: {:.1} MB", f64::from(u32::try_from(bytes).unwrap()) / 1e6);
}

/// A release build from nothing, into a directory of its own; the crates' sources are there.
pub fn release_build() {
    let target = tempfile::tempdir().unwrap();
    let fetched = Command::new("cargo").args(["fetch", "--locked", "--quiet"]).current_dir(root()).status();
    assert!(fetched.is_ok_and(|status| status.success()), "cargo fetch failed");
    let (time, ()) = timed_blocking(|| {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--locked", "--quiet", "--target-dir"]).arg(target.path());
        let status = cargo.current_dir(root()).env_remove("CARGO_BUILD_JOBS").status();
        assert!(status.is_ok_and(|status| status.success()), "the release build failed");
    });
    println!("release build from nothing, once: {}", shown(time));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output();
    assert!(output.is_ok_and(|output| output.status.success()), "{program} {words:?} failed");
}
