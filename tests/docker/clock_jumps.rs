//! A clock that jumps, and a machine that sleeps, while sets are taken by the hour: there is one for each slot that is
//! seen, and none goes.

use std::path::PathBuf;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use witwd::host::{Clock as _, SystemClock};

use crate::backup_faults::{TEXT, backup, ids};
use crate::backups::first;
use crate::postgres::{IMAGE, image};
use crate::stack::{TestStack, text};
use crate::support::{SOON, ended, eventually};

/// The wall clock of one process and its children, as Debian's package faketime makes it.
struct Wall {
    control: PathBuf,
    library: PathBuf,
}

impl Wall {
    fn of(stack: &TestStack) -> Self {
        let found = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
        let library = found.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
        let wall = Self { control: stack.path().join("../wall"), library: library.expect("Debian's package faketime") };
        wall.set(0);
        wall
    }

    /// So many hours from the true time.
    fn set(&self, hours: i64) {
        let next = self.control.with_extension("next");
        std::fs::write(&next, format!("{hours:+}h\n")).expect("it is ours");
        std::fs::rename(&next, &self.control).expect("it is ours");
    }

    fn on(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", &self.control);
        // Timers go on with the clock that nobody sets.
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    }
}

fn signal(process: u64, name: &str) {
    let mut command = Command::new("kill");
    command.args([name, &process.to_string()]);
    assert!(ended(command).status.success());
}

/// Waits until the daemon means to take the next set within an hour of the time that it is told, and does nothing.
async fn waits_for_its_hour(stack: &TestStack, hours: i64) {
    let what = format!("it waits for the next slot, {hours} hours from now");
    eventually(SOON * 6, &what, async || {
        let backup = backup(stack);
        let next: Timestamp = backup["next"].as_str()?.parse().expect("a time");
        let left = next.duration_since(SystemClock::new().wall() + SignedDuration::from_hours(hours));
        let is_near = left > -SignedDuration::from_mins(2) && left <= SignedDuration::from_mins(62);
        (is_near && backup["under_way"].is_null()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_and_a_machine_that_slept_cost_one_set_and_none_of_the_old_ones() {
    image().await;
    let stack = TestStack::new("faults-clock", &TEXT.replace("IMAGE", IMAGE).replace("24h", "1h")).await;
    let wall = Wall::of(&stack);
    let mut up = stack.command(&["up", "-d"]);
    wall.on(&mut up);
    let output = ended(up);
    assert!(output.status.success(), "{}", text(&output.stderr));
    first(&stack).await;
    waits_for_its_hour(&stack, 0).await;
    let before = ids(&stack);
    assert_eq!(before.len(), 1);

    // It slept for eight hours: one set is made up, and seven are missed.
    let daemon = stack.daemon_pid();
    signal(daemon, "-STOP");
    wall.set(8);
    signal(daemon, "-CONT");
    eventually(SOON * 6, "a set is made up", async || (ids(&stack).len() > 1).then_some(())).await;
    waits_for_its_hour(&stack, 8).await;
    assert_eq!((ids(&stack).len(), backup(&stack)["missed"].as_u64()), (2, Some(7)), "{}", stack.log());

    // A day back, and to a time at which no computer of ours was there: nothing goes, and nothing is taken again and again.
    for hours in [-16, -20 * 365 * 24, 0] {
        let before = ids(&stack);
        wall.set(hours);
        waits_for_its_hour(&stack, hours).await;
        let after = ids(&stack);
        assert!(before.iter().all(|id| after.contains(id)), "{hours}: {before:?}, {after:?}\n{}", stack.log());
        assert!(after.len() <= before.len() + 1, "{hours}: {before:?}, {after:?}\n{}", stack.log());
    }
    assert_eq!(stack.daemon_pid(), daemon, "it lived through all of it");
    let newest = ids(&stack);
    assert!(stack.done(&["backup", "verify", &newest[0]]).contains("restored in a trial"));
}
