//! What a process keeps: it must be the same after many turns of whatever it does.

/// What the kernel says that a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Open file descriptors.
    pub files: usize,
    /// Threads.
    pub threads: usize,
    /// Children that ended and that it did not wait for.
    pub zombies: usize,
    /// Memory in use, in KiB.
    pub resident: usize,
}

impl Holdings {
    /// Of a process that runs.
    pub fn of(process: u64) -> Self {
        let files = std::fs::read_dir(format!("/proc/{process}/fd")).expect("its files").count();
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
        Self { files, threads: number(&status, "Threads:"), zombies: zombies_of(process), resident: number(&status, "VmRSS:") }
    }

    /// Fails where it holds more than before: a little more memory and a few descriptors are no leak,
    /// for connections come and go.
    pub fn are_not_exceeded_by(&self, now: &Self) {
        let is_more = now.files > self.files + 4 || now.threads > self.threads + 2 || now.zombies > 0;
        assert!(!is_more && now.resident < self.resident * 2, "before {self:?}, now {now:?}");
    }
}

fn number(status: &str, name: &str) -> usize {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of the status");
    line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

/// How many processes whose parent it is are over and still listed.
pub fn zombies_of(parent: u64) -> usize {
    let is_zombie = |status: &str| {
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        line("PPid:") == Some(parent.to_string().as_str()) && line("State:").is_some_and(|state| state.starts_with('Z'))
    };
    let statuses = std::fs::read_dir("/proc").expect("processes").flatten();
    statuses
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok())
        .filter(|status| is_zombie(status))
        .count()
}
