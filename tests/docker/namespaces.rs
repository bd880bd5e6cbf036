//! Namespaces of a test's own (mounts, processes, network), which a shell holds open: what is done in
//! there to bridges, rules and mounts is no business of the machine, and when the shell is killed the
//! kernel ends whatever runs in there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Says its own process id as the machine sees it, once all is there, and stays.
const HOLDER: &str = "read -r pid rest </proc/self/stat && mount -t proc proc /proc && ip link set lo up && \
                      echo \"$pid\" && while sleep 3600; do :; done";

/// Namespaces that are there until this value is dropped, or the thread that opened them ends.
pub struct Namespaces {
    /// Ends everything in the namespaces with itself.
    holder: Child,
    /// The first process in the namespaces.
    first: u32,
}

impl Namespaces {
    /// New ones. What their making complains of is written to the file `complaints`.
    pub fn open(complaints: &Path) -> Self {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--pid",
            "--net",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            HOLDER,
        ]);
        // It complains where its child is killed, as it is at the end.
        command.stderr(std::fs::File::create(complaints).expect("a file"));
        let mut holder = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("setpriv and unshare, of util-linux");
        let mut line = String::new();
        let said = holder.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let first = line.trim().parse().unwrap_or_else(|_| {
            let complaint = std::fs::read_to_string(complaints).unwrap_or_default();
            panic!("no namespaces for an engine ({said:?}): {complaint} It needs `ip` of iproute2; a container may forbid it");
        });
        Self { holder, first }
    }

    /// A command that runs in them.
    pub fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(self.all()).arg(program).stdin(Stdio::null());
        command
    }

    /// As options of `nsenter`: the network alone.
    pub fn network(&self) -> Vec<String> {
        vec![format!("--net={}", self.network_file())]
    }

    /// The network, as a file that holds it.
    pub fn network_file(&self) -> String {
        format!("/proc/{}/ns/net", self.first)
    }

    /// As options of `nsenter`: all of them.
    pub fn all(&self) -> Vec<String> {
        ["--target", &self.first.to_string(), "--mount", "--pid", "--net"].map(str::to_owned).to_vec()
    }

    /// How many files are open, by the name of the program, in all that runs in them and has no others of
    /// its own, as containers have.
    pub fn open_files(&self) -> BTreeMap<String, usize> {
        let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/pid")).ok();
        let own = namespace(&self.first.to_string()).expect("a namespace of processes");
        let mut open = BTreeMap::new();
        for process in std::fs::read_dir("/proc").expect("processes").flatten() {
            if namespace(&process.file_name().to_string_lossy()).as_ref() == Some(&own) {
                let program = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                let files = std::fs::read_dir(process.path().join("fd")).map_or(0, Iterator::count);
                *open.entry(program.trim().to_owned()).or_default() += files;
            }
        }
        open
    }

    /// Ends all that runs in them.
    pub fn end(&mut self) {
        let killed = Command::new("kill").args(["-9", &self.first.to_string()]).status();
        if let (Err(error), _) | (_, Err(error)) = (killed, self.holder.wait()) {
            eprintln!("the namespaces of the test's engine may be left behind: {error}");
        }
    }
}

/// The directories of a control group, in every hierarchy.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path().join(name));
    hierarchies.chain([root.join(name)]).filter(|directory| directory.is_dir()).collect()
}

/// Removes a control group in which nothing is, where it is one.
pub fn remove_empty_cgroup(name: &str) {
    for directory in cgroups(name) {
        // Where others are in it, it stays.
        let _ = std::fs::remove_dir(directory);
    }
}

/// Removes the empty control groups that containers left.
pub fn remove_cgroups(name: &str) {
    for directory in cgroups(name) {
        // The kernel may still be taking leave of the last process: five seconds at most.
        let mut looks = 0..250;
        while !remove_tree(&directory) && looks.next().is_some() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn remove_tree(directory: &Path) -> bool {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_tree(&entry.path());
        }
    }
    std::fs::remove_dir(directory).is_ok()
}
