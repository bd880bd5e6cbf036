//! The state that a daemon left: what of it can be understood is believed, and nothing else stands in the way
//! of the next one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use witwd::host::sim::SimDisk;
use witwd::host::{Disk, sealed};
use witwd::model::wish::Wish;
use witwd::supervisor::{StateFile, is_readable, last_exits};

use super::driver::{Fate, Target};
use super::mutation::Corpus;
use crate::scenarios::stacks::stack;
use crate::scenarios::world::{DEMO, Machine};

const PATH: &str = "/stack/.witwd/state.json";

/// What is likely to hurt a reader of such a file.
const SHARP: [&str; 16] = [
    "\"v\"",
    ": 2",
    ": 0",
    "null",
    "-1",
    "1e999",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"up\"",
    "\"down\"",
    "18446744073709551616",
    "\"app\"",
    "\"2026-13-45T99:00:00Z\"",
];

/// States that daemons wrote: of a stack that runs, after its engine ended, scaled by hand, taken down.
fn corpus() -> Corpus {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let examples = runtime.block_on(async {
        let (machine, mut examples) = (Machine::new(), Vec::new());
        let stack = stack(DEMO);
        let daemon = machine.daemon(&stack);
        let mut keep = || examples.extend(machine.disk.read(Path::new(PATH)).expect("the simulated disk reads"));
        daemon.up_and_wait(&stack).await;
        keep();
        machine.engine.restart_engine(Duration::from_secs(2));
        daemon.until("app", |app| app.ready && app.restarts > 0).await;
        keep();
        let wish = Wish::Scale { to: [("app".parse().expect("a name"), 3)].into() };
        let (generation, _) = daemon.handle.hand(wish).await.expect("a daemon that lives");
        daemon.settled(generation, |status| status.converged).await;
        keep();
        daemon.down_and_wait().await;
        keep();
        examples
    });
    assert_eq!(examples.len(), 4);
    Corpus { examples, words: SHARP.map(|word| word.as_bytes().to_vec()).to_vec() }
}

/// As it is, its checksum broken most likely; and sealed anew, so that what is in it is read.
fn tries(input: &[u8]) -> Result<Fate, String> {
    let (path, disk) = (PathBuf::from(PATH), Arc::new(SimDisk::default()));
    disk.write_atomic(&path, input).map_err(|error| error.to_string())?;
    let as_it_is = begins_with(&path, &disk)?;
    let disk = Arc::new(SimDisk::default());
    let checksum = |line: &&[u8]| !line.trim_ascii_start().starts_with(b"\"checksum\"");
    let object = input.split(|byte| *byte == b'\n').filter(checksum).collect::<Vec<_>>().join(&b'\n');
    sealed::write(disk.as_ref(), &path, &object, sealed::Copy::Former).map_err(|error| error.to_string())?;
    let sealed = begins_with(&path, &disk)?;
    Ok(if as_it_is == Fate::Taken { as_it_is } else { sealed })
}

fn begins_with(path: &Path, disk: &Arc<SimDisk>) -> Result<Fate, String> {
    let input = disk.read(path).ok().flatten();
    let directory = path.parent().expect("a directory");
    // Who only looks changes nothing.
    let _ = is_readable(disk.as_ref(), directory);
    last_exits(disk.as_ref(), directory).map_err(|error| error.to_string())?;
    StateFile::new(disk.clone(), path.to_owned()).look();
    if disk.read(path).ok().flatten() != input {
        return Err("a look changed the file".to_owned());
    }
    let mut state = StateFile::new(disk.clone(), path.to_owned());
    let (history, words) = state.load();
    if words.as_ref().is_some_and(|words| words.trim().is_empty()) {
        return Err("it is refused without a word".to_owned());
    }
    let history = history.unwrap_or_default();
    state.save(&history).map_err(|error| format!("it can't be written again: {error}"))?;
    let again = StateFile::new(disk.clone(), path.to_owned()).load();
    match words {
        Some(_) => Ok(Fate::Refused),
        None if again.0.as_ref() == Some(&history) && again.1.is_none() => Ok(Fate::Taken),
        None => Err(format!("written again it is another: {history:?}\n{again:?}")),
    }
}

#[test]
fn a_state_is_believed_or_put_aside_and_never_in_the_way() {
    Target { name: "state", cases: 2_000, corpus: corpus(), tries }.run();
}
