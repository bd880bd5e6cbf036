//! Tests of what a daemon needs of its machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::host::instance::{DirectoryId, instance_of, recognise};
use crate::host::lock::{LockError, acquire, holder};
use crate::host::runtime::{Runtime, RuntimeError, Surroundings, keep_socket_address, kept_socket_address, objection};
use crate::host::{Clock as _, Journal, SystemClock, SystemDisk, git, instance_id, keep_own_id, kept};
use crate::model::name::InstanceId;
use crate::model::snapshot::Snapshot;

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn a_process_that_is_over_is_not_alive_although_nobody_waited_for_it() {
    let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().expect("cat");
    assert!(crate::host::process::is_alive(child.id()));
    drop(child.stdin.take());
    let over = (0..2000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        !crate::host::process::is_alive(child.id())
    });
    assert!(over, "it has ended within ten seconds");
    assert!(child.wait().expect("an end").success());
}

fn directory(device: u64, inode: u64, birth: Option<u128>) -> DirectoryId {
    DirectoryId { device: Some(device), inode, birth }
}

#[test]
fn an_instance_is_bound_to_machine_inode_and_birth_and_to_the_device_where_no_birth_is_known() {
    let of = |machine: &str, device, inode, birth| recognise(&[machine.to_owned()], &directory(device, inode, birth), None);
    let one = of("machine", 1, 2, Some(7));
    // After a boot its disk may have another number.
    assert_eq!(one, of("machine", 2, 2, Some(7)));
    // The inode of a directory that was removed is given to the next one that is made.
    let others =
        [of("other", 1, 2, Some(7)), of("machine", 1, 3, Some(7)), of("machine", 1, 2, Some(8)), of("machine", 1, 2, None)];
    assert!(others.iter().all(|id| id != &one));
    assert_ne!(of("machine", 1, 2, None), of("machine", 2, 2, None));
}

#[test]
fn a_machine_that_gets_an_id_later_keeps_its_instances() {
    let of = |machine, inode| instance_of(machine, &DirectoryId { device: None, inode, birth: Some(7) });
    let of_host = of("host", 2);
    let recognised = |machines: &[&str], inode, kept: Option<&InstanceId>| {
        let machines: Vec<String> = machines.iter().map(|&name| name.to_owned()).collect();
        recognise(&machines, &directory(1, inode, Some(7)), kept)
    };
    assert_eq!(recognised(&["host"], 2, None), of_host);
    assert_eq!(recognised(&["id", "host"], 2, Some(&of_host)), of_host);
    assert_eq!(recognised(&["id", "host"], 2, None), of("id", 2));
    // What was copied along with the directory, or from a machine of another name, says nothing here.
    assert_eq!(recognised(&["id", "host"], 3, Some(&of_host)), of("id", 3));
    assert_eq!(recognised(&["id", "other"], 2, Some(&of_host)), of("id", 2));
    // One that was kept when the time of birth did not count, or the device did, goes on where it was kept.
    for birth in [None, Some(7)] {
        let before = instance_of("id", &directory(1, 2, birth));
        assert_eq!(recognised(&["id", "host"], 2, Some(&before)), before);
        assert_eq!(recognised(&["id", "host"], 3, Some(&before)), of("id", 3));
    }
}

#[test]
fn a_directory_in_the_place_of_one_that_was_removed_is_another_instance() {
    let root = scratch();
    let (one, aside) = (root.path().join("one"), root.path().join("aside"));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        std::fs::create_dir(&one).expect("a directory");
        assert!(seen.insert(instance_id(&one).expect("an id").0), "an id that one before had");
        std::fs::rename(&one, &aside).expect("renaming");
        std::fs::remove_dir(&aside).expect("removed");
    }
}

#[test]
fn a_copied_directory_is_another_instance_and_a_renamed_one_is_not() {
    let root = scratch();
    let (one, two) = (root.path().join("one"), root.path().join("two"));
    let id_of = |directory: &Path| instance_id(directory).expect("an id");
    std::fs::create_dir_all(one.join(".witwd")).expect("a directory");
    let id = id_of(&one);
    keep_own_id(&SystemDisk, &one).expect("keeping it");
    std::fs::rename(&one, &two).expect("renaming");
    assert_eq!(id_of(&two), id);
    std::fs::create_dir_all(one.join(".witwd")).expect("a copy");
    std::fs::copy(two.join(".witwd/instance"), one.join(".witwd/instance")).expect("what was kept is copied too");
    assert_ne!(id_of(&one), id);
}

#[test]
fn a_lock_is_held_once_and_says_by_whom() {
    let root = scratch();
    let state = root.path().join(".witwd");
    let now = SystemClock::new().wall();
    assert_eq!(holder(&state), None);
    let lock = acquire(&state, now).expect("a free lock");
    let Err(LockError::Held { directory, holder: Some(who) }) = acquire(&state, now) else { panic!("a held lock is refused") };
    assert_eq!((directory.as_path(), who.pid), (root.path(), std::process::id()));
    assert_eq!(holder(&state).map(|who| who.pid), Some(std::process::id()));
    drop(lock);
    // A process that another test begins just now has all our files until it is its own program.
    let is_given_back = (0..2000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        holder(&state).is_none()
    });
    assert!(is_given_back);
    acquire(&state, now).expect("a lock that was given back");
}

#[test]
fn the_runtime_directory_is_of_this_user_alone() {
    let root = scratch();
    let uid = rustix::process::geteuid().as_raw();
    let chosen = root.path().join("run/witwd");
    let surroundings = Surroundings { uid, chosen: Some(chosen.clone()), xdg: None };
    let runtime = Runtime::open(&surroundings).expect("a runtime directory");
    assert_eq!(std::fs::metadata(&chosen).expect("it is there").permissions().mode() & 0o777, 0o700);
    assert_eq!(runtime.socket(&InstanceId("0123456789abcdef".into())), chosen.join("0123456789abcdef.sock"));
    std::fs::set_permissions(&chosen, std::fs::Permissions::from_mode(0o777)).expect("changing its mode");
    assert!(matches!(Runtime::open(&surroundings), Err(RuntimeError::Unsafe { .. })));
}

#[test]
fn a_runtime_directory_that_leaves_no_room_for_a_socket_is_passed_over() {
    let long = Path::new("/tmp").join("x".repeat(100));
    let surroundings = Surroundings { uid: 0, chosen: Some(long), xdg: None };
    assert!(matches!(Runtime::open(&surroundings), Err(RuntimeError::TooLong(_))));
}

#[test]
fn what_others_could_have_made_is_refused() {
    assert_eq!(objection(true, 7, 0o40700, 7), None);
    assert_eq!(objection(true, 7, 0o40750, 7), None);
    assert_eq!(objection(true, 8, 0o40700, 7), Some("belongs to another user"));
    assert_eq!(objection(true, 7, 0o40702, 7), Some("can be written by others"));
    assert_eq!(objection(false, 7, 0o100_700, 7), Some("is no directory"));
}

#[test]
fn the_address_of_the_socket_is_kept() {
    let root = scratch();
    assert_eq!(kept_socket_address(&SystemDisk, root.path()).expect("reading"), None);
    keep_socket_address(&SystemDisk, root.path(), Path::new("/run/witwd/a.sock")).expect("keeping");
    let kept = kept_socket_address(&SystemDisk, root.path()).expect("reading");
    assert_eq!(kept.as_deref(), Some(Path::new("/run/witwd/a.sock")));
}

#[test]
fn what_is_kept_of_an_up_comes_back_and_is_not_shown() {
    let root = scratch();
    let environment = [("TOKEN".to_owned(), "canary-7".to_owned())].into();
    let (at, uid) = (jiff::Timestamp::UNIX_EPOCH, 7);
    let stack = "shop".to_owned();
    let (profiles, file, snapshot) = (vec!["prod".into()], "stack.toml".to_owned(), Snapshot::default());
    let up = kept::Kept { at, uid, environment, stack, profiles, name: None, env_files: Vec::new(), file, snapshot };
    kept::keep(&SystemDisk, root.path(), &up).expect("keeping");
    let mode = std::fs::metadata(root.path().join("environment.json")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(kept::recall(&SystemDisk, root.path()).is_some_and(|kept| kept.means_the_same(&up)));
    assert!(!format!("{up:?}").contains("canary-7"));
}

#[test]
fn a_journal_keeps_the_last_lines_and_stays_small() {
    let root = scratch();
    let journal = Journal::new(root.path().join("events.jsonl"), 200);
    (0..100).for_each(|number| journal.append(&format!("line {number}")).expect("appending"));
    assert_eq!(journal.tail(2).expect("reading"), ["line 98", "line 99"]);
    let bytes: u64 = std::fs::read_dir(root.path()).expect("listing").map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 500, "{bytes} bytes");
}

#[test]
fn a_log_that_another_process_writes_is_cut() {
    let root = scratch();
    let path = root.path().join("daemon.log");
    std::fs::write(&path, "a line\n".repeat(100)).expect("writing");
    let journal = Journal::new(path.clone(), 200);
    journal.trim().expect("cutting");
    assert_eq!(std::fs::metadata(&path).expect("it is there").len(), 0);
    assert_eq!(journal.tail(1).expect("reading"), ["a line"]);
}

fn run_git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(directory).args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn neither_git_add_nor_git_clean_takes_what_is_kept() {
    let root = scratch();
    let stack = root.path().join("deploy");
    let kept = [stack.join(".witwd"), stack.join("volumes/backups/db")];
    for path in &kept {
        std::fs::create_dir_all(path).expect("a directory");
    }
    git::keep_from_git(&stack, &kept).expect("outside a work tree there is nothing to do");
    assert!(!kept[0].join(".git").exists());
    if run_git(root.path(), &["init", "-q"]).is_none() {
        return;
    }
    std::fs::write(kept[0].join("state"), "kept").expect("writing");
    std::fs::write(kept[1].join("dump"), "kept").expect("writing");
    (0..2).for_each(|_| git::keep_from_git(&stack, &kept).expect("keeping them from git"));
    let exclude = std::fs::read_to_string(root.path().join(".git/info/exclude")).expect("the exclude file");
    assert_eq!(exclude.matches("/deploy/.witwd/").count(), 1);
    run_git(root.path(), &["clean", "-qfdx"]);
    assert!(kept[0].join("state").exists() && kept[1].join("dump").exists(), "git clean took them");
    run_git(root.path(), &["add", "-A"]);
    assert_eq!(run_git(root.path(), &["ls-files"]).as_deref(), Some(""));
}
