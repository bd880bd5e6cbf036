//! What came of it: the table of docs/reliability.md.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::faults::Fault;
use crate::keeper::Kind;
use crate::oracles::ledger::Balance;
use crate::oracles::watch::percentile;

/// Between these the page is written anew.
const BEGIN: &str = "<!-- what follows is written by `make chaos` -->";
const END: &str = "<!-- end of what is written by `make chaos` -->";

/// What came of one fault.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How long until all was well; `None`: a person had to mend it.
    pub healed: Option<Duration>,
    /// Rows that were committed and are gone.
    pub lost: usize,
    /// Rows that are there more than once.
    pub doubled: usize,
    /// Replicas or data directories that two containers ran on.
    pub twice: usize,
    /// Whether a bystander was touched.
    pub touched: usize,
}

impl Outcome {
    /// For the log of the run.
    pub fn in_words(&self) -> String {
        let healed = self.healed.map_or("NOT HEALED".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()));
        let found =
            [("lost", self.lost), ("doubled", self.doubled), ("at once", self.twice), ("bystanders touched", self.touched)];
        found.iter().filter(|(_, count)| *count > 0).fold(healed, |said, (what, count)| format!("{said}, {what}: {count}"))
    }
}

/// All runs of one kind of fault.
pub struct Row {
    /// Which.
    pub fault: Fault,
    /// What came of each.
    pub outcomes: Vec<Outcome>,
}

impl Row {
    /// None yet.
    pub fn of(fault: Fault) -> Self {
        Self { fault, outcomes: Vec::new() }
    }

    fn times(&self) -> Vec<Duration> {
        self.outcomes.iter().filter_map(|outcome| outcome.healed).collect()
    }

    fn line(&self) -> String {
        let times = self.times();
        let shown = |percent: usize| {
            if times.is_empty() { "never".to_owned() } else { format!("{:.1} s", percentile(&times, percent).as_secs_f64()) }
        };
        let sum = |of: fn(&Outcome) -> usize| self.outcomes.iter().map(of).max().unwrap_or_default();
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            self.fault.name(),
            self.outcomes.len(),
            times.len(),
            sum(|outcome| outcome.lost),
            sum(|outcome| outcome.doubled + outcome.twice),
            shown(50),
            shown(99),
            self.outcomes.iter().map(|outcome| outcome.touched).sum::<usize>(),
        )
    }
}

/// A whole run.
pub struct Run {
    /// Who kept the stack.
    pub kind: Kind,
    /// A row for each kind of fault.
    pub rows: Vec<Row>,
    /// Which faults in which order.
    pub seed: u64,
    /// How long it was.
    pub took: Duration,
    /// The engine's version.
    pub engine: String,
    /// The ledger's last word.
    pub balance: Balance,
    /// How long each `ps` took.
    pub answers: Vec<Duration>,
    /// What `ps` said that was not so.
    pub wrong: BTreeSet<String>,
}

impl Run {
    /// What must not be.
    pub fn failures(&self) -> Vec<String> {
        let mut failures: Vec<String> = self.wrong.iter().cloned().collect();
        if !(self.balance.lost.is_empty() && self.balance.doubled.is_empty()) {
            failures.push(format!("{:?}", self.balance));
        }
        for row in &self.rows {
            let is_bad = |outcome: &&Outcome| {
                outcome.healed.is_none() || outcome.lost + outcome.doubled + outcome.twice + outcome.touched > 0
            };
            let bad = row.outcomes.iter().filter(is_bad);
            failures.extend(bad.map(|outcome| format!("{}: {}", row.fault.name(), outcome.in_words())));
        }
        let slow = percentile(&self.answers, 99);
        if slow > Duration::from_secs(1) {
            failures.push(format!("one `ps` in a hundred took {slow:?}"));
        }
        failures
    }

    fn text(&self) -> String {
        let faults: usize = self.rows.iter().map(|row| row.outcomes.len()).sum();
        let mut text = format!(
            "### {}\n\nSeed {}, engine {}: {faults} faults in {}, {} rows committed meanwhile",
            self.kind.name(),
            self.seed,
            self.engine,
            humantime::format_duration(Duration::from_secs(self.took.as_secs())),
            self.balance.noted,
        );
        if self.kind == Kind::Witwd {
            let shown = |percent: usize| format!("{:.0} ms", percentile(&self.answers, percent).as_secs_f64() * 1e3);
            let _ = write!(text, "; `ps` took {} (p50), {} (p99)", shown(50), shown(99));
        }
        text.push_str(".\n\n| fault | runs | healed | rows lost | twice | healed after, p50 | p99 | bystanders touched |\n");
        text.push_str("|---|---|---|---|---|---|---|---|\n");
        for row in self.rows.iter().filter(|row| !row.outcomes.is_empty()) {
            let _ = writeln!(text, "{}", row.line());
        }
        text
    }
}

/// All runs, as the page shows them.
pub fn text(runs: &[Run]) -> String {
    let commit = Command::new("git").args(["log", "-1", "--format=%h of %cs"]).output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let tables: Vec<String> = runs.iter().map(Run::text).collect();
    format!("Commit {commit}.\n\n{}", tables.join("\n"))
}

/// Puts the tables between the marks of a page.
pub fn write(page: &Path, text: &str) {
    let old = std::fs::read_to_string(page).expect("the page");
    let (before, rest) = old.split_once(BEGIN).expect("the first mark");
    let (_, after) = rest.split_once(END).expect("the second mark");
    std::fs::write(page, format!("{before}{BEGIN}\n\n{text}\n{END}{after}")).expect("writing the page");
}
