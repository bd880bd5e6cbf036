//! Tests of the machine's seams: the real disk and the simulated one behave alike.

mod machine;
mod watch;

use super::sim::{LastWrite, SimDisk, SimRng};
use super::{Clock as _, Disk, SystemClock, SystemDisk, SystemRng, letters_and_digits};

fn a_disk_replaces_whole_files(disk: &dyn Disk, directory: &std::path::Path) {
    let file = directory.join("state/history.json");
    assert!(disk.read(&file).expect("a missing file is no error").is_none());
    disk.write_atomic(&file, b"old").expect("writing");
    disk.write_atomic(&file, b"new").expect("writing again");
    assert_eq!(disk.read(&file).expect("reading").as_deref(), Some(b"new".as_slice()));
    assert_eq!(disk.list(&directory.join("state")).expect("listing"), ["history.json"]);
    disk.rename(&file, &directory.join("state/aside")).expect("renaming");
    disk.remove(&directory.join("state/aside")).expect("removing");
    disk.remove(&directory.join("state/aside")).expect("removing what is gone");
    assert!(disk.list(&directory.join("state")).expect("listing").is_empty());
}

#[test]
fn both_disks_replace_whole_files() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    a_disk_replaces_whole_files(&SystemDisk, directory.path());
    a_disk_replaces_whole_files(&SimDisk::default(), std::path::Path::new("/sim"));
}

#[test]
fn who_listens_on_a_port_is_known_by_name() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let (pid, name) = super::listeners::process(address).expect("it is this process");
    assert_eq!(pid, std::process::id());
    assert!(!name.is_empty());
    let everywhere = std::net::SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), address.port());
    assert_eq!(super::listeners::process(everywhere).map(|(pid, _)| pid), Some(pid));
    let elsewhere = std::net::SocketAddr::new([127, 0, 0, 2].into(), address.port());
    assert_eq!(super::listeners::process(elsewhere), None);
    drop(listener);
    // A process that another test is just beginning has the socket too, for a moment.
    let begun = SystemClock::new().moment();
    while super::listeners::process(address).is_some() {
        assert!(SystemClock::new().moment().since(begun).as_secs() < 10, "somebody still listens there");
        std::thread::yield_now();
    }
}

#[test]
fn files_of_the_daemon_are_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("inner/secret");
    SystemDisk.write_atomic(&file, b"x").expect("writing");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&directory.path().join("inner"))), (0o600, 0o700));
}

#[test]
fn passwords_are_letters_and_digits_and_differ() {
    let (one, two) = (letters_and_digits(&SystemRng, 32), letters_and_digits(&SystemRng, 32));
    assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_ne!(one, two);
    assert_eq!(letters_and_digits(&SimRng::new(7), 9), letters_and_digits(&SimRng::new(7), 9));
}

#[test]
fn writers_of_one_file_do_not_disturb_each_other() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("state.json");
    let write = |text: &str| (0..50).try_for_each(|_| SystemDisk.write_atomic(&file, text.as_bytes()));
    std::thread::scope(|scope| {
        let writers: Vec<_> = ["one", "two", "three"].map(|text| scope.spawn(move || write(text))).into();
        for writer in writers {
            writer.join().expect("no panic").expect("every write succeeds");
        }
    });
    let left = SystemDisk.read(&file).expect("reading").expect("a file");
    assert!([b"one".as_slice(), b"two", b"three"].contains(&left.as_slice()));
}

#[test]
fn a_simulated_machine_stops_at_its_nth_write_and_writes_nothing_after_it() {
    let path = std::path::Path::new("/sim/state.json");
    for (last, left) in [(LastWrite::Lost, "2"), (LastWrite::There, "3")] {
        let disk = SimDisk::default();
        let stopped = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = stopped.clone();
        disk.stop_at(3, last, move || {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        });
        let outcomes = ["1", "2", "3", "4"].map(|text| disk.write_atomic(path, text.as_bytes()).is_ok());
        assert_eq!(outcomes, [true, true, false, false], "{last:?}");
        assert!(disk.remove(path).is_err() && disk.rename(path, path).is_err(), "{last:?}");
        assert_eq!(disk.read(path).expect("reading").as_deref(), Some(left.as_bytes()), "{last:?}");
        assert_eq!(stopped.load(std::sync::atomic::Ordering::SeqCst), 1, "{last:?}");
        disk.go_on();
        disk.write_atomic(path, b"5").expect("a machine that is on again");
    }
}
